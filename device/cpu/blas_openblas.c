// OpenBLAS, linked with bptt.
#include "blas_vendor.h"

#include <stdio.h>

void openblas_set_num_threads(int n);
int openblas_get_num_threads(void);
char *openblas_get_config(void);

void blas_describe(blas *b)
{
    char version[64] = "";
    b->set_threads = openblas_set_num_threads, b->threads = openblas_get_num_threads;
    (void)sscanf(openblas_get_config(), "%*s %63s", version);
    (void)snprintf(b->name, sizeof b->name, "OpenBLAS %s", version);
}
