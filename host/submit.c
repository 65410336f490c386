// Submits windows to the device and collects their reports, synchronously or asynchronously; single-step predictions.
#include "run.h"
#include "sized.h"

#include <assert.h>
#include <math.h>
#include <string.h>

_Static_assert(BPTT_SUBMITTED <= BPTT_IN_FLIGHT, "a backend has a slot for each window in flight");

static bptt_status check_lengths(const bptt_run *r, const int32_t *length, bptt_error *e)
{
    if (!length) return BPTT_OK;
    if (!r->config.lengths) return bptt_fail(e, BPTT_BAD_INPUT, "the run was opened without lengths");
    for (size_t b = 0; b < r->B; b++)
        if (length[b] < 0 || (size_t)length[b] > r->T)
            return bptt_fail(e, BPTT_BAD_INPUT, "length %d of sequence %zu is not in 0..%zu, the steps of the run",
                             (int)length[b], b, r->T);
    return BPTT_OK;
}

// True if position i of a window is behind the end of its sequence. length NULL: no position is.
static bool is_padding(const bptt_run *r, const int32_t *length, size_t i)
{
    return length && i / r->B >= (size_t)length[i % r->B];
}

static bptt_status check_tokens(const bptt_run *r, const char *what, const int32_t *id, size_t n, const int32_t *length,
                                bptt_error *e)
{
    if (!id) return bptt_fail(e, BPTT_BAD_INPUT, "`%s` is NULL, but this call needs it", what);
    for (size_t i = 0; i < n; i++)
        if (!is_padding(r, length, i) && (id[i] < 0 || (size_t)id[i] >= r->model->V))
            return bptt_fail(e, BPTT_BAD_INPUT, "%s %d at step %zu, row %zu is not in 0..%zu", what, (int)id[i],
                             i / r->B, i % r->B, r->model->V - 1);
    return BPTT_OK;
}

static double target_at(const bptt_window *w, size_t i)
{
    double y;
    bptt_convert(&y, BPTT_F64, 0, w->dense_target, w->dense_target_type, i);
    return y;
}

static bptt_status check_input(const bptt_run *r, const bptt_window *w, bptt_error *e)
{
    const bool dense = r->model->config.input > 0;
    if (dense && w->token)
        return bptt_fail(e, BPTT_BAD_INPUT, "the model takes dense input of width %zu, so `token` must be NULL",
                         r->model->I);
    if (!dense && w->dense) return bptt_fail(e, BPTT_BAD_INPUT, "the model takes tokens, so `dense` must be NULL");
    if (!dense) return check_tokens(r, "token", w->token, r->T * r->B, w->length, e);
    if (!w->dense)
        return bptt_fail(e, BPTT_BAD_INPUT, "`dense` is NULL, but the model takes dense input of width %zu",
                         r->model->I);
    return check_type("dense_type", w->dense_type, e);
}

// The targets of a window; a prediction may have none.
static bptt_status check_targets(const bptt_run *r, const bptt_window *w, bool predict, bptt_error *e)
{
    const bptt_model *m = r->model;
    const size_t M = m->config.output;
    if (!M && w->dense_target)
        return bptt_fail(e, BPTT_BAD_INPUT, "the targets of the model are tokens, so `dense_target` must be NULL");
    if (!M) return predict && !w->target ? BPTT_OK : check_tokens(r, "target", w->target, r->T * r->B, w->length, e);
    if (w->target)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the targets of the model are dense, of width %zu, so `target` must be NULL", M);
    if (!w->dense_target && predict) return BPTT_OK;
    if (!w->dense_target)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "`dense_target` is NULL, but the targets of the model are dense, of width %zu", M);
    const bptt_status s = check_type("dense_target_type", w->dense_target_type, e);
    const bool probabilities = m->config.loss == BPTT_BINARY;
    for (size_t i = 0; !s && probabilities && i < r->T * r->B * M; i++) {
        if (is_padding(r, w->length, i / M)) continue;
        const double y = target_at(w, i);
        if (!(y >= 0 && y <= 1))
            return bptt_fail(e, BPTT_BAD_INPUT,
                             "target %g at step %zu, row %zu, output %zu is not from 0 to 1, as the binary loss needs",
                             y, i / (r->B * M), i / M % r->B, i % M);
    }
    return s;
}

