// One step of each gated cell modulo p, from the tensors of a file, written independently of device/gated_cells.h: the
// formulas of PyTorch's modules, or of the papers, over modp.h. tanh and sigmoid are the uninterpreted functions of
// numbers/field.h.
#ifndef GATED_STEPS_H
#define GATED_STEPS_H

#include "backend.h"

// A layer: I columns of weight_ih, H units, 1 or 2 biases, and its parameters in the order of the model's tensors.
typedef struct gated_layer {
    bptt_cell cell;
    size_t I, H;
    int biases;
    const uint64_t *parameters;
} gated_layer;

// False: this file has no formula for the cell; the other functions are not to be called.
bool gated_steps_have(bptt_cell cell);
size_t gated_layer_parameters(const gated_layer *l);
// One row: after [S*H] from x [I] and the states before, [S*H]. room: H words.
void gated_layer_step(const gated_layer *l, const uint64_t *x, const uint64_t *before, uint64_t *after, uint64_t *room);

#endif
