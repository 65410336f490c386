#include "cu_api.h"
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ; // POSIX: declared by who uses it

bptt_status cu_api_load(cu_api *api, bptt_error *e)
{
    static const char *const symbol[] = {
#define CU_API_SYMBOL(name, symbol, result, parameters) #symbol,
        CU_API_LIST(CU_API_SYMBOL)
#undef CU_API_SYMBOL
    };
    enum { N = sizeof symbol / sizeof symbol[0] };
    _Static_assert(N * sizeof(void *) == sizeof *api, "a member of cu_api is more than a pointer");
    static const char *const file[] = {"libcuda.so.1", NULL};
    library driver;
    if (!library_open(&driver, file))
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "libcuda.so.1 was not found: install NVIDIA's driver (Debian: nvidia-driver; in a container, "
                         "start it with its GPUs) (%.200s)",
                         driver.words);
    const char *const missing = library_find(&driver, symbol, N, api);
    if (missing)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "NVIDIA's driver has no %s: it is older than CUDA 12; install a newer driver", missing);
    return BPTT_OK;
}

// ---- cuBLAS ---------------------------------------------------------------------------------------------------------

// Variables that change what cuBLAS computes, or with what. CUBLAS_LOG...: it may talk.
static bool changes_results(const char *variable)
{
    if (strncmp(variable, "NVIDIA_TF32_OVERRIDE=", 21) == 0) return true;
    return (strncmp(variable, "CUBLAS_", 7) == 0 || strncmp(variable, "CUBLASLT_", 9) == 0) &&
           !strstr(variable, "_LOG");
}

static void clean_environment(char *ignored, size_t room)
{
    ignored[0] = '\0';
    for (size_t i = 0; environ && environ[i];) {
        char name[64];
        const size_t n = strcspn(environ[i], "="), at = strlen(ignored);
        if (n >= sizeof name || !changes_results(environ[i])) {
            i++;
            continue;
        }
        (void)snprintf(ignored + at, room - at, "%s%s", at ? ", " : "", environ[i]);
        (void)snprintf(name, sizeof name, "%.*s", (int)n, environ[i]);
        if (unsetenv(name)) return; // moves the rest of environ up
    }
}

bptt_status blas_api_load(blas_api *api, int driver, char *ignored, size_t room, bptt_error *e)
{
    static const char *const symbol[] = {
#define BLAS_API_SYMBOL(name, symbol, result, parameters) #symbol,
        BLAS_API_LIST(BLAS_API_SYMBOL)
#undef BLAS_API_SYMBOL
    };
    enum { N = sizeof symbol / sizeof symbol[0] };
    _Static_assert(N * sizeof(void *) + sizeof api->file == sizeof *api, "a member of blas_api is more than a pointer");
    clean_environment(ignored, room);
    static const char *const file[] = {"libcublas.so.13", "libcublas.so.12", NULL};
    const bool old = driver < 13000; // CUDA 12: cuBLAS 13 loads there, but makes no handle
    library cublas;
    if (!library_open(&cublas, file + old))
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "libcublas.so.%s was not found: install cuBLAS of CUDA %s (package libcublas) and see that "
                         "LD_LIBRARY_PATH or ldconfig has its folder (%.150s)",
                         old ? "12" : "13 or .12", old ? "12, as the driver is" : "13 or 12", cublas.words);
    (void)snprintf(api->file, sizeof api->file, "%s", cublas.file);
    const char *const missing = library_find(&cublas, symbol, N, api);
    if (missing)
        return bptt_fail(e, BPTT_NO_BACKEND, "%s has no %s: install cuBLAS of CUDA 13 or 12.8", api->file, missing);
    return BPTT_OK;
}