// Sum of the weights of a window.
static bptt_status check_weights(const bptt_run *r, const bptt_window *w, double *weight, bptt_error *e)
{
    const size_t N = r->T * r->B, first = r->config.burn_in * r->B;
    const bool counted = !w->weight && !w->length;
    *weight = counted ? (double)(N - first) : 0;
    for (size_t i = 0; !counted && i < N; i++) {
        if (is_padding(r, w->length, i)) continue;
        const double one = w->weight ? (double)w->weight[i] : 1;
        if (!(one >= 0) || isinf(one))
            return bptt_fail(e, BPTT_BAD_INPUT, "weight %g at step %zu, row %zu is not a finite number >= 0", one,
                             i / r->B, i % r->B);
        if (i >= first) *weight += one;
    }
    return BPTT_OK;
}

// Converts the caller's window to the current layout and checks it. Predictions need no target.
static bptt_status take_window(const bptt_run *r, const bptt_window *from, bool predict, bptt_window *w, double *weight,
                               bptt_error *e)
{
    if (!from) return bptt_fail(e, BPTT_BAD_INPUT, "the window is NULL, but this call needs it");
    bptt_status s = window_in(w, from, e);
    if (s) return s;
    if (w->keep && !r->config.keep) return bptt_fail(e, BPTT_BAD_INPUT, "the run was opened without keep");
    s = check_lengths(r, w->length, e);
    if (!s) s = check_input(r, w, e);
    if (!s) s = check_targets(r, w, predict, e);
    return s ? s : check_weights(r, w, weight, e);
}

// The run that computes a checked window: r, or with lengths the smallest run that holds its packed sequences. *w is
// then the packed window.
static bptt_run *run_of_window(bptt_run *r, bptt_window *w)
{
    if (!r->config.lengths) return r;
    const size_t streams = packing_place(&r->packing, w->length);
    size_t k = 0;
    while (r->sized[k]->B < streams) k++;
    r->last = r->sized[k];
    *w = packing_window(&r->packing, w, r->last->B);
    return r->last;
}

// The weights of a window, 0 in its first burn_in steps; NULL: those on the device, of a window that gave none.
static const float *weights_of(bptt_run *r, const bptt_window *w)
{
    const size_t N = r->T * r->B, first = r->config.burn_in * r->B;
    if (!w->weight) return r->weighted ? r->weights : NULL;
    if (!first) return w->weight;
    memcpy(r->masked + first, w->weight + first, (N - first) * sizeof *r->masked);
    return r->masked;
}

static void fill_slots(bptt_run *r, const bptt_window *w, bptt_slots *slots)
{
    slots->input[IN_TOKEN] = w->token, slots->type[IN_TOKEN] = BPTT_I32;
    const bool dense = r->model->config.output > 0;
    slots->input[IN_TARGET] = dense ? w->dense_target : w->target;
    slots->type[IN_TARGET] = dense ? w->dense_target_type : BPTT_I32;
    slots->input[IN_DENSE] = w->dense, slots->type[IN_DENSE] = w->dense_type;
    slots->input[IN_WEIGHT] = weights_of(r, w);
    slots->input[IN_KEEP] = w->keep ? w->keep : r->keeping ? r->ones : NULL;
    slots->type[IN_WEIGHT] = slots->type[IN_KEEP] = BPTT_F32;
    r->weighted = w->weight != NULL;
    r->keeping = w->keep != NULL;
}

// Folds Adam's bias corrections, which depend on the number of updates, into BPTT_RATE and BPTT_ROOT.
static void fill_rate(const bptt_model *m, double rate, bptt_slots *slots)
{
    const bptt_model_config *c = &m->config;
    const double n = (double)(m->updates + 1);
    const bool adam = c->optimizer == BPTT_ADAM;
    slots->scalar[BPTT_RATE] = adam ? rate / (1 - pow(c->beta1, n)) : rate;
    slots->scalar[BPTT_ROOT] = adam ? sqrt(1 - pow(c->beta2, n)) : 1;
}

static bptt_status require_gradient(const bptt_run *r, bptt_error *e)
{
    return r->config.gradient ? BPTT_OK : bptt_fail(e, BPTT_BAD_INPUT, "the run was opened without gradient");
}

