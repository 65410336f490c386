// cuDNN's recurrent layers, driven by themselves: training mode, one direction, dense input as wide as the layers, both
// biases, states from zero; the gradient is that of given cotangents of y. A combination that cuDNN does not have is a
// status and a sentence.
#ifndef CUDNN_RNN_H
#define CUDNN_RNN_H

#include "cudnn_api.h"

typedef struct cudnn_rnn_config {
    unsigned cell;      // NN_TANH, ...
    unsigned algorithm; // NN_STANDARD, ...: of the forward pass
    unsigned backward;  // the same of both backward calls; PyTorch mixes SMALL_H and STANDARD
    bptt_precision precision;
    bool packed; // sequences as packed ones (all are T long, so memory is the same), else padded as PyTorch does
    bool graph;  // each part is captured once and replayed
    size_t H, L, B, T;
} cudnn_rnn_config;

// Parts. DATA: gradients of x and of the first states. WEIGHTS: of the weights, set to zero first, since cuDNN adds.
typedef enum cudnn_part { CUDNN_FORWARD, CUDNN_DATA, CUDNN_WEIGHTS, CUDNN_BOTH, CUDNN_PARTS } cudnn_part;

typedef struct cudnn_rnn cudnn_rnn;

// Errors: NO_BACKEND (no cuDNN, no GPU), BAD_CONFIG (cuDNN refuses the combination), NO_MEMORY, DEVICE.
bptt_status cudnn_rnn_open(const cudnn_rnn_config *c, cudnn_rnn **out, bptt_error *e);
void cudnn_rnn_close(cudnn_rnn *r); // NULL is fine
// True if cuDNN refused bf16 with NN_TENSOR_OP_MATH and runs with NN_DEFAULT_MATH instead.
bool cudnn_rnn_default_math(const cudnn_rnn *r);
// x, dy [T][B][H]; w: of each layer W_ih [G*H][H], W_hh [G*H][H], b_ih [G*H], b_hh [G*H], gates in PyTorch's order.
// Converted to the type that the precision says.
bptt_status cudnn_rnn_write(cudnn_rnn *r, const float *x, const float *dy, const float *w, bptt_error *e);
// Runs one part several times; *seconds is the device time of all of them (events on the stream). DATA must follow a
// FORWARD, WEIGHTS a DATA. Repetitions of either do the same work; only the first result is meaningful.
bptt_status cudnn_rnn_go(cudnn_rnn *r, cudnn_part part, size_t times, double *seconds, bptt_error *e);
bptt_status cudnn_rnn_read(cudnn_rnn *r, float *y, float *dx, float *dw, bptt_error *e);

#endif
