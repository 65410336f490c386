// Functions of a linked BLAS that CBLAS lacks. CMake chooses the file: blas_openblas.c, blas_mkl.c, blas_blis.c, or
// blas_other.c for other libraries.
#ifndef BLAS_VENDOR_H
#define BLAS_VENDOR_H

#include <stddef.h>

// Sets the library to one thread and writes its name and version.
void blas_use_one_thread(char *name, size_t room);

#endif
