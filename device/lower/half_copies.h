// Which parts of the float memory of a device have a current 16-bit copy, and which hold gradients. The copy of a
// buffer has its layout: element (i, j) of a view has the same index in both.
#ifndef HALF_COPIES_H
#define HALF_COPIES_H

#include "backend.h"

typedef size_t row_pad(size_t cols); // as bptt_backend.pad

typedef struct span_set { // disjoint, ascending by buffer and start, neighbours of one kind joined
    size_t n, room;
    struct span {
        const bptt_buf *buf;
        size_t first, end; // elements
        bool scaled;       // the copy is that of scale times the number
    } * at;
    bool failed; // no memory
} span_set;

// Starts as {.pad = ...}: the leading dimension at which only padding lies between the rows of a matrix.
typedef struct half_copies {
    row_pad *pad;
    span_set current;   // 16-bit copies that are up to date
    span_set gradients; // floats that are gradients: their copies are scaled
} half_copies;

void half_copies_free(half_copies *h);
bool half_copies_failed(const half_copies *h); // no memory; what was not noted counts as not current

// A launch wrote the view: its copy is stale, and it holds no gradient unless half_is_gradient says so afterwards.
void half_written(half_copies *h, const bptt_mat *m);
void half_is_gradient(half_copies *h, const bptt_mat *m);
// The copy of the view is current from here on. scaled: it holds scale times the numbers.
void half_copied(half_copies *h, const bptt_mat *m, bool scaled);
bool half_has_gradient(const half_copies *h, const bptt_mat *m);
// True if the copy of all of the view is current; *scaled: it holds scale times the numbers.
bool half_is_current(const half_copies *h, const bptt_mat *m, bool *scaled);

#endif
