// tanh and sigmoid of device/f32.h with mistakes that a test must see, and without.
#ifndef PLANTED_F32_H
#define PLANTED_F32_H

#include <stddef.h>

void planted_none(size_t n, const float *x, float *y);
void planted_coefficient(size_t n, const float *x, float *y); // its last bit, where |x| < 0.55
void planted_symmetry(size_t n, const float *x, float *y);    // a negative x is put through another polynomial
void planted_nan(size_t n, const float *x, float *y);         // NaN is taken for a large number
void planted_sigmoid(size_t n, const float *x, float *y);     // without a mistake
void planted_product(size_t n, const float *x, float *y);     // e^x times 1 / (1 + e^x), whose rounding stays
void planted_low(size_t n, const float *x, float *y);         // 1 + p rounded
void planted_denominator(size_t n, const float *x, float *y); // the rest of 1 + p is missing in 1 + E
void planted_range(size_t n, const float *x, float *y);       // no zero below the smallest normal number

#endif
