// A net opened over numbers modulo p and over dual numbers.
#include "net_pair.h"

#include "modp.h"
#include "prng.h"

#include <stdlib.h>
#include <string.h>

static bptt_status open_pair_runs(net_pair *p, const net_tables *tables, bptt_error *e)
{
    const net_case *c = &p->c;
    bptt_model_config m;
    bptt_model_defaults(&m);
    m.cell = c->cell, m.vocab = c->V, m.input = c->I, m.hidden = c->H, m.layers = c->L, m.biases = c->biases;
    m.output = c->dense.M, m.loss = c->dense.loss, m.skip = c->dense.skip;
    m.optimizer = BPTT_SGD;
    bptt_status s = bptt_model_open_on(&tables->fp, &m, &p->m, e);
    if (!s) s = bptt_model_open_on(&tables->dual, &m, &p->dual_m, e);
    bptt_run_config r = {.size = sizeof(bptt_run_config), .batch = c->B, .steps = c->T, .keep = c->masked};
    if (!s) s = bptt_run_open(p->dual_m, &r, &p->ahead, e);
    r.gradient = 1, r.input_gradient = c->I > 0, r.last_gradient = 1;
    if (!s) s = bptt_run_open(p->m, &r, &p->r, e);
    r.last_gradient = 0;
    if (!s) s = bptt_run_open(p->dual_m, &r, &p->dual_r, e);
    if (!s) s = layout_alloc(p->m->device, &(shape){&p->cotangent_at, p->N, c->H, tables->fp.real}, 1, p->block, e);
    return s;
}

static bptt_status make_arrays(net_pair *p, bptt_error *e)
{
    size_t all = 2 * p->N * p->c.H + 2 * p->n[LEAF_STATE] + 2 * p->N;
    for (int i = 0; i < LEAF_KINDS; i++) all += 5 * p->n[i];
    p->words = calloc(all, sizeof *p->words);
    p->token = calloc(2 * p->N, sizeof *p->token), p->keep = calloc(2 * p->N, sizeof *p->keep);
    p->dense_target = calloc(p->N * p->c.dense.M + 1, sizeof *p->dense_target);
    if (!p->words || !p->token || !p->keep || !p->dense_target)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory to check a net of %zu x %zu", p->c.T, p->c.B);
    uint64_t *at = p->words;
    for (int i = 0; i < LEAF_KINDS; i++) {
        p->value[i] = modp_carve(&at, p->n[i]), p->direction[i] = modp_carve(&at, p->n[i]);
        p->gradient[i] = modp_carve(&at, p->n[i]), p->pair[i] = modp_carve(&at, 2 * p->n[i]);
    }
    for (int i = 0; i < 2; i++) p->cotangent[i] = modp_carve(&at, p->N * p->c.H);
    for (int i = 0; i < 2; i++) p->last[i] = modp_carve(&at, p->n[LEAF_STATE]);
    p->keep_at = modp_carve(&at, p->N), p->weight_at = modp_carve(&at, p->N);
    p->target = p->token + p->N, p->weight = p->keep + p->N;
    return BPTT_OK;
}

// A multiple of 2^-24 in [0, 1), which a float holds; every fourth is 0.
static void draw_fraction(uint64_t *random, float *x, uint64_t *modulo_p)
{
    const uint64_t word = splitmix_next(random), k = word >> 62 ? word >> 8 & 0xFFFFFF : 0;
    *x = (float)k * 0x1p-24f;
    *modulo_p = modp_fraction(k);
}

static void draw(net_pair *p)
{
    uint64_t random = 1000 * p->c.T + p->c.H;
    for (int i = 0; i < LEAF_KINDS; i++) {
        modp_draw(&random, p->value[i], p->n[i]);
        modp_draw(&random, p->direction[i], p->n[i]);
        for (size_t j = 0; j < p->n[i]; j++)
            p->pair[i][2 * j] = p->value[i][j], p->pair[i][2 * j + 1] = p->direction[i][j];
    }
    for (int i = 0; i < 2; i++) modp_draw(&random, p->cotangent[i], p->N * p->c.H);
    for (int i = 0; i < 2; i++) modp_draw(&random, p->last[i], p->n[LEAF_STATE]);
    for (size_t i = 0; i < p->N; i++) {
        p->token[i] = (int32_t)(splitmix_next(&random) % p->c.V);
        p->target[i] = (int32_t)(splitmix_next(&random) % p->c.V);
        draw_fraction(&random, &p->keep[i], &p->keep_at[i]);
        draw_fraction(&random, &p->weight[i], &p->weight_at[i]);
        if (!p->c.masked) p->keep_at[i] = p->weight_at[i] = 1;
    }
    for (size_t i = 0; i < p->N * p->c.dense.M; i++) p->dense_target[i] = splitmix_uniform24(&random);
}

