// Prepared plans and their runs in flight.
#include "inflight.h"
#include "launch.h"
#include "stage.h"
#include "view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- failures -------------------------------------------------------------------------------------------------------

void fault_note(device_fault *f, const char *device, const char *call, const char *on, const char *words, bool memory)
{
    if (f->code) return;
    f->code = memory ? BPTT_NO_MEMORY : BPTT_DEVICE;
    (void)snprintf(f->words, sizeof f->words, "%s: %s failed%s%s: %.230s; %s", device, call, *on ? " for " : "", on,
                   words,
                   memory ? "lower --hidden, --layers, --batch or --steps"
                          : "start again from the last saved file, or use --backend cpu");
}

void fault_keep(device_fault *f, const bptt_error *e)
{
    if (f->code) return;
    f->code = e->code;
    memcpy(f->words, e->words, sizeof f->words);
}

bptt_status fault_report(const device_fault *f, bptt_error *e)
{
    return f->code ? bptt_fail(e, f->code, "%s", f->words) : BPTT_OK;
}

// ---- devices --------------------------------------------------------------------------------------------------------

bptt_status inflight_new_device(const bptt_backend *b, const bptt_compute *config, const inflight_calls *calls,
                                bptt_device **d, bptt_error *e)
{
    bptt_device *made = calloc(1, sizeof *made);
    inflight_device *state = calloc(1, calls->state_bytes);
    if (!made || !state) {
        free(made);
        free(state);
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory to open the %s backend", b->name);
    }
    state->calls = calls;
    *made = (bptt_device){.backend = *b, .threads = 1, .profile = config->profile, .own = state};
    *d = made;
    return BPTT_OK;
}

void inflight_free_device(bptt_device *d)
{
    free(d->own);
    free(d);
}

bptt_status inflight_open_failed(bptt_status s, bptt_error *e)
{
    const bptt_status status = s == BPTT_NO_MEMORY ? BPTT_DEVICE : s;
    if (e) e->code = status;
    return status;
}

// ---- stages ---------------------------------------------------------------------------------------------------------

static size_t aligned(size_t bytes)
{
    enum { ALIGN = 64 };
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

void inflight_layout(inflight_plan *p, size_t extra_bytes)
{
    size_t at = aligned(STAGE_EXTRA + extra_bytes);
    _Static_assert(SLOTS * sizeof(float) <= STAGE_EXTRA - STAGE_SCALARS, "the scalars need more room");
    for (size_t i = 0; p->plan && i < BPTT_INPUTS; i++) {
        const bptt_mat *m = &p->plan->input[i];
        p->input_at[i] = at;
        if (m->buf) at += aligned(m->rows * m->cols * bptt_type_size(m->type));
    }
    p->output_at = at;
    p->stage_bytes = at + aligned(BPTT_OUTPUTS * sizeof(float));
}

void inflight_set_stages(inflight_plan *p, char *memory)
{
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) p->stage[k] = memory + k * p->stage_bytes;
}

void inflight_pack_scalars(const inflight_plan *p, size_t slot, const bptt_slots *slots)
{
    float scalar[SLOTS] = {0};
    slots_of(slots, scalar);
    memcpy(p->stage[slot] + STAGE_SCALARS, scalar, sizeof scalar);
}

char *inflight_pack_input(const inflight_plan *p, size_t slot, size_t i, const bptt_slots *slots)
{
    if (!p->plan || !p->plan->input[i].buf || !slots->input[i]) return NULL;
    const bptt_mat *m = &p->plan->input[i];
    char *const stage = p->stage[slot] + p->input_at[i];
    move_elements(true, stage, view_width(m), m, (void *)(uintptr_t)slots->input[i], slots->type[i]); // only read
    return stage;
}

// ---- preparing ------------------------------------------------------------------------------------------------------

// Kernels count rows and columns in 32 bits, and some libraries less.
static bptt_status check_sizes(const inflight_device *of, const bptt_plan *p, bptt_error *e)
{
    for (size_t i = 0; i < p->ops; i++)
        for (size_t k = 0; k < BPTT_OPERANDS; k++) {
            const bptt_mat *m = &p->op[i].arg[k];
            const size_t most = p->op[i].opcode == BPTT_GEMM ? of->calls->most_product : UINT32_MAX;
            if (!m->buf || (m->rows <= most && m->cols <= most && (m->ld <= most || view_lines(m) <= 1))) continue;
            return bptt_fail(e, BPTT_BAD_CONFIG,
                             "%s: %s over %zu x %zu numbers is more than the %zu that its kernels count; lower "
                             "--hidden or --layers",
                             of->device, bptt_opcode_name[p->op[i].opcode], m->rows, m->cols, most);
        }
    return BPTT_OK;
}

