// Runs a whole-number net on a backend, with the plans of training and the cell of whole numbers.
#include "device_exact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void whole_compare(whole_found *f, const double *got, double factor, const int64_t *want, size_t count,
                   const char *what)
{
    f->numbers += count;
    for (size_t i = 0; i < count; i++) {
        if (got[i] * factor == (double)want[i]) continue;
        if (f->unlike++ == 0)
            (void)snprintf(f->first, sizeof f->first, "%s, element %zu of %zu: %.9g instead of %lld", what, i, count,
                           got[i] * factor, (long long)want[i]);
    }
}

bptt_status whole_open(const whole_place *p, bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    if (!bptt_cell_is_gated(c->cell)) c->cell = BPTT_RELU;
    c->optimizer = BPTT_SGD, c->type = p->type;
    c->compute.backend = p->backend, c->compute.device = p->device, c->compute.threads = p->threads;
    c->compute.lowering = p->lowering, c->compute.product = p->product, c->compute.precision = p->precision;
    c->compute.isa = p->isa;
    const bptt_status s = p->table ? bptt_model_open_on(p->table, c, m, e) : bptt_model_open(c, m, e);
    const bool gated = bptt_cell_is_gated(c->cell);
    if (!s)
        (*m)->config.cell = (bptt_cell)(BPTT_WHOLE + (gated ? c->cell : 0)); // for plans of runs opened from here on
    return s;
}

// fp16 represents the decoder's weights, +-unit, up to 65504; gradients are scaled into its range. 16-bit products need
// the rows of each step aligned to 16 bytes; matrices of one column are not padded, so their rows are not aligned, and
// neither are the blocks of z, but for the first ones, where H is not a multiple of 8.
bool whole_suits(const whole_net *n, bptt_precision p)
{
    const bool inside = (*n->cell->hidden && !strchr(n->cell->hidden, '0')) || n->cell->mix; // begins inside rows of z
    if (p >= BPTT_PRECISION_BF16 && (n->s.H == 1 || n->s.I == 1 || (inside && n->s.H % 8))) return false;
    const int64_t most = p == BPTT_PRECISION_FP32 ? WHOLE_SUM : p == BPTT_PRECISION_BF16 ? 1 << 8 : 1 << 11;
    return n->operand <= most && (p != BPTT_PRECISION_FP16 || n->unit <= 1 << 15);
}

// ---- a run ----------------------------------------------------------------------------------------------------------

typedef struct trial {
    const whole_net *n;
    const whole_window *w; // being run
    whole_found *f;
    bptt_model *m;
    bptt_run *back, *ahead; // with gradient; forward only
    double *x, *y;          // room for any of its tensors; dense targets, [N][M]
    float *keep, *weight;   // [N] each
    char says[120];
} trial;

static size_t most(const whole_net *n)
{
    const whole_shape *s = &n->s;
    size_t most = s->L * (s->T + 1) * s->B * n->W;
    if (most < n->N * n->ZH) most = n->N * n->ZH;
    if (most < n->N * s->I) most = n->N * s->I;
    for (size_t i = 0; i < n->tensors; i++)
        if (most < n->size[i]) most = n->size[i];
    return most;
}

static bptt_status open_trial(trial *t, const whole_place *p, bptt_error *e)
{
    const whole_shape *s = &t->n->s;
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.vocab = s->V, c.input = s->I, c.hidden = s->H, c.layers = s->L, c.biases = s->biases, c.cell = s->gated;
    c.output = s->M, c.loss = s->loss;
    (void)snprintf(t->says, sizeof t->says, "%s,%s%s V %zu I %zu H %zu L %zu B %zu T %zu M %zu", p->name,
                   *t->n->cell->word ? " " : "", t->n->cell->word, s->V, s->I, s->H, s->L, s->B, s->T, s->M);
    t->x = malloc(most(t->n) * sizeof *t->x), t->y = malloc(t->n->N * (s->M + 1) * sizeof *t->y);
    t->keep = malloc(t->n->N * sizeof *t->keep), t->weight = malloc(t->n->N * sizeof *t->weight);
    if (!t->x || !t->y || !t->keep || !t->weight)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a net in whole numbers");
    bptt_run_config r = {.size = sizeof(bptt_run_config), .batch = s->B, .steps = s->T, .keep = s->masked};
    bptt_status st = whole_open(p, &c, &t->m, e);
    if (!st) st = bptt_run_open(t->m, &r, &t->ahead, e);
    r.gradient = 1, r.input_gradient = s->I > 0, r.last_gradient = s->last;
    return st ? st : bptt_run_open(t->m, &r, &t->back, e);
}

