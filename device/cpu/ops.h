// Ops on one thread: a whole op or a tile of it.
#ifndef OPS_H
#define OPS_H

#include "blas.h"
#include "loops.h"

typedef struct cpu_tools {
    const loops *loops;
    blas blas;
    bptt_backend ref; // runs ops without a faster loop, and odd strides
} cpu_tools;

// packed: the right operand of a GEMM as multiply() takes it, or NULL.
void cpu_run_op(const cpu_tools *c, bptt_device *d, const bptt_op *s, const float *packed, const bptt_slots *slots);

#endif
