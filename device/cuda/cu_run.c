// Runs of plans: inputs in, the graph, the output out; and waiting for them.
#include "cu_internal.h"
#include "stage.h"

#include <string.h>

// ---- time -----------------------------------------------------------------------------------------------------------

static void tick(bptt_device *d, cu_inflight *at, size_t i)
{
    cu_state *c = cu_of(d);
    if (at->timed) CU(c, EventRecord, "", at->timed[i], c->lane[0].stream);
}

// What event i ends is charged to: the inputs, the launches, the output.
static unsigned charge_of(const cu_plan *p, size_t i)
{
    if (i == 1) return BPTT_TRANSFER_IN;
    return i < p->launches.n + 2 ? p->launches.at[i - 2].charge : BPTT_TRANSFER_OUT;
}

static void add_times(bptt_device *d, const cu_plan *p, const cu_inflight *at)
{
    cu_state *c = cu_of(d);
    for (size_t i = 1; i < p->launches.n + 3; i++) {
        float milliseconds = 0;
        CU(c, EventElapsedTime, "", &milliseconds, at->timed[i - 1], at->timed[i]);
        if (milliseconds > 0) d->spent[charge_of(p, i)] += 1e-3 * (double)milliseconds;
    }
}

void cu_wait_done(bptt_device *d, cu_plan *p, cu_inflight *at)
{
    cu_state *c = cu_of(d);
    if (!at->used) return;
    at->used = false;
    if (!cu_enter(c)) return;
    CU(c, EventSynchronize, "a window", at->done);
    if (at->timed && !c->fault.code) add_times(d, p, at);
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

// Slots, and with them the order of the tokens if they are new: one transfer.
static void queue_slots(cu_state *c, const cu_plan *p, const cu_inflight *at, const bptt_slots *slots)
{
    float scalar[SLOTS] = {0};
    slots_of(slots, scalar);
    memcpy(at->stage + STAGE_SLOTS, scalar, sizeof scalar);
    const bool sorted = p->sorts && slots->input[p->sorted];
    const size_t n = sorted ? p->plan->input[p->sorted].rows : 0;
    const size_t bytes = sorted ? STAGE_SORT + (p->rows + 1 + n) * sizeof(int32_t) : sizeof scalar;
    CU(c, MemcpyHtoDAsync, "the slots of a window", p->slots->at, at->stage, bytes, c->lane[0].stream);
}

static void queue_inputs(cu_state *c, const cu_plan *p, const cu_inflight *at, const bptt_slots *slots)
{
    queue_slots(c, p, at, slots);
    for (size_t i = 0; p->plan && i < BPTT_INPUTS; i++) {
        const bptt_mat m = p->plan->input[i];
        if (!m.buf || !slots->input[i]) continue;
        char *const stage = at->stage + p->input_at[i];
        move_elements(true, stage, view_width(&m), &m, (void *)(uintptr_t)slots->input[i], slots->type[i]); // only read
        cu_move(c, true, &m, stage, "the inputs of a window");
    }
}

static void queue_launches(bptt_device *d, const cu_plan *p, cu_inflight *at)
{
    cu_state *c = cu_of(d);
    if (p->exec) {
        CU(c, GraphLaunch, "a window", p->exec, c->lane[0].stream);
        return;
    }
    for (size_t i = 0; i < p->launches.n && !c->fault.code; i++) {
        cu_queue_launch(c, &p->launches.at[i], &c->lane[0], p->slots->at);
        tick(d, at, i + 2);
    }
}

// Room in the next place, which is then the run's. The order of the tokens is in its stage already.
static cu_inflight *next_place(bptt_device *d, cu_plan *p)
{
    cu_inflight *at = &p->inflight[p->next];
    cu_wait_done(d, p, at);
    return at;
}

static void queue_run(bptt_device *d, cu_plan *p, cu_inflight *at, const bptt_slots *slots)
{
    cu_state *c = cu_of(d);
    if (!cu_enter(c)) return;
    tick(d, at, 0);
    queue_inputs(c, p, at, slots);
    tick(d, at, 1);
    queue_launches(d, p, at);
    if (p->plan && p->plan->output.buf)
        cu_move(c, false, &p->plan->output, at->stage + p->output_at, "the results of a window");
    tick(d, at, p->launches.n + 2);
    CU(c, EventRecord, "", at->done, c->lane[0].stream);
    at->used = c->fault.code == BPTT_OK;
    p->next = (p->next + 1) % BPTT_IN_FLIGHT;
    cu_leave(c);
}

static bptt_status check_types(const bptt_plan *p, const bptt_slots *slots, bptt_error *e)
{
    for (size_t i = 0; i < BPTT_INPUTS; i++)
        if (p->input[i].buf && slots->input[i] && !convertible(p->input[i].type, slots->type[i]))
            return bptt_fail(e, BPTT_BAD_INPUT, "cuda: numbers of type %d are not converted to type %d",
                             (int)slots->type[i], (int)p->input[i].type);
    return BPTT_OK;
}

static bptt_status sort_inputs(const cu_plan *p, const cu_inflight *at, const bptt_slots *slots, bptt_error *e)
{
    if (!p->sorts || !slots->input[p->sorted]) return BPTT_OK;
    int32_t *const start = (int32_t *)(void *)(at->stage + STAGE_SORT);
    if (sort_tokens(slots->input[p->sorted], p->plan->input[p->sorted].rows, p->rows, start, start + p->rows + 1))
        return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT, "a token is not in 0..%zu", p->rows - 1);
}

