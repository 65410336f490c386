// The BLAS of the cpu backend, linked with bptt (cmake -DBPTT_BLAS=link).
#include "blas.h"
#include "blas_vendor.h"

// The interface of every CBLAS with 32-bit integers; its enumerations are ints. No header is needed.
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc);

void blas_open(blas *b, const char *core)
{
    (void)core; // chosen when the program started
    *b = (blas){.sgemm = cblas_sgemm};
    blas_describe(b);
}

void blas_close(blas *b) { b->sgemm = NULL; }
