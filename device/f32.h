// The elementary functions of the float backends: one text, legal as C11, OpenCL C 1.2 and CUDA C.
//
//   f32_exp(x)       e^x; +0 where e^x is below the smallest normal number
//   f32_log(x)       log x; -inf at 0, NaN below; subnormals count
//   f32_tanh(x)      odd, |y| <= 1
//   f32_sigmoid(x)   1 / (1 + e^-x), in [0, 1]; +0 where that is below the smallest normal number
//   f32_divide(a, b) a / b, correctly rounded
//   f32_sqrt(x)      square root of x, correctly rounded
//   f32_softplus_tail(x)  log(1 + e^-|x|); +0 where that is below the smallest normal number
//   f32_whole(x)     x minus the multiple of 5 nearest to it, exact, for whole numbers up to 2^24
//
// The first four are monotone, map NaN to NaN and infinities to their limits. f32_divide and f32_sqrt give the bits of
// IEEE 754 if operands and result are normal numbers, zeros or infinities, and NaN where IEEE 754 does; they treat a
// subnormal operand or result as the zero of its sign. All use only add, subtract, multiply, fma, selects and integer
// operations on the bits: no division, branch, table or library call. So a loop over them vectorizes to any width, and
// since each operation is correctly rounded, every width and every device gives the same bits, provided that the
// compiler does not contract on its own (-ffp-contract=off, -fmad=false).
// If the processor flushes subnormal numbers, f32_tanh and f32_log treat a subnormal operand as zero; nothing else
// changes.
// The worst error over all 2^32 floats, measured by tests/exhaust_f32.c, is given above each function.
//
// 1 ulp is the distance between the two floats around the exact value.
#ifndef BPTT_F32_H
#define BPTT_F32_H