static void close_trial(trial *t)
{
    bptt_run_close(t->back), bptt_run_close(t->ahead), bptt_model_close(t->m);
    free(t->x), free(t->y), free(t->keep), free(t->weight);
}

static const double *scaled(trial *t, const int64_t *from, double unit, size_t count)
{
    for (size_t i = 0; i < count; i++) t->x[i] = unit * (double)from[i];
    return t->x;
}

// Writes the weights, garbage into the gradients (they must be overwritten), and the first state.
static bptt_status write_net(trial *t, bptt_error *e)
{
    const whole_net *n = t->n;
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < n->tensors; i++) {
        const double unit = i + 2 < n->tensors ? 1 : i + 1 < n->tensors ? (double)n->unit : WHOLE_APART;
        s = bptt_model_write(t->m, BPTT_GRADIENT, i, scaled(t, n->w[i], 3, n->size[i]), BPTT_F64, e);
        if (!s) s = bptt_model_write(t->m, BPTT_WEIGHTS, i, scaled(t, n->w[i], unit, n->size[i]), BPTT_F64, e);
    }
    const double *const h0 = scaled(t, n->h0, 1, n->s.L * n->s.B * n->W);
    if (!s) s = bptt_run_write_state(t->back, h0, BPTT_F64, e);
    return s ? s : bptt_run_write_state(t->ahead, h0, BPTT_F64, e);
}

// Writes the gradient of the last states, and under fp16 a loss scale that keeps 2^11 units of a gradient below 65504.
static bptt_status write_last(trial *t, bptt_error *e)
{
    const whole_net *n = t->n;
    const double unit = t->w->layers;
    bptt_status s = BPTT_OK;
    if (t->w->last)
        s = bptt_run_write_last_gradient(t->back, scaled(t, t->w->last, unit, n->s.L * n->s.B * n->W), BPTT_F64, e);
    if (s || !t->m->scale.buf) return s;
    return model_write_scale(t->m, (double[2]){16 / unit, 0}, e);
}

static void like(trial *t, double factor, const int64_t *want, size_t count, const char *what)
{
    char says[200];
    (void)snprintf(says, sizeof says, "%s: %s of window %zu", t->says, what, (size_t)(t->w - t->n->win));
    whole_compare(t->f, t->x, factor, want, count, says);
}

static bptt_status compare_gradient(trial *t, bptt_error *e)
{
    const whole_net *n = t->n;
    const double decoder = 1 / t->w->decoder, layers = 1 / t->w->layers;
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < n->tensors; i++) {
        bptt_tensor info;
        s = bptt_model_tensor(t->m, i, &info, e);
        if (!s) s = bptt_model_read(t->m, BPTT_GRADIENT, i, t->x, BPTT_F64, e);
        if (!s) like(t, i + 2 < n->tensors ? layers : decoder, t->w->g[i], n->size[i], info.name);
    }
    const bool all = n->s.gated || t->back->keeps_dz || n->s.L < 2; // else those of higher layers are overwritten
    const size_t kept = all ? n->s.L : 2;
    for (size_t l = 0; !s && l < kept; l++) {
        s = t->m->device->backend.read(t->m->device, t->x, BPTT_F64, run_dz(t->back, l), e);
        if (!s) like(t, layers, t->w->dz + l * n->N * n->ZH, n->N * n->ZH, "dz of a layer");
    }
    if (!s) s = bptt_run_read(t->back, BPTT_GRAD_STATE, t->x, BPTT_F64, e);
    if (!s) like(t, layers, t->w->dh0, n->s.L * n->s.B * n->W, "dh0");
    if (s || !n->s.I) return s;
    s = bptt_run_read(t->back, BPTT_GRAD_INPUT, t->x, BPTT_F64, e);
    if (!s) like(t, layers, t->w->dx, n->N * n->s.I, "dx");
    return s;
}

