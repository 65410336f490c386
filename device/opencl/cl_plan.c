// From plans to launches, once: all that a run of a plan needs, so that no run allocates.
#include "cl_internal.h"

#include <stdlib.h>

static size_t largest_scratch(const bptt_plan *p)
{
    size_t most = 0;
    for (size_t i = 0; i < p->ops; i++) {
        const size_t n = launch_scratch(&p->op[i]);
        if (n > most) most = n;
    }
    return most;
}

// The kernels of kernels.h take any grid; a compiler may allow one of them fewer work-items than the device has.
static void fit(const cl_state *c, launch *l)
{
    while (l->kernel < KERNELS && l->lanes[0] * l->lanes[1] > c->common.largest_group[l->kernel]) {
        const size_t k = l->lanes[1] > 1 ? 1 : 0;
        l->lanes[k] = (l->lanes[k] + 1) / 2;
    }
}

size_t cl_launches_of(const cl_state *c, const bptt_op *op, bptt_buf *scratch, launch out[MOST_LAUNCHES])
{
    const size_t n = launches_of(op, scratch, out);
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        if (out[i].rows == 0) continue;
        if (made < i) out[made] = out[i];
        cl_set_grid(&out[made], c->tiles, &c->limits);
        fit(c, &out[made++]);
    }
    return made;
}

// *whole is true if a loop runs as one launch, which is then *l.
static bptt_status whole_loop(cl_state *c, const bptt_op *loop, launch *l, bool *whole, bptt_error *e)
{
    *whole = c->lowering != BPTT_LOWER_NEVER && cl_loop_launch(loop, c->tiles, &c->limits, l);
    if (!*whole || l->kernel < CL_COMMON) return BPTT_OK;
    size_t largest = 0;
    const bptt_status s = cl_build_gates(c, l->constants.layer.cell, e);
    if (!s) (void)cl_kernel_of(c, l, &largest);
    *whole = l->lanes[0] <= largest;
    return s;
}

// Appends the launches of n ops. A loop becomes one launch or a LAUNCH_LOOP, its body in either case standing once.
static bptt_status lower(cl_state *c, const bptt_op *op, size_t n, bptt_buf *scratch, launch_list *out, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < n; i += bptt_op_length(&op[i])) {
        launch made[MOST_LAUNCHES];
        bool whole = false;
        if (op[i].opcode != BPTT_LOOP) {
            const size_t launches = cl_launches_of(c, &op[i], scratch, made);
            for (size_t k = 0; k < launches; k++) launch_add(out, &made[k]);
            continue;
        }
        s = whole_loop(c, &op[i], &made[0], &whole, e);
        if (!whole) made[0] = (launch){.kernel = LAUNCH_LOOP, .constants.loop.T = op[i].loop.T};
        const size_t loop = out->n;
        launch_add(out, &made[0]);
        if (s || whole) continue;
        s = lower(c, &op[i + 1], op[i].loop.body, scratch, out, e);
        if (!out->failed) out->at[loop].constants.loop.body = out->n - loop - 1;
    }
    return s;
}

// The number of kernels that a run queues.
static size_t kernels_queued(const launch *l, size_t n)
{
    size_t all = 0;
    for (size_t i = 0; i < n; i++) {
        const bool is_loop = l[i].kernel == LAUNCH_LOOP;
        const size_t body = is_loop ? l[i].constants.loop.body : 0;
        all += is_loop ? l[i].constants.loop.T * kernels_queued(&l[i + 1], body) : 1;
        i += body;
    }
    return all;
}

// Host memory that the driver gave: from other memory some drivers move only while the caller waits.
static bptt_status make_stages(bptt_device *d, cl_plan *p, bptt_error *e)
{
    cl_state *c = cl_of(d);
    inflight_layout(&p->base, 0);
    const size_t bytes = BPTT_IN_FLIGHT * p->base.stage_bytes;
    const bptt_status s = cl_alloc_pinned(d, bytes, &p->pinned, e);
    if (s) return s;
    cl_int code = CL_SUCCESS;
    p->pinned_at = c->api.EnqueueMapBuffer(c->queue, p->pinned->memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes,
                                           0, NULL, NULL, &code);
    if (code) cl_failed(c, "EnqueueMapBuffer", "the inputs of a window", code), p->pinned_at = NULL;
    if (!code) inflight_set_stages(&p->base, p->pinned_at);
    return fault_report(&c->base.fault, e);
}

bptt_status cl_make_slots(bptt_device *d, cl_plan *p, size_t launches, bptt_error *e)
{
    const size_t events = launches + BPTT_INPUTS + 2;
    const bptt_status s = make_stages(d, p, e);
    if (s) return s;
    for (size_t k = 0; d->profile && k < BPTT_IN_FLIGHT; k++) {
        cl_timings *t = &p->slot[k].timings;
        t->at = calloc(events, sizeof *t->at);
        if (!t->at) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to time %zu kernels", events);
        t->room = events;
    }
    return cl_alloc(d, SLOTS * sizeof(float), &p->slots, e);
}

void cl_clear_plan(bptt_device *d, inflight_plan *base)
{
    cl_state *c = cl_of(d);
    cl_plan *p = cl_plan_of(base);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) {
        cl_wait_done(d, base, k);
        free(p->slot[k].timings.at);
    }
    if (p->pinned_at && !c->api.EnqueueUnmapMemObject(c->queue, p->pinned->memory, p->pinned_at, 0, NULL, NULL))
        (void)c->api.Finish(c->queue);
    cl_free(d, p->pinned);
    cl_free(d, p->slots);
    cl_free(d, p->scratch);
    launch_list_free(&p->launches);
    *p = (cl_plan){0};
}

bptt_status cl_make_plan(bptt_device *d, inflight_plan *base, bptt_error *e)
{
    cl_plan *p = cl_plan_of(base);
    const bptt_plan *plan = base->plan;
    const size_t scratch = largest_scratch(plan);
    bptt_status s = scratch ? cl_alloc(d, scratch * sizeof(float), &p->scratch, e) : BPTT_OK;
    if (!s) s = lower(cl_of(d), plan->op, plan->ops, p->scratch, &p->launches, e);
    if (s) return s;
    if (p->launches.failed)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan of %zu ops", plan->ops);
    return cl_make_slots(d, p, kernels_queued(p->launches.at, p->launches.n), e);
}
