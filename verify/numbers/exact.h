// Transfers to and from memory of exact numbers (BPTT_FP, BPTT_DUAL).
#ifndef EXACT_H
#define EXACT_H

#include "backend.h"

// Copies exact numbers unchanged. F32, F64 and FP convert without rounding, with derivative 0. F64 receives the value,
// good only for a test whether it is finite.
bptt_status exact_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
bptt_status exact_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);

#endif
