// The BLAS that the cpu backend loads when it is opened: programs that never compute never load it.
#ifndef BLAS_H
#define BLAS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct blas {
    void *library; // NULL: none was found
    void (*sgemm)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                  int ldb, float beta, float *c, int ldc);
    char name[96];
} blas;

// Looks for OpenBLAS, then for any CBLAS. OpenBLAS is told to use one thread, in the whole process and for good: its
// calls come from our threads, and a sum split over its own would depend on their number.
void blas_open(blas *b);
void blas_close(blas *b);
bool blas_fits(size_t m, size_t n, size_t k, size_t lda, size_t ldb, size_t ldc); // its sizes are ints

#endif
