// Intel's MKL, linked with bptt.
#include "blas_vendor.h"

#include <stdio.h>

void MKL_Set_Num_Threads(int n);

void blas_use_one_thread(char *name, size_t room)
{
    MKL_Set_Num_Threads(1);
    (void)snprintf(name, room, "MKL");
}
