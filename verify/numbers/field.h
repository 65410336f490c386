// Integers modulo the prime p = 2^61 - 1: a field, in which sums and products are exact, so that two formulas are equal
// or they are not. Elements are 0 .. p-1.
#ifndef FIELD_H
#define FIELD_H

#include <math.h>
#include <stdint.h>

#define FIELD_P ((UINT64_C(1) << 61) - 1)

static inline uint64_t field_add(uint64_t a, uint64_t b) { return a + b >= FIELD_P ? a + b - FIELD_P : a + b; }
static inline uint64_t field_sub(uint64_t a, uint64_t b) { return a >= b ? a - b : a + FIELD_P - b; }

// a = 2^32 a1 + a0. Modulo p, 2^61 = 1 and 2^64 = 8, so the bits above the lowest 61 are added to these.
static inline uint64_t field_mul(uint64_t a, uint64_t b)
{
    const uint64_t a1 = a >> 32, a0 = (uint32_t)a, b1 = b >> 32, b0 = (uint32_t)b;
    const uint64_t middle = a1 * b0 + a0 * b1, low = a0 * b0;
    const uint64_t sum = 8 * a1 * b1 + ((middle << 32) & FIELD_P) + (middle >> 29) + (low & FIELD_P) + (low >> 61);
    const uint64_t folded = (sum & FIELD_P) + (sum >> 61);
    return folded >= FIELD_P ? folded - FIELD_P : folded;
}

// a^(p-2), which is 1/a (Fermat); 0 for 0.
static inline uint64_t field_inverse(uint64_t a)
{
    uint64_t power = 1;
    for (uint64_t n = FIELD_P - 2; n > 0; n >>= 1) {
        if (n & 1) power = field_mul(power, a);
        a = field_mul(a, a);
    }
    return power;
}

// Exact: a finite double is a whole number times a power of 2, and 2 has an inverse. Sums, differences and products of
// doubles that are exact stay so. Numbers that are not finite, which no check uses, become 0.
static inline uint64_t field_of(double x)
{
    if (!isfinite(x)) return 0;
    int e;
    const uint64_t whole = (uint64_t)ldexp(frexp(fabs(x), &e), 53);
    const uint64_t power = UINT64_C(1) << (((e - 53) % 61 + 61) % 61); // 2^61 = 1
    const uint64_t size = field_mul(whole, power);
    return x < 0 ? field_sub(0, size) : size;
}

// Uninterpreted functions: equal arguments give equal values, which look random (Steele, Lea, Flood 2014).
typedef enum field_function {
    FIELD_TANH = 1,
    FIELD_EXP,
    FIELD_LOG,
    FIELD_SQRT,
    FIELD_SIGMOID,
    FIELD_SOFTPLUS_TAIL
} field_function;
static inline uint64_t field_any(field_function f, uint64_t z)
{
    z += (uint64_t)f * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % FIELD_P;
}

// The sign: z is above zero if it is one of 1 .. (p-1)/2, below if its negative is. Of an order only this is used: that
// an element is above zero, zero, or below it.
static inline int field_below_zero(uint64_t z) { return z > FIELD_P / 2; }
static inline int field_above_zero(uint64_t z) { return z != 0 && z <= FIELD_P / 2; }

#endif
