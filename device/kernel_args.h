// The constants of the kernels in kernels.h: one text for the host and every device language.
// The including file defines word (unsigned, 64 bits) and count (unsigned, 32 bits). All members have 4 or 8 bytes, the
// large ones first, so that all compilers use the same layout.
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
    int gradient;  // softmax_xent, dense_loss
    int loss;      // bptt_loss: the numbers of LOSS_LIST
    int optimizer; // bptt_optimizer: the numbers of OPTIMIZER_LIST
    int by_norm, by_value;
    int half_kind; // format of 16-bit operands: HALF_BF16, HALF_FP16 (half.h); 0: none
    float value;   // fill
    float clip;
#define RULE_CONSTANT(name, value) float name;
    RULE_CONSTANT_LIST(RULE_CONSTANT)
#undef RULE_CONSTANT
} op_constants;

// The constants of kernels that run the whole loop of a layer. Operands are those of the first step of the loop; a
// stride is the distance in elements to the next step, modulo 2^64 (negative backward in time).
typedef struct layer_constants {
    word stride_h, stride_dz, stride_kept, stride_keep, stride_z, stride_u;
    count T, B, H;
    count hidden_at, mixed_at; // gated cells: first column of z of each product
    int cell, masked;          // masked: keep is applied
    int resident;              // the recurrent weights are copied to local memory; 0: read from global memory
} layer_constants;

// Slots, the values that change from run to run, are SLOTS floats in device memory.
#define SLOT_PER_WEIGHT 0 // 1 / sum of the weights of the window; 0 if that is 0
#define SLOT_RATE 1
#define SLOT_ROOT 2
#define SLOTS 4

// Elements of a partial sum: columns of a row, rows of a column.
#define SUM_PIECE 1024
#define COLSUM_ROWS 64

#endif
