// Arithmetic modulo p = 2^61 - 1 for the checks. It shares neither code nor the multiplication algorithm with the
// arithmetic under test (numbers/field.h).
#ifndef MODP_H
#define MODP_H

#include <stddef.h>
#include <stdint.h>

#define MODP ((UINT64_C(1) << 61) - 1)

uint64_t modp_add(uint64_t a, uint64_t b);
uint64_t modp_sub(uint64_t a, uint64_t b);
uint64_t modp_mul(uint64_t a, uint64_t b);
uint64_t modp_dot(const uint64_t *a, const uint64_t *b, size_t n);
// k / 2^24, the fraction that is exactly (float)k / 2^24 for k < 2^24.
uint64_t modp_fraction(uint64_t k);
void modp_draw(uint64_t *random, uint64_t *x, size_t n); // uniformly distributed elements
uint64_t *modp_carve(uint64_t **at, size_t n);           // returns *at and advances it by n words

#endif
