// A trace in memory, in binary64 (host/trace.h describes the file), and the checks that recompute it.
#ifndef TRACE_WINDOW_H
#define TRACE_WINDOW_H

#include "model.h"

// The tensors of a layer, or their gradients, in PyTorch's shapes. NULL: the model has none.
typedef struct trace_layer {
    double *of[LAYER_TENSORS];
} trace_layer;

typedef struct trace_window {
    size_t V, H, L, T, B;
    size_t W, ZH;            // S*H columns of states, blocks*H of dz
    bptt_model_config model; // cell and biases only
    uint64_t update;
    double unit;                    // roundoff of the run's numbers: 2^-24, or 2^-53
    double operand;                 // of what its products round their operands to, 0 where that is nothing
    char where[160];                // "cpu, fp32"
    size_t *token, *target;         // [T][B]
    double *keep;                   // [T][B]: 0 or 1, multiplies the states before the step
    double *states;                 // [L][T+1][B][W]
    double *dz;                     // [L][T][B][ZH]
    double *dstates, *mixed;        // [L][T+1][B][W], [L][T][B][H]; NULL: the cell has none
    double *losses;                 // [T][B]
    trace_layer *weight, *gradient; // [L]
    double *out_weight, *out_bias;  // [V][H], [V]
    double *grad_out_weight, *grad_out_bias;
    void **block; // all of the above, for trace_close
    size_t blocks;
} trace_window;

// folder/TRACE_FILE.  Errors: NO_INPUT, IO, NO_MEMORY; BAD_FILE: damaged, no trace, or one that cannot be.
bptt_status trace_open(const char *folder, trace_window **w, bptt_error *e);
void trace_close(trace_window *w); // NULL is fine

static inline const double *trace_state(const trace_window *w, size_t l, size_t t, size_t b)
{
    return w->states + ((l * (w->T + 1) + t) * w->B + b) * w->W;
}

static inline double trace_keep(const trace_window *w, size_t t, size_t b) { return w->keep[t * w->B + b]; }

static inline const double *trace_dz(const trace_window *w, size_t l, size_t t, size_t b)
{
    return w->dz + ((l * w->T + t) * w->B + b) * w->ZH;
}

// Errors of one kind of numbers.
typedef struct finding {
    double error; // largest |stored - recomputed|, with what the recomputation may be off by added: certified
    double slack; // largest of those additions
    double ratio; // largest error / sum of |terms|
    double share; // largest error / what an honest product stays below; see trace_terms.c
    size_t at;    // element with the largest error, as stored
    size_t n;     // numbers compared
    bool holds;   // all finite, and no share above 1
} finding;

// Each function recomputes one step at a time from stored numbers only, never from recomputed ones.
bptt_status certify_states(const trace_window *w, finding *f, bptt_error *e);
// dstates: of gated cells, whose dz depends on the stored gradients of the states; no numbers for the others.
bptt_status certify_dz(const trace_window *w, finding *dz, finding *dstates, bptt_error *e);
// From the stored states and dz: weights, biases, the decoder's two, of all layers together.
typedef struct gradient_findings {
    finding weights, biases, decoder;
} gradient_findings;
bptt_status certify_gradient(const trace_window *w, gradient_findings *f, bptt_error *e);
bptt_status certify_losses(const trace_window *w, finding *f, bptt_error *e);

#endif
