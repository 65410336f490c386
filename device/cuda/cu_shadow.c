#include "cu_shadow.h"
#include "lower/sizes.h"
#include "lower/view.h"

#include <stdlib.h>

typedef struct span span;

void spans_free(span_set *s)
{
    free(s->at);
    *s = (span_set){0};
}

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

void spans_take(span_set *s, const bptt_mat *m) { take(s, m->buf, m->at, view_end(m)); }

void spans_put(span_set *s, const bptt_mat *m, bool scaled, size_t whole_ld)
{
    const bool whole = m->ld == whole_ld; // rows that follow each other then have only padding between them
    const size_t first = m->at, end = whole ? m->at + view_lines(m) * m->ld : view_end(m);
    take(s, m->buf, first, end);
    if (view_lines(m) > 1 && !whole) return;
    size_t i = 0;
    while (i < s->n && before(&s->at[i], m->buf, first)) i++;
    insert(s, i, (span){m->buf, first, end, scaled});
    if (s->failed) return;
    for (size_t k = i + 1 < s->n ? i + 1 : i; k > 0 && k >= i; k--) { // joined with its neighbours
        span *a = &s->at[k - 1], *b = &s->at[k];
        if (a->buf != b->buf || a->end != b->first || a->scaled != b->scaled) continue;
        a->end = b->end;
        drop(s, k);
    }
}

bool spans_have(const span_set *s, const bptt_mat *m, bool *scaled)
{
    for (size_t i = 0; i < s->n; i++) {
        const span *a = &s->at[i];
        if (a->buf != m->buf || a->first > m->at || a->end < view_end(m)) continue;
        *scaled = a->scaled;
        return true;
    }
    return false;
}
