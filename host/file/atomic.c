// Atomic replacement: temporary file, fsync, rename, fsync of the folder. The folder stays open from the start, so that
// a change of the working folder or a renamed parent does not separate the two names.
#define _POSIX_C_SOURCE 200809L

#include "atomic.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct atomic_file {
    int fd, folder;               // -1: not open
    char *path;                   // as the caller wrote it, for messages
    char *target;                 // path with links resolved: folder/name
    const char *name;             // in target
    char temporary[NAME_MAX + 1]; // in the folder; empty: none exists
};

bptt_status file_fail(bptt_error *e, bptt_status code, const char *path, const char *what)
{
    char words[128];
    if (strerror_r(errno, words, sizeof words) != 0) snprintf(words, sizeof words, "error %d", errno);
    return bptt_fail(e, code, "%.300s: %s: %s", path, what, words);
}

bptt_status write_all(int fd, const void *data, size_t bytes, const char *path, bptt_error *e)
{
    const char *p = data;
    while (bytes > 0) {
        const ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC; // no error and no progress: avoids an endless loop
        if (n <= 0) return file_fail(e, BPTT_IO, path, "cannot write");
        p += n;
        bytes -= (size_t)n;
    }
    return BPTT_OK;
}

// ---- target path ----------------------------------------------------------------------------------------------------

// Target of the symbolic link at path with contents text [n]. The caller frees it; NULL: no memory.
static char *link_end(const char *path, const char *text, size_t n)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = text[0] == '/' || !slash ? 0 : (size_t)(slash - path) + 1;
    char *end = malloc(folder + n + 1);
    if (!end) return NULL;
    memcpy(end, path, folder);
    memcpy(end + folder, text, n);
    end[folder + n] = '\0';
    return end;
}

static bptt_status no_memory(const char *path, bptt_error *e) // no use of errno: clang assumes that it did not change
{
    return bptt_fail(e, BPTT_NO_MEMORY, "no memory to write %.300s", path);
}

// Resolves the symbolic links of path into f->target. Unlike realpath, the file need not exist.
static bptt_status follow(atomic_file *f, const char *path, bptt_error *e)
{
    f->target = strdup(path);
    for (int hop = 0; f->target && hop < 40; hop++) { // Linux follows 40
        char text[PATH_MAX];
        const ssize_t n = readlink(f->target, text, sizeof text);
        if (n < 0 && (errno == EINVAL || errno == ENOENT || errno == ENOTDIR))
            return BPTT_OK; // open_folder reports the error
        if (n == (ssize_t)sizeof text) errno = ENAMETOOLONG;
        if (n < 0 || n == (ssize_t)sizeof text) return file_fail(e, BPTT_IO, path, "cannot follow the link");
        char *end = link_end(f->target, text, (size_t)n);
        free(f->target);
        f->target = end;
    }
    if (!f->target) return no_memory(path, e);
    errno = ELOOP;
    return file_fail(e, BPTT_IO, path, "cannot follow the link");
}

// Splits f->target and opens the folder.
static bptt_status open_folder(atomic_file *f, bptt_error *e)
{
    char *slash = strrchr(f->target, '/');
    f->name = slash ? slash + 1 : f->target;
    if (*f->name == '\0') return bptt_fail(e, BPTT_IO, "%.300s: this names a folder; give a file name", f->path);
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    if (!slash) {
        f->folder = open(".", flags);
    } else if (slash == f->target) {
        f->folder = open("/", flags);
    } else {
        *slash = '\0';
        f->folder = open(f->target, flags);
    }
    if (f->folder < 0) return file_fail(e, BPTT_IO, f->path, "cannot open its folder");
    return BPTT_OK;
}

