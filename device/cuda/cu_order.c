// Derives dependencies from the element ranges that launches read and write (RAW, WAR, WAW), then assigns launches to
// streams.
//
// The ranges of all operands are cut at each other's ends. Each piece keeps its last writer and the readers since. So
// the time is proportional to the number of pieces, not of pairs of launches.
#include "cu_node.h"
#include "half_type.h"
#include "lower/sizes.h"
#include "lower/view.h"

#include <stdlib.h>

#define NOBODY SIZE_MAX

// ---- ranges --------------------------------------------------------------------------------------------------------

// Elements of one memory: a buffer, or its shadow.
typedef struct range {
    const bptt_buf *buf;
    bool half;
    size_t first, end;
} range;

static range range_of(const bptt_mat *m) { return (range){m->buf, type_is_half(m->type), m->at, view_end(m)}; }

static bool touches(const bptt_mat *m) { return m->buf && m->rows > 0 && m->cols > 0; }

// ---- pieces ---------------------------------------------------------------------------------------------------------

typedef struct reader {
    size_t launch, next; // next in the pool, NOBODY at the end
} reader;

typedef struct piece {
    range begins;   // where it begins: buf, half, first
    size_t writer;  // NOBODY
    size_t readers; // first in the pool
} piece;

typedef struct ledger {
    piece *piece; // ascending
    size_t pieces;
    reader *pool;
    size_t used, pool_room;
    size_t *edge; // of all launches so far
    size_t edges, edge_room;
    size_t *seen; // [n]: the last launch that got an edge from this one
    bool failed;
} ledger;

static int by_place(const void *x, const void *y)
{
    const range *a = &((const piece *)x)->begins, *b = &((const piece *)y)->begins;
    if (a->buf != b->buf) return (uintptr_t)a->buf < (uintptr_t)b->buf ? -1 : 1;
    if (a->half != b->half) return a->half ? 1 : -1;
    return (a->first > b->first) - (a->first < b->first);
}

