// Ops on one thread: a whole op or a tile of it.
#ifndef OPS_H
#define OPS_H

#include "loops.h"

typedef struct cpu_tools {
    const loops *loops;
    bptt_backend ref; // runs ops without a faster loop, and odd strides
    float *room;      // loops->room floats for each thread
} cpu_tools;

// packed: the right operand of a GEMM as product() takes it, or NULL. thread: the number of the one it runs on.
void cpu_run_op(const cpu_tools *c, bptt_device *d, const bptt_op *s, const float *packed, const bptt_slots *slots,
                unsigned thread);

#endif
