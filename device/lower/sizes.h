// Rounded-up division, and growing arrays.
#ifndef SIZES_H
#define SIZES_H

#include <stdbool.h>
#include <stdlib.h>

// n / each, rounded up.
static inline size_t pieces_of(size_t n, size_t each) { return (n + each - 1) / each; }

// Grows an array to hold one more element than `used`, of `each` bytes; returns `old` or its new address. Without
// memory it returns `old` and sets *failed.
static inline void *grow(void *old, size_t used, size_t *room, size_t each, bool *failed)
{
    if (used < *room) return old;
    const size_t more = *room ? 2 * *room : 64;
    void *const larger = realloc(old, more * each);
    if (!larger) {
        *failed = true;
        return old;
    }
    *room = more;
    return larger;
}

#endif
