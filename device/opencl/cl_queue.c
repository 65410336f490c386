// Queueing launches and transfers, and waiting for them.
#include "cl_internal.h"
#include "stage.h"

#include <string.h>

// ---- one launch -----------------------------------------------------------------------------------------------------

static const char *name_of(unsigned kernel)
{
    return kernel < KERNELS ? kernel_table[kernel].name : tuned_name[kernel - KERNELS];
}

// Arguments in the order that launch.h gives. Absent operands get the slots' buffer: no driver refuses it, no kernel
// reads it.
static cl_int set_arguments(cl_state *c, const launch *l, cl_mem slots)
{
    const cl_kernel k = c->kernel[l->kernel];
    cl_uint n = 0;
    cl_int code = CL_SUCCESS;
    for (size_t i = 0; !code && i < l->operands; i++) {
        const cl_mem memory = l->arg[i].buf ? l->arg[i].buf->memory : slots;
        const view v = view_of(&l->arg[i]);
        code = c->api.SetKernelArg(k, n++, sizeof memory, &memory);
        if (!code) code = c->api.SetKernelArg(k, n++, sizeof v, &v);
    }
    if (!code) code = c->api.SetKernelArg(k, n++, l->constant_bytes, &l->constants);
    if (!code) code = c->api.SetKernelArg(k, n++, sizeof slots, &slots);
    if (!code && l->local_bytes) code = c->api.SetKernelArg(k, n++, l->local_bytes, NULL);
    return code;
}

static void queue_launch(bptt_device *d, cl_inflight *at, const launch *l, cl_mem slots)
{
    cl_state *c = cl_of(d);
    cl_event event = NULL;
    if (clblast_queued(c, l, d->profile ? &event : NULL)) {
        cl_note(d, at, event, l->charge);
        return;
    }
    const size_t items[2] = {l->groups[0] * l->lanes[0], l->groups[1] * l->lanes[1]};
    const cl_int wrong = set_arguments(c, l, slots);
    if (wrong) {
        cl_failed(c, "SetKernelArg", name_of(l->kernel), wrong);
        return;
    }
    const cl_int code = c->api.EnqueueNDRangeKernel(c->queue, c->kernel[l->kernel], 2, NULL, items, l->lanes, 0, NULL,
                                                    d->profile ? &event : NULL);
    if (code) cl_failed(c, "EnqueueNDRangeKernel", name_of(l->kernel), code);
    cl_note(d, at, event, l->charge);
}

// ---- one run --------------------------------------------------------------------------------------------------------

// Writes `bytes` of the stage; *event is the caller's.
static void queue_write(bptt_device *d, cl_inflight *at, bptt_mat m, size_t from, cl_event *event)
{
    cl_state *c = cl_of(d);
    *event = NULL;
    const cl_int code = cl_write_stage(c, m, at->stage + from, false, event);
    if (code) cl_failed(c, "EnqueueWriteBufferRect", "the inputs of a window", code);
    if (code || !d->profile) return;
    (void)c->api.RetainEvent(*event);
    cl_note(d, at, *event, BPTT_TRANSFER_IN);
}

static void queue_inputs(bptt_device *d, cl_plan *p, cl_inflight *at, const bptt_slots *slots)
{
    cl_state *c = cl_of(d);
    cl_event event = NULL;
    for (size_t i = 0; p->plan && i < BPTT_INPUTS; i++) {
        const bptt_mat m = p->plan->input[i];
        if (!m.buf || !slots->input[i] || c->fault.code) continue;
        cl_stage(at->stage + p->stage_at[i], m, slots->input[i], slots->type[i]);
        queue_write(d, at, m, p->stage_at[i], &event);
        if (event) (void)c->api.ReleaseEvent(event);
    }
    float scalar[SLOTS] = {0};
    slots_of(slots, scalar);
    memcpy(at->stage + STAGE_SLOTS, scalar, sizeof scalar);
    const bptt_mat row = {.buf = p->slots, .rows = 1, .cols = SLOTS, .ld = SLOTS, .type = BPTT_F32};
    if (!c->fault.code) queue_write(d, at, row, STAGE_SLOTS, &at->written); // the last: the others are done when it is
}

static void queue_output(bptt_device *d, const cl_plan *p, cl_inflight *at)
{
    cl_state *c = cl_of(d);
    if (!p->plan || !p->plan->output.buf || c->fault.code) return;
    const cl_int code = cl_read_stage(c, p->plan->output, at->stage + STAGE_OUTPUT, false, &at->read);
    if (code) cl_failed(c, "EnqueueReadBufferRect", "the results of a window", code);
    if (code || !d->profile) return;
    (void)c->api.RetainEvent(at->read);
    cl_note(d, at, at->read, BPTT_TRANSFER_OUT);
}

