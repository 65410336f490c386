// One run of a plan: inputs to the device, the graph, the output back.
#include "cu_internal.h"

#include <limits.h>
#include <string.h>

// ---- time -----------------------------------------------------------------------------------------------------------

static void tick(bptt_device *d, const cu_slot *at, size_t i)
{
    cu_state *c = cu_of(d);
    if (at->timed) CU(c, EventRecord, "", at->timed[i], c->lane[0].stream);
}

// The charge of the work before event i: the inputs, a launch, the output.
static unsigned charge_of(const cu_plan *p, size_t i)
{
    if (i == 1) return BPTT_TRANSFER_IN;
    return i < p->launches.n + 2 ? p->launches.at[i - 2].charge : BPTT_TRANSFER_OUT;
}

static void add_times(bptt_device *d, const cu_plan *p, const cu_slot *at)
{
    cu_state *c = cu_of(d);
    for (size_t i = 1; i < p->launches.n + 3; i++) {
        float milliseconds = 0;
        CU(c, EventElapsedTime, "", &milliseconds, at->timed[i - 1], at->timed[i]);
        if (milliseconds > 0) d->spent[charge_of(p, i)] += 1e-3 * (double)milliseconds;
    }
}

void cu_wait_done(bptt_device *d, inflight_plan *base, size_t slot)
{
    cu_state *c = cu_of(d);
    const cu_plan *p = cu_plan_of(base);
    cu_slot *at = &cu_plan_of(base)->slot[slot];
    if (!at->used) return;
    at->used = false;
    if (!cu_enter(c)) return;
    CU(c, EventSynchronize, "a window", at->done);
    if (at->timed && !c->base.fault.code) add_times(d, p, at);
    cu_leave(c);
}

// ---- one run --------------------------------------------------------------------------------------------------------

// A counting sort of the tokens' rows: start [rows + 1], order [n]. False: a token is out of range.
static bool sort_tokens(const int32_t *id, size_t n, size_t rows, int32_t *start, int32_t *order)
{
    memset(start, 0, (rows + 1) * sizeof *start);
    for (size_t i = 0; i < n; i++) {
        if (id[i] < 0 || (size_t)id[i] >= rows) return false;
        start[id[i] + 1]++;
    }
    for (size_t v = 0; v < rows; v++) start[v + 1] += start[v];
    for (size_t i = 0; i < n; i++) order[start[id[i]]++] = (int32_t)i;
    for (size_t v = rows; v > 0; v--) start[v] = start[v - 1]; // each had moved to the next one's beginning
    start[0] = 0;
    return true;
}

// Scalars, and with them the order of the tokens if they are new: one transfer.
static void queue_scalars(cu_state *c, const cu_plan *p, size_t slot, const bptt_slots *slots)
{
    const bool sorted = p->sorts && slots->input[p->sorted];
    const size_t n = sorted ? p->base.plan->input[p->sorted].rows : 0;
    const size_t bytes = sorted ? STAGE_EXTRA + (p->rows + 1 + n) * sizeof(int32_t) : SLOTS * sizeof(float);
    inflight_pack_scalars(&p->base, slot, slots);
    CU(c, MemcpyHtoDAsync, "the slots of a window", p->slots->at, p->base.stage[slot], bytes, c->lane[0].stream);
}

static void queue_inputs(cu_state *c, const cu_plan *p, size_t slot, const bptt_slots *slots)
{
    queue_scalars(c, p, slot, slots);
    for (size_t i = 0; i < BPTT_INPUTS; i++) {
        char *const stage = inflight_pack_input(&p->base, slot, i, slots);
        if (stage) cu_move(c, true, &p->base.plan->input[i], stage, "the inputs of a window");
    }
}

static void queue_launches(bptt_device *d, const cu_plan *p, const cu_slot *at)
{
    cu_state *c = cu_of(d);
    if (p->exec) {
        CU(c, GraphLaunch, "a window", p->exec, c->lane[0].stream);
        return;
    }
    for (size_t i = 0; i < p->launches.n && !c->base.fault.code; i++) {
        cu_queue_launch(c, &p->launches.at[i], &c->lane[0], p->slots->at);
        tick(d, at, i + 2);
    }
}

