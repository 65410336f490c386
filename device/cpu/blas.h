// The BLAS of the cpu backend. CMake chooses the file: blas_load.c loads a BLAS when a device is opened, so a program
// that opens none loads none; blas_link.c uses the BLAS that bptt is linked with.
#ifndef BLAS_H
#define BLAS_H

#include "library.h"

typedef struct blas {
    library library; // the loaded library, if any
    void (*sgemm)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                  int ldb, float beta, float *c, int ldc); // NULL: there is no BLAS
    void (*set_threads)(int n);                            // of the BLAS, in the whole process
    int (*threads)(void);                                  // both NULL: the BLAS has no such functions
    char name[96];                                         // "OpenBLAS 0.3.21", or the reason why there is no BLAS
} blas;

// core: the core type for an OpenBLAS that does not know this processor; NULL: its own choice.
void blas_open(blas *b, const char *core);
void blas_close(blas *b);

// sgemm is called between these two, on the threads of the pool: sums split over threads of the BLAS would depend on
// their number. From the first blas_begin of the process to the last blas_end the BLAS has one thread; then it has the
// previous number again.
void blas_begin(const blas *b);
void blas_end(const blas *b);

#endif
