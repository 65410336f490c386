// Sequences of floats and their trainers, for tests.
#ifndef SEQUENCES_H
#define SEQUENCES_H

#include "trainers.h"

enum { STEPS = 104, INPUTS = 3, TARGETS = 2, VALIDATED = 26, TRAINED = 78 }; // 25 % of 104 held out

typedef struct data {
    size_t n, I, M;
    float *x, *y; // [n][I], [n][M]
} data;

static inline data data_of(size_t n, size_t I, size_t M, uint64_t seed)
{
    data d = {.n = n, .I = I, .M = M, .x = must_alloc(n * I, sizeof(float)), .y = must_alloc(n * M, sizeof(float))};
    for (size_t i = 0; i < n * I; i++) d.x[i] = (float)random_real(&seed);
    for (size_t i = 0; i < n * M; i++) d.y[i] = (float)fabs(random_real(&seed));
    return d;
}

static inline void data_free(data *d) { free(d->x), free(d->y); }

static inline bptt_trainer_config dense_config(const char *backend, bptt_type type)
{
    bptt_trainer_config c = config_of(backend, type);
    c.model.input = INPUTS, c.model.output = TARGETS, c.model.loss = BPTT_SQUARED;
    return c;
}

static inline bptt_trainer *open_dense(const bptt_trainer_config *c, const data *d)
{
    bptt_trainer *t = NULL;
    bptt_error e = {0};
    CK_TRUE(bptt_trainer_open_dense(c, d->x, d->y, d->n, &t, &e) == BPTT_OK, "%s", e.words);
    return t;
}

#endif
