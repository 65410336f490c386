// A sequence of rows of floats for training: inputs and targets, training and validation part, B contiguous streams,
// windows. The definitions are in bptt_trainer.h.
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include "backend.h"

typedef struct sequence {
    float *x, *y; // [n][I], [n][M], one block; NULL: none
    size_t n, I, M, n_train;
    double valid_power; // mean of y^2 in the validation part, after its first burn_in steps; 0: none
    char sha256[65];    // of x, then y, in hex
} sequence;

// Copies x [n][c->model.input] and y [n][c->model.output], both widths above 0.  Errors: BAD_INPUT (n = 0; a number
// that is not finite), BAD_CONFIG (valid), NO_MEMORY.
bptt_status sequence_open(const float *x, const float *y, size_t n, const bptt_trainer_config *c, sequence *s,
                          bptt_error *e);
void sequence_close(sequence *s);
size_t sequence_bytes(const sequence *s); // of x and y
// BAD_INPUT: a target outside 0..1.
bptt_status sequence_check_probabilities(const sequence *s, bptt_error *e);
// Window k of B streams: x[t][b] = row b*len + k*T + t, len = n_train / B; y likewise. x [T][B][I], y [T][B][M].
void sequence_window(const sequence *s, size_t B, size_t T, size_t k, float *x, float *y);
// Positions of the validation loss: the steps of the validation part after the first burn_in.
size_t sequence_validated(const sequence *s, size_t burn_in);

#endif
