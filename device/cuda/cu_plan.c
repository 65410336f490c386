// Plans, prepared once: launches, their order, the graph, and all that a run needs, so that no run allocates.
#include "cu_internal.h"

#include <stdlib.h>

// ---- memory of runs -------------------------------------------------------------------------------------------------

// Bytes of the order of the tokens: where each id's begin, then the rows by id.
static size_t sort_bytes(const cu_plan *p)
{
    return p->sorts ? (p->rows + 1 + p->base.plan->input[p->sorted].rows) * sizeof(int32_t) : 0;
}

bptt_status cu_make_slots(bptt_device *d, cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    inflight_layout(&p->base, sort_bytes(p));
    if (!p->slots) {
        const bptt_status s = cu_alloc(d, STAGE_EXTRA + sort_bytes(p), &p->slots, e);
        if (s) return s;
    }
    if (!cu_enter(c)) return fault_report(&c->base.fault, e);
    CU(c, MemHostAlloc, "the inputs of a window", &p->pinned, BPTT_IN_FLIGHT * p->base.stage_bytes, 0);
    if (p->pinned) inflight_set_stages(&p->base, p->pinned);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) CU(c, EventCreate, "", &p->slot[k].done, CU_EVENT_NO_TIMING);
    cu_leave(c);
    return fault_report(&c->base.fault, e);
}

// Times are taken around the inputs, each launch, the output.
static bptt_status make_clocks(bptt_device *d, cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const size_t n = p->launches.n + 3;
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) {
        p->slot[k].timed = calloc(n, sizeof(cu_event));
        if (!p->slot[k].timed) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to time %zu kernels", n);
    }
    if (!cu_enter(c)) return fault_report(&c->base.fault, e);
    for (size_t i = 0; i < BPTT_IN_FLIGHT * n; i++)
        CU(c, EventCreate, "", &p->slot[i / n].timed[i % n], CU_EVENT_DEFAULT);
    cu_leave(c);
    return fault_report(&c->base.fault, e);
}

static void clear_slot(cu_state *c, const cu_plan *p, cu_slot *at)
{
    for (size_t i = 0; at->timed && i < p->launches.n + 3; i++)
        if (at->timed[i]) (void)c->api.EventDestroy(at->timed[i]);
    if (at->done) (void)c->api.EventDestroy(at->done);
    free(at->timed);
}

void cu_clear_plan(bptt_device *d, inflight_plan *base)
{
    cu_state *c = cu_of(d);
    cu_plan *p = cu_plan_of(base);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) cu_wait_done(d, base, k);
    if (!c->api.CtxPushCurrent(c->context)) {
        if (c->lane[0].stream) (void)c->api.StreamSynchronize(c->lane[0].stream);
        for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) clear_slot(c, p, &p->slot[k]);
        if (p->exec) (void)c->api.GraphExecDestroy(p->exec);
        if (p->pinned) (void)c->api.MemFreeHost(p->pinned);
        cu_leave(c);
    }
    cu_free(d, p->slots);
    cu_free(d, p->scratch);
    cu_free(d, p->per_scale);
    launch_list_free(&p->launches);
    order_free(&p->order);
    *p = (cu_plan){0};
}

// ---- preparing ------------------------------------------------------------------------------------------------------

static bptt_mat vector_at(bptt_buf *b, size_t at, size_t rows, bptt_type type)
{
    return (bptt_mat){.buf = b, .at = at, .rows = rows, .cols = 1, .ld = 1, .type = type};
}

static bptt_status lower(bptt_device *d, cu_plan *p, bool graph, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const size_t first = STAGE_EXTRA / sizeof(int32_t);
    lower_rules r = {.precision = c->precision, .pieces = graph, .scratch = p->scratch, .sorted = p->sorted};
    if (p->sorts) {
        r.start = vector_at(p->slots, first, p->rows + 1, BPTT_I32);
        r.order = vector_at(p->slots, first + p->rows + 1, p->base.plan->input[p->sorted].rows, BPTT_I32);
    }
    if (p->per_scale) r.per_scale = (bptt_mat){.buf = p->per_scale, .rows = 1, .cols = 2, .ld = 2, .type = BPTT_F32};
    lower_plan(p->base.plan, &r, &p->launches);
    if (p->launches.failed)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan of %zu ops", p->base.plan->ops);
    const bptt_status s = cu_alloc_shadows(d, &p->launches, e);
    return s ? s : order_launches(&p->launches, graph ? MOST_STREAMS : 1, &p->order, e);
}

bptt_status cu_make_plan(bptt_device *d, inflight_plan *base, bptt_error *e)
{
    cu_state *c = cu_of(d);
    cu_plan *p = cu_plan_of(base);
    const size_t scratch = lower_scratch(base->plan);
    const bool graph = c->lowering != BPTT_LOWER_NEVER && !d->profile;
    bptt_status s = BPTT_OK;
    p->sorts = lower_sorts(base->plan, &p->sorted, &p->rows);
    if (scratch) s = cu_alloc(d, scratch * sizeof(float), &p->scratch, e);
    if (!s && base->plan->scale.buf) s = cu_alloc(d, 2 * sizeof(float), &p->per_scale, e);
    if (!s) s = cu_make_slots(d, p, e); // slots, which launches read
    if (!s) s = lower(d, p, graph, e);
    if (!s && d->profile) s = make_clocks(d, p, e);
    return s || !graph || p->launches.n == 0 ? s : cu_capture(d, p, e);
}
