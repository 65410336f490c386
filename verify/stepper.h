// A net over double and over complex numbers, with a window, for step.c and taylor.c.
#ifndef STEPPER_H
#define STEPPER_H

#include "model.h"
#include "run.h"
#include "step.h"

typedef struct stepper {
    net_case c;
    size_t N, states, inputs; // T*B; L*B*S*H; N*I
    bptt_model *real, *complex_;
    bptt_run *r, *ahead;     // r over double, with gradient; ahead over complex numbers, forward only
    double *h0, *dense;      // [states], [inputs]; h0 owns both
    int32_t *token, *target; // [N] each; token owns both
    float *weight, *keep;    // [N] each; weight owns both
    double *dense_target;    // [N][M]
} stepper;

// Leaves nothing open on failure.
bptt_status stepper_open(stepper *p, const bptt_backend *judged, const net_case *c, bptt_error *e);
void stepper_close(stepper *p);
bptt_window stepper_window(const stepper *p, const void *dense, bptt_type type);
double stepper_draw(uint64_t *random); // in [-1, 1)

#endif
