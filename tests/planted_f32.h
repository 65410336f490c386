// tanh of device/f32.h with mistakes that a test must see, and without.
#ifndef PLANTED_F32_H
#define PLANTED_F32_H

#include <stddef.h>

void planted_none(size_t n, const float *x, float *y);
void planted_coefficient(size_t n, const float *x, float *y); // its last bit, where |x| < 0.55
void planted_symmetry(size_t n, const float *x, float *y);    // a negative x is put through another polynomial
void planted_nan(size_t n, const float *x, float *y);         // NaN is taken for a large number

#endif
