// Plans, prepared once: launches, their order, the graph, and all that a run needs, so that no run allocates.
#include "cu_internal.h"

#include <limits.h>
#include <stdlib.h>

enum { ALIGN = 64 }; // bytes

static size_t aligned(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

// ---- memory of runs -------------------------------------------------------------------------------------------------

// Bytes of the order of the tokens: where each id's begin, then the rows by id.
static size_t sort_bytes(const cu_plan *p)
{
    return p->sorts ? (p->rows + 1 + p->plan->input[p->sorted].rows) * sizeof(int32_t) : 0;
}

static size_t stage_bytes(cu_plan *p)
{
    size_t at = aligned(STAGE_SORT + sort_bytes(p));
    _Static_assert(SLOTS * sizeof(float) <= STAGE_SORT - STAGE_SLOTS, "slots need more room");
    for (size_t i = 0; p->plan && i < BPTT_INPUTS; i++) {
        const bptt_mat *m = &p->plan->input[i];
        p->input_at[i] = at;
        if (m->buf) at += aligned(m->rows * m->cols * bptt_type_size(m->type));
    }
    p->output_at = at;
    return at + aligned(BPTT_OUTPUTS * sizeof(float));
}

bptt_status cu_make_slots(bptt_device *d, cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const size_t bytes = stage_bytes(p);
    if (!p->slots) {
        const bptt_status s = cu_alloc(d, STAGE_SORT + sort_bytes(p), &p->slots, e);
        if (s) return s;
    }
    if (!cu_enter(c)) return cu_report(c, e);
    CU(c, MemHostAlloc, "the inputs of a window", &p->pinned, BPTT_IN_FLIGHT * bytes, 0);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) {
        cu_inflight *at = &p->inflight[k];
        at->stage = (char *)p->pinned + k * bytes;
        CU(c, EventCreate, "", &at->done, CU_EVENT_NO_TIMING);
    }
    cu_leave(c);
    return cu_report(c, e);
}

// Times are taken around the inputs, each launch, the output.
static bptt_status make_clocks(bptt_device *d, cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const size_t n = p->launches.n + 3;
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) {
        p->inflight[k].timed = calloc(n, sizeof(cu_event));
        if (!p->inflight[k].timed) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to time %zu kernels", n);
    }
    if (!cu_enter(c)) return cu_report(c, e);
    for (size_t i = 0; i < BPTT_IN_FLIGHT * n; i++)
        CU(c, EventCreate, "", &p->inflight[i / n].timed[i % n], CU_EVENT_DEFAULT);
    cu_leave(c);
    return cu_report(c, e);
}

static void clear_place(cu_state *c, const cu_plan *p, cu_inflight *at)
{
    for (size_t i = 0; at->timed && i < p->launches.n + 3; i++)
        if (at->timed[i]) (void)c->api.EventDestroy(at->timed[i]);
    if (at->done) (void)c->api.EventDestroy(at->done);
    free(at->timed);
}

void cu_clear_plan(bptt_device *d, cu_plan *p)
{
    cu_state *c = cu_of(d);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) cu_wait_done(d, p, &p->inflight[k]);
    if (!c->api.CtxPushCurrent(c->context)) {
        if (c->lane[0].stream) (void)c->api.StreamSynchronize(c->lane[0].stream);
        for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) clear_place(c, p, &p->inflight[k]);
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

// Kernels count rows and columns in 32 bits, cuBLAS in 31.
static bptt_status check_sizes(const cu_state *c, const bptt_plan *p, bptt_error *e)
{
    for (size_t i = 0; i < p->ops; i++)
        for (size_t k = 0; k < BPTT_OPERANDS; k++) {
            const bptt_mat *m = &p->op[i].arg[k];
            const size_t most = p->op[i].opcode == BPTT_GEMM ? INT_MAX : UINT32_MAX;
            if (!m->buf || (m->rows <= most && m->cols <= most && (m->ld <= most || m->rows == 1 || m->cols == 1)))
                continue;
            return bptt_fail(e, BPTT_BAD_CONFIG,
                             "%s: %s over %zu x %zu numbers is more than the %zu that its kernels count; lower "
                             "--hidden or --layers",
                             c->device, bptt_opcode_name[p->op[i].opcode], m->rows, m->cols, most);
        }
    return BPTT_OK;
}

static bptt_mat vector_at(bptt_buf *b, size_t at, size_t rows, bptt_type type)
{
    return (bptt_mat){.buf = b, .at = at, .rows = rows, .cols = 1, .ld = 1, .type = type};
}

static bptt_status lower(bptt_device *d, cu_plan *p, bool graph, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const size_t first = STAGE_SORT / sizeof(int32_t);
    lower_rules r = {.precision = c->precision, .pieces = graph, .scratch = p->scratch, .sorted = p->sorted};
    if (p->sorts) {
        r.start = vector_at(p->slots, first, p->rows + 1, BPTT_I32);
        r.order = vector_at(p->slots, first + p->rows + 1, p->plan->input[p->sorted].rows, BPTT_I32);
    }
    if (p->per_scale) r.per_scale = (bptt_mat){.buf = p->per_scale, .rows = 1, .cols = 2, .ld = 2, .type = BPTT_F32};
    lower_plan(p->plan, &r, &p->launches);
    if (p->launches.failed)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan of %zu ops", p->plan->ops);
    const bptt_status s = cu_alloc_shadows(d, &p->launches, e);
    return s ? s : order_launches(&p->launches, graph ? MOST_STREAMS : 1, &p->order, e);
}

static bptt_status make(bptt_device *d, cu_plan *p, bptt_error *e)
{
    cu_state *c = cu_of(d);
    const size_t scratch = lower_scratch(p->plan);
    const bool graph = c->lowering != BPTT_LOWER_NEVER && !d->profile;
    bptt_status s = check_sizes(c, p->plan, e);
    p->sorts = lower_sorts(p->plan, &p->sorted, &p->rows);
    if (!s && scratch) s = cu_alloc(d, scratch * sizeof(float), &p->scratch, e);
    if (!s && p->plan->scale.buf) s = cu_alloc(d, 2 * sizeof(float), &p->per_scale, e);
    if (!s) s = cu_make_slots(d, p, e); // slots, which launches read
    if (!s) s = lower(d, p, graph, e);
    if (!s && d->profile) s = make_clocks(d, p, e);
    return s || !graph || p->launches.n == 0 ? s : cu_capture(d, p, e);
}

bptt_status cu_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    cu_plan *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan");
    made->plan = p;
    const bptt_status s = make(d, made, e);
    if (s) {
        cu_clear_plan(d, made);
        free(made);
        return s;
    }
    made->later = cu_of(d)->plans;
    cu_of(d)->plans = made;
    *handle = made;
    return BPTT_OK;
}

void cu_forget(bptt_device *d, void *handle)
{
    if (!handle) return;
    cu_plan **link = &cu_of(d)->plans;
    while (*link && *link != handle) link = &(*link)->later;
    if (*link) *link = (*link)->later;
    cu_clear_plan(d, handle);
    free(handle);
}
