// The stand-in's matrix product, column-major: c = alpha op(a) op(b) + beta c; every element one chain of fused
// multiply-adds, k ascending.
#ifndef STANDIN_GEMM_H
#define STANDIN_GEMM_H

#include "standin.h"

// A number of a, b as float: type is BLAS_F32, BLAS_F16, BLAS_BF16; tf32: rounded to 10 bits after the first.
float standin_number(const void *x, size_t i, int type, bool tf32);
// With host addresses in place of a, b, c.
void standin_multiply(const standin_gemm *g, const void *a, const void *b, float *c, float alpha, float beta);

#endif