bptt_status inflight_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    inflight_device *of = d->own;
    bptt_status s = check_sizes(of, p, e);
    if (s) return s;
    inflight_plan *made = calloc(1, of->calls->plan_bytes);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for a plan");
    made->plan = p;
    s = of->calls->make(d, made, e);
    if (s) {
        of->calls->clear(d, made);
        free(made);
        return s;
    }
    made->later = of->plans;
    of->plans = made;
    *handle = made;
    return BPTT_OK;
}

void inflight_forget(bptt_device *d, void *handle)
{
    inflight_device *of = d->own;
    if (!handle) return;
    inflight_plan **link = &of->plans;
    while (*link && *link != handle) link = &(*link)->later;
    if (*link) *link = (*link)->later;
    of->calls->clear(d, handle);
    free(handle);
}

void inflight_close(bptt_device *d)
{
    inflight_device *of = d->own;
    while (of->plans) inflight_forget(d, of->plans);
    if (of->single) of->calls->clear(d, of->single);
}

// ---- running --------------------------------------------------------------------------------------------------------

static void submit(bptt_device *d, inflight_plan *p, const bptt_slots *slots)
{
    const inflight_device *of = d->own;
    of->calls->submit(d, p, p->next, slots);
    p->next = (p->next + 1) % BPTT_IN_FLIGHT;
}

static bptt_status check_types(const bptt_device *d, const bptt_plan *p, const bptt_slots *slots, bptt_error *e)
{
    for (size_t i = 0; i < BPTT_INPUTS; i++)
        if (p->input[i].buf && slots->input[i] && !convertible(p->input[i].type, slots->type[i]))
            return bptt_fail(e, BPTT_BAD_INPUT, "%s: numbers of type %d are not converted to type %d", d->backend.name,
                             (int)slots->type[i], (int)p->input[i].type);
    return BPTT_OK;
}

bptt_status inflight_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    const inflight_device *of = d->own;
    inflight_plan *p = handle;
    if (of->fault.code) return fault_report(&of->fault, e);
    if (p->uncollected == BPTT_IN_FLIGHT)
        return bptt_fail(e, BPTT_BAD_INPUT, "%d runs of a plan are waiting to be collected", BPTT_IN_FLIGHT);
    bptt_status s = check_types(d, p->plan, slots, e);
    if (s) return s;
    of->calls->wait(d, p, p->next);
    if (of->calls->check) s = of->calls->check(p, p->next, slots, e);
    if (s) return s;
    submit(d, p, slots);
    if (of->fault.code) return fault_report(&of->fault, e);
    if (p->plan->output.buf) p->uncollected++;
    return BPTT_OK;
}

bptt_status inflight_collect(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e)
{
    const inflight_device *of = d->own;
    inflight_plan *p = handle;
    if (of->fault.code) return fault_report(&of->fault, e);
    if (p->uncollected == 0) return bptt_fail(e, BPTT_BAD_INPUT, "no run of this plan is waiting to be collected");
    const size_t slot = (p->next + BPTT_IN_FLIGHT - p->uncollected) % BPTT_IN_FLIGHT;
    p->uncollected--;
    of->calls->wait(d, p, slot);
    if (of->fault.code) return fault_report(&of->fault, e);
    float out[BPTT_OUTPUTS];
    memcpy(out, p->stage[slot] + p->output_at, sizeof out);
    for (size_t i = 0; i < BPTT_OUTPUTS; i++) output[i] = i < p->plan->output.cols ? (double)out[i] : 0;
    return BPTT_OK;
}

static void wait_all(bptt_device *d, inflight_plan *p)
{
    const inflight_device *of = d->own;
    for (size_t k = 0; k < BPTT_IN_FLIGHT; k++) of->calls->wait(d, p, k);
}

// With a profile, waiting for a slot also adds up the times of its run.
bptt_status inflight_sync(bptt_device *d, bptt_error *e)
{
    const inflight_device *of = d->own;
    if (!of->fault.code) of->calls->drain(d);
    for (inflight_plan *p = of->plans; d->profile && p; p = p->later) wait_all(d, p);
    if (of->single) wait_all(d, of->single);
    return fault_report(&of->fault, e);
}

void inflight_run_single(bptt_device *d, const bptt_slots *slots)
{
    const inflight_device *of = d->own;
    of->calls->wait(d, of->single, of->single->next);
    submit(d, of->single, slots);
}
