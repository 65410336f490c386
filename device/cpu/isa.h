// Questions of verify/ to the cpu backend about one instruction set. To run it: bptt_compute.isa.
#ifndef ISA_H
#define ISA_H

#include "backend.h"

const char *bptt_cpu_loops(bptt_isa isa); // the name of its loops; NULL: this processor lacks it
// y = f32_sigmoid(x) by its loops, for `bptt verify activation`: cells have it in loops of their own.
void bptt_cpu_sigmoid(bptt_isa isa, size_t n, const float *x, float *y);

#endif