static void submit(bptt_device *d, inflight_plan *base, size_t slot, const bptt_slots *slots)
{
    cu_state *c = cu_of(d);
    const cu_plan *p = cu_plan_of(base);
    cu_slot *at = &cu_plan_of(base)->slot[slot];
    if (!cu_enter(c)) return;
    tick(d, at, 0);
    queue_inputs(c, p, slot, slots);
    tick(d, at, 1);
    queue_launches(d, p, at);
    if (base->plan && base->plan->output.buf)
        cu_move(c, false, &base->plan->output, base->stage[slot] + base->output_at, "the results of a window");
    tick(d, at, p->launches.n + 2);
    CU(c, EventRecord, "", at->done, c->lane[0].stream);
    at->used = c->base.fault.code == BPTT_OK;
    cu_leave(c);
}

// Sorts the tokens of a run into its stage.
static bptt_status sort_inputs(const inflight_plan *base, size_t slot, const bptt_slots *slots, bptt_error *e)
{
    const cu_plan *p = (const void *)base;
    if (!p->sorts || !slots->input[p->sorted]) return BPTT_OK;
    int32_t *const start = (int32_t *)(void *)(base->stage[slot] + STAGE_EXTRA);
    if (sort_tokens(slots->input[p->sorted], base->plan->input[p->sorted].rows, p->rows, start, start + p->rows + 1))
        return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT, "a token is not in 0..%zu", p->rows - 1);
}

static void drain(bptt_device *d)
{
    cu_state *c = cu_of(d);
    if (!cu_enter(c)) return;
    CU(c, StreamSynchronize, "", c->lane[0].stream);
    cu_leave(c);
}

const inflight_calls cu_calls = {.state_bytes = sizeof(cu_state),
                                 .plan_bytes = sizeof(cu_plan),
                                 .most_product = INT_MAX, // cuBLAS counts in 31 bits
                                 .make = cu_make_plan,
                                 .clear = cu_clear_plan,
                                 .check = sort_inputs,
                                 .submit = submit,
                                 .wait = cu_wait_done,
                                 .drain = drain};

// ---- single ops -----------------------------------------------------------------------------------------------------

static bptt_status lower_single(bptt_device *d, cu_plan *p, const bptt_plan *one, bptt_error *e)
{
    const size_t scratch = lower_scratch(one) * sizeof(float);
    bptt_status s = BPTT_OK;
    if (scratch && (!p->scratch || p->scratch->bytes < scratch)) {
        s = inflight_sync(d, e); // what is queued uses it
        cu_free(d, p->scratch);
        p->scratch = NULL;
        if (!s) s = cu_alloc(d, scratch, &p->scratch, e);
    }
    if (s) return s;
    p->launches.n = 0;
    lower_plan(one, &(lower_rules){.precision = cu_of(d)->precision, .scratch = p->scratch}, &p->launches);
    if (p->launches.failed) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for an op");
    return cu_alloc_shadows(d, &p->launches, e);
}

// One op, as a plan of its own. A failure sticks until run, sync, read or write reports it.
void cu_entry(bptt_device *d, const bptt_op *op, const bptt_slots *slots)
{
    cu_state *c = cu_of(d);
    bptt_op copy = *op;
    bptt_error e = {0};
    const bptt_plan one = {.op = &copy, .ops = 1, .room = 1};
    if (c->base.fault.code) return;
    const double start = d->profile ? bptt_seconds() : 0;
    if (lower_single(d, &c->single, &one, &e)) {
        fault_keep(&c->base.fault, &e);
        return;
    }
    inflight_run_single(d, slots);
    if (!d->profile) return;
    (void)inflight_sync(d, NULL);
    d->spent[op->opcode] += bptt_seconds() - start;
}
