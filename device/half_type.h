// Element types and precisions of 16 bits, on the host.
#ifndef HALF_TYPE_H
#define HALF_TYPE_H

#include "backend.h"
#include "half.h"

static inline bool type_is_half(bptt_type t) { return t == BPTT_BF16 || t == BPTT_F16; }

// The element type of GEMM operands.
static inline bptt_type precision_type(bptt_precision p)
{
    return p == BPTT_PRECISION_BF16 ? BPTT_BF16 : p == BPTT_PRECISION_FP16 ? BPTT_F16 : BPTT_F32;
}

static inline bool precision_is_half(bptt_precision p) { return type_is_half(precision_type(p)); }

// op_constants.half_kind of an element type; 0: not a 16-bit float.
static inline int half_kind_of(bptt_type t) { return t == BPTT_BF16 ? HALF_BF16 : t == BPTT_F16 ? HALF_FP16 : 0; }

#endif
