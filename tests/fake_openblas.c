// An OpenBLAS that does not know the processor, for tests/no_device.sh. Its version names the kernels that it was told
// to use when it was loaded; FAKE_STUBBORN: it stays with its first choice.
#include <stdio.h>
#include <stdlib.h>

void cblas_sgemm(void);
void openblas_set_num_threads(int n);
int openblas_get_num_threads(void);
char *openblas_get_config(void);
char *openblas_get_corename(void);

static char core[32] = "Prescott", config[64];

__attribute__((constructor)) static void choose_kernels(void)
{
    const char *told = getenv("OPENBLAS_CORETYPE");
    if (told && !getenv("FAKE_STUBBORN")) (void)snprintf(core, sizeof core, "%s", told);
    (void)snprintf(config, sizeof config, "OpenBLAS 9.9.9-%s NO_LAPACKE", core);
}

void cblas_sgemm(void) { abort(); } // no product is computed
void openblas_set_num_threads(int n) { (void)n; }
int openblas_get_num_threads(void) { return 1; }
char *openblas_get_config(void) { return config; }
char *openblas_get_corename(void) { return core; }