static bptt_status require_nothing_in_flight(const bptt_run *r, bptt_error *e)
{
    if (r->submitted == 0) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT, "%zu windows are in flight; call bptt_run_collect first", r->submitted);
}

// Fills *report from the statistics of a plan. On NOT_FINITE it does not change.
static bptt_status report_from_stat(const bptt_model *m, const double stat[BPTT_OUTPUTS], double weight,
                                    bptt_report *report, bptt_error *e)
{
    // A blocked window does not write STAT_SKIPPED, which keeps the value of an earlier one.
    const bool skipped = stat[STAT_BLOCKED] == 0 && stat[STAT_SKIPPED] != 0;
    if (!isfinite(stat[STAT_LOSS]))
        return bptt_fail(e, BPTT_NOT_FINITE, "the loss is not finite; the weights are unchanged");
    if (!isfinite(stat[STAT_SUMSQ]) && !skipped)
        return bptt_fail(e, BPTT_NOT_FINITE, "the gradient is not finite; the weights are unchanged%s",
                         m->scale.buf
                             ? " (a gradient times the loss scale, which training lowers down to 1, exceeds the "
                               "largest fp16 number, 65504; use `precision` bf16 or fp32)"
                             : "");
    if (stat[STAT_BLOCKED] != 0)
        return bptt_fail(e, BPTT_NOT_FINITE, "an earlier window was not finite, so this one made no update");
    if (report)
        *report = (bptt_report){.loss = weight > 0 ? stat[STAT_LOSS] / weight : 0,
                                .weight = weight,
                                .grad_norm = skipped ? (double)INFINITY : sqrt(stat[STAT_SUMSQ]),
                                .skipped = skipped};
    return BPTT_OK;
}

static bptt_status run_and_collect(bptt_run *r, work kind, const bptt_window *from, bptt_report *report, bptt_error *e)
{
    bptt_device *d = r->model->device;
    bptt_slots slots = {0};
    bptt_window w;
    double stat[BPTT_OUTPUTS] = {0};
    bptt_status s = require_nothing_in_flight(r, e);
    if (!s) s = take_window(r, from, false, &w, &slots.scalar[BPTT_WEIGHT], e);
    if (s) return s;
    bptt_run *const on = run_of_window(r, &w);
    fill_slots(on, &w, &slots);
    s = d->backend.run(d, on->handle[kind], &slots, e);
    if (!s) s = d->backend.collect(d, on->handle[kind], stat, e);
    if (s) return s;
    if (kind == EVALUATE) stat[STAT_SUMSQ] = 0;
    stat[STAT_BLOCKED] = stat[STAT_SKIPPED] = 0; // only TRAIN sets these
    return report_from_stat(r->model, stat, slots.scalar[BPTT_WEIGHT], report, e);
}

bptt_status bptt_run_evaluate(bptt_run *r, const bptt_window *w, bptt_report *report, bptt_error *e)
{
    return run_and_collect(r, EVALUATE, w, report, e);
}

bptt_status bptt_run_gradient(bptt_run *r, const bptt_window *w, bptt_report *report, bptt_error *e)
{
    const bptt_status s = require_gradient(r, e);
    return s ? s : run_and_collect(r, GRADIENT, w, report, e);
}

bptt_status bptt_run_train(bptt_run *r, const bptt_window *w, double rate, bptt_report *report, bptt_error *e)
{
    bptt_status s = require_nothing_in_flight(r, e);
    if (!s) s = bptt_run_submit(r, w, rate, e);
    return s ? s : bptt_run_collect(r, report, e);
}

// ---- submit and collect ---------------------------------------------------------------------------------------------

