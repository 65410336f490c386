// Arithmetic of matrix views, in elements of their buffer.
#ifndef VIEW_H
#define VIEW_H

#include "backend.h"

// The layout of a view in its buffer: `lines` runs of `width` contiguous elements, ld apart.
static inline size_t view_lines(const bptt_mat *m) { return m->t ? m->cols : m->rows; }
static inline size_t view_width(const bptt_mat *m) { return m->t ? m->rows : m->cols; }

// Number of elements from the first of a view to its last, both included; the end of that range. Not for empty views.
static inline size_t view_extent(const bptt_mat *m) { return (view_lines(m) - 1) * m->ld + view_width(m); }
static inline size_t view_end(const bptt_mat *m) { return m->at + view_extent(m); }

// Elements [first, end) of a buffer.
typedef struct view_range {
    const bptt_buf *buf; // NULL: none
    size_t first, end;
} view_range;

static inline view_range view_range_of(const bptt_mat *m) { return (view_range){m->buf, m->at, view_end(m)}; }

static inline bool ranges_overlap(const view_range *a, const view_range *b)
{
    return a->buf && a->buf == b->buf && a->first < b->end && b->first < a->end;
}

// *r: the elements that the view covers in n steps of its loop. False if those of one step overlap those of the next.
bool view_passes(const bptt_mat *m, size_t n, view_range *r);

// True if two views are equal, at the first step of their loop; at every step.
bool same_view(const bptt_mat *a, const bptt_mat *b);
bool same_moving_view(const bptt_mat *a, const bptt_mat *b);

#endif
