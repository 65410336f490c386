#include "cu_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ; // POSIX: declared by who uses it

// Fills found[] with the n symbols; the first that is missing is returned, else NULL.
static const char *find_all(void *library, const char *const *symbol, void **found, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        found[i] = dlsym(library, symbol[i]);
        if (!found[i]) return symbol[i];
    }
    return NULL;
}

bptt_status cu_api_load(cu_api *api, bptt_error *e)
{
    static const char *const symbol[] = {
#define CU_API_SYMBOL(name, symbol, result, parameters) #symbol,
        CU_API_LIST(CU_API_SYMBOL)
#undef CU_API_SYMBOL
    };
    enum { N = sizeof symbol / sizeof symbol[0] };
    // POSIX: an object pointer from dlsym has the bytes of the function pointer; all members are function pointers.
    void *found[N];
    _Static_assert(sizeof found == sizeof *api, "a member of cu_api is more than a pointer");
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "libcuda.so.1 was not found: install NVIDIA's driver (Debian: nvidia-driver; in a container, "
                         "start it with its GPUs) (%.200s)",
                         dlerror());
    const char *const missing = find_all(library, symbol, found, N);
    if (missing)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "NVIDIA's driver has no %s: it is older than CUDA 12; install a newer driver", missing);
    memcpy(api, found, sizeof *api);
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

static void *open_blas(char *file, size_t room, bptt_error *e)
{
    static const char *const name[] = {"libcublas.so.13", "libcublas.so.12"};
    char why[200] = "";
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        void *library = dlopen(name[i], RTLD_NOW | RTLD_LOCAL);
        (void)snprintf(file, room, "%s", name[i]);
        if (library) return library;
        const char *words = dlerror();
        if (!why[0]) (void)snprintf(why, sizeof why, "%.199s", words ? words : "");
    }
    (void)bptt_fail(e, BPTT_NO_BACKEND,
                    "libcublas.so.13 or .12 was not found: install cuBLAS of CUDA 13 or 12 (package libcublas) and see "
                    "that LD_LIBRARY_PATH or ldconfig has its folder (%.150s)",
                    why);
    return NULL;
}

bptt_status blas_api_load(blas_api *api, char *ignored, size_t room, bptt_error *e)
{
    static const char *const symbol[] = {
#define BLAS_API_SYMBOL(name, symbol, result, parameters) #symbol,
        BLAS_API_LIST(BLAS_API_SYMBOL)
#undef BLAS_API_SYMBOL
    };
    enum { N = sizeof symbol / sizeof symbol[0] };
    void *found[N];
    _Static_assert(sizeof found + sizeof api->file == sizeof *api, "a member of blas_api is more than a pointer");
    clean_environment(ignored, room);
    void *library = open_blas(api->file, sizeof api->file, e);
    if (!library) return BPTT_NO_BACKEND;
    const char *const missing = find_all(library, symbol, found, N);
    if (missing)
        return bptt_fail(e, BPTT_NO_BACKEND, "%s has no %s: install cuBLAS of CUDA 13 or 12.8", api->file, missing);
    memcpy(api, found, sizeof found);
    return BPTT_OK;
}
