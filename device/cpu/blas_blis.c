// BLIS, linked with bptt.
#include "blas_vendor.h"

#include <stdio.h>

void bli_thread_set_num_threads(long n); // dim_t: as wide as a pointer unless BLIS was configured otherwise

void blas_use_one_thread(char *name, size_t room)
{
    bli_thread_set_num_threads(1);
    (void)snprintf(name, room, "BLIS");
}