bptt_status bptt_run_submit(bptt_run *r, const bptt_window *from, double rate, bptt_error *e)
{
    bptt_model *m = r->model;
    bptt_device *d = m->device;
    bptt_slots slots = {0};
    bptt_window w;
    bptt_status s = require_gradient(r, e);
    if (s) return s;
    if (r->submitted == BPTT_SUBMITTED)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "%d windows are in flight already, the maximum; call bptt_run_collect first", BPTT_SUBMITTED);
    if (m->run_in_flight && m->run_in_flight != r)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "another run of this model has windows in flight; collect those first, since updates "
                         "depend on each other");
    s = take_window(r, from, false, &w, &slots.scalar[BPTT_WEIGHT], e);
    if (s) return s;
    if (!isfinite((float)rate))
        return bptt_fail(e, BPTT_BAD_INPUT, "`rate` (learning rate) is %g, but must be finite", rate);
    bptt_run *const on = run_of_window(r, &w);
    fill_slots(on, &w, &slots);
    fill_rate(m, rate, &slots);
    s = d->backend.run(d, on->handle[TRAIN], &slots, e);
    if (s) return s;
    r->flight[r->submitted++] = (struct submitted_window){slots.scalar[BPTT_WEIGHT], on};
    m->run_in_flight = r;
    m->updates++;
    return BPTT_OK;
}

// Clears STAT_BLOCKED. After a window that was not finite the device blocks updates until the host clears it, which it
// does when no window is in flight that was submitted before the failure was known.
static bptt_status allow_updates(bptt_run *r, bptt_error *e)
{
    bptt_device *d = r->model->device;
    const double seen = 0;
    r->updates_blocked = false;
    return d->backend.write(d, bptt_cols(r->mem.stat, STAT_BLOCKED, 1), &seen, BPTT_F64, e);
}

bptt_status bptt_run_collect(bptt_run *r, bptt_report *report, bptt_error *e)
{
    bptt_model *m = r->model;
    bptt_device *d = m->device;
    double stat[BPTT_OUTPUTS] = {0};
    if (r->submitted == 0) return bptt_fail(e, BPTT_BAD_INPUT, "no window is in flight, so there is none to collect");
    const struct submitted_window oldest = r->flight[0];
    bptt_status s = d->backend.collect(d, oldest.computes->handle[TRAIN], stat, e);
    for (size_t i = 1; i < r->submitted; i++) r->flight[i - 1] = r->flight[i];
    r->submitted--;
    if (r->submitted == 0) m->run_in_flight = NULL;
    if (!s) s = report_from_stat(m, stat, oldest.weight, report, e);
    if (s) m->updates--;
    r->updates_blocked = r->updates_blocked || stat[STAT_BLOCKED] != 0;
    if (!r->updates_blocked || r->submitted > 0) return s;
    const bptt_status allowed = allow_updates(r, e);
    return allowed ? allowed : s;
}

// ---- predictions, and tensors of the last window --------------------------------------------------------------------

// Runs step t of a checked window: the B rows of step t of each array. logp [B][O].
static bptt_status one_step(bptt_run *r, const bptt_window *w, size_t t, float *logp, bptt_error *e)
{
    bptt_device *d = r->model->device;
    const size_t first = t * r->B;
    bptt_slots slots = {.type = {[IN_TOKEN] = BPTT_I32, [IN_KEEP] = BPTT_F32, [IN_DENSE] = w->dense_type}};
    if (w->token) slots.input[IN_TOKEN] = w->token + first;
    if (w->dense) slots.input[IN_DENSE] = (const char *)w->dense + first * r->model->I * bptt_type_size(w->dense_type);
    slots.input[IN_KEEP] = w->keep ? w->keep + first : r->keeping ? r->ones : NULL;
    r->keeping = r->keeping || w->keep; // the device keeps its values for later steps
    const bptt_status s = d->backend.run(d, r->handle[NEXT], &slots, e);
    return s ? s : d->backend.read(d, logp, BPTT_F32, bptt_rows(r->mem.logits, 0, r->B), e);
}

static bptt_status needs_place(const float *logp, bptt_error *e)
{
    return logp ? BPTT_OK : bptt_fail(e, BPTT_BAD_INPUT, "`logp` is NULL, but must point to memory for a prediction");
}

bptt_status bptt_run_next(bptt_run *r, const int32_t *token, float *logp, bptt_error *e)
{
    if (r->model->config.input)
        return bptt_fail(e, BPTT_BAD_INPUT, "the model takes dense input: call bptt_run_next_dense");
    bptt_status s = needs_place(logp, e);
    if (!s) s = require_carried_state(r, e);
    if (!s) s = require_nothing_in_flight(r, e);
    if (!s) s = check_tokens(r, "token", token, r->B, NULL, e);
    return s ? s : one_step(r, &(bptt_window){.token = token}, 0, logp, e);
}

