// A plan's launches as one graph: captured once, launched in one call for every window.
#include "cu_internal.h"
#include "lower/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- products that have run before ----------------------------------------------------------------------------------

enum { ALIGNED = 64 }; // elements: more than any kernel asks for

// True if cuBLAS would choose the same kernel for both.
static bool alike(const launch *x, const launch *y)
{
    for (size_t k = 0; k < 3; k++)
        if (x->arg[k].at % ALIGNED != y->arg[k].at % ALIGNED || x->arg[k].rows != y->arg[k].rows ||
            x->arg[k].cols != y->arg[k].cols || x->arg[k].ld != y->arg[k].ld || x->arg[k].t != y->arg[k].t ||
            x->arg[k].type != y->arg[k].type)
            return false;
    return x->constants.op.beta == y->constants.op.beta && x->constants.op.alpha == y->constants.op.alpha &&
           x->operands == y->operands;
}

static size_t bytes_of(const bptt_mat *m) { return view_extent(m) * bptt_type_size(m->type); }

// Queues a product of the same shape and layout that writes into `out`.
static void queue_apart(cu_state *c, const launch *product, bptt_buf *out, const cu_lane *lane)
{
    launch l = *product;
    l.arg[2].buf = out, l.arg[2].at %= ALIGNED;
    cu_queue_launch(c, &l, lane, 0);
}

// cuBLAS loads a kernel when it first uses it, and the handle may put off other work until then, which a capture
// forbids: each kind of product runs once before.
static bptt_status warm_up(bptt_device *d, const cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const launch_list *list = &p->launches;
    const launch **kind = malloc((list->n + 1) * sizeof *kind);
    size_t kinds = 0, most = 0;
    if (!kind) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to prepare %zu products", list->n);
    for (size_t i = 0; i < list->n; i++) {
        const launch *l = &list->at[i];
        if (l->kernel != LAUNCH_PRODUCT) continue;
        size_t k = 0;
        while (k < kinds && !alike(l, kind[k])) k++;
        if (k == kinds) kind[kinds++] = l;
        if (bytes_of(&l->arg[2]) > most) most = bytes_of(&l->arg[2]);
    }
    bptt_buf *out = NULL;
    const bptt_status status = kinds ? cu_alloc(d, most + ALIGNED * sizeof(float), &out, e) : BPTT_OK;
    if (!status && kinds && cu_enter(c)) {
        for (size_t k = 0; k < kinds; k++) queue_apart(c, kind[k], out, &c->lane[0]);
        CU(c, StreamSynchronize, "the products of a plan", c->lane[0].stream);
        cu_leave(c);
    }
    cu_free(d, out);
    free(kind);
    return status ? status : fault_report(&c->base.fault, e);
}

// ---- capture --------------------------------------------------------------------------------------------------------

// Events of a capture: event[i] is launch i's, event[n + s] that of stream s at the end, event[n + streams] the start.
typedef struct marks {
    size_t n;
    cu_event *event; // NULL where none is needed
} marks;

static void make_marks(cu_state *c, const cu_plan *p, marks *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (i > p->launches.n || (i < p->launches.n && p->order.at[i].awaited))
            CU(c, EventCreate, "", &m->event[i], CU_EVENT_NO_TIMING);
}

static void record(cu_state *c, const marks *m, size_t i, cu_stream stream)
{
    CU(c, EventRecord, "", m->event[i], stream);
}

static void queue_all(cu_state *c, const cu_plan *p, const marks *m)
{
    const launch_order *o = &p->order;
    const size_t start = p->launches.n + o->streams;
    bool begun[MOST_STREAMS] = {true};
    record(c, m, start, c->lane[0].stream);
    for (size_t i = 0; i < o->n && !c->base.fault.code; i++) {
        const ordered_launch *n = &o->at[o->queue[i]];
        const cu_lane *lane = &c->lane[n->stream];
        if (!begun[n->stream]) CU(c, StreamWaitEvent, "", lane->stream, m->event[start], 0);
        begun[n->stream] = true;
        for (size_t k = o->wait_first[i]; k < o->wait_first[i + 1]; k++)
            CU(c, StreamWaitEvent, "", lane->stream, m->event[o->wait[k]], 0);
        cu_queue_launch(c, &p->launches.at[o->queue[i]], lane, p->slots->at);
        if (n->awaited) record(c, m, o->queue[i], lane->stream);
    }
    for (unsigned s = 1; s < o->streams; s++) {
        record(c, m, p->launches.n + s, c->lane[s].stream);
        CU(c, StreamWaitEvent, "", c->lane[0].stream, m->event[p->launches.n + s], 0);
    }
}

static void capture(cu_state *c, cu_plan *p, marks *m)
{
    cu_graph graph = NULL;
    const cu_stream main = c->lane[0].stream;
    make_marks(c, p, m);
    CU(c, StreamBeginCapture, "", main, CU_CAPTURE_THREAD_LOCAL);
    if (!c->base.fault.code) {
        queue_all(c, p, m);
        const cu_result code = c->api.StreamEndCapture(main, &graph); // whatever failed: it must end
        if (code) cu_failed(c, "cuStreamEndCapture", "a plan", code);
    }
    CU(c, GraphInstantiate, "a plan", &p->exec, graph, 0);
    CU(c, GraphUpload, "a plan", p->exec, main);
    CU(c, StreamSynchronize, "a plan", main);
    if (graph) (void)c->api.GraphDestroy(graph);
    if (p->exec && c->base.fault.code) (void)c->api.GraphExecDestroy(p->exec), p->exec = NULL;
    for (size_t i = 0; i < m->n; i++)
        if (m->event[i]) (void)c->api.EventDestroy(m->event[i]);
}

// True if all that was queued is done without a failure.
static bool works(const cu_state *c, unsigned streams)
{
    bool good = true;
    for (unsigned s = 0; s < streams; s++) good = !c->api.StreamSynchronize(c->lane[s].stream) && good;
    return good;
}

// After a capture that failed: nothing was queued but in the capture, so a device that works runs the plan's launches
// one by one. The failure goes into the words of describe().
static void do_without_graph(cu_state *c, unsigned streams)
{
    device_fault *const f = &c->base.fault;
    if (!f->code || c->lowering == BPTT_LOWER_ALWAYS || !works(c, streams)) return;
    const size_t used = strlen(c->words), length = strcspn(f->words, ";"); // then comes advice
    if (!c->graph_failed)
        (void)snprintf(c->words + used, sizeof c->words - used, "; no graph: %.*s", (int)length, f->words);
    c->graph_failed = true;
    c->bound = NULL;
    *f = (device_fault){0};
}

// Bits of the streams that compute GEMMs.
static unsigned product_streams(const cu_plan *p)
{
    unsigned bits = 0;
    for (size_t i = 0; i < p->launches.n; i++)
        if (p->launches.at[i].kernel == LAUNCH_PRODUCT) bits |= 1u << p->order.at[i].stream;
    return bits;
}

bptt_status cu_capture(bptt_device *d, cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    bptt_status s = cu_open_lanes(d, p->order.streams, product_streams(p), e);
    if (!s) s = warm_up(d, p, e);
    if (s) return s;
    marks m = {.n = p->launches.n + p->order.streams + 1};
    m.event = calloc(m.n, sizeof *m.event);
    if (!m.event) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to capture %zu kernels", p->launches.n);
    cu_lock();
    if (cu_enter(c)) {
        capture(c, p, &m);
        do_without_graph(c, p->order.streams);
        cu_leave(c);
    }
    cu_unlock();
    free(m.event);
    return fault_report(&c->base.fault, e);
}