// n launches at step t of their loop, and step u of the loop around that.
static void queue_launches(bptt_device *d, cl_inflight *at, const launch *l, size_t n, size_t t, size_t u, cl_mem slots)
{
    for (size_t i = 0; i < n && !cl_of(d)->fault.code; i++) {
        if (l[i].kernel != LAUNCH_LOOP) {
            const launch moved = launch_at(&l[i], t, u);
            queue_launch(d, at, &moved, slots);
            continue;
        }
        for (size_t step = 0; step < l[i].constants.loop.T; step++)
            queue_launches(d, at, &l[i + 1], l[i].constants.loop.body, step, t, slots);
        i += l[i].constants.loop.body;
    }
}

static void queue_run(bptt_device *d, cl_plan *p, const bptt_slots *slots)
{
    cl_state *c = cl_of(d);
    cl_inflight *at = &p->inflight[p->next];
    cl_wait_done(d, at);
    queue_inputs(d, p, at, slots);
    queue_launches(d, at, p->launches.at, p->launches.n, 0, 0, p->slots->memory);
    queue_output(d, p, at);
    const cl_int code = c->api.Flush(c->queue);
    if (code) cl_failed(c, "Flush", "", code);
    p->next = (p->next + 1) % BPTT_IN_FLIGHT;
}

static bptt_status check_types(const bptt_plan *p, const bptt_slots *slots, bptt_error *e)
{
    for (size_t i = 0; i < BPTT_INPUTS; i++)
        if (p->input[i].buf && slots->input[i] && !convertible(p->input[i].type, slots->type[i]))
            return bptt_fail(e, BPTT_BAD_INPUT, "opencl: numbers of type %d are not converted to type %d",
                             (int)slots->type[i], (int)p->input[i].type);
    return BPTT_OK;
}

bptt_status cl_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    cl_plan *p = handle;
    cl_state *c = cl_of(d);
    if (c->fault.code) return cl_report(c, e);
    if (p->uncollected == BPTT_IN_FLIGHT)
        return bptt_fail(e, BPTT_BAD_INPUT, "%d runs of a plan are waiting to be collected", BPTT_IN_FLIGHT);
    const bptt_status s = check_types(p->plan, slots, e);
    if (s) return s;
    queue_run(d, p, slots);
    if (c->fault.code) return cl_report(c, e);
    if (p->plan->output.buf) p->uncollected++;
    return BPTT_OK;
}

bptt_status cl_collect(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e)
{
    cl_plan *p = handle;
    cl_state *c = cl_of(d);
    if (c->fault.code) return cl_report(c, e);
    if (p->uncollected == 0) return bptt_fail(e, BPTT_BAD_INPUT, "no run of this plan is waiting to be collected");
    cl_inflight *at = &p->inflight[(p->next + BPTT_IN_FLIGHT - p->uncollected) % BPTT_IN_FLIGHT];
    p->uncollected--;
    cl_wait_done(d, at);
    if (c->fault.code) return cl_report(c, e);
    float out[BPTT_OUTPUTS];
    memcpy(out, at->stage + STAGE_OUTPUT, sizeof out);
    for (size_t i = 0; i < BPTT_OUTPUTS; i++) output[i] = i < p->plan->output.cols ? (double)out[i] : 0;
    return BPTT_OK;
}

bptt_status cl_sync(bptt_device *d, bptt_error *e)
{
    cl_state *c = cl_of(d);
    const cl_int code = c->fault.code ? CL_SUCCESS : c->api.Finish(c->queue);
    if (code) cl_failed(c, "Finish", "", code);
    for (cl_plan *p = c->plans; d->profile && p; p = p->later)
        for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) cl_wait_done(d, &p->inflight[k]);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) cl_wait_done(d, &c->single.inflight[k]);
    return cl_report(c, e);
}

// One op, as a plan of its own. A failure sticks until run, sync, read or write reports it.
void cl_entry(bptt_device *d, const bptt_op *op, const bptt_slots *slots)
{
    cl_state *c = cl_of(d);
    cl_plan *p = &c->single;
    if (c->fault.code) return;
    const size_t scratch = launch_scratch(op) * sizeof(float);
    if (scratch && (!p->scratch || p->scratch->bytes < scratch)) {
        bptt_error e = {0};
        cl_free(d, p->scratch); // the driver keeps it until what is queued has used it
        p->scratch = NULL;
        const bptt_status status = cl_alloc(d, scratch, &p->scratch, &e);
        if (status) {
            c->fault.code = status;
            memcpy(c->fault.words, e.words, sizeof c->fault.words);
            return;
        }
    }
    p->launches.n = cl_launches_of(c, op, p->scratch, p->launches.at);
    queue_run(d, p, slots);
}
