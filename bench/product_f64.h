// Multithreaded matrix product in double, for references at shapes where plain loops take minutes.
#ifndef PRODUCT_F64_H
#define PRODUCT_F64_H

#include <stdbool.h>
#include <stddef.h>

// A matrix: element (i, j) is at[i*row + j*col].
typedef struct matrix_f64 {
    double *at;
    size_t row, col;
} matrix_f64;

// c [N][M] = (add ? c : 0) + a [N][K] b [K][M], subtracting if minus. c.col is 1. Aborts without memory.
void product_f64(size_t N, size_t K, size_t M, matrix_f64 a, matrix_f64 b, bool minus, bool add, matrix_f64 c);

#endif
