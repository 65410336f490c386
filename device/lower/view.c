// Range of a moving view, and equality of views.
#include "view.h"

#include <stdint.h>

bool view_passes(const bptt_mat *m, size_t n, view_range *r)
{
    *r = (view_range){m->buf, m->at, m->at};
    if (!m->buf) return true;
    const bool back = m->move[0] < 0;
    const size_t by = back ? (size_t)0 - (size_t)m->move[0] : (size_t)m->move[0], extent = view_extent(m);
    if (by > SIZE_MAX / 2 / n) return false;
    r->end += extent;
    if (back)
        r->first -= (n - 1) * by;
    else
        r->end += (n - 1) * by;
    return n == 1 || by == 0 || by >= extent;
}

bool same_view(const bptt_mat *a, const bptt_mat *b)
{
    return a->buf == b->buf && a->at == b->at && a->rows == b->rows && a->cols == b->cols && a->ld == b->ld &&
           a->type == b->type && a->t == b->t;
}

bool same_moving_view(const bptt_mat *a, const bptt_mat *b)
{
    return same_view(a, b) && a->move[0] == b->move[0] && a->move[1] == b->move[1];
}
