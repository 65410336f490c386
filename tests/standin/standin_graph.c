// The stand-in's capture of streams into graphs, and their execution.
#include "standin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPTURE_GLOBAL, CAPTURE_THREAD, CAPTURE_RELAXED };

typedef struct standin_capture {
    struct standin_capture *next;
    unsigned number;
    cu_stream origin;
    pthread_t thread;
    int mode;
    bool invalid;
    standin_nodes nodes;
} standin_capture;

static standin_capture *captures; // going on
static unsigned begun;

bool standin_capturing(cu_stream s) { return s->capture != NULL; }

// True if a call that is forbidden during capture is made during one, which invalidates the capture.
bool standin_unsafe_capture(void)
{
    bool found = false;
    for (standin_capture *c = captures; c; c = c->next) {
        const bool mine = pthread_equal(c->thread, pthread_self());
        if (c->mode == CAPTURE_GLOBAL || (c->mode == CAPTURE_THREAD && mine)) found = c->invalid = true;
    }
    return found;
}

bool standin_capture_elsewhere(void)
{
    for (const standin_capture *c = captures; c; c = c->next)
        if (!pthread_equal(c->thread, pthread_self())) return true;
    return false;
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

static void add_after(size_t **after, size_t *n, size_t node)
{
    for (size_t i = 0; i < *n; i++)
        if ((*after)[i] == node) return;
    *after = standin_more(*after, *n + 1, sizeof **after);
    (*after)[(*n)++] = node;
}

static size_t *copied(const size_t *after, size_t n)
{
    size_t *c = standin_more(NULL, n, sizeof *c);
    if (n) memcpy(c, after, n * sizeof *c);
    return c;
}

static standin_node *new_node(standin_nodes *nodes)
{
    if (nodes->n == nodes->room) {
        nodes->room = nodes->room ? 2 * nodes->room : 64;
        nodes->at = standin_more(nodes->at, nodes->room, sizeof *nodes->at);
    }
    return &nodes->at[nodes->n++];
}

void standin_free_nodes(standin_nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++) free(nodes->at[i].after);
    free(nodes->at);
    *nodes = (standin_nodes){0};
}

// Adds a node that depends on the stream's tail nodes, and makes it the only tail.
cu_result standin_add_node(cu_stream s, const standin_op *op)
{
    standin_capture *c = s->capture;
    if (c->invalid) return CU_CAPTURE_INVALIDATED;
    const size_t number = c->nodes.n;
    *new_node(&c->nodes) = (standin_node){
        .op = *op, .stream = s->object.number, .after = copied(s->after, s->afters), .afters = s->afters};
    s->afters = 0;
    add_after(&s->after, &s->afters, number);
    s->captured.at[s->slot]++;
    return 0;
}

// ---- events ---------------------------------------------------------------------------------------------------------

static standin_capture *going_on(unsigned number)
{
    standin_capture *c = captures;
    while (c && c->number != number) c = c->next;
    return c;
}

void standin_capture_record(cu_event e, cu_stream s)
{
    e->captures = s->capture->number;
    e->captured = s->captured;
    free(e->after);
    e->after = copied(s->after, s->afters);
    e->afters = s->afters;
}

cu_result standin_capture_wait(cu_stream s, cu_event e)
{
    standin_capture *c = going_on(e->captures);
    if (s->capture && !e->captures) {
        s->capture->invalid = true;
        return standin_refuse(CU_CAPTURE_ISOLATION, "StreamWaitEvent: a stream that captures waits for an event that "
                                                    "was recorded outside");
    }
    if (!c)
        return standin_refuse(CU_CAPTURED_EVENT, "StreamWaitEvent: the event was last recorded in a capture that "
                                                 "is over");
    if (s->capture && s->capture != c) {
        s->capture->invalid = c->invalid = true;
        return standin_refuse(CU_CAPTURE_MERGE, "StreamWaitEvent: two captures would become one");
    }
    if (c->invalid) return CU_CAPTURE_INVALIDATED;
    if (!s->capture) {
        s->capture = c;
        s->captured = (standin_clock){0};
        s->captured.at[s->slot] = 1; // to be joined, even if it does nothing
        s->afters = 0;
    }
    standin_join(&s->captured, &e->captured);
    for (size_t i = 0; i < e->afters; i++) add_after(&s->after, &s->afters, e->after[i]);
    return 0;
}

