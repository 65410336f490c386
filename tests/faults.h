// Calls that fail on command: the N-th one of the code under test returns an error, is interrupted, is cut short, or
// kills the process. For one test program, linked so that the calls of the library's objects come here first: with
// -Wl,--wrap=NAME for each of these names, and with a static library or its objects (a shared one is not reached).
// wrapped: open openat readlink fstatat faccessat fchmod write lseek fsync close renameat
// wrapped: malloc calloc strdup open_memstream
#ifndef FAULTS_H
#define FAULTS_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

typedef enum fault {
    NONE,
    FAIL,    // the call does nothing and reports `error` (close closes first)
    FAIL_ON, // and so does every one after it
    ONCE,    // EINTR, where it may be: write, fsync, close
    SHORT,   // write takes half
    DIE,     // the process is gone before the call
    DIE_HALF // after half of the write
} fault;

static struct plan {
    bool on;
    fault fault;
    int error, at;   // the call, from 0, that it happens to
    int calls;       // so far
    char trace[256]; // one letter a call
} plan;

static void arm(fault f, int error, int at) { plan = (struct plan){.on = true, .fault = f, .error = error, .at = at}; }

// Counts a call. True: it is to fail now, and errno is set.
static bool strikes(char letter)
{
    if (!plan.on) return false;
    const int call = plan.calls++;
    if ((size_t)call < sizeof plan.trace - 1) plan.trace[call] = letter;
    const bool here = call == plan.at || (plan.fault == FAIL_ON && call > plan.at);
    if (!here || plan.fault == NONE) return false;
    const bool memory = strchr("mCSO", letter) != NULL, writes = letter == 'w';
    if (plan.fault == DIE || (plan.fault == DIE_HALF && !writes)) raise(SIGKILL);
    if (plan.fault == ONCE && !strchr("wfc", letter)) return false;
    if (plan.fault == SHORT || plan.fault == DIE_HALF) return writes;
    errno = plan.fault == ONCE ? EINTR : memory ? ENOMEM : plan.error;
    return true;
}

#define WRAP(letter, type, failed, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters { return strikes(letter) ? (failed) : __real_##name arguments; }

WRAP('l', ssize_t, -1, readlink, (const char *path, char *out, size_t room), (path, out, room))
WRAP('t', int, -1, fstatat, (int folder, const char *path, struct stat *s, int flags), (folder, path, s, flags))
WRAP('a', int, -1, faccessat, (int folder, const char *path, int mode, int flags), (folder, path, mode, flags))
WRAP('h', int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP('k', off_t, -1, lseek, (int fd, off_t at, int whence), (fd, at, whence))
WRAP('f', int, -1, fsync, (int fd), (fd))
WRAP('r', int, -1, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP('m', void *, NULL, malloc, (size_t n), (n))
WRAP('C', void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP('S', char *, NULL, strdup, (const char *s), (s))
WRAP('O', FILE *, NULL, open_memstream, (char **p, size_t *n), (p, n))

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (!strikes('w')) return __real_write(fd, p, n);
    if (plan.fault != SHORT && plan.fault != DIE_HALF) return -1;
    const ssize_t half = __real_write(fd, p, n > 1 ? n / 2 : n);
    if (plan.fault == DIE_HALF) raise(SIGKILL);
    return half;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    const bool fails = strikes('c');
    const int error = errno, closed = __real_close(fd);
    if (!fails) return closed;
    errno = error;
    return -1;
}

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode)
{
    return strikes('o') ? -1 : __real_openat(folder, path, flags, mode);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) // the library opens only what is there: no mode
{
    return strikes('d') ? -1 : __real_open(path, flags);
}

#endif
