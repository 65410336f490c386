// The BLAS of the cpu backend. CMake chooses a file: blas_load.c loads it when a device is opened, so programs that
// never compute never load it; blas_link.c takes the one that bptt is linked with.
#ifndef BLAS_H
#define BLAS_H

#include "library.h"

typedef struct blas {
    library library; // the one that was loaded, if any
    void (*sgemm)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                  int ldb, float beta, float *c, int ldc); // NULL: there is no BLAS
    char name[96];                                         // for people: "OpenBLAS 0.3.21", or why there is none
} blas;

// The BLAS is told to use one thread, in the whole process and for good: its calls come from our threads, and a sum
// split over its own would depend on their number.
// core: the kernels that an OpenBLAS should use which does not know this processor; NULL: its own choice.
void blas_open(blas *b, const char *core);
void blas_close(blas *b);

#endif