// ---- capture --------------------------------------------------------------------------------------------------------

static cu_result begin_capture(cu_stream s, int mode)
{
    standin_alive(s, STANDIN_STREAM);
    if (mode < CAPTURE_GLOBAL || mode > CAPTURE_RELAXED) return CU_INVALID_VALUE;
    if (s->capture) return standin_refuse(CU_ILLEGAL_STATE, "StreamBeginCapture: it captures already");
    standin_capture *c = standin_more(NULL, 1, sizeof *c);
    *c = (standin_capture){captures, ++begun, s, pthread_self(), mode, false, {0}};
    captures = c;
    s->capture = c;
    s->captured = (standin_clock){0};
    s->afters = 0;
    return 0;
}

// The first stream whose work the origin has not waited for, or NULL.
static cu_stream unjoined(const standin_capture *c)
{
    for (cu_stream s = standin_next(STANDIN_STREAM, NULL); s; s = standin_next(STANDIN_STREAM, s))
        if (s->capture == c && s->captured.at[s->slot] > c->origin->captured.at[s->slot]) return s;
    return NULL;
}

static void finish_capture(standin_capture *c)
{
    for (cu_stream s = standin_next(STANDIN_STREAM, NULL); s; s = standin_next(STANDIN_STREAM, s))
        if (s->capture == c) s->capture = NULL, s->afters = 0;
    standin_capture **at = &captures;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    free(c);
}

// Of a lost context.
void standin_drop_capture(cu_stream s)
{
    standin_free_nodes(&s->capture->nodes);
    finish_capture(s->capture);
}

static cu_result end_capture(cu_stream s, cu_graph *graph)
{
    standin_alive(s, STANDIN_STREAM);
    standin_capture *c = s->capture;
    *graph = NULL;
    if (!c) return standin_refuse(CU_ILLEGAL_STATE, "StreamEndCapture: it does not capture");
    if (c->mode != CAPTURE_RELAXED && !pthread_equal(c->thread, pthread_self()))
        return standin_refuse(CU_CAPTURE_WRONG_THREAD, "StreamEndCapture: another thread began it");
    if (c->origin != s) return standin_refuse(CU_CAPTURE_UNMATCHED, "StreamEndCapture: another stream began it");
    cu_stream left = unjoined(c);
    cu_result code = 0;
    if (standin_fails())
        code = CU_CAPTURE_INVALIDATED; // the call returns STANDIN_FAIL's code, or "context lost"
    else if (c->invalid)
        code = standin_refuse(CU_CAPTURE_INVALIDATED, "StreamEndCapture: a call during the capture was not allowed");
    else if (left)
        code = standin_refuse(CU_CAPTURE_UNJOINED, "StreamEndCapture: stream %u is not joined", left->object.number);
    if (code)
        standin_free_nodes(&c->nodes);
    else {
        *graph = standin_make(STANDIN_GRAPH, sizeof **graph);
        (*graph)->nodes = c->nodes;
    }
    finish_capture(c);
    return code;
}

static cu_result destroy_graph(cu_graph g)
{
    standin_alive(g, STANDIN_GRAPH);
    standin_free_nodes(&g->nodes);
    standin_unmake(g);
    return 0;
}

cu_result cuStreamBeginCapture_v2(cu_stream stream, int mode)
{
    STANDIN_CALL(StreamBeginCapture, STANDIN_CONTEXT, begin_capture(stream, mode));
}
cu_result cuStreamEndCapture(cu_stream stream, cu_graph *graph)
{
    STANDIN_CALL(StreamEndCapture, STANDIN_CONTEXT | STANDIN_GIVES_BACK, end_capture(stream, graph));
}
cu_result cuGraphDestroy(cu_graph graph)
{
    STANDIN_CALL(GraphDestroy, STANDIN_CONTEXT | STANDIN_GIVES_BACK, destroy_graph(graph));
}

// ---- execution ------------------------------------------------------------------------------------------------------

