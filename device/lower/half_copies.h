// Tracks which parts of the float memory of a device have a current 16-bit copy, and which hold gradients. A copy has
// the layout of its buffer: element (i, j) of a view has the same index in both.
#ifndef HALF_COPIES_H
#define HALF_COPIES_H

#include "view.h"

typedef size_t row_pad(size_t cols); // as bptt_backend.pad

typedef struct span_set { // disjoint, sorted by buffer and start, adjacent spans of one kind merged
    size_t n, room;
    struct span {
        const bptt_buf *buf;
        size_t first, end; // elements
        bool scaled;       // the copy holds scale times the float
    } * at;
    bool failed; // no memory
} span_set;

// Elements whose rows have `width` columns in use, so that a narrower view of them is a block of columns.
typedef struct wide_rows {
    view_range range;
    size_t width;
} wide_rows;

// Initialize with {.pad = ...}: the leading dimension of a matrix with only padding between its rows.
typedef struct half_copies {
    row_pad *pad;
    wide_rows *wide;
    size_t wides, wide_room;
    bool failed;
    span_set current;   // 16-bit copies that are up to date
    span_set gradients; // floats that are gradients; their copies are scaled
} half_copies;

// Before all other calls: matrices of which other views may be blocks of columns.
void half_wide_rows(half_copies *h, view_range range, size_t width);
void half_copies_free(half_copies *h);
bool half_copies_failed(const half_copies *h); // no memory; copies that could not be recorded count as stale

// A launch wrote the view: its copy is stale, and it holds no gradient unless half_is_gradient says so afterwards.
void half_written(half_copies *h, const bptt_mat *m);
void half_is_gradient(half_copies *h, const bptt_mat *m);
// Marks the copy of the view as current. scaled: it holds scale times the floats.
void half_copied(half_copies *h, const bptt_mat *m, bool scaled);
bool half_has_gradient(const half_copies *h, const bptt_mat *m);
// True if the copy of all of the view is current; *scaled: it holds scale times the floats.
bool half_is_current(const half_copies *h, const bptt_mat *m, bool *scaled);

#endif
