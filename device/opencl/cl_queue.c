// Queueing launches and transfers.
#include "cl_internal.h"

#include <string.h>

// ---- one launch -----------------------------------------------------------------------------------------------------

static const char *name_of(unsigned kernel)
{
    return kernel < KERNELS ? kernel_table[kernel].name : tuned_name[kernel - KERNELS];
}

// Arguments in the order that launch.h gives. Absent operands get the slots' buffer: no driver refuses it, no kernel
// reads it.
static cl_int set_arguments(cl_state *c, cl_kernel k, const launch *l, cl_mem slots)
{
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

static void queue_launch(bptt_device *d, cl_slot *at, const launch *l, cl_mem slots)
{
    cl_state *c = cl_of(d);
    cl_event event = NULL;
    if (clblast_queued(c, l, d->profile ? &event : NULL)) {
        cl_note(d, at, event, l->charge);
        return;
    }
    const size_t items[2] = {l->groups[0] * l->lanes[0], l->groups[1] * l->lanes[1]};
    const cl_kernel kernel = cl_kernel_of(c, l, NULL);
    const cl_int wrong = set_arguments(c, kernel, l, slots);
    if (wrong) {
        cl_failed(c, "SetKernelArg", name_of(l->kernel), wrong);
        return;
    }
    const cl_int code =
        c->api.EnqueueNDRangeKernel(c->queue, kernel, 2, NULL, items, l->lanes, 0, NULL, d->profile ? &event : NULL);
    if (code) cl_failed(c, "EnqueueNDRangeKernel", name_of(l->kernel), code);
    cl_note(d, at, event, l->charge);
}

// ---- one run --------------------------------------------------------------------------------------------------------

// Writes a view from `stage`; *event is the caller's.
static void queue_write(bptt_device *d, cl_slot *at, bptt_mat m, const char *stage, cl_event *event)
{
    cl_state *c = cl_of(d);
    *event = NULL;
    const cl_int code = cl_write_stage(c, m, stage, false, event);
    if (code) cl_failed(c, "EnqueueWriteBufferRect", "the inputs of a window", code);
    if (code || !d->profile) return;
    (void)c->api.RetainEvent(*event);
    cl_note(d, at, *event, BPTT_TRANSFER_IN);
}

static void queue_inputs(bptt_device *d, cl_plan *p, size_t slot, const bptt_slots *slots)
{
    cl_state *c = cl_of(d);
    cl_slot *at = &p->slot[slot];
    cl_event event = NULL;
    for (size_t i = 0; i < BPTT_INPUTS && !c->base.fault.code; i++) {
        const char *const stage = inflight_pack_input(&p->base, slot, i, slots);
        if (!stage) continue;
        queue_write(d, at, p->base.plan->input[i], stage, &event);
        if (event) (void)c->api.ReleaseEvent(event);
    }
    inflight_pack_scalars(&p->base, slot, slots);
    const bptt_mat row = {.buf = p->slots, .rows = 1, .cols = SLOTS, .ld = SLOTS, .type = BPTT_F32};
    const char *const scalars = p->base.stage[slot] + STAGE_SCALARS;
    if (!c->base.fault.code) queue_write(d, at, row, scalars, &at->written); // the last: the others are done when it is
}

static void queue_output(bptt_device *d, const cl_plan *p, size_t slot, cl_slot *at)
{
    cl_state *c = cl_of(d);
    const bptt_plan *plan = p->base.plan;
    if (!plan || !plan->output.buf || c->base.fault.code) return;
    const cl_int code = cl_read_stage(c, plan->output, p->base.stage[slot] + p->base.output_at, false, &at->read);
    if (code) cl_failed(c, "EnqueueReadBufferRect", "the results of a window", code);
    if (code || !d->profile) return;
    (void)c->api.RetainEvent(at->read);
    cl_note(d, at, at->read, BPTT_TRANSFER_OUT);
}

// n launches at step t of their loop, and step u of the loop around that.
static void queue_launches(bptt_device *d, cl_slot *at, const launch *l, size_t n, size_t t, size_t u, cl_mem slots)
{
    for (size_t i = 0; i < n && !cl_of(d)->base.fault.code; i++) {
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

static void submit(bptt_device *d, inflight_plan *base, size_t slot, const bptt_slots *slots)
{
    cl_state *c = cl_of(d);
    cl_plan *p = cl_plan_of(base);
    queue_inputs(d, p, slot, slots);
    queue_launches(d, &p->slot[slot], p->launches.at, p->launches.n, 0, 0, p->slots->memory);
    queue_output(d, p, slot, &p->slot[slot]);
    const cl_int code = c->api.Flush(c->queue);
    if (code) cl_failed(c, "Flush", "", code);
}

static void drain(bptt_device *d)
{
    cl_state *c = cl_of(d);
    const cl_int code = c->api.Finish(c->queue);
    if (code) cl_failed(c, "Finish", "", code);
}

const inflight_calls cl_calls = {.state_bytes = sizeof(cl_state),
                                 .plan_bytes = sizeof(cl_plan),
                                 .most_product = UINT32_MAX,
                                 .make = cl_make_plan,
                                 .clear = cl_clear_plan,
                                 .submit = submit,
                                 .wait = cl_wait_done,
                                 .drain = drain};

// One op, as a plan of its own. A failure sticks until run, sync, read or write reports it.
void cl_entry(bptt_device *d, const bptt_op *op, const bptt_slots *slots)
{
    cl_state *c = cl_of(d);
    cl_plan *p = &c->single;
    if (c->base.fault.code) return;
    const size_t scratch = launch_scratch(op) * sizeof(float);
    if (scratch && (!p->scratch || p->scratch->bytes < scratch)) {
        bptt_error e = {0};
        cl_free(d, p->scratch); // the driver keeps it until what is queued has used it
        p->scratch = NULL;
        if (cl_alloc(d, scratch, &p->scratch, &e)) {
            fault_keep(&c->base.fault, &e);
            return;
        }
    }
    p->launches.n = cl_launches_of(c, op, p->scratch, p->launches.at);
    inflight_run_single(d, slots);
}
