// A file is: magic; bytes of the key, of the binary; checksum of the binary; the key; the binary. Its name is a digest
// of the key; the key inside decides.
#include "cl_cache.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct head {
    char magic[8];
    uint64_t key_bytes, bytes, checksum;
} head;

static const char magic[8] = {'b', 'p', 't', 't', 'c', 'l', '0', '1'};

// FNV-1a, 64 bits (Fowler, Noll, Vo).
static uint64_t digest_of(const unsigned char *x, size_t n)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < n; i++) h = (h ^ x[i]) * UINT64_C(0x100000001B3);
    return h;
}

// The user's folder for files that can be made again, XDG Base Directory Specification. False: there is none.
static bool make_folder(char *out, size_t n)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = -1;
    if (cache && cache[0] == '/')
        length = snprintf(out, n, "%s", cache);
    else if (home && home[0] == '/')
        length = snprintf(out, n, "%s/.cache", home);
    if (length < 0 || (size_t)length + sizeof "/bptt" > n) return false;
    (void)mkdir(out, 0700);
    strcat(out, "/bptt");
    (void)mkdir(out, 0700);
    return true;
}

void cl_cache_open(cl_cache *c, const char *folder, const char *const *part, const size_t *bytes, size_t parts)
{
    *c = (cl_cache){0};
    char made[3000];
    if (!folder && make_folder(made, sizeof made)) folder = made;
    if (!folder || !folder[0]) return;
    for (size_t i = 0; i < parts; i++) c->key_bytes += bytes[i] + 1;
    c->key = malloc(c->key_bytes);
    if (!c->key) return;
    unsigned char *at = c->key;
    for (size_t i = 0; i < parts; i++) {
        memcpy(at, part[i], bytes[i]);
        at += bytes[i];
        *at++ = 0;
    }
    const int n = snprintf(c->path, sizeof c->path, "%s/%016" PRIx64 ".cl", folder, digest_of(c->key, c->key_bytes));
    if (n < 0 || (size_t)n >= sizeof c->path) c->path[0] = '\0';
}

void cl_cache_close(cl_cache *c)
{
    free(c->key);
    *c = (cl_cache){0};
}

// n bytes, or false.
static bool read_all(int file, void *out, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t got = read(file, (char *)out + done, n - done);
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

static bool write_all(int file, const void *x, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t put = write(file, (const char *)x + done, n - done);
        if (put <= 0) return false;
        done += (size_t)put;
    }
    return true;
}

// The binary of an open file whose length is `size`, or NULL.
static unsigned char *checked(const cl_cache *c, int file, uint64_t size, size_t *bytes)
{
    head h;
    if (!read_all(file, &h, sizeof h) || memcmp(h.magic, magic, sizeof magic) != 0) return NULL;
    if (h.key_bytes != c->key_bytes || size < sizeof h + h.key_bytes) return NULL;
    if (h.bytes == 0 || h.bytes != size - sizeof h - h.key_bytes) return NULL;
    unsigned char *all = malloc((size_t)(h.key_bytes + h.bytes));
    if (!all) return NULL;
    const bool right = read_all(file, all, (size_t)(h.key_bytes + h.bytes)) && memcmp(all, c->key, c->key_bytes) == 0 &&
                       digest_of(all + h.key_bytes, (size_t)h.bytes) == h.checksum;
    if (right) memmove(all, all + h.key_bytes, (size_t)h.bytes);
    *bytes = (size_t)h.bytes;
    if (right) return all;
    free(all);
    return NULL;
}

unsigned char *cl_cache_read(const cl_cache *c, size_t *bytes)
{
    if (!c->path[0]) return NULL;
    const int file = open(c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return NULL;
    struct stat s;
    unsigned char *binary = NULL;
    // What is read is run: nobody else's file, nor one that others may write. A pipe does not make it wait.
    const bool ours = !fstat(file, &s) && S_ISREG(s.st_mode) && s.st_uid == geteuid() && !(s.st_mode & 022);
    if (ours && s.st_size > 0) binary = checked(c, file, (uint64_t)s.st_size, bytes);
    (void)close(file);
    return binary;
}

void cl_cache_write(const cl_cache *c, const unsigned char *binary, size_t bytes)
{
    if (!c->path[0] || bytes == 0) return;
    char path[sizeof c->path + 8];
    (void)snprintf(path, sizeof path, "%s.XXXXXX", c->path);
    const int file = mkstemp(path); // 0600
    if (file < 0) return;
    head h = {.key_bytes = c->key_bytes, .bytes = bytes, .checksum = digest_of(binary, bytes)};
    memcpy(h.magic, magic, sizeof magic);
    bool right =
        write_all(file, &h, sizeof h) && write_all(file, c->key, c->key_bytes) && write_all(file, binary, bytes);
    right = close(file) == 0 && right;
    if (!right || rename(path, c->path) != 0) (void)unlink(path);
}