static size_t find(const ledger *l, range r)
{
    const piece wanted = {.begins = r};
    size_t low = 0, high = l->pieces;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;
        if (by_place(&l->piece[middle], &wanted) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool make_pieces(ledger *l, const launch_list *list)
{
    size_t operands = 0;
    for (size_t i = 0; i < list->n; i++) operands += list->at[i].operands;
    l->piece = malloc((2 * operands + 1) * sizeof *l->piece);
    if (!l->piece) return false;
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < list->at[i].operands; k++) {
            if (!touches(&list->at[i].arg[k])) continue;
            range r = range_of(&list->at[i].arg[k]);
            l->piece[l->pieces++] = (piece){r, NOBODY, NOBODY};
            r.first = r.end;
            l->piece[l->pieces++] = (piece){r, NOBODY, NOBODY};
        }
    qsort(l->piece, l->pieces, sizeof *l->piece, by_place);
    size_t n = 0;
    for (size_t i = 0; i < l->pieces; i++)
        if (n == 0 || by_place(&l->piece[n - 1], &l->piece[i]) != 0) l->piece[n++] = l->piece[i];
    l->pieces = n;
    return true;
}

static void add_edge(ledger *l, size_t from, size_t to)
{
    if (from == NOBODY || from == to || l->seen[from] == to) return;
    l->seen[from] = to;
    l->edge = grow(l->edge, l->edges, &l->edge_room, sizeof *l->edge, &l->failed);
    if (!l->failed) l->edge[l->edges++] = from;
}

static void note_reader(ledger *l, piece *p, size_t who)
{
    l->pool = grow(l->pool, l->used, &l->pool_room, sizeof *l->pool, &l->failed);
    if (l->failed) return;
    l->pool[l->used] = (reader){who, p->readers};
    p->readers = l->used++;
}

// A reader waits for the writer; a writer for the writer before it and all who have read since.
static void touch(ledger *l, range r, size_t who, bool written)
{
    for (size_t i = find(l, r); i < l->pieces; i++) {
        piece *p = &l->piece[i];
        if (p->begins.buf != r.buf || p->begins.half != r.half || p->begins.first >= r.end) break;
        add_edge(l, p->writer, who);
        if (!written) {
            note_reader(l, p, who);
            continue;
        }
        for (size_t k = p->readers; k != NOBODY; k = l->pool[k].next) add_edge(l, l->pool[k].launch, who);
        p->writer = who;
        p->readers = NOBODY;
    }
}

// Edges and levels. Reads before writes: an operand that is read and written gives one edge.
static void connect(ledger *l, const launch_list *list, launch_place *place)
{
    for (size_t i = 0; i < list->n; i++) l->seen[i] = NOBODY;
    for (size_t i = 0; i < list->n && !l->failed; i++) {
        const launch *n = &list->at[i];
        const unsigned written = launch_writes(n);
        launch_place *at = &place[i];
        *at = (launch_place){.first = l->edges};
        for (unsigned pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < n->operands; k++)
                if (touches(&n->arg[k]) && (written >> k & 1) == pass) touch(l, range_of(&n->arg[k]), i, pass == 1);
        at->preceding = l->edges - at->first;
        for (size_t k = at->first; k < l->edges; k++)
            if (place[l->edge[k]].level >= at->level) at->level = place[l->edge[k]].level + 1;
    }
}

// ---- streams --------------------------------------------------------------------------------------------------------

// Every level before the next; within a level as the plan has it. With one stream: as the plan has it.
static void take_turns(launch_order *o, unsigned streams, size_t *count_of_level)
{
    if (streams == 1) {
        for (size_t i = 0; i < o->n; i++) o->turn[i] = i;
        return;
    }
    for (size_t i = 0; i <= o->n; i++) count_of_level[i] = 0;
    for (size_t i = 0; i < o->n; i++) count_of_level[o->place[i].level + 1]++;
    for (size_t i = 1; i <= o->n; i++) count_of_level[i] += count_of_level[i - 1];
    for (size_t i = 0; i < o->n; i++) o->turn[count_of_level[o->place[i].level]++] = i;
}

static bool precedes(const launch_order *o, const launch_place *n, size_t who)
{
    for (size_t k = n->first; k < n->first + n->preceding; k++)
        if (o->edge[k] == who) return true;
    return false;
}

// Behind the latest of the nodes it waits for anyway, where one is the last of its stream. Else on a stream of its own;
// where there is none, behind what is over first.
static unsigned stream_for(const launch_order *o, const launch_place *n, unsigned streams)
{
    unsigned best = MOST_STREAMS, oldest = 0;
    for (unsigned s = 0; s < o->streams; s++) {
        const launch_place *tail = &o->place[o->tail[s]], *oldest_tail = &o->place[o->tail[oldest]];
        if (tail->level < oldest_tail->level) oldest = s;
        if (!precedes(o, n, o->tail[s])) continue;
        if (best == MOST_STREAMS || tail->level > o->place[o->tail[best]].level) best = s;
    }
    if (best != MOST_STREAMS) return best;
    return o->streams < streams ? o->streams : oldest;
}

// What is known to be over when a node starts: for each stream how many of its nodes, the node itself included on its
// own.
typedef struct knowledge {
    size_t over[MOST_STREAMS];
} knowledge;

static void learn(knowledge *to, const knowledge *from)
{
    for (unsigned s = 0; s < MOST_STREAMS; s++)
        if (from->over[s] > to->over[s]) to->over[s] = from->over[s];
}

// Waits of the node, latest first, so that what an earlier one would tell is known already.
static void find_waits(launch_order *o, knowledge *known, const size_t *rank, size_t at, size_t *used)
{
    const launch_place *n = &o->place[at];
    for (;;) {
        size_t latest = NOBODY;
        for (size_t k = n->first; k < n->first + n->preceding; k++) {
            const size_t p = o->edge[k];
            if (known[at].over[o->place[p].stream] > rank[p]) continue;
            if (latest == NOBODY || o->place[p].level > o->place[latest].level) latest = p;
        }
        if (latest == NOBODY) return;
        o->wait[(*used)++] = latest;
        o->place[latest].awaited = true;
        learn(&known[at], &known[latest]);
    }
}

// known, rank: [n], working memory. rank: of a launch on its stream.
static void spread(launch_order *o, unsigned streams, knowledge *known, size_t *rank)
{
    size_t length[MOST_STREAMS] = {0}, used = 0;
    for (size_t i = 0; i < o->n; i++) {
        const size_t at = o->turn[i];
        launch_place *n = &o->place[at];
        const unsigned s = stream_for(o, n, streams);
        known[at] = s == o->streams ? (knowledge){0} : known[o->tail[s]];
        if (s == o->streams) o->streams++;
        n->stream = s;
        o->wait_first[i] = used;
        find_waits(o, known, rank, at, &used);
        rank[at] = length[s]++;
        known[at].over[s] = length[s];
        o->tail[s] = at;
    }
    o->wait_first[o->n] = used;
}

bptt_status order_launches(const launch_list *list, unsigned streams, launch_order *o, bptt_error *e)
{
    const size_t n = list->n;
    ledger l = {.seen = malloc((n + 1) * sizeof *l.seen)};
    *o = (launch_order){.n = n, .turn = malloc((n + 1) * sizeof *o->turn), .place = malloc((n + 1) * sizeof *o->place)};
    bool made = l.seen && o->turn && o->place && !list->failed && make_pieces(&l, list);
    if (made) connect(&l, list, o->place);
    o->edge = l.edge;
    made = made && !l.failed;
    o->wait = made ? malloc((l.edges + 1) * sizeof *o->wait) : NULL;
    o->wait_first = malloc((n + 1) * sizeof *o->wait_first);
    knowledge *known = malloc((n + 1) * sizeof *known);
    size_t *rank = malloc((n + 1) * sizeof *rank);
    made = o->wait && o->wait_first && known && rank;
    if (made) {
        take_turns(o, streams, rank);
        spread(o, streams, known, rank);
    }
    free(known);
    free(rank);
    free(l.seen);
    free(l.piece);
    free(l.pool);
    if (made) return BPTT_OK;
    order_free(o);
    return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to order a plan of %zu kernels", n);
}

void order_free(launch_order *o)
{
    free(o->turn);
    free(o->place);
    free(o->edge);
    free(o->wait);
    free(o->wait_first);
    *o = (launch_order){0};
}
