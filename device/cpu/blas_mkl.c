// Intel's MKL, linked with bptt.
#include "blas_vendor.h"

#include <stdio.h>

void MKL_Set_Num_Threads(int n);
int MKL_Get_Max_Threads(void);

void blas_describe(blas *b)
{
    b->set_threads = MKL_Set_Num_Threads, b->threads = MKL_Get_Max_Threads;
    (void)snprintf(b->name, sizeof b->name, "MKL");
}
