// The functions beyond CBLAS of a linked BLAS. CMake chooses the file: blas_openblas.c, blas_mkl.c, blas_blis.c, or
// blas_other.c for a library with none of these.
#ifndef BLAS_VENDOR_H
#define BLAS_VENDOR_H

#include <stddef.h>

// Tells the library to use one thread; writes its name for people.
void blas_use_one_thread(char *name, size_t room);

#endif
