// Race detection: overlap of two areas, and unordered pairs of graph nodes that access a common byte.
#include "standin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// An area as `outer` sets of n runs of `length` bytes.
typedef struct runs {
    uint64_t at, n, stride, length, outer, outer_stride;
} runs;

static runs merged(runs r)
{
    if (r.n > 1 && r.stride <= r.length) r.length = (r.n - 1) * r.stride + r.length, r.n = 1;
    if (r.n == 1 && r.outer > 1) r.n = r.outer, r.stride = r.outer_stride, r.outer = 1;
    if (r.n > 1 && r.stride <= r.length) r.length = (r.n - 1) * r.stride + r.length, r.n = 1;
    if (r.n == 1) r.stride = r.length;
    return r;
}

static runs runs_of(const standin_area *a)
{
    const bool by_row = a->down >= a->across || a->rows == 1; // the shorter step inside
    return merged(by_row && a->cols > 1 ? (runs){a->at, a->cols, a->across, a->size, a->rows, a->down}
                                        : (runs){a->at, a->rows, a->down, a->size, a->cols, a->across});
}

static uint64_t length_of(const runs *r) { return (r->n - 1) * r->stride + r->length; }

// True if the bytes [from, from + length) overlap one of r's runs, which start at `at`.
static bool meets(uint64_t from, uint64_t length, uint64_t at, const runs *r)
{
    if (from + length <= at) return false;
    if (from <= at) return true;
    const uint64_t k = (from - at) / r->stride; // the last run that starts at or before `from`, if there are so many
    if (k >= r->n) return at + length_of(r) > from;
    if (at + k * r->stride + r->length > from) return true;
    return k + 1 < r->n && at + (k + 1) * r->stride < from + length;
}

static bool sets_meet(uint64_t x, const runs *a, uint64_t y, const runs *b)
{
    if (x + length_of(a) <= y || y + length_of(b) <= x) return false;
    if (a->n > b->n) return sets_meet(y, b, x, a);
    for (uint64_t i = 0; i < a->n; i++)
        if (meets(x + i * a->stride, a->length, y, b)) return true;
    return false;
}

static uint64_t end_of(const standin_area *a)
{
    return a->at + (a->rows - 1) * a->down + (a->cols - 1) * a->across + a->size;
}

bool standin_overlap(const standin_area *a, const standin_area *b)
{
    if (!a->rows || !a->cols || !b->rows || !b->cols) return false;
    if (end_of(a) <= b->at || end_of(b) <= a->at) return false;
    const runs x = runs_of(a), y = runs_of(b);
    for (uint64_t i = 0; i < x.outer; i++)
        for (uint64_t j = 0; j < y.outer; j++)
            if (sets_meet(x.at + i * x.outer_stride, &x, y.at + j * y.outer_stride, &y)) return true;
    return false;
}

bool standin_clash(const standin_area *a, size_t as, const standin_area *b, size_t bs, const standin_area **x,
                   const standin_area **y)
{
    for (size_t i = 0; i < as; i++)
        for (size_t j = 0; j < bs; j++)
            if ((a[i].written || b[j].written) && standin_overlap(&a[i], &b[j])) {
                *x = &a[i], *y = &b[j];
                return true;
            }
    return false;
}

static const char *does(const standin_area *a) { return !a->written ? "reads" : a->read ? "adds to" : "writes"; }

static void report(const standin_nodes *nodes, size_t i, size_t j)
{
    const standin_node *a = &nodes->at[i], *b = &nodes->at[j];
    const standin_area *x, *y;
    if (!standin_clash(a->op.area, a->op.areas, b->op.area, b->op.areas, &x, &y)) return;
    standin_die("race between node %zu (%s, stream %u) and node %zu (%s, stream %u): neither waits for the other; the "
                "first %s %s, %" PRIu64 " x %" PRIu64 " at %s; the other %s %s, %" PRIu64 " x %" PRIu64 " at %s",
                i, a->op.words, a->stream, j, b->op.words, b->stream, does(x), x->name, x->rows, x->cols,
                standin_where(x->at), does(y), y->name, y->rows, y->cols, standin_where(y->at));
}

// before[i]: a bit for every node that node i waits for, directly or not. Nodes wait for earlier ones only.
void standin_check_races(const standin_nodes *nodes)
{
    const size_t n = nodes->n, words = (n + 63) / 64;
    uint64_t *before = standin_more(NULL, n * words, sizeof *before);
    memset(before, 0, n * words * sizeof *before);
    for (size_t i = 0; i < n; i++) {
        uint64_t *mine = before + i * words;
        for (size_t k = 0; k < nodes->at[i].afters; k++) {
            const size_t d = nodes->at[i].after[k];
            for (size_t w = 0; w <= d / 64; w++) mine[w] |= before[d * words + w];
            mine[d / 64] |= UINT64_C(1) << d % 64;
        }
        for (size_t j = 0; j < i; j++)
            if (!(mine[j / 64] >> j % 64 & 1)) report(nodes, j, i);
    }
    free(before);
}
