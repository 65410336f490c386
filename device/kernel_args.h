// The constants of the kernels in kernels.h: one text for the host and every device language.
// Before it is included: word (unsigned, 64 bits) and count (unsigned, 32 bits). Only members of 4 and 8 bytes, the
// large ones first, so that all compilers lay them out alike.
#ifndef KERNEL_ARGS_H
#define KERNEL_ARGS_H

#include "optimizer_list.h"

// A matrix: element (i, j) of its buffer is at + i*down + j*across. rows = 0: the operand is absent.
typedef struct view {
    word at;
    count rows, cols, down, across;
} view;

// The constants of an op, as in bptt_op.
typedef struct op_constants {
    int alpha, beta;
    int cell;      // bptt_cell: the numbers of CELL_LIST
    int gradient;  // softmax_xent
    int optimizer; // bptt_optimizer: the numbers of OPTIMIZER_LIST
    int by_norm, by_value;
    int half_kind; // numbers of 16 bits: HALF_BF16, HALF_FP16 (half.h); 0: there are none
    float value;   // fill
    float clip;
#define RULE_CONSTANT(name, value) float name;
    RULE_CONSTANT_LIST(RULE_CONSTANT)
#undef RULE_CONSTANT
} op_constants;

// The constants of kernels that run the whole loop of a layer. Operands are those of the loop's first step; a stride is
// how many elements they move by from one step to the next, modulo 2^64: backward in time it is negative.
typedef struct layer_constants {
    word stride_h, stride_dz, stride_kept, stride_keep;
    count T, B, H;
    int cell, masked; // masked: keep is applied
    int resident;     // the recurrent weights are copied into local memory; else read where they lie
} layer_constants;

// What changes from run to run lies in device memory: SLOTS floats.
#define SLOT_PER_WEIGHT 0 // 1 / sum of the weights of the window; 0 if that is 0
#define SLOT_RATE 1
#define SLOT_ROOT 2
#define SLOTS 4

// Partial sums: of as many columns of a row, of as many rows of a column.
#define SUM_PIECE 1024
#define COLSUM_ROWS 64

#endif
