// Loss of a model with dense inputs and targets on a sequence.
#include "run.h"
#include "score.h"

#include <stdlib.h>

typedef struct scoring {
    bptt_run *run; // B = 1, T = SCORE_STEPS
    const float *x, *y;
    size_t n, burn_in, I, M;
    float *last; // a window of x, then y: the rest of the sequence, then zeros
} scoring;

// Window from step first on; its steps beyond the sequence, and before burn_in, have weight 0.
static bptt_window window_at(const scoring *s, size_t first, float weight[SCORE_STEPS])
{
    const size_t T = SCORE_STEPS, left = s->n - first;
    const float *x = s->x + first * s->I, *y = s->y + first * s->M;
    for (size_t t = 0; t < T; t++) weight[t] = t < left && first + t >= s->burn_in ? 1 : 0;
    if (left < T) {
        for (size_t i = 0; i < left * s->I; i++) s->last[i] = x[i];
        for (size_t i = 0; i < left * s->M; i++) s->last[T * s->I + i] = y[i];
        x = s->last, y = s->last + T * s->I;
    }
    return (bptt_window){
        .size = sizeof(bptt_window), .dense = x, .dense_target = y, .weight = weight, .dense_type = BPTT_F32};
}

bptt_status score_sequence(bptt_run *r, const float *x, const float *y, size_t n, size_t burn_in,
                           int (*progress)(void *, size_t, size_t), void *user, bptt_report *report, bptt_error *e)
{
    float weight[SCORE_STEPS];
    scoring c = {.run = r, .x = x, .y = y, .n = n, .burn_in = burn_in};
    c.I = r->model->config.input, c.M = r->model->config.output;
    double sum = 0;
    if (burn_in >= n)
        return bptt_fail(e, BPTT_BAD_INPUT, "`burn_in` is %zu, but must be below the %zu step%s of the sequence",
                         burn_in, n, n == 1 ? "" : "s");
    c.last = calloc(SCORE_STEPS * (c.I + c.M), sizeof *c.last);
    if (!c.last) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a window of %d steps", SCORE_STEPS);
    bptt_status s = bptt_run_reset(r, e);
    for (size_t first = 0; !s && first < n; first += SCORE_STEPS) {
        const size_t done = n - first < SCORE_STEPS ? n : first + SCORE_STEPS;
        const bptt_window w = window_at(&c, first, weight);
        bptt_report one;
        s = bptt_run_evaluate(r, &w, &one, e);
        if (!s) sum += one.loss * one.weight;
        if (!s && progress && progress(user, done, n))
            s = bptt_fail(e, BPTT_CANCELLED, "stopped after %zu of %zu steps", done, n);
    }
    free(c.last);
    const double scored = (double)(n - burn_in);
    if (!s && report) *report = (bptt_report){.loss = sum / scored, .weight = scored};
    return s;
}

bptt_status bptt_score_dense(bptt_model *m, const float *x, const float *y, size_t n, size_t burn_in,
                             int (*progress)(void *, size_t, size_t), void *user, bptt_report *report, bptt_error *e)
{
    if (!m || !x || !y || n == 0)
        return bptt_fail(e, BPTT_BAD_INPUT, "bptt_score_dense needs a model and a sequence of at least 1 step");
    if (!m->config.input || !m->config.output)
        return bptt_fail(
            e, BPTT_BAD_INPUT,
            "`input` of the model is %zu and `output` %zu, but a sequence of floats needs both above 0: it "
            "is a model of text",
            m->config.input, m->config.output);
    bptt_run *r = NULL;
    const bptt_run_config c = {
        .size = sizeof(bptt_run_config), .batch = 1, .steps = SCORE_STEPS, .keep = marks_starts(&m->config)};
    bptt_status s = bptt_run_open(m, &c, &r, e);
    if (!s) s = score_sequence(r, x, y, n, burn_in, progress, user, report, e);
    bptt_run_close(r);
    return s;
}
