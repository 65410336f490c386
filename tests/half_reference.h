// Reference for half.h: decoding of 16-bit floats and rounding to the nearest, in double, from the definition.
#ifndef HALF_REFERENCE_H
#define HALF_REFERENCE_H

#include <math.h>
#include <stdbool.h>

typedef struct half_kind {
    int kind;           // op_constants.half_kind
    int bits;           // of the mantissa, without the first
    int least, most;    // exponents of normal numbers
    unsigned inf, sign; // bits
    const char *name;
} half_kind;

static const half_kind HALF_KIND[] = {{1, 7, -126, 127, 0x7f80, 0x8000, "bfloat16"},
                                      {2, 10, -14, 15, 0x7c00, 0x8000, "binary16"}};
enum { HALF_KINDS = 2 };

static inline double half_worth(const half_kind *k, unsigned h)
{
    const double sign = h & k->sign ? -1 : 1;
    const unsigned a = h & 0x7fffu, mantissa = a & ((1u << k->bits) - 1);
    const int e = (int)(a >> k->bits);
    if (a > k->inf) return NAN;
    if (a == k->inf) return sign * INFINITY;
    return sign * (e ? ldexp(1 + ldexp(mantissa, -k->bits), e - 1 + k->least) : ldexp(mantissa, k->least - k->bits));
}

// x rounded to the nearest of them, ties to even, infinity from half a unit above the largest on.
static inline double half_nearest(const half_kind *k, double x)
{
    if (x == 0 || !isfinite(x)) return x;
    const int e = ilogb(x) < k->least ? k->least : ilogb(x);
    const double unit = ldexp(1, e - k->bits), y = nearbyint(x / unit) * unit;
    return fabs(y) >= ldexp(1, k->most + 1) ? copysign(INFINITY, x) : copysign(y, x);
}

// True if h encodes `want`, including the sign of zero; any quiet NaN matches NaN.
static inline bool half_is(const half_kind *k, unsigned h, double want)
{
    const double is = half_worth(k, h);
    if (isnan(want)) return isnan(is) && (h >> (k->bits - 1) & 1);
    return is == want && !signbit(is) == !signbit(want);
}

#endif
