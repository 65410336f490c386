// The loop of a layer as one unit, for backends with a kernel that runs a layer through all steps of time.
#ifndef LAYER_LOOP_H
#define LAYER_LOOP_H

#include "backend.h"

// The operands of a layer's loop at its first step; move[0] of each leads to the next step. B batch rows, H units, S*H
// columns of states: H for elementwise cells.
typedef struct layer_loop {
    bptt_cell cell;
    bool backward, gated, masked; // masked: the states are multiplied by keep
    size_t T, B, H;
    bptt_mat keep;  // [B][1]; absent unless masked
    bptt_mat h;     // [B][S*H]; forward: the state before the step, and one step further the state after it, which
                    // holds the input's part of z of an elementwise cell before; backward: the state after the step
    bptt_mat kept;  // [B][S*H]; forward, if masked: keep h; backward of a gated cell: the state before the step, kept
    bptt_mat w;     // forward W_hh, backward its transpose, stored or as a view; elementwise cell: [H][H]; gated cell:
                    // [H][columns of z], backward [columns of z][H]; may be absent
    bptt_mat b, b2; // [1][H] forward, gated cell [1][columns of z]; may be absent
    bptt_mat dz;    // [B][S*H] backward: the gradient of the state, of an elementwise cell turned into dz; one step
                    // further, that of the state before, which the loop adds to
    bptt_mat dkept; // [B][S*H] backward, if masked: the gradient of kept, overwritten at every step
    // Gated cells only:
    bptt_mat z;                 // [B][blocks*H]; backward: turns into dz
    size_t hidden_at, mixed_at; // first column of z of the product with w, with mixed
    bptt_mat u;                 // [B][H] if mixed is there: operand of the second product; backward: its gradient
    bptt_mat mixed;             // like w: of the second product inside a step; may be absent
} layer_loop;

// False if the loop is not a layer's, or its operands are not float matrices of these shapes that do not overlap, with
// sizes below 2^31: its ops must then run one by one.
bool layer_loop_of(const bptt_op *loop, layer_loop *out);

#endif
