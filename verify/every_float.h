// All floats in a row, and the distance between a float and an exact value.
#ifndef EVERY_FLOAT_H
#define EVERY_FLOAT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define FLOATS UINT64_C(0x100000000)
#define FLOATS_TO_INF UINT64_C(0x7f800001) // from 0 to infinity, both counted
#define FLOATS_NUMBERS (2 * FLOATS_TO_INF) // all that are not NaN

static inline uint32_t bits_of_float(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float float_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// n < 2^32: in ascending order from -inf to inf, both zeros among them, then every NaN.
static inline float nth_float(uint64_t n)
{
    if (n < FLOATS_TO_INF) return float_of_bits(0xff800000u - (uint32_t)n);
    if (n < FLOATS_NUMBERS) return float_of_bits((uint32_t)(n - FLOATS_TO_INF));
    const uint32_t nan = (uint32_t)(n - FLOATS_NUMBERS);
    return float_of_bits(nan < 0x7fffffu ? 0x7f800001u + nan : 0xff800001u + (nan - 0x7fffffu));
}

// Its inverse, of numbers.
static inline uint64_t place_of(float x)
{
    const uint32_t u = bits_of_float(x);
    return u >> 31 ? 0xff800000u - u : FLOATS_TO_INF + u;
}

// 2^n as a normal double.
static inline double power_of_two(int n)
{
    const uint64_t u = (uint64_t)(1023 + n) << 52;
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// |y - exact| in ulp, the distance between the floats around exact; infinity counts as 2^128. NaN gives NaN.
static inline double ulp_error(float y, double exact)
{
    uint64_t u;
    memcpy(&u, &exact, sizeof u);
    int e = (int)(u >> 52 & 2047u) - 1022; // 2^(e-1) <= |exact| < 2^e, but for what the next lines see to
    if (e < -125) e = -125;
    if (e > 128) e = 128;
    const double top = 0x1p128, v = isinf(y) ? copysign(top, (double)y) : (double)y;
    if (fabs(exact) > top) exact = copysign(top, exact);
    return fabs(v - exact) * power_of_two(24 - e);
}

#endif
