// Arithmetic modulo p = 2^61 - 1.
#include "modp.h"

#include "prng.h"

uint64_t modp_add(uint64_t a, uint64_t b) { return a + b < MODP ? a + b : a + b - MODP; }
uint64_t modp_sub(uint64_t a, uint64_t b) { return modp_add(a, b ? MODP - b : 0); }

// Horner's scheme over the digits of b in base 8. Modulo p, 2^61 = 1, so 8 x is x rotated within 61 bits.
uint64_t modp_mul(uint64_t a, uint64_t b)
{
    uint64_t ab = 0;
    int i = 60;
    while (i > 0 && b >> i == 0) i -= 3;
    for (; i >= 0; i -= 3) {
        const uint64_t times8 = (ab << 3 & MODP) | ab >> 58;
        const uint64_t sum = times8 + a * (b >> i & 7); // at most 8 p < 2^64
        ab = (sum & MODP) + (sum >> 61);
        ab = ab < MODP ? ab : ab - MODP;
    }
    return ab;
}

uint64_t modp_dot(const uint64_t *a, const uint64_t *b, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum = modp_add(sum, modp_mul(a[i], b[i]));
    return sum;
}

uint64_t modp_fraction(uint64_t k) { return modp_mul(k, UINT64_C(1) << 37); } // 2^-24 = 2^(61 - 24)

void modp_draw(uint64_t *random, uint64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        do x[i] = splitmix_next(random) >> 3;
        while (x[i] == MODP);
    }
}

uint64_t *modp_carve(uint64_t **at, size_t n)
{
    uint64_t *const here = *at;
    *at += n;
    return here;
}
