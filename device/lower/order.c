// Derives dependencies from the element ranges that launches read and write (RAW, WAR, WAW), then assigns launches to
// streams.
//
// The ranges of all operands are cut at each other's ends into intervals. Each interval keeps its last writer and its
// readers since. So the time is proportional to the number of intervals, not of pairs of launches.
#include "order.h"
#include "half_type.h"
#include "sizes.h"
#include "view.h"

#include <stdlib.h>

#define NONE SIZE_MAX

// ---- ranges ---------------------------------------------------------------------------------------------------------

// Elements of a buffer, or of its 16-bit copy.
typedef struct range {
    const bptt_buf *buf;
    bool half;
    size_t first, end;
} range;

static range range_of(const bptt_mat *m) { return (range){m->buf, type_is_half(m->type), m->at, view_end(m)}; }

static bool touches(const bptt_mat *m) { return m->buf && m->rows > 0 && m->cols > 0; }

// ---- dependencies ---------------------------------------------------------------------------------------------------

typedef struct reader {
    size_t launch, next; // next in the pool, NONE at the end
} reader;

// An interval from begins.first to the next interval of the same memory.
typedef struct interval {
    range begins;   // its buf, half and first
    size_t writer;  // the last launch that wrote it, or NONE
    size_t readers; // launches that have read it since: the first in the pool, or NONE
} interval;

typedef struct access_log {
    interval *interval; // ascending by memory and start
    size_t intervals;
    reader *pool;
    size_t used, pool_room;
    size_t *edge; // of all launches so far
    size_t edges, edge_room;
    size_t *seen; // [n]: the last launch that got an edge from this one
    bool failed;
} access_log;

static int by_start(const void *x, const void *y)
{
    const range *a = &((const interval *)x)->begins, *b = &((const interval *)y)->begins;
    if (a->buf != b->buf) return (uintptr_t)a->buf < (uintptr_t)b->buf ? -1 : 1;
    if (a->half != b->half) return a->half ? 1 : -1;
    return (a->first > b->first) - (a->first < b->first);
}

