// Transfers to and from memory of exact numbers (BPTT_FP, BPTT_DUAL).
#ifndef EXACT_H
#define EXACT_H

#include "backend.h"

// As they are; from F32, F64 and FP, whose derivative is 0, without rounding; to F64 the value, which is only told
// apart from what is not finite.
bptt_status exact_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
bptt_status exact_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);

#endif
