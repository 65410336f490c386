// Sets of element spans: the current 16-bit copies, and the gradients.
#include "half_copies.h"
#include "sizes.h"
#include "view.h"

#include <stdlib.h>

typedef struct span span;

// ---- spans ----------------------------------------------------------------------------------------------------------

static void insert(span_set *s, size_t i, span new)
{
    s->at = grow(s->at, s->n, &s->room, sizeof *s->at, &s->failed);
    if (s->failed) return;
    for (size_t k = s->n; k > i; k--) s->at[k] = s->at[k - 1];
    s->at[i] = new;
    s->n++;
}

static void drop(span_set *s, size_t i)
{
    for (size_t k = i + 1; k < s->n; k++) s->at[k - 1] = s->at[k];
    s->n--;
}

static bool before(const span *a, const bptt_buf *buf, size_t at)
{
    return a->buf != buf ? (uintptr_t)a->buf < (uintptr_t)buf : a->end <= at;
}

static void take(span_set *s, const bptt_buf *buf, size_t first, size_t end)
{
    for (size_t i = 0; i < s->n;) {
        span *a = &s->at[i];
        if (a->buf != buf || a->end <= first || a->first >= end) {
            i++;
            continue;
        }
        const span rest = {buf, end, a->end, a->scaled};
        const bool left = a->first<first, right = a->end> end;
        if (left) a->end = first;
        if (right && left)
            insert(s, i + 1, rest);
        else if (right)
            *a = rest;
        else if (!left) {
            drop(s, i);
            continue;
        }
        i++;
    }
}

// Remove or add the elements from the first of a view to its last, with the padding of its rows. A view of some columns
// of wider rows does not fill its span, so it is removed but not added.
static void spans_take(span_set *s, const bptt_mat *m) { take(s, m->buf, m->at, view_end(m)); }

static void spans_put(span_set *s, const bptt_mat *m, bool scaled, row_pad *pad)
{
    const bool whole = !m->narrow && m->ld == pad(view_width(m)); // only padding between rows
    const size_t first = m->at, end = whole ? m->at + view_lines(m) * m->ld : view_end(m);
    take(s, m->buf, first, end);
    if (view_lines(m) > 1 && !whole) return;
    size_t i = 0;
    while (i < s->n && before(&s->at[i], m->buf, first)) i++;
    insert(s, i, (span){m->buf, first, end, scaled});
    if (s->failed) return;
    for (size_t k = i + 1 < s->n ? i + 1 : i; k > 0 && k >= i; k--) { // merges adjacent spans
        span *a = &s->at[k - 1], *b = &s->at[k];
        if (a->buf != b->buf || a->end != b->first || a->scaled != b->scaled) continue;
        a->end = b->end;
        drop(s, k);
    }
}

// True if one span holds all of the view; *scaled: its kind.
static bool spans_have(const span_set *s, const bptt_mat *m, bool *scaled)
{
    for (size_t i = 0; i < s->n; i++) {
        const span *a = &s->at[i];
        if (a->buf != m->buf || a->first > m->at || a->end < view_end(m)) continue;
        *scaled = a->scaled;
        return true;
    }
    return false;
}

// ---- copies ---------------------------------------------------------------------------------------------------------

void half_copies_free(half_copies *h)
{
    free(h->current.at);
    free(h->gradients.at);
    *h = (half_copies){0};
}

bool half_copies_failed(const half_copies *h) { return h->current.failed || h->gradients.failed; }

void half_written(half_copies *h, const bptt_mat *m)
{
    if (!m->buf || m->type != BPTT_F32) return;
    spans_take(&h->current, m);
    spans_take(&h->gradients, m);
}

void half_is_gradient(half_copies *h, const bptt_mat *m) { spans_put(&h->gradients, m, false, h->pad); }

void half_copied(half_copies *h, const bptt_mat *m, bool scaled) { spans_put(&h->current, m, scaled, h->pad); }

bool half_has_gradient(const half_copies *h, const bptt_mat *m)
{
    bool unused = false;
    return spans_have(&h->gradients, m, &unused);
}

bool half_is_current(const half_copies *h, const bptt_mat *m, bool *scaled)
{
    return spans_have(&h->current, m, scaled);
}