// The interval in which a range begins.
static size_t find_interval(const access_log *l, range r)
{
    const interval wanted = {.begins = r};
    size_t low = 0, high = l->intervals;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;
        if (by_start(&l->interval[middle], &wanted) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool make_intervals(access_log *l, const launch_list *list)
{
    size_t operands = 0;
    for (size_t i = 0; i < list->n; i++) operands += list->at[i].operands;
    l->interval = malloc((2 * operands + 1) * sizeof *l->interval);
    if (!l->interval) return false;
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < list->at[i].operands; k++) {
            if (!touches(&list->at[i].arg[k])) continue;
            range r = range_of(&list->at[i].arg[k]);
            l->interval[l->intervals++] = (interval){r, NONE, NONE};
            r.first = r.end;
            l->interval[l->intervals++] = (interval){r, NONE, NONE};
        }
    qsort(l->interval, l->intervals, sizeof *l->interval, by_start);
    size_t n = 0;
    for (size_t i = 0; i < l->intervals; i++)
        if (n == 0 || by_start(&l->interval[n - 1], &l->interval[i]) != 0) l->interval[n++] = l->interval[i];
    l->intervals = n;
    return true;
}

static void add_edge(access_log *l, size_t from, size_t to)
{
    if (from == NONE || from == to || l->seen[from] == to) return;
    l->seen[from] = to;
    l->edge = grow(l->edge, l->edges, &l->edge_room, sizeof *l->edge, &l->failed);
    if (!l->failed) l->edge[l->edges++] = from;
}

static void add_reader(access_log *l, interval *p, size_t by)
{
    l->pool = grow(l->pool, l->used, &l->pool_room, sizeof *l->pool, &l->failed);
    if (l->failed) return;
    l->pool[l->used] = (reader){by, p->readers};
    p->readers = l->used++;
}

// A reader depends on the last writer; a writer on the last writer and on all readers since.
static void log_access(access_log *l, range r, size_t by, bool written)
{
    for (size_t i = find_interval(l, r); i < l->intervals; i++) {
        interval *p = &l->interval[i];
        if (p->begins.buf != r.buf || p->begins.half != r.half || p->begins.first >= r.end) break;
        add_edge(l, p->writer, by);
        if (!written) {
            add_reader(l, p, by);
            continue;
        }
        for (size_t k = p->readers; k != NONE; k = l->pool[k].next) add_edge(l, l->pool[k].launch, by);
        p->writer = by;
        p->readers = NONE;
    }
}

// Edges and levels. Reads before writes: an operand that is read and written gives one edge.
static void find_edges(access_log *l, const launch_list *list, ordered_launch *ordered)
{
    for (size_t i = 0; i < list->n; i++) l->seen[i] = NONE;
    for (size_t i = 0; i < list->n && !l->failed; i++) {
        const launch *of = &list->at[i];
        const unsigned written = launch_writes(of);
        ordered_launch *at = &ordered[i];
        *at = (ordered_launch){.first = l->edges};
        for (unsigned pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < of->operands; k++)
                if (touches(&of->arg[k]) && (written >> k & 1) == pass)
                    log_access(l, range_of(&of->arg[k]), i, pass == 1);
        at->preceding = l->edges - at->first;
        for (size_t k = at->first; k < l->edges; k++)
            if (ordered[l->edge[k]].level >= at->level) at->level = ordered[l->edge[k]].level + 1;
    }
}

// ---- streams --------------------------------------------------------------------------------------------------------

// Level by level; within a level, and with one stream, in the order of the list. counts: [n + 1], working memory.
static void topological_order(launch_order *o, unsigned streams, size_t *counts)
{
    if (streams == 1) {
        for (size_t i = 0; i < o->n; i++) o->queue[i] = i;
        return;
    }
    for (size_t i = 0; i <= o->n; i++) counts[i] = 0;
    for (size_t i = 0; i < o->n; i++) counts[o->at[i].level + 1]++;
    for (size_t i = 1; i <= o->n; i++) counts[i] += counts[i - 1];
    for (size_t i = 0; i < o->n; i++) o->queue[counts[o->at[i].level]++] = i;
}

static bool depends_on(const launch_order *o, const ordered_launch *l, size_t other)
{
    for (size_t k = l->first; k < l->first + l->preceding; k++)
        if (o->edge[k] == other) return true;
    return false;
}

// Prefers a stream whose tail is a predecessor, the latest level first; else opens a stream; else takes the stream with
// the lowest level at its tail.
static unsigned stream_for(const launch_order *o, const ordered_launch *l, unsigned streams)
{
    unsigned best = MOST_STREAMS, lowest = 0;
    for (unsigned s = 0; s < o->streams; s++) {
        const ordered_launch *tail = &o->at[o->tail[s]];
        if (tail->level < o->at[o->tail[lowest]].level) lowest = s;
        if (!depends_on(o, l, o->tail[s])) continue;
        if (best == MOST_STREAMS || tail->level > o->at[o->tail[best]].level) best = s;
    }
    if (best != MOST_STREAMS) return best;
    return o->streams < streams ? o->streams : lowest;
}

// A vector clock: for each stream, how many of its launches are known to be complete when a launch starts; on its own
// stream the launch itself is counted.
typedef struct stream_progress {
    size_t complete[MOST_STREAMS];
} stream_progress;

static void merge_progress(stream_progress *to, const stream_progress *from)
{
    for (unsigned s = 0; s < MOST_STREAMS; s++)
        if (from->complete[s] > to->complete[s]) to->complete[s] = from->complete[s];
}

// The waits of launch `at`: the latest predecessor first, since its progress may cover the others.
static void find_waits(launch_order *o, stream_progress *known, const size_t *rank, size_t at, size_t *used)
{
    const ordered_launch *l = &o->at[at];
    for (;;) {
        size_t latest = NONE;
        for (size_t k = l->first; k < l->first + l->preceding; k++) {
            const size_t p = o->edge[k];
            if (known[at].complete[o->at[p].stream] > rank[p]) continue;
            if (latest == NONE || o->at[p].level > o->at[latest].level) latest = p;
        }
        if (latest == NONE) return;
        o->wait[(*used)++] = latest;
        o->at[latest].awaited = true;
        merge_progress(&known[at], &known[latest]);
    }
}

// known, rank: [n], working memory. rank: of a launch on its stream.
static void assign_streams(launch_order *o, unsigned streams, stream_progress *known, size_t *rank)
{
    size_t length[MOST_STREAMS] = {0}, used = 0;
    for (size_t i = 0; i < o->n; i++) {
        const size_t at = o->queue[i];
        const unsigned s = stream_for(o, &o->at[at], streams);
        known[at] = s == o->streams ? (stream_progress){0} : known[o->tail[s]];
        if (s == o->streams) o->streams++;
        o->at[at].stream = s;
        o->wait_first[i] = used;
        find_waits(o, known, rank, at, &used);
        rank[at] = length[s]++;
        known[at].complete[s] = length[s];
        o->tail[s] = at;
    }
    o->wait_first[o->n] = used;
}

bptt_status order_launches(const launch_list *list, unsigned streams, launch_order *o, bptt_error *e)
{
    const size_t n = list->n;
    access_log l = {.seen = malloc((n + 1) * sizeof *l.seen)};
    *o = (launch_order){.n = n, .queue = malloc((n + 1) * sizeof *o->queue), .at = malloc((n + 1) * sizeof *o->at)};
    bool made = l.seen && o->queue && o->at && !list->failed && make_intervals(&l, list);
    if (made) find_edges(&l, list, o->at);
    o->edge = l.edge;
    made = made && !l.failed;
    o->wait = made ? malloc((l.edges + 1) * sizeof *o->wait) : NULL;
    o->wait_first = malloc((n + 1) * sizeof *o->wait_first);
    stream_progress *known = malloc((n + 1) * sizeof *known);
    size_t *rank = malloc((n + 1) * sizeof *rank);
    made = o->wait && o->wait_first && known && rank;
    if (made) {
        topological_order(o, streams, rank);
        assign_streams(o, streams, known, rank);
    }
    free(known);
    free(rank);
    free(l.seen);
    free(l.interval);
    free(l.pool);
    if (made) return BPTT_OK;
    order_free(o);
    return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to order a plan of %zu kernels", n);
}

void order_free(launch_order *o)
{
    free(o->queue);
    free(o->at);
    free(o->edge);
    free(o->wait);
    free(o->wait_first);
    *o = (launch_order){0};
}