// State of the existing file: *present and *mode. Only a file that the caller may write to is replaced.
static bptt_status stat_target(const atomic_file *f, bool *present, mode_t *mode, bptt_error *e)
{
    struct stat s;
    *present = fstatat(f->folder, f->name, &s, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*present) return errno == ENOENT ? BPTT_OK : file_fail(e, BPTT_IO, f->path, "cannot stat it");
    if (!S_ISREG(s.st_mode))
        return bptt_fail(e, BPTT_IO, "%.300s: exists and is not a regular file; choose another name", f->path);
    if (faccessat(f->folder, f->name, W_OK, AT_EACCESS) != 0)
        return file_fail(e, BPTT_IO, f->path, "is write-protected");
    *mode = s.st_mode & 0777;
    return BPTT_OK;
}

// ---- the file -------------------------------------------------------------------------------------------------------

static bptt_status create_temporary(atomic_file *f, bptt_error *e)
{
    char name[sizeof f->temporary];
    for (int i = 0; i < 100; i++) { // skips files left by killed processes
        snprintf(name, sizeof name, ".%.200s.tmp.%ld.%d", f->name, (long)getpid(), i);
        f->fd = openat(f->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) {
            memcpy(f->temporary, name, sizeof name);
            return BPTT_OK;
        }
        if (errno != EEXIST) break;
    }
    return file_fail(e, BPTT_IO, f->path, "cannot create a temporary file beside it");
}

static bptt_status open_temporary(atomic_file *f, const char *path, bptt_error *e)
{
    bool present;
    mode_t mode = 0;
    f->path = strdup(path);
    if (!f->path) return no_memory(path, e);
    bptt_status s = follow(f, path, e);
    if (s == BPTT_OK) s = open_folder(f, e);
    if (s == BPTT_OK) s = stat_target(f, &present, &mode, e);
    if (s == BPTT_OK) s = create_temporary(f, e);
    if (s == BPTT_OK && present && fchmod(f->fd, mode) != 0)
        s = file_fail(e, BPTT_IO, path, "cannot keep its permissions");
    return s;
}

bptt_status atomic_open(const char *path, atomic_file **out, int *fd, bptt_error *e)
{
    atomic_file *f = calloc(1, sizeof *f);
    if (!f) return no_memory(path, e);
    f->fd = f->folder = -1;
    const bptt_status s = open_temporary(f, path, e);
    if (s != BPTT_OK) {
        atomic_abort(f);
        return s;
    }
    *out = f;
    *fd = f->fd;
    return BPTT_OK;
}

// Retries after EINTR only. After any other failure of fsync the data may be lost even if the next fsync succeeds.
static int sync_file(int fd)
{
    int s;
    do s = fsync(fd);
    while (s != 0 && errno == EINTR);
    return s;
}

static bptt_status replace(atomic_file *f, bptt_error *e)
{
    if (sync_file(f->fd) != 0) return file_fail(e, BPTT_IO, f->path, "cannot sync the data to disk");
    const int closed = close(f->fd);
    f->fd = -1; // closed even if close failed
    if (closed != 0 && errno != EINTR) return file_fail(e, BPTT_IO, f->path, "cannot close the temporary file");
    if (renameat(f->folder, f->temporary, f->folder, f->name) != 0)
        return file_fail(e, BPTT_IO, f->path, "cannot rename the temporary file to it");
    f->temporary[0] = '\0';
    if (sync_file(f->folder) != 0 && errno != EINVAL) // EINVAL: a file system without it
        return file_fail(
            e, BPTT_IO, f->path,
            "the new file is in place, but its folder was not synced: a power failure may restore the old one");
    return BPTT_OK;
}

bptt_status atomic_commit(atomic_file *f, bptt_error *e)
{
    const bptt_status s = replace(f, e);
    atomic_abort(f); // removes nothing if s is BPTT_OK
    return s;
}

void atomic_abort(atomic_file *f)
{
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    if (f->temporary[0] != '\0') unlinkat(f->folder, f->temporary, 0);
    if (f->folder >= 0) close(f->folder);
    free(f->target);
    free(f->path);
    free(f);
}
