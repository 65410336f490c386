// BLIS, linked with bptt.
#include "blas_vendor.h"

#include <stdio.h>

// dim_t: as wide as a pointer unless BLIS was configured otherwise
void bli_thread_set_num_threads(long n);
long bli_thread_get_num_threads(void);

static void set_threads(int n) { bli_thread_set_num_threads(n); }
static int threads(void) { return (int)bli_thread_get_num_threads(); }

void blas_describe(blas *b)
{
    b->set_threads = set_threads, b->threads = threads;
    (void)snprintf(b->name, sizeof b->name, "BLIS");
}
