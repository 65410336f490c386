// All floats in a row, and the distance between a float and an exact value.
#ifndef FLOATS_H
#define FLOATS_H

#include "f32.h"

#include <math.h>
#include <stdint.h>

#define FLOATS_TO_INF UINT64_C(0x7f800001) // from 0 to infinity, both counted
#define FLOATS_NUMBERS (2 * FLOATS_TO_INF) // all that are not NaN

// n < 2^32: in ascending order from -inf to inf, both zeros among them, then every NaN.
static inline float nth_float(uint64_t n)
{
    if (n < FLOATS_TO_INF) return F32_FROM_BITS(0xff800000u - (f32_bits)n);
    if (n < FLOATS_NUMBERS) return F32_FROM_BITS((f32_bits)(n - FLOATS_TO_INF));
    const f32_bits nan = (f32_bits)(n - FLOATS_NUMBERS);
    return F32_FROM_BITS(nan < 0x7fffffu ? 0x7f800001u + nan : 0xff800001u + (nan - 0x7fffffu));
}

// Its inverse, of numbers.
static inline uint64_t place_of(float x)
{
    const f32_bits u = F32_TO_BITS(x);
    return u >> 31 ? 0xff800000u - u : FLOATS_TO_INF + u;
}

// |y - exact| in ulp, the distance between the floats around exact; infinity counts as 2^128. NaN gives NaN.
static inline double ulp_error(float y, double exact)
{
    int e = 0;
    frexp(exact, &e);
    if (e < -125) e = -125;
    if (e > 128) e = 128;
    const double top = 0x1p128, v = isinf(y) ? copysign(top, (double)y) : (double)y;
    if (fabs(exact) > top) exact = copysign(top, exact);
    return fabs(v - exact) * ldexp(1, 24 - e);
}

#endif
