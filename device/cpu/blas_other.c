// A linked BLAS that has no function to set the number of threads.
#include "blas_vendor.h"

#include <stdio.h>

void blas_describe(blas *b) { (void)snprintf(b->name, sizeof b->name, "BLAS linked at build time"); }
