// OpenBLAS, linked with bptt.
#include "blas_vendor.h"

#include <stdio.h>

void openblas_set_num_threads(int n);
char *openblas_get_config(void);

void blas_use_one_thread(char *name, size_t room)
{
    char version[64] = "";
    openblas_set_num_threads(1);
    (void)sscanf(openblas_get_config(), "%*s %63s", version);
    (void)snprintf(name, room, "OpenBLAS %s", version);
}
