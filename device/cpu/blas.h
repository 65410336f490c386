// The BLAS that the cpu backend loads when it is opened: programs that never compute never load it.
#ifndef BLAS_H
#define BLAS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct blas {
    void *library;                       // NULL: none was found
    void (*sgemm)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                  int ldb, float beta, float *c, int ldc);
    void (*set_threads)(int n);          // NULL where the library has no threads of its own
    int (*get_threads)(void);
    char name[96];
} blas;

void blas_open(blas *b);                 // looks for OpenBLAS, then for any CBLAS
void blas_close(blas *b);
bool blas_fits(size_t m, size_t n, size_t k, size_t lda, size_t ldb, size_t ldc);      // its sizes are ints

#endif