static void compare_loss(trial *t, double loss, const char *what)
{
    t->x[0] = loss;
    like(t, (double)t->w->weights / t->w->apart, &t->w->loss, 1, what);
}

// The carried state is the last state of each layer.
static bptt_status compare_carried(trial *t, bptt_run *r, const char *what, bptt_error *e)
{
    const size_t BW = t->n->s.B * t->n->W, T = t->n->s.T;
    double *const all = t->x;
    const bptt_status s = bptt_run_read_state(r, all, BPTT_F64, e);
    for (size_t l = 0; !s && l < t->n->s.L; l++, t->x += BW) like(t, 1, t->w->h + (l * (T + 1) + T) * BW, BW, what);
    t->x = all;
    return s;
}

static bptt_status run_window(trial *t, bptt_error *e)
{
    const whole_net *n = t->n;
    const whole_window *w = t->w;
    for (size_t i = 0; i < n->N; i++) {
        t->keep[i] = w->keep ? (float)w->keep[i] : 1;
        t->weight[i] = w->weight ? (float)w->weight[i] : 1;
    }
    for (size_t i = 0; i < n->N * n->s.M; i++) t->y[i] = (double)w->y[i];
    bptt_status s = write_last(t, e);
    const bptt_window seen = {.size = sizeof(bptt_window),
                              .token = n->s.I ? NULL : w->token,
                              .dense = n->s.I ? scaled(t, w->x, 1, n->N * n->s.I) : NULL,
                              .dense_type = BPTT_F64,
                              .target = n->s.M ? NULL : w->target,
                              .dense_target = n->s.M ? t->y : NULL,
                              .dense_target_type = BPTT_F64,
                              .weight = w->weight ? t->weight : NULL,
                              .keep = w->keep ? t->keep : NULL};
    bptt_report back = {0}, ahead = {0};
    if (!s) s = bptt_run_gradient(t->back, &seen, &back, e);
    if (!s) s = bptt_run_evaluate(t->ahead, &seen, &ahead, e);
    if (s) return s;
    compare_loss(t, back.loss, "loss"), compare_loss(t, ahead.loss, "loss, forward only,");
    s = bptt_run_read(t->back, BPTT_STATES, t->x, BPTT_F64, e);
    if (!s) like(t, 1, w->h, n->s.L * (n->s.T + 1) * n->s.B * n->W, "states");
    if (!s) s = compare_gradient(t, e);
    if (!s) s = compare_carried(t, t->back, "carried state", e);
    return s ? s : compare_carried(t, t->ahead, "carried state, forward only,", e);
}

// NOT_FINITE is not an error here: the results are compared and count as wrong.
static bptt_status not_finite(trial *t, const bptt_error *why)
{
    t->f->numbers++;
    if (t->f->unlike++ == 0)
        (void)snprintf(t->f->first, sizeof t->f->first, "%s, window %zu: %.160s", t->says, (size_t)(t->w - t->n->win),
                       why->words);
    return BPTT_OK;
}

bptt_status whole_run(const whole_place *p, const whole_net *n, whole_found *f, bptt_error *e)
{
    trial t = {.n = n, .f = f};
    bptt_status s = open_trial(&t, p, e);
    if (!s) s = write_net(&t, e);
    for (size_t k = 0; !s && k < WHOLE_WINDOWS; k++) {
        bptt_error why = {0};
        t.w = &n->win[k];
        s = run_window(&t, &why);
        if (s && s != BPTT_NOT_FINITE) (void)bptt_fail(e, s, "%s", why.words);
        if (s == BPTT_NOT_FINITE) {
            s = not_finite(&t, &why);
            break;
        }
    }
    close_trial(&t);
    f->cases++;
    if (n->sum > f->sum) f->sum = n->sum;
    return s;
}
