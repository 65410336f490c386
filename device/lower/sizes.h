// Counts of pieces, and arrays that grow.
#ifndef SIZES_H
#define SIZES_H

#include <stdbool.h>
#include <stdlib.h>

// Pieces of `each` that n things fill, the last one perhaps in part.
static inline size_t pieces_of(size_t n, size_t each) { return (n + each - 1) / each; }

// An array with room for one more element than `used`, of `each` bytes: `old`, or its new place. No memory: `old`, and
// *failed.
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