bptt_status cu_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    cu_plan *p = handle;
    cu_state *c = cu_of(d);
    if (c->fault.code) return cu_report(c, e);
    if (p->uncollected == BPTT_IN_FLIGHT)
        return bptt_fail(e, BPTT_BAD_INPUT, "%d runs of a plan are waiting to be collected", BPTT_IN_FLIGHT);
    bptt_status s = check_types(p->plan, slots, e);
    if (s) return s;
    cu_inflight *at = next_place(d, p);
    s = sort_inputs(p, at, slots, e);
    if (s) return s;
    queue_run(d, p, at, slots);
    if (c->fault.code) return cu_report(c, e);
    if (p->plan->output.buf) p->uncollected++;
    return BPTT_OK;
}

bptt_status cu_collect(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e)
{
    cu_plan *p = handle;
    cu_state *c = cu_of(d);
    if (c->fault.code) return cu_report(c, e);
    if (p->uncollected == 0) return bptt_fail(e, BPTT_BAD_INPUT, "no run of this plan is waiting to be collected");
    cu_inflight *at = &p->inflight[(p->next + BPTT_IN_FLIGHT - p->uncollected) % BPTT_IN_FLIGHT];
    p->uncollected--;
    cu_wait_done(d, p, at);
    if (c->fault.code) return cu_report(c, e);
    float out[BPTT_OUTPUTS];
    memcpy(out, at->stage + p->output_at, sizeof out);
    for (size_t i = 0; i < BPTT_OUTPUTS; i++) output[i] = i < p->plan->output.cols ? (double)out[i] : 0;
    return BPTT_OK;
}

bptt_status cu_sync(bptt_device *d, bptt_error *e)
{
    cu_state *c = cu_of(d);
    if (cu_enter(c)) {
        CU(c, StreamSynchronize, "", c->lane[0].stream);
        cu_leave(c);
    }
    for (cu_plan *p = c->plans; d->profile && p; p = p->later)
        for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) cu_wait_done(d, p, &p->inflight[k]);
    return cu_report(c, e);
}

// ---- single steps ---------------------------------------------------------------------------------------------------

static bptt_status lower_single(bptt_device *d, cu_plan *p, const bptt_plan *one, bptt_error *e)
{
    const size_t scratch = lower_scratch(one) * sizeof(float);
    bptt_status s = BPTT_OK;
    if (scratch && (!p->scratch || p->scratch->bytes < scratch)) {
        s = cu_sync(d, e); // what is queued uses it
        cu_free(d, p->scratch);
        p->scratch = NULL;
        if (!s) s = cu_alloc(d, scratch, &p->scratch, e);
    }
    if (s) return s;
    p->launches.n = 0;
    lower_plan(one, &(lower_rules){.precision = cu_of(d)->precision, .scratch = p->scratch}, &p->launches);
    if (p->launches.failed) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a step");
    return cu_alloc_shadows(d, &p->launches, e);
}

// One step, as a plan of its own. What it finds wrong sticks until run, sync, read or write reports it.
void cu_entry(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    cu_state *c = cu_of(d);
    bptt_op step = *s;
    bptt_error e = {0};
    const bptt_plan one = {.op = &step, .ops = 1, .room = 1};
    if (c->fault.code) return;
    const double start = d->profile ? bptt_seconds() : 0;
    const bptt_status status = lower_single(d, &c->single, &one, &e);
    if (status) {
        c->fault.code = status;
        memcpy(c->fault.words, e.words, sizeof c->fault.words);
        return;
    }
    queue_run(d, &c->single, next_place(d, &c->single), slots);
    if (!d->profile) return;
    (void)cu_sync(d, NULL);
    d->spent[s->opcode] += bptt_seconds() - start;
}
