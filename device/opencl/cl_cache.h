// Built programs kept in files, so that a program opens without compiling. Whatever is wrong with such a file, it is as
// if it were not there.
#ifndef CL_CACHE_H
#define CL_CACHE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cl_cache {
    char path[4096];    // of the file; empty: no cache
    unsigned char *key; // all that the binary depends on
    size_t key_bytes;
} cl_cache;

// The file of a key made of `parts` texts, in `folder`, or if that is NULL in bptt/ of the user's cache folder; "": no
// cache. The folder is made. Give it back with cl_cache_close.
void cl_cache_open(cl_cache *c, const char *folder, const char *const *part, const size_t *bytes, size_t parts);
void cl_cache_close(cl_cache *c);
// What the file holds, to be freed; NULL: nothing that can be trusted.
unsigned char *cl_cache_read(const cl_cache *c, size_t *bytes);
// Failures are silent: the next open compiles again.
void cl_cache_write(const cl_cache *c, const unsigned char *binary, size_t bytes);

#endif