#if defined(__OPENCL_C_VERSION__)
#pragma OPENCL FP_CONTRACT OFF
typedef uint f32_bits;
#define F32_INLINE static inline
#define F32_FMA(a, b, c) fma(a, b, c)
#define F32_TO_BITS(x) as_uint(x)
#define F32_FROM_BITS(u) as_float(u)
#elif defined(__CUDACC__)
typedef unsigned int f32_bits;
#define F32_INLINE static inline __device__
#define F32_FMA(a, b, c) __fmaf_rn(a, b, c)
#define F32_TO_BITS(x) __float_as_uint(x)
#define F32_FROM_BITS(u) __uint_as_float(u)
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef uint32_t f32_bits;
// Inlined at every call: a loop with a call left in it is not vectorized.
#define F32_INLINE static inline __attribute__((always_inline))
#define F32_FMA(a, b, c) fmaf(a, b, c)
#define F32_TO_BITS(x) f32_to_bits(x)
#define F32_FROM_BITS(u) f32_from_bits(u)
F32_INLINE f32_bits f32_to_bits(float x)
{
    f32_bits u;
    memcpy(&u, &x, sizeof u);
    return u;
}
F32_INLINE float f32_from_bits(f32_bits u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
#endif

// c ? a : b with both computed; c is 0 or 1. Written as a mask: gcc turns a plain ?: into a branch, moves one side into
// it, and then does not vectorize. All compilers turn the mask into a blend.
F32_INLINE float f32_select(int c, float a, float b)
{
    const f32_bits mask = 0u - (f32_bits)c;
    return F32_FROM_BITS((F32_TO_BITS(a) & mask) | (F32_TO_BITS(b) & ~mask));
}

// The same for bits.
F32_INLINE f32_bits f32_choose(int c, f32_bits a, f32_bits b)
{
    const f32_bits mask = 0u - (f32_bits)c;
    return (a & mask) | (b & ~mask);
}

// e^x = 2^k (1 + p), |p| < 0.42, for |x| < 100. Adding 3 * 2^22 rounds x / ln 2 to an integer, k, and leaves it in the
// low bits of the sum. k ln 2 is taken off in two parts, the first of 15 bits, so that k times it is exact.
typedef struct f32_power {
    f32_bits k; // k * 2^23 modulo 2^32: added to the bits of a float it multiplies by 2^k
    float p;
} f32_power;

F32_INLINE f32_power f32_power_of(float x)
{
    const float rounded = F32_FMA(x, 0x1.715476p+0f, 0x1.8p+23f);
    const float k = rounded - 0x1.8p+23f;
    float r = F32_FMA(k, -0x1.62e4p-1f, x);
    r = F32_FMA(k, -0x1.7f7d1cp-20f, r);
    // (e^r - 1 - r) / r^2 on |r| <= 0.34662; the error of e^r is below 9e-9, and below 3e-10 for r < -0.2875, where
    // the roundings leave it least room
    float q = 0x1.5c97bap-10f;
    q = F32_FMA(q, r, 0x1.123c14p-7f);
    q = F32_FMA(q, r, 0x1.556ce2p-5f);
    q = F32_FMA(q, r, 0x1.55548ep-3f);
    q = F32_FMA(q, r, 0x1.ffffep-2f);
    f32_power e;
    e.k = F32_TO_BITS(rounded) << 23;
    e.p = F32_FMA(r * r, q, r);
    return e;
}

// Worst error 0.982 ulp. exp(0) = 1.
F32_INLINE float f32_exp(float x)
{
    const f32_power e = f32_power_of(x);
    float y = F32_FROM_BITS(F32_TO_BITS(1.0f + e.p) + e.k);
    const float beyond = x + F32_FROM_BITS(0x7f800000u); // inf, or NaN
    y = f32_select(x < -0x1.5d589ep+6f, 0.0f, y);
    return f32_select(x <= 0x1.62e42ep+6f, y, beyond);
}

// 1 / (1 + E) for E in [0, 1], relative error 1.5e-5; none at 0 and below 2e-8 at 1, or sigmoid would decrease here and
// there near x = 0.
F32_INLINE float f32_logistic_estimate(float E)
{
    float y = 0x1.3a3fd2p-4f;
    y = F32_FMA(y, E, -0x1.5b246p-2f);
    y = F32_FMA(y, E, 0x1.6032ap-1f);
    y = F32_FMA(y, E, -0x1.d450cep-1f);
    y = F32_FMA(y, E, 0x1.fa233cp-1f);
    y = F32_FMA(y, E, -0x1.ffbad8p-1f);
    return F32_FMA(y, E, 1.0f);
}

// 1 / (1 + E) = y + error, to about 2^-32 of it, for E = s (1 + p) in [0, 1], s a power of two.
typedef struct f32_pair {
    float y, error;
} f32_pair;

F32_INLINE f32_pair f32_logistic(float s, float p)
{
    const float sp = s * p, y = f32_logistic_estimate(s + sp);
    // the residual 1 - (1 + s + s p) y takes p as it is, not as rounded into E
    const float residual = F32_FMA(-sp, y, F32_FMA(-s, y, 1.0f - y));
    f32_pair r;
    r.y = y;
    r.error = y * residual;
    return r;
}

// 1 / (1 + E) for x >= 0, E / (1 + E) for x < 0, E = e^-|x|: so small values keep their precision. Worst error 0.970
// ulp, 0.599 for x >= 0.
//
// E = s (one + low), where one = 1 + p rounded and low, the rest, are exact. One step of Newton corrects the estimate w
// of n / (1 + E), n = 1 for x >= 0, one + low for x < 0: the sum of w and its correction is the only rounding that
// counts, but for those of e^r. The residual is n - w - s one w - s low w; the first difference is exact, because
// n / 2 <= w <= n. e^x below the smallest normal number is taken for s = 0.
F32_INLINE float f32_sigmoid(float x)
{
    const int negative = x < 0.0f;
    float a = F32_FROM_BITS(F32_TO_BITS(x) & 0x7fffffffu);
    a = f32_select(a > 0x1.5d589ep+6f, 88.0f, a);
    const f32_power e = f32_power_of(-a);
    const float s = F32_FROM_BITS(e.k + 0x3f800000u);
    const float one = 1.0f + e.p, low = e.p - (one - 1.0f), E = s * one;
    const float y = f32_logistic_estimate(E);
    const float n = f32_select(negative, one, 1.0f), w = n * y;
    const float of_low = F32_FMA(-s, w, f32_select(negative, 1.0f, 0.0f)); // factor of low in the residual
    const float residual = F32_FMA(low, of_low, F32_FMA(-E, w, n - w));
    return f32_select(negative, s, 1.0f) * F32_FMA(y, residual, w);
}

// Near 0 an odd polynomial, elsewhere 2 / (1 + e^-2|x|) - 1, where 2 y - 1 is exact. Worst error 0.730 ulp. Subnormal
// numbers are their own tanh.
F32_INLINE float f32_tanh(float x)
{
    const f32_bits sign = F32_TO_BITS(x) & 0x80000000u;
    const float a = F32_FROM_BITS(F32_TO_BITS(x) ^ sign);
    const float z = f32_select(a > 10.0f, 10.0f, a);
    const f32_power e = f32_power_of(-2.0f * z);
    const f32_pair l = f32_logistic(F32_FROM_BITS(e.k + 0x3f800000u), e.p);
    const float far = F32_FMA(2.0f, l.error, F32_FMA(2.0f, l.y, -1.0f));
    // (tanh x - x) / x^3 on |x| <= 0.55; the relative error of tanh is 1.2e-9 (2^-29.7)
    const float xx = z * z;
    float q = -0x1.9a79bap-8f;
    q = F32_FMA(q, xx, 0x1.5918a4p-6f);
    q = F32_FMA(q, xx, -0x1.b92358p-5f);
    q = F32_FMA(q, xx, 0x1.110dp-3f);
    q = F32_FMA(q, xx, -0x1.55554ap-2f);
    const float near = F32_FMA(z * xx, q, z);
    const float y = f32_select(a < 0.55f, near, far);
    return F32_FROM_BITS(F32_TO_BITS(y) | sign);
}

// x = 2^k (1 + f) with 1 + f in [sqrt 1/2, sqrt 2), and f exact. Worst error 0.825 ulp.
F32_INLINE float f32_log(float x)
{
    const int tiny = x < 0x1p-126f;
    const float scaled = x * 0x1p+24f;
    const f32_bits u = F32_TO_BITS(f32_select(tiny, scaled, x)) + (0x3f800000u - 0x3f3504f3u);
    const float bias = f32_select(tiny, 0x1p+23f + 127.0f + 24.0f, 0x1p+23f + 127.0f);
    const float k = F32_FROM_BITS(0x4b000000u | (u >> 23)) - bias; // an integer below 2^23 put into its last bits
    const float f = F32_FROM_BITS((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    // (log(1 + f) - f + f^2 / 2) / f^3; the relative error of the logarithm is 8e-10 (2^-30.3)
    float q = 0x1.13be0cp-4f;
    q = F32_FMA(q, f, -0x1.dd992ap-4f);
    q = F32_FMA(q, f, 0x1.e6dd24p-4f);
    q = F32_FMA(q, f, -0x1.fc3e3ap-4f);
    q = F32_FMA(q, f, 0x1.233af6p-3f);
    q = F32_FMA(q, f, -0x1.555b8cp-3f);
    q = F32_FMA(q, f, 0x1.99a478p-3f);
    q = F32_FMA(q, f, -0x1.000008p-2f);
    q = F32_FMA(q, f, 0x1.555548p-2f);
    const float ff = f * f;
    const float low = F32_FMA(ff, F32_FMA(f, q, -0.5f), k * 0x1.7f7d1cp-20f);
    float y = F32_FMA(k, 0x1.62e4p-1f, f + low);
    const float inf = F32_FROM_BITS(0x7f800000u);
    y = f32_select(x < inf, y, x); // inf and NaN
    y = f32_select(x == 0.0f, -inf, y);
    return f32_select(x < 0.0f, F32_FROM_BITS(0x7fc00000u), y);
}

// 1 / m, correctly rounded, for m in [1, 2): a polynomial within 1 / 577 (Chebyshev's), then three steps of Newton,
// which miss only the reciprocal of the largest m, by one bit. tests/test_f32.c checks all 2^23 of them.
F32_INLINE float f32_reciprocal(float m)
{
    float y = -0x1.c65286p-3f;
    y = F32_FMA(y, m, 0x1.54bde4p+0f);
    y = F32_FMA(y, m, -0x1.783c56p+1f);
    y = F32_FMA(y, m, 0x1.6a09c2p+1f);
    y = F32_FMA(F32_FMA(-m, y, 1.0f), y, y);
    y = F32_FMA(F32_FMA(-m, y, 1.0f), y, y);
    y = F32_FMA(F32_FMA(-m, y, 1.0f), y, y);
    return F32_FROM_BITS(F32_TO_BITS(y) + (F32_TO_BITS(m) == 0x3fffffffu));
}

// The quotient of the mantissas by the reciprocal. The first correction brings it within 1 ulp; from there, with a
// correctly rounded reciprocal, the second gives the nearest float (Markstein 1990). Exponents are put together as
// integers.
F32_INLINE float f32_divide(float a, float b)
{
    const f32_bits ua = F32_TO_BITS(a), ub = F32_TO_BITS(b), sign = (ua ^ ub) & 0x80000000u;
    const int ea = (int)(ua >> 23 & 255u), eb = (int)(ub >> 23 & 255u);
    const float ma = F32_FROM_BITS((ua & 0x007fffffu) | 0x3f800000u);
    const float mb = F32_FROM_BITS((ub & 0x007fffffu) | 0x3f800000u);
    const float y = f32_reciprocal(mb);
    float q = ma * y;
    q = F32_FMA(F32_FMA(-mb, q, ma), y, q);
    q = F32_FMA(F32_FMA(-mb, q, ma), y, q);
    const f32_bits uq = F32_TO_BITS(q);
    const int e = (int)(uq >> 23) + ea - eb;
    f32_bits r = (uq & 0x007fffffu) | (f32_bits)e << 23;
    // of the quotients below the smallest normal number only 2^-127 (2 - 2^-23), by a power of two, is rounded up to it
    const int last = (e == 0) & ((ua & 0x007fffffu) == 0x007fffffu) & ((ub & 0x007fffffu) == 0);
    r = f32_choose(last, 0x00800000u, r);
    r = f32_choose(((e <= 0) & !last) | (ea == 0) | (eb == 255), 0u, r);
    r = f32_choose((e >= 255) | (ea == 255) | (eb == 0), 0x7f800000u, r);
    const int none = ((ea == 0) & (eb == 0)) | ((ea == 255) & (eb == 255)) | (a != a) | (b != b);
    return F32_FROM_BITS(f32_choose(none, 0x7fc00000u, r | sign));
}

// g = sqrt m and h = 1 / (2 sqrt m) together (Goldschmidt), for x = 2^(2k) m with m in [1, 4). The estimate from
// the bits is within 3.5 %; the last step corrects g by the residual of m.
F32_INLINE float f32_sqrt(float x)
{
    const f32_bits u = F32_TO_BITS(x), odd = ~(u >> 23) & 1u; // exponents are biased by an odd number
    const f32_bits um = (u & 0x007fffffu) | (0x3f800000u + (odd << 23));
    const float m = F32_FROM_BITS(um), y = F32_FROM_BITS(0x5f3759dfu - (um >> 1));
    float g = m * y, h = 0.5f * y;
    float r = F32_FMA(-g, h, 0.5f);
    g = F32_FMA(g, r, g);
    h = F32_FMA(h, r, h);
    r = F32_FMA(-g, h, 0.5f);
    g = F32_FMA(g, r, g);
    h = F32_FMA(h, r, h);
    r = F32_FMA(-g, h, 0.5f);
    g = F32_FMA(g, r, g);
    h = F32_FMA(h, r, h);
    g = F32_FMA(F32_FMA(-g, g, m), h, g);
    const f32_bits k = ((u >> 23 & 255u) - 127u - odd) << 22; // k * 2^23 modulo 2^32
    f32_bits s = F32_TO_BITS(g) + k;
    s = f32_choose((u & 0x7fffffffu) < 0x00800000u, u & 0x80000000u, s);
    const int none = (u > 0x80000000u) & ((u & 0x7fffffffu) >= 0x00800000u);
    s = f32_choose(none | (x != x), 0x7fc00000u, s);
    return F32_FROM_BITS(f32_choose(u == 0x7f800000u, u, s));
}

// log(1 + e) = e log(u) / (u - 1) for u = 1 + e as rounded, e itself where u is 1 (W. Kahan). At most 2.6 ulp.
F32_INLINE float f32_softplus_tail(float x)
{
    const float e = f32_exp(-F32_FROM_BITS(F32_TO_BITS(x) & 0x7fffffffu)), u = 1.0f + e;
    return f32_select(u == 1.0f, e, e * f32_divide(f32_log(u), u - 1.0f));
}

// A whole number is at least 1 / 10 away from where x / 5 would round the other way, and 0.2f is off by 3e-9 only.
F32_INLINE float f32_whole(float x)
{
    const float fives = F32_FMA(x, 0.2f, 0x1.8p+23f) - 0x1.8p+23f;
    return F32_FMA(fives, -5.0f, x);
}

#endif
