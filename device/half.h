// Conversion between float and 16-bit floats, round to nearest even: one text, legal as C11, OpenCL C 1.2 and CUDA C.
// It uses only integer operations and one exact subtraction, so all devices give the same bits, whether they flush
// subnormal numbers or not. Included after f32.h.
//
//   half_of(kind, x)     float to 16 bits; kind as op_constants.half_kind: HALF_BF16, HALF_FP16
//   half_float(kind, h)  16 bits to float, exact
//
// Overflow gives infinity. Subnormal numbers and the signs of zeros are kept. A NaN becomes a quiet NaN with its sign
// and leading bits.
#ifndef HALF_H
#define HALF_H

#include "f32.h"

typedef unsigned short half_bits; // storage type

#define HALF_BF16 1 // bfloat16
#define HALF_FP16 2 // IEEE 754 binary16

// Rounds away the lowest `drop` bits, 1 <= drop <= 31; the caller leaves room for the carry.
F32_INLINE f32_bits half_round(f32_bits u, f32_bits drop)
{
    return (u + (1u << (drop - 1)) - 1u + (u >> drop & 1u)) >> drop;
}

F32_INLINE half_bits half_bf16(float x)
{
    const f32_bits u = F32_TO_BITS(x);
    const int nan = (u & 0x7fffffffu) > 0x7f800000u;
    return (half_bits)f32_choose(nan, u >> 16 | 0x0040u, half_round(u & 0x7fffffffu, 16) | (u >> 16 & 0x8000u));
}

// From 2^-14 on the exponent changes its bias from 127 to 15. Below, the mantissa with its first bit is shifted into
// units of 2^-24: by 14 to 24, and from 25 on nothing is left of it.
F32_INLINE half_bits half_fp16(float x)
{
    const f32_bits u = F32_TO_BITS(x), a = u & 0x7fffffffu, e = a >> 23;
    const f32_bits mantissa = (a & 0x007fffffu) | 0x00800000u;
    const f32_bits shift = f32_choose(e > 112u, 14u, f32_choose(e < 101u, 25u, 126u - e));
    f32_bits h = f32_choose(a < 0x38800000u, half_round(mantissa, shift), half_round(a - 0x38000000u, 13));
    h = f32_choose(a >= 0x47800000u, 0x7c00u, h); // 2^16 and above, infinity
    h = f32_choose(a > 0x7f800000u, 0x7e00u | (a >> 13 & 0x01ffu), h);
    return (half_bits)(h | (u >> 16 & 0x8000u));
}

F32_INLINE half_bits half_of(int kind, float x) { return kind == HALF_BF16 ? half_bf16(x) : half_fp16(x); }

F32_INLINE float half_float_bf16(half_bits h) { return F32_FROM_BITS((f32_bits)h << 16); }

// A subnormal number is put behind the first bit of 2^-14, which is then taken off.
F32_INLINE float half_float_fp16(half_bits h)
{
    const f32_bits sign = ((f32_bits)h & 0x8000u) << 16, a = (f32_bits)h & 0x7fffu;
    const f32_bits small = F32_TO_BITS(F32_FROM_BITS(0x38800000u + ((a & 0x03ffu) << 13)) - 0x1p-14f);
    f32_bits u = f32_choose(a < 0x0400u, small, (a << 13) + 0x38000000u);
    u = f32_choose(a >= 0x7c00u, (a << 13) | 0x7f800000u, u);
    return F32_FROM_BITS(u | sign);
}

F32_INLINE float half_float(int kind, half_bits h)
{
    return kind == HALF_BF16 ? half_float_bf16(h) : half_float_fp16(h);
}

#endif
