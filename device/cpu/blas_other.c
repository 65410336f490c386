// A linked BLAS that has no function to set the number of threads.
#include "blas_vendor.h"

#include <stdio.h>

void blas_use_one_thread(char *name, size_t room) { (void)snprintf(name, room, "BLAS linked at build time"); }
