// Gradients in double against numerical derivatives: the complex step and Taylor remainders.
#ifndef STEP_H
#define STEP_H

#include "identity.h"

typedef struct step_found {
    size_t elements; // compared
    double worst;    // largest |got - want| of a tensor over the largest |want| of it; infinite where one is no number
    char where[120]; // that tensor and net
} step_found;

// The complex step: the same plans over complex numbers, one element moved by i 1e-30: the imaginary part of the loss,
// over 1e-30, is that element's derivative, without cancellation. Checks at most `most` elements of each tensor, of
// the first state and of the dense input. judged: the backend under test, over double.
bptt_status step_net(const bptt_backend *judged, const net_case *c, size_t most, step_found *f, bptt_error *e);

// Taylor: R(s) = f(s) - f(0) - s <gradient, direction> along a random direction of all parameters and the first state.
// *least, *largest: of log2 R(2s) / R(s) over steps that are halved. 2 if the gradient is right, 1 if not.
bptt_status taylor_net(const bptt_backend *judged, const net_case *c, double *least, double *largest, bptt_error *e);

#endif
