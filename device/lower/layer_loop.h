// The loop of a layer as one unit, for backends with a kernel that runs a layer through all steps of time.
#ifndef LAYER_LOOP_H
#define LAYER_LOOP_H

#include "backend.h"

// The operands of a layer's loop at its first step; move[0] of each leads to the next step. B batch rows, H columns.
typedef struct layer_loop {
    bptt_cell cell;
    bool backward, masked; // masked: the states are multiplied by keep
    size_t T, B, H;
    bptt_mat keep;  // [B][1]; absent unless masked
    bptt_mat h;     // [B][H]; forward: the state before the step, and one step further the state after it, which
                    // holds the input's part of z before; backward: the state after the step
    bptt_mat kept;  // [B][H] forward, if masked: keep h
    bptt_mat w;     // [H][H] forward W_hh, backward its transpose, stored or as a view
    bptt_mat b, b2; // [1][H] forward; may be absent
    bptt_mat dz;    // [B][H] backward: the gradient of h, which turns into dz; one step further, that of the state
                    // before, which the loop adds to
    bptt_mat dkept; // [B][H] backward, if masked: the gradient of kept, overwritten at every step
} layer_loop;

// False if the loop is not a layer's, or its operands are not float matrices of these shapes that do not overlap, with
// sizes below 2^31: its ops must then run one by one.
bool layer_loop_of(const bptt_op *loop, layer_loop *out);

#endif
