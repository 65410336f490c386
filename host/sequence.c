// A sequence of rows of floats for training.
#include "sequence.h"
#include "digest.h"
#include "machine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bptt_status check_finite(const char *name, const float *x, size_t n, size_t width, bptt_error *e)
{
    for (size_t i = 0; i < n * width; i++)
        if (!isfinite(x[i]))
            return bptt_fail(e, BPTT_BAD_INPUT,
                             "`%s` is %g at step %zu, column %zu, counted from 0, but must be a finite number", name,
                             (double)x[i], i / width, i % width);
    return BPTT_OK;
}

static double mean_square(const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)y[i] * (double)y[i];
    return n > 0 ? sum / (double)n : 0;
}

size_t sequence_validated(const sequence *s, size_t burn_in)
{
    const size_t n = s->n - s->n_train;
    return n > burn_in ? n - burn_in : 0;
}

size_t sequence_bytes(const sequence *s) { return s->n * (s->I + s->M) * sizeof(float); }

bptt_status sequence_open(const float *x, const float *y, size_t n, const bptt_trainer_config *c, sequence *s,
                          bptt_error *e)
{
    if (!x || !y || n == 0)
        return bptt_fail(e, BPTT_BAD_INPUT, "`x`, `y` or the number of steps is 0, but a sequence needs all of them");
    if (!(c->valid >= 0 && c->valid < 1))
        return bptt_fail(e, BPTT_BAD_CONFIG, "`valid` is %g, but must be at least 0 and below 1", c->valid);
    sequence made = {.n = n, .I = c->model.input, .M = c->model.output, .n_train = bptt_split(n, c->valid)};
    if (n > SIZE_MAX / sizeof(float) / (made.I + made.M))
        return bptt_fail(e, BPTT_NO_MEMORY, "a sequence of %zu steps of %zu floats is too long", n, made.I + made.M);
    bptt_status t = check_memory(NULL, 0, sequence_bytes(&made), "the sequence", e);
    if (!t) t = check_finite("x", x, n, made.I, e);
    if (!t) t = check_finite("y", y, n, made.M, e);
    if (t) return t;
    made.x = malloc(sequence_bytes(&made));
    if (!made.x) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a sequence of %zu steps", n);
    made.y = made.x + n * made.I;
    memcpy(made.x, x, n * made.I * sizeof *x);
    memcpy(made.y, y, n * made.M * sizeof *y);
    const size_t rows = sequence_validated(&made, c->burn_in);
    made.valid_power = mean_square(made.y + (n - rows) * made.M, rows * made.M);
    sha256_hex(made.x, sequence_bytes(&made), made.sha256);
    *s = made;
    return BPTT_OK;
}

void sequence_close(sequence *s)
{
    free(s->x);
    s->x = s->y = NULL;
}

bptt_status sequence_check_probabilities(const sequence *s, bptt_error *e)
{
    for (size_t i = 0; i < s->n * s->M; i++)
        if (!(s->y[i] >= 0 && s->y[i] <= 1))
            return bptt_fail(e, BPTT_BAD_INPUT,
                             "`y` is %g at step %zu, column %zu, counted from 0, but the binary loss needs 0 to 1",
                             (double)s->y[i], i / s->M, i % s->M);
    return BPTT_OK;
}

void sequence_window(const sequence *s, size_t B, size_t T, size_t k, float *x, float *y)
{
    const size_t len = s->n_train / B, I = s->I, M = s->M;
    for (size_t t = 0; t < T; t++)
        for (size_t b = 0; b < B; b++) {
            const size_t i = b * len + k * T + t;
            memcpy(x + (t * B + b) * I, s->x + i * I, I * sizeof *x);
            memcpy(y + (t * B + b) * M, s->y + i * M, M * sizeof *y);
        }
}