// Writes the weights, and garbage into the gradients, which must be overwritten.
static bptt_status write_weights(net_pair *p, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    size_t at = 0;
    for (size_t i = 0; !s && i < bptt_model_tensors(p->m); i++) {
        bptt_tensor t;
        s = bptt_model_tensor(p->m, i, &t, e);
        if (!s) s = bptt_model_write(p->m, BPTT_WEIGHTS, i, p->value[LEAF_WEIGHTS] + at, BPTT_FP, e);
        if (!s) s = bptt_model_write(p->m, BPTT_GRADIENT, i, p->direction[LEAF_WEIGHTS] + at, BPTT_FP, e);
        if (!s) s = bptt_model_write(p->dual_m, BPTT_WEIGHTS, i, p->pair[LEAF_WEIGHTS] + 2 * at, BPTT_DUAL, e);
        at += t.rows * t.cols;
    }
    bptt_device *const d = p->m->device;
    if (!s) s = d->backend.write(d, p->r->mem.dstate, p->direction[LEAF_STATE], BPTT_FP, e);
    if (!s && p->c.I) s = d->backend.write(d, p->r->mem.dx, p->direction[LEAF_INPUT], BPTT_FP, e);
    return s;
}

bptt_status pair_open(net_pair *p, const net_tables *tables, const net_case *c, bptt_error *e)
{
    *p = (net_pair){.c = *c, .N = c->T * c->B};
    bptt_status s = open_pair_runs(p, tables, e);
    if (!s) {
        p->n[LEAF_WEIGHTS] = bptt_model_parameters(p->m);
        p->n[LEAF_STATE] = c->L * c->B * p->m->S * c->H;
        p->n[LEAF_INPUT] = p->N * c->I;
        s = make_arrays(p, e);
    }
    if (!s) {
        draw(p);
        s = write_weights(p, e);
    }
    if (s) pair_close(p);
    return s;
}

void pair_close(net_pair *p)
{
    if (p->m) layout_free(p->m->device, p->block);
    bptt_run_close(p->r), bptt_run_close(p->dual_r), bptt_run_close(p->ahead);
    bptt_model_close(p->m), bptt_model_close(p->dual_m);
    free(p->words), free(p->token), free(p->keep), free(p->dense_target);
    *p = (net_pair){0};
}

bptt_window pair_window(const net_pair *p, bool dual)
{
    return (bptt_window){.size = sizeof(bptt_window),
                         .token = p->c.I ? NULL : p->token,
                         .dense = p->c.I ? dual ? p->pair[LEAF_INPUT] : p->value[LEAF_INPUT] : NULL,
                         .dense_type = dual ? BPTT_DUAL : BPTT_FP,
                         .target = p->c.dense.M ? NULL : p->target,
                         .dense_target = p->c.dense.M ? p->dense_target : NULL,
                         .dense_target_type = BPTT_F64,
                         .weight = p->c.masked ? p->weight : NULL,
                         .keep = p->c.masked ? p->keep : NULL};
}

bptt_status pair_gradient(net_pair *p, bptt_error *e)
{
    bptt_status s = bptt_run_read(p->r, BPTT_GRAD_STATE, p->gradient[LEAF_STATE], BPTT_FP, e);
    if (!s && p->c.I) s = bptt_run_read(p->r, BPTT_GRAD_INPUT, p->gradient[LEAF_INPUT], BPTT_FP, e);
    size_t at = 0;
    for (size_t i = 0; !s && i < bptt_model_tensors(p->m); i++) {
        bptt_tensor t;
        s = bptt_model_tensor(p->m, i, &t, e);
        if (!s) s = bptt_model_read(p->m, BPTT_GRADIENT, i, p->gradient[LEAF_WEIGHTS] + at, BPTT_FP, e);
        at += t.rows * t.cols;
    }
    return s;
}

bptt_status pair_layers(bptt_run *r, layers_part part, bptt_mat dy, bptt_error *e)
{
    bptt_device *d = r->model->device;
    bptt_plan plan;
    void *handle = NULL;
    if (!plan_layers(&plan, r, part, dy)) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a plan");
    bptt_status s = d->backend.prepare(d, &plan, &handle, e);
    if (!s) s = d->backend.run(d, handle, &(bptt_slots){0}, e);
    if (!s) s = d->backend.sync(d, e);
    d->backend.forget(d, handle);
    free(plan.op);
    return s;
}

bptt_status pair_input(net_pair *p, bptt_error *e)
{
    bptt_device *d = p->dual_m->device;
    const run_memory *mem = &p->dual_r->mem;
    bptt_status s = BPTT_OK;
    if (mem->token.buf) s = d->backend.write(d, mem->token, p->token, BPTT_I32, e);
    if (!s && mem->dense.buf) s = d->backend.write(d, mem->dense, p->pair[LEAF_INPUT], BPTT_DUAL, e);
    if (!s && mem->keep.buf) s = d->backend.write(d, mem->keep, p->keep, BPTT_F32, e);
    return s;
}
