// The laws of the part `builders` and the places where they are checked.
#ifndef BUILDERS_H
#define BUILDERS_H

#include "bptt_cells.h"
#include "builders_tools.h"
#include "verify.h"

// ---- cells ----------------------------------------------------------------------------------------------------------

// Laws of chains, one tally each.
typedef enum chain_law {
    BUILDER_DERIVATIVE, // jvp is the derivative of apply, exactly, in whole numbers
    BUILDER_ADJOINT,    // vjp is the adjoint of jvp, likewise
    BUILDER_STOPS,      // truncation and feedback pass nothing on
    CHAIN_DERIVATIVE,   // joined steps: jvp is the derivative of forward, exactly, along straight pieces of relu
    CHAIN_ADJOINT,      // joined steps: <J d, s> = <d, J' s> within the roundings
    CHAIN_GLUED,        // cut anywhere: the same bits
    CHAIN_LAWS
} chain_law;

// own: a builder of the user's own, at most quadratic in the trace, for any sizes; NULL: one that reads all five
// tensors.
bptt_status chain_laws(const bptt_builder *own, tally t[CHAIN_LAWS], bptt_error *e);
bptt_builder whole_trace_builder(void); // that one

// ---- windows --------------------------------------------------------------------------------------------------------

// Backend, device and number type of a model.
typedef struct compute_place {
    const char *backend, *device;
    bptt_type type;
    bptt_lowering lowering;
    const char *name; // "ref f64"
} compute_place;

typedef enum window_law {
    GLUE_BITS,      // [0, k) and [k, T) joined by dh(k): states, dz, dh(0) are those of [0, T), to the last bit
    GLUE_SUMS,      // dW, db within the roundings of their sums
    GLUE_WHOLE,     // everything, exactly, in whole numbers
    CAUSAL_FORWARD, // inputs from step k on do not change states or losses before
    CAUSAL_BACK,    // nor the gradient of losses before; gradients of inputs after the last weight are 0
    DOCUMENTS,      // weight, keep: a packed window is its documents one by one, exactly, in whole numbers
    WINDOW_LAWS
} window_law;

bptt_status glue_laws(const compute_place *p, tally t[WINDOW_LAWS], bptt_error *e);
bptt_status causal_laws(const compute_place *p, tally t[WINDOW_LAWS], bptt_error *e);
bptt_status document_laws(const compute_place *p, tally t[WINDOW_LAWS], bptt_error *e);

#endif
