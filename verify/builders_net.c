// A small model with its own window: opens it, fills it, runs any piece of the window.
#include "builders_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bptt_status small_net_open(small_net *n, const compute_place *p, bptt_cell cell, scratch *mem, bptt_error *e)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.cell = cell, c.vocab = n->V, c.input = n->I, c.hidden = n->H, c.layers = n->L, c.type = p->type;
    c.compute.backend = p->backend, c.compute.device = p->device, c.compute.lowering = p->lowering,
    c.init = BPTT_INIT_UNIFORM;
    bptt_status s = bptt_model_open(&c, &n->m, e);
    if (s) return s;
    n->tensors = bptt_model_tensors(n->m);
    for (size_t i = 0; !s && i < n->tensors; i++) {
        bptt_tensor t;
        s = bptt_model_tensor(n->m, i, &t, e);
        n->size[i] = t.rows * t.cols;
        n->w[i] = scratch_take(mem, n->size[i]);
        if (!s) s = bptt_model_read(n->m, BPTT_WEIGHTS, i, n->w[i], BPTT_F64, e);
    }
    const size_t N = n->T * n->B;
    n->x = scratch_take(mem, N * n->I), n->h0 = scratch_take(mem, n->L * n->B * n->H);
    n->token = (int32_t *)scratch_take(mem, N), n->target = (int32_t *)scratch_take(mem, N);
    n->weight = (float *)scratch_take(mem, N), n->keep = (float *)scratch_take(mem, N);
    for (size_t i = 0; i < N; i++) n->weight[i] = n->keep[i] = 1;
    if (s) small_net_close(n);
    return s;
}

void small_net_close(small_net *n)
{
    bptt_model_close(n->m);
    n->m = NULL;
}

bptt_status small_net_write(small_net *n, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < n->tensors; i++) s = bptt_model_write(n->m, BPTT_WEIGHTS, i, n->w[i], BPTT_F64, e);
    return s;
}

void small_net_tokens(small_net *n, uint64_t *random)
{
    for (size_t i = 0; i < n->T * n->B; i++) {
        n->token[i] = (int32_t)draw_below(random, n->V);
        n->target[i] = (int32_t)draw_below(random, n->V);
    }
}

// One +-1 in each row of rows x cols, spread over the columns.
static void signed_permutation(uint64_t *random, double *w, size_t rows, size_t cols)
{
    const size_t turn = draw_below(random, cols);
    memset(w, 0, rows * cols * sizeof *w);
    for (size_t j = 0; j < rows; j++) w[j * cols + (j + turn) % cols] = draw_below(random, 4) ? 1 : -1;
}

void small_net_whole(small_net *n, uint64_t *random)
{
    const size_t H = n->H, V = n->V;
    for (size_t l = 0; l < n->L; l++) {
        if (l == 0)
            fill_whole(random, 2, 1, n->w[0], n->size[0]);
        else
            signed_permutation(random, n->w[3 * l], H, H);
        signed_permutation(random, n->w[3 * l + 1], H, H);
        fill_whole(random, 1, 1, n->w[3 * l + 2], H);
        for (size_t j = 0; j < H; j++) n->w[3 * l + 2][j] += 1; // most units live
    }
    double *const out = n->w[3 * n->L], *const bias = n->w[3 * n->L + 1];
    const double apart = 1024; // exp(-1024) is 0 in double, too
    fill_whole(random, 1, apart * (double)V, out, V * H);
    for (size_t v = 0; v < V; v++) bias[v] = apart * (double)v; // no two logits are equal
    fill_whole(random, 2, 1, n->x, n->T * n->B * n->I);
    fill_whole(random, 2, 1, n->h0, n->L * n->B * H);
}

void weights_that_sum(uint64_t *random, float *weight, size_t count, size_t sum)
{
    for (size_t i = 0; i < count; i++) {
        const size_t w = draw_below(random, 3);
        weight[i] = (float)(w < sum ? w : sum);
        sum -= w < sum ? w : sum;
    }
    weight[draw_below(random, count)] += (float)sum;
}

outcome outcome_make(const small_net *n, size_t T, size_t B, scratch *mem)
{
    outcome o = {0};
    for (size_t i = 0; i < n->tensors; i++) o.g[i] = scratch_take(mem, n->size[i]);
    o.states = scratch_take(mem, n->L * (T + 1) * B * n->H), o.dx = scratch_take(mem, T * B * n->I);
    o.dh0 = scratch_take(mem, n->L * B * n->H), o.last = scratch_take(mem, n->L * B * n->H);
    return o;
}

static bptt_status collect(small_net *n, bptt_run *r, outcome *o, bptt_error *e)
{
    bptt_status s = bptt_run_read(r, BPTT_STATES, o->states, BPTT_F64, e);
    if (!s) s = bptt_run_read(r, BPTT_GRAD_STATE, o->dh0, BPTT_F64, e);
    if (!s && n->I) s = bptt_run_read(r, BPTT_GRAD_INPUT, o->dx, BPTT_F64, e);
    if (!s) s = bptt_run_read_state(r, o->last, BPTT_F64, e);
    for (size_t i = 0; !s && i < n->tensors; i++) s = bptt_model_read(n->m, BPTT_GRADIENT, i, o->g[i], BPTT_F64, e);
    return s;
}

bptt_status small_net_go(small_net *n, const window_piece *p, outcome *o, scratch *mem, bptt_error *e)
{
    const size_t N = p->T * p->B, I = n->I, used = mem->used;
    double *x = scratch_take(mem, N * I);
    int32_t *token = (int32_t *)scratch_take(mem, N), *target = (int32_t *)scratch_take(mem, N);
    float *weight = (float *)scratch_take(mem, N), *keep = (float *)scratch_take(mem, N);
    for (size_t i = 0; i < N; i++) {
        const size_t from = (p->first + i / p->B) * n->B + p->row + i % p->B;
        memcpy(x + i * I, n->x + from * I, I * sizeof *x);
        token[i] = n->token[from], target[i] = n->target[from];
        weight[i] = p->weight ? p->weight[from] : 1, keep[i] = n->keep[from];
    }
    const bptt_run_config c = {.size = sizeof(bptt_run_config),
                               .batch = p->B,
                               .steps = p->T,
                               .gradient = 1,
                               .keep = p->keep,
                               .input_gradient = I > 0,
                               .last_gradient = p->dlast != NULL};
    const bptt_window w = {.size = sizeof(bptt_window),
                           .token = I ? NULL : token,
                           .dense = I ? x : NULL,
                           .dense_type = BPTT_F64,
                           .target = target,
                           .weight = weight,
                           .keep = p->keep ? keep : NULL};
    bptt_run *r = NULL;
    bptt_report report = {.loss = (double)NAN};
    bptt_status s = bptt_run_open(n->m, &c, &r, e);
    if (!s) s = bptt_run_write_state(r, p->h0, BPTT_F64, e);
    if (!s && p->dlast) s = bptt_run_write_last_gradient(r, p->dlast, BPTT_F64, e);
    if (!s) s = bptt_run_gradient(r, &w, &report, e);
    if (s == BPTT_NOT_FINITE) s = BPTT_OK; // no error: NaN equals nothing, so claims about it do not hold
    if (!s) s = collect(n, r, o, e);
    o->loss = report.loss, o->weight = report.weight;
    bptt_run_close(r);
    mem->used = used;
    return s;
}
