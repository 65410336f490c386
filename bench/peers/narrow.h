// Between float and the two 16-bit types, on the host: to the nearest, ties to even; too large becomes infinite.
#ifndef NARROW_H
#define NARROW_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline uint16_t to_bf16(float x)
{
    const uint32_t u = bits_of(x);
    if (isnan(x)) return (uint16_t)(u >> 16 | 0x40); // stays one
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

static inline float from_bf16(uint16_t b) { return of_bits((uint32_t)b << 16); }

// 10 bits of fraction; smallest normal 2^-14, smallest 2^-24. Rounding is the processor's: a float of that size is
// rounded to a multiple of the last place by adding a number whose own last place that is.
static inline uint16_t to_f16(float x)
{
    const uint32_t sign = bits_of(x) >> 16 & 0x8000;
    const float a = fabsf(x);
    if (isnan(x)) return (uint16_t)(sign | 0x7E00);
    if (a >= 65520) return (uint16_t)(sign | 0x7C00);
    if (a < 0x1p-14f)
        return (uint16_t)(sign | (uint32_t)nearbyintf(a * 0x1p24f)); // carries into the exponent as it should
    const uint32_t u = bits_of(a), round = 0xFFF + (u >> 13 & 1);
    return (uint16_t)(sign | (((u + round) >> 13) - (112u << 10)));
}

static inline float from_f16(uint16_t b)
{
    const float sign = b & 0x8000 ? -1 : 1;
    const uint32_t exponent = b >> 10 & 31, fraction = b & 0x3FF;
    if (exponent == 0) return sign * (float)fraction * 0x1p-24f;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    return sign * of_bits((exponent + 112) << 23 | fraction << 13);
}

#endif
