// The layers of an open run by themselves (plan_layers in run.h): no decoder, no loss, no update.
//
//   bare_open(r, &b, &e);  bare_write(&b, x, dy, BPTT_F32, &e);
//   bare_go(&b, LAYERS_BOTH, 20, &e);        // twenty times, then waits: the region to time
//   bptt_run_read, bptt_model_read            // states, dx, dh0; gradients. bptt.h writes weights and first state
#ifndef BARE_LAYERS_H
#define BARE_LAYERS_H

#include "run.h"

enum { BARE_PARTS = LAYERS_BOTH + 1 };

typedef struct bare_layers {
    bptt_run *r; // the caller's
    bptt_mat dy; // [N][H]
    bptt_buf *block[LAYOUT_BLOCKS];
    bptt_plan plan[BARE_PARTS];
    void *handle[BARE_PARTS];
} bare_layers;

// r: of a dense model, gradient = 1; outlives b. Errors: NO_MEMORY, DEVICE; nothing is left then.
bptt_status bare_open(bptt_run *r, bare_layers *b, bptt_error *e);
void bare_close(bare_layers *b); // NULL, and one that is all zeros, are fine
// x [T][B][I], dy [T][B][H], packed. Sets the loss scale to 1: dy is not the gradient of a loss and needs no scaling.
bptt_status bare_write(bare_layers *b, const void *x, const void *dy, bptt_type as, bptt_error *e);
// Queues one part so many times and waits for all. Each FORWARD and BOTH carries its last state on to the next.
bptt_status bare_go(bare_layers *b, layers_part part, size_t times, bptt_error *e);
// y [T][B][H]: the top layer's states after each step.
bptt_status bare_read_top(bare_layers *b, void *y, bptt_type as, bptt_error *e);

#endif
