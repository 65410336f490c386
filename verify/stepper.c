// A net over double and over complex numbers, with a window.
#include "stepper.h"

#include "prng.h"
#include "ref_numbers.h"

#include <stdlib.h>

double stepper_draw(uint64_t *random) { return 2 * splitmix_uniform24(random) - 1; }

static bptt_status open_stepper_runs(stepper *p, const bptt_backend *judged, bptt_error *e)
{
    const net_case *c = &p->c;
    const bptt_backend over_complex = bptt_ref_c128();
    bptt_model_config m;
    bptt_model_defaults(&m);
    m.cell = c->cell, m.vocab = c->V, m.input = c->I, m.hidden = c->H, m.layers = c->L, m.biases = c->biases;
    m.output = c->dense.M, m.loss = c->dense.loss, m.skip = c->dense.skip;
    m.init = BPTT_INIT_UNIFORM, m.seed = 3, m.type = BPTT_F64, m.optimizer = BPTT_SGD;
    bptt_status s = bptt_model_open_on(judged, &m, &p->real, e);
    if (!s) s = bptt_model_open_on(&over_complex, &m, &p->complex_, e);
    bptt_run_config r = {.size = sizeof(bptt_run_config), .batch = c->B, .steps = c->T, .keep = c->masked};
    if (!s) s = bptt_run_open(p->complex_, &r, &p->ahead, e);
    r.gradient = 1, r.input_gradient = c->I > 0;
    return s ? s : bptt_run_open(p->real, &r, &p->r, e);
}

static bptt_status make_window(stepper *p, bptt_error *e)
{
    uint64_t random = 77;
    p->h0 = calloc(p->states + p->inputs, sizeof *p->h0);
    p->token = calloc(2 * p->N, sizeof *p->token);
    p->weight = calloc(2 * p->N, sizeof *p->weight);
    p->dense_target = calloc(p->N * p->c.dense.M + 1, sizeof *p->dense_target);
    if (!p->h0 || !p->token || !p->weight || !p->dense_target)
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a window");
    p->dense = p->h0 + p->states, p->target = p->token + p->N, p->keep = p->weight + p->N;
    for (size_t i = 0; i < p->states + p->inputs; i++) p->h0[i] = stepper_draw(&random);
    for (size_t i = 0; i < 2 * p->N; i++) p->token[i] = (int32_t)(splitmix_next(&random) % p->c.V);
    for (size_t i = 0; i < p->N * p->c.dense.M; i++) p->dense_target[i] = splitmix_uniform24(&random);
    for (size_t i = 0; i < p->N; i++) {
        p->weight[i] = (float)splitmix_uniform24(&random);
        p->keep[i] = i % 3 == 1 ? 0 : i % 3 == 2 ? 0.5f : 1; // a new document, a state that is halved
    }
    return BPTT_OK;
}

bptt_status stepper_open(stepper *p, const bptt_backend *judged, const net_case *c, bptt_error *e)
{
    const size_t N = c->T * c->B;
    *p = (stepper){
        .c = *c, .N = N, .states = c->L * c->B * bptt_cell_row_of(c->cell)->states * c->H, .inputs = N * c->I};
    bptt_status s = open_stepper_runs(p, judged, e);
    if (!s) s = make_window(p, e);
    if (s) stepper_close(p);
    return s;
}

void stepper_close(stepper *p)
{
    bptt_run_close(p->r), bptt_run_close(p->ahead);
    bptt_model_close(p->real), bptt_model_close(p->complex_);
    free(p->h0), free(p->token), free(p->weight), free(p->dense_target);
    *p = (stepper){0};
}

bptt_window stepper_window(const stepper *p, const void *dense, bptt_type type)
{
    return (bptt_window){.size = sizeof(bptt_window),
                         .token = p->c.I ? NULL : p->token,
                         .dense = p->c.I ? dense : NULL,
                         .dense_type = type,
                         .target = p->c.dense.M ? NULL : p->target,
                         .dense_target = p->c.dense.M ? p->dense_target : NULL,
                         .dense_target_type = BPTT_F64,
                         .weight = p->c.masked ? p->weight : NULL,
                         .keep = p->c.masked ? p->keep : NULL};
}
