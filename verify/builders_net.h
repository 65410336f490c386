// A small model with its own window, for the claims about windows.
#ifndef BUILDERS_NET_H
#define BUILDERS_NET_H

#include "builders.h"

enum { NET_TENSORS = 12 };

typedef struct small_net {
    bptt_model *m;
    size_t V, I, H, L, B, T; // I 0: tokens
    size_t tensors, size[NET_TENSORS];
    double *w[NET_TENSORS];  // the weights, for who chooses them
    double *x, *h0;          // [T][B][I] dense; [L][B][H]
    int32_t *token, *target; // [T][B]
    float *weight, *keep;    // [T][B]
} small_net;

// Results of a window.
typedef struct outcome {
    double loss, weight;
    double *g[NET_TENSORS];           // gradient
    double *states, *last, *dh0, *dx; // [L][T+1][B][H], [L][B][H], [L][B][H], [T][B][I] (dense models)
} outcome;

// Call with the sizes set in n. Opens the model and allocates all arrays above; leaves nothing open on failure.
bptt_status small_net_open(small_net *n, const compute_place *p, bptt_cell cell, scratch *mem, bptt_error *e);
void small_net_close(small_net *n);
bptt_status small_net_write(small_net *n, bptt_error *e); // w into the model
void small_net_tokens(small_net *n, uint64_t *random);    // random tokens and targets

// Fills n with small whole numbers such that relu nets never round: recurrent weights are signed permutations, so
// states and their gradients grow by addition only; logits differ so much that a softmax is exactly 0 or 1. The
// caller's position weights must be whole numbers whose sum is a power of two.
void small_net_whole(small_net *n, uint64_t *random);

// A piece of n's window: steps first .. first + T - 1 of the rows row .. row + B - 1, from h0 [L][B][H].
typedef struct window_piece {
    size_t first, T, row, B;
    const double *h0;
    const double *dlast; // [L][B][H] or NULL: see bptt_run_write_last_gradient
    const float *weight; // of the whole window, or NULL: ones
    bool keep;           // with n->keep
} window_piece;

outcome outcome_make(const small_net *n, size_t T, size_t B, scratch *mem);
bptt_status small_net_go(small_net *n, const window_piece *p, outcome *o, scratch *mem, bptt_error *e);

// Whole numbers 0..2 for `count` weights, and the rest of `sum` on one of them.
void weights_that_sum(uint64_t *random, float *weight, size_t count, size_t sum);

#endif
