// The entries on one thread, for a whole step or a tile of it.
#ifndef ONE_H
#define ONE_H

#include "blas.h"
#include "loops.h"

typedef struct cpu_tools {
    const loops *loops;
    blas blas;
    bptt_backend ref; // for what has no faster loop, and odd strides
} cpu_tools;

void run_entry(const cpu_tools *c, bptt_device *d, const bptt_op *s, const bptt_slots *slots);

#endif
