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
    while (l->kernel < KERNELS && l->lanes[0] * l->lanes[1] > c->largest_group[l->kernel]) {
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

// Whether a loop runs as one launch, which is then *l.
static bool whole_loop(const cl_state *c, const bptt_op *loop, launch *l)
{
    return c->lowering != BPTT_LOWER_NEVER && cl_loop_launch(loop, c->tiles, &c->limits, l);
}

// Appends the launches of n ops. A loop becomes one launch or a LAUNCH_LOOP, its body in either case standing once.
static void lower(const cl_state *c, const bptt_op *op, size_t n, bptt_buf *scratch, launch_list *out)
{
    for (size_t i = 0; i < n; i += bptt_op_length(&op[i])) {
        launch made[MOST_LAUNCHES] = {{.kernel = LAUNCH_LOOP, .constants.loop.T = op[i].loop.T}};
        if (op[i].opcode != BPTT_LOOP) {
            const size_t launches = cl_launches_of(c, &op[i], scratch, made);
            for (size_t k = 0; k < launches; k++) launch_add(out, &made[k]);
        } else if (whole_loop(c, &op[i], &made[0])) {
            launch_add(out, &made[0]);
        } else {
            const size_t loop = out->n;
            launch_add(out, &made[0]);
            lower(c, &op[i + 1], op[i].loop.body, scratch, out);
            if (!out->failed) out->at[loop].constants.loop.body = out->n - loop - 1;
        }
    }
}

// How often a kernel is queued in a run.
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

static size_t stage_bytes(cl_plan *p)
{
    enum { ALIGN = 64 };
    size_t at = STAGE_INPUTS;
    _Static_assert(SLOTS * sizeof(float) <= STAGE_OUTPUT - STAGE_SLOTS, "slots need more room");
    _Static_assert(BPTT_OUTPUTS * sizeof(float) <= STAGE_INPUTS - STAGE_OUTPUT, "the output needs more room");
    for (size_t i = 0; p->plan && i < BPTT_INPUTS; i++) {
        const bptt_mat *m = &p->plan->input[i];
        p->stage_at[i] = at;
        if (m->buf) at += (m->rows * m->cols * bptt_type_size(m->type) + ALIGN - 1) / ALIGN * ALIGN;
    }
    return at;
}

// Host memory that the driver gave: from other memory some drivers move only while the caller waits.
static bptt_status make_stages(bptt_device *d, cl_plan *p, size_t bytes, bptt_error *e)
{
    cl_state *c = cl_of(d);
    const bptt_status s = cl_alloc_pinned(d, BPTT_IN_FLIGHT * bytes, &p->pinned, e);
    if (s) return s;
    cl_int code = CL_SUCCESS;
    p->pinned_at = c->api.EnqueueMapBuffer(c->queue, p->pinned->memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
                                           BPTT_IN_FLIGHT * bytes, 0, NULL, NULL, &code);
    if (code) cl_failed(c, "EnqueueMapBuffer", "the inputs of a window", code), p->pinned_at = NULL;
    return cl_report(c, e);
}

bptt_status cl_make_slots(bptt_device *d, cl_plan *p, size_t launches, bptt_error *e)
{
    const size_t bytes = stage_bytes(p), events = launches + BPTT_INPUTS + 2;
    const bptt_status s = make_stages(d, p, bytes, e);
    if (s) return s;
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) {
        cl_inflight *at = &p->inflight[k];
        at->stage = p->pinned_at + k * bytes;
        if (!d->profile) continue;
        at->timings.at = calloc(events, sizeof *at->timings.at);
        if (!at->timings.at) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to time %zu kernels", events);
        at->timings.room = events;
    }
    return cl_alloc(d, SLOTS * sizeof(float), &p->slots, e);
}

void cl_clear_plan(bptt_device *d, cl_plan *p)
{
    cl_state *c = cl_of(d);
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) {
        cl_wait_done(d, &p->inflight[k]);
        free(p->inflight[k].timings.at);
    }
    if (p->pinned_at && !c->api.EnqueueUnmapMemObject(c->queue, p->pinned->memory, p->pinned_at, 0, NULL, NULL))
        (void)c->api.Finish(c->queue);
    cl_free(d, p->pinned);
    cl_free(d, p->slots);
    cl_free(d, p->scratch);
    launch_list_free(&p->launches);
    *p = (cl_plan){0};
}

// Kernels count rows and columns in 32 bits.
static bptt_status check_sizes(const cl_state *c, const bptt_plan *p, bptt_error *e)
{
    for (size_t i = 0; i < p->ops; i++)
        for (size_t k = 0; k < BPTT_OPERANDS; k++) {
            const bptt_mat *m = &p->op[i].arg[k];
            if (m->buf && (m->rows > UINT32_MAX || m->cols > UINT32_MAX))
                return bptt_fail(e, BPTT_BAD_CONFIG,
                                 "%s: %s over %zu x %zu numbers is more than the %lu that its kernels count; lower "
                                 "--hidden or --layers",
                                 c->device, bptt_opcode_name[p->op[i].opcode], m->rows, m->cols,
                                 (unsigned long)UINT32_MAX);
        }
    return BPTT_OK;
}

static bptt_status make_launches(bptt_device *d, cl_plan *p, bptt_error *e)
{
    const bptt_status fits = check_sizes(cl_of(d), p->plan, e);
    if (fits) return fits;
    const size_t scratch = largest_scratch(p->plan);
    const bptt_status s = scratch ? cl_alloc(d, scratch * sizeof(float), &p->scratch, e) : BPTT_OK;
    if (s) return s;
    lower(cl_of(d), p->plan->op, p->plan->ops, p->scratch, &p->launches);
    if (p->launches.failed)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan of %zu ops", p->plan->ops);
    return cl_make_slots(d, p, kernels_queued(p->launches.at, p->launches.n), e);
}

bptt_status cl_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    cl_plan *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan");
    made->plan = p;
    const bptt_status s = make_launches(d, made, e);
    if (s) {
        cl_clear_plan(d, made);
        free(made);
        return s;
    }
    made->later = cl_of(d)->plans;
    cl_of(d)->plans = made;
    *handle = made;
    return BPTT_OK;
}

void cl_forget(bptt_device *d, void *handle)
{
    if (!handle) return;
    cl_plan **link = &cl_of(d)->plans;
    while (*link && *link != handle) link = &(*link)->later;
    if (*link) *link = (*link)->later;
    cl_clear_plan(d, handle);
    free(handle);
}
