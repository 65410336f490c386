// Functions of a linked BLAS that CBLAS lacks. CMake chooses the file: blas_openblas.c, blas_mkl.c, blas_blis.c, or
// blas_other.c for other libraries.
#ifndef BLAS_VENDOR_H
#define BLAS_VENDOR_H

#include "blas.h"

// Sets name (with the version), and set_threads and threads if the library has them.
void blas_describe(blas *b);

#endif