static size_t choose(const size_t *ready, size_t n, const char *how, uint64_t *random)
{
    size_t best = 0;
    const bool last = strcmp(how, "lifo") == 0, first = strcmp(how, "fifo") == 0;
    if (!last && !first) {
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (size_t)((*random >> 33) % n);
    }
    for (size_t i = 1; i < n; i++)
        if (last ? ready[i] > ready[best] : ready[i] < ready[best]) best = i;
    return best;
}

// An order that respects the dependencies, by STANDIN_ORDER.
static void put_in_order(cu_exec x)
{
    const size_t n = x->nodes.n;
    const char *how = standin_set()->order;
    uint64_t random = strtoull(how, NULL, 10) + x->object.number;
    size_t *ready = standin_more(NULL, n, sizeof *ready), *missing = standin_more(NULL, n, sizeof *missing);
    size_t **next = standin_more(NULL, n, sizeof *next), *nexts = standin_more(NULL, n, sizeof *nexts), r = 0;
    for (size_t i = 0; i < n; i++) {
        const standin_node *node = &x->nodes.at[i];
        next[i] = NULL, nexts[i] = 0;
        missing[i] = node->afters;
        if (!missing[i]) ready[r++] = i;
        for (size_t k = 0; k < node->afters; k++) add_after(&next[node->after[k]], &nexts[node->after[k]], i);
    }
    for (size_t done = 0; done < n; done++) {
        const size_t at = choose(ready, r, how, &random), i = ready[at];
        x->order[done] = i;
        ready[at] = ready[--r];
        for (size_t k = 0; k < nexts[i]; k++)
            if (!--missing[next[i][k]]) ready[r++] = next[i][k];
        free(next[i]);
    }
    free(ready), free(missing), free(next), free(nexts);
}

static void write_log(const cu_exec x)
{
    FILE *f = *standin_set()->log ? fopen(standin_set()->log, "a") : NULL;
    if (!f) return;
    fprintf(f, "graph %u: %zu nodes\n", x->object.number, x->nodes.n);
    for (size_t i = 0; i < x->nodes.n; i++) {
        const standin_node *node = &x->nodes.at[i];
        fprintf(f, "%zu stream %u: %s; after", i, node->stream, node->op.words);
        for (size_t k = 0; k < node->afters; k++) fprintf(f, " %zu", node->after[k]);
        fputc('\n', f);
    }
    fclose(f);
}

static cu_result instantiate(cu_exec *exec, cu_graph g, unsigned long long flags)
{
    standin_alive(g, STANDIN_GRAPH);
    if (flags) return standin_refuse(CU_INVALID_VALUE, "GraphInstantiate: flags %llu are not known here", flags);
    cu_exec x = standin_make(STANDIN_EXEC, sizeof *x);
    for (size_t i = 0; i < g->nodes.n; i++) {
        standin_node *copy = new_node(&x->nodes);
        *copy = g->nodes.at[i];
        copy->after = copied(copy->after, copy->afters);
        x->areas += copy->op.areas;
    }
    x->area = standin_more(NULL, x->areas, sizeof *x->area);
    x->areas = 0;
    for (size_t i = 0; i < x->nodes.n; i++)
        for (size_t k = 0; k < x->nodes.at[i].op.areas; k++) x->area[x->areas++] = x->nodes.at[i].op.area[k];
    x->order = standin_more(NULL, x->nodes.n, sizeof *x->order);
    write_log(x);
    standin_check_races(&x->nodes);
    put_in_order(x);
    *exec = x;
    return 0;
}

void standin_run_exec(cu_exec x)
{
    for (size_t i = 0; i < x->nodes.n; i++) standin_run_op(&x->nodes.at[x->order[i]].op);
}

static cu_result destroy_exec(cu_exec x)
{
    standin_alive(x, STANDIN_EXEC);
    standin_drain();
    standin_free_nodes(&x->nodes);
    free(x->order), free(x->area);
    standin_unmake(x);
    return 0;
}

cu_result cuGraphInstantiateWithFlags(cu_exec *exec, cu_graph graph, unsigned long long flags)
{
    STANDIN_CALL(GraphInstantiate, STANDIN_CONTEXT, instantiate(exec, graph, flags));
}
cu_result cuGraphExecDestroy(cu_exec exec)
{
    STANDIN_CALL(GraphExecDestroy, STANDIN_CONTEXT | STANDIN_GIVES_BACK, destroy_exec(exec));
}