bptt_status bptt_run_next_dense(bptt_run *r, const void *x, bptt_type as, float *logp, bptt_error *e)
{
    if (!r->model->config.input) return bptt_fail(e, BPTT_BAD_INPUT, "the model takes tokens: call bptt_run_next");
    if (!x) return bptt_fail(e, BPTT_BAD_INPUT, "`x` is NULL, but must point to memory for the result");
    bptt_status s = needs_place(logp, e);
    if (!s) s = check_type("as", as, e);
    if (!s) s = require_carried_state(r, e);
    if (!s) s = require_nothing_in_flight(r, e);
    return s ? s : one_step(r, &(bptt_window){.dense = x, .dense_type = as}, 0, logp, e);
}

// The T steps of a packed window, from zero states. logp [T][B][O] is that of r.
static bptt_status predict_packed(bptt_run *r, bptt_run *on, const bptt_window *packed, float *logp, bptt_error *e)
{
    bptt_status s = bptt_run_reset(r, e);
    memset(logp, 0, r->T * r->B * r->model->O * sizeof *logp);
    for (size_t t = 0; !s && t < r->T; t++) {
        s = one_step(on, packed, t, r->packing.row, e);
        if (!s) packing_unpack_step(&r->packing, t, logp);
    }
    return s;
}

bptt_status bptt_run_predict(bptt_run *r, const bptt_window *from, float *logp, bptt_error *e)
{
    const size_t O = r->model->O;
    bptt_window w;
    double weight = 0;
    bptt_status s = needs_place(logp, e);
    if (!s) s = require_nothing_in_flight(r, e);
    if (!s) s = take_window(r, from, true, &w, &weight, e);
    if (!s && r->config.lengths) {
        bptt_run *const on = run_of_window(r, &w);
        s = predict_packed(r, on, &w, logp, e);
    } else
        for (size_t t = 0; !s && t < r->T; t++) s = one_step(r, &w, t, logp + t * r->B * O, e);
    for (size_t i = 0; !s && i < r->T * r->B * O; i++)
        if (isnan(logp[i]))
            s = bptt_fail(e, BPTT_NOT_FINITE, "the prediction of step %zu, row %zu is not a number", i / (r->B * O),
                          i / O % r->B);
    return s;
}

// The gradient of the inputs of a run with lengths, read from the device as packed.
static bptt_status read_packed_gradient(bptt_run *r, void *x, bptt_type as, bptt_error *e)
{
    bptt_device *d = r->model->device;
    packing *p = &r->packing;
    assert(bptt_type_size(as) <= p->element);
    const bptt_status s = d->backend.read(d, p->dense, as, r->last->mem.dx, e);
    if (!s) packing_unpack(p, r->last->B, p->I * bptt_type_size(as), p->dense, x);
    return s;
}

bptt_status bptt_run_read(bptt_run *r, bptt_result what, void *x, bptt_type as, bptt_error *e)
{
    bptt_device *d = r->model->device;
    const run_memory *mem = &r->mem;
    bptt_status s = require_gradient(r, e);
    if (s) return s;
    if (!x) return bptt_fail(e, BPTT_BAD_INPUT, "`x` is NULL, but must point to memory for the result");
    s = check_type("as", as, e);
    if (s) return s;
    if (what == BPTT_GRAD_STATE || what == BPTT_STATES) s = require_carried_state(r, e);
    if (s) return s;
    if (what == BPTT_GRAD_STATE) return d->backend.read(d, x, as, mem->dstate, e);
    if (what == BPTT_GRAD_INPUT && mem->dx.buf)
        return r->config.lengths ? read_packed_gradient(r, x, as, e) : d->backend.read(d, x, as, mem->dx, e);
    if (what != BPTT_STATES) return bptt_fail(e, BPTT_BAD_INPUT, "this run does not store result %d", (int)what);
    for (size_t l = 0; !s && l < r->model->L; l++) {
        const size_t each = mem->h[l].rows * mem->h[l].cols * bptt_type_size(as);
        s = d->backend.read(d, (char *)x + l * each, as, mem->h[l], e);
    }
    return s;
}
