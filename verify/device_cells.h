// The cells of whole numbers over 64-bit integers, written independently of device/cells.h and device/gated_cells.h.
// tanh, sigmoid and `bounded` are x minus its nearest multiple of 5; that of a sum of products is computed from those
// of their operands. Slopes are the same of y y.
#ifndef DEVICE_CELLS_H
#define DEVICE_CELLS_H

#include "backend.h"

enum { WHOLE_BLOCKS = 6, WHOLE_STATES = 2 };

// z, before, after, dafter, dbefore: one unit, as in gated_cells.h. *size: raised to the largest product or sum of
// |terms|. BPTT_WHOLE alone is a cell of one block and one state whose dz is not bounded.
typedef struct whole_cell {
    const char *word; // of the gated cell; "": elementwise
    size_t blocks, states;
    // Blocks of z of the blocks of rows of each tensor in a file. Second bias: of hidden and mixed, or, with one bias,
    // of `alone`
    const char *input, *hidden, *mixed, *alone;
    void (*forward)(int64_t *z, const int64_t *before, int64_t *after, double *size);
    void (*backward)(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter, int64_t *dbefore,
                     double *size);
    int64_t (*mix)(int64_t *z, int64_t h, double *size); // NULL: no second product
    int64_t (*mix_backward)(int64_t *z, int64_t h, int64_t du, double *size);
} whole_cell;

extern const whole_cell whole_cells[];
extern const size_t whole_cell_count;
// NULL: there are no formulas for it here. c: BPTT_WHOLE, or the number of a gated cell with or without BPTT_WHOLE.
const whole_cell *whole_cell_of(bptt_cell c);

// y is z minus the nearest multiple of 5; the slope is the factor of the reverse pass, from y.
int64_t whole_value(int64_t z);
int64_t whole_slope(int64_t y);

#endif
