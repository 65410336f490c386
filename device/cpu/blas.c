// Loading a BLAS at run time.
#include "blas.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

// ISO C has no cast from an object pointer to a function pointer; POSIX guarantees that the bytes are the same.
static bool symbol(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

void blas_open(blas *b)
{
    static const char *const file[] = {"libopenblas.so.0", "libopenblas.so", "libcblas.so.3", "libblas.so.3"};
    *b = (blas){0};
    for (size_t i = 0; i < sizeof file / sizeof file[0]; i++) {
        void *library = dlopen(file[i], RTLD_NOW | RTLD_LOCAL);
        if (!library) continue;
        if (!symbol(library, "cblas_sgemm", &b->sgemm)) {
            dlclose(library);
            continue;
        }
        char *(*config)(void);
        void (*set_threads)(int);
        b->library = library;
        if (symbol(library, "openblas_set_num_threads", &set_threads)) set_threads(1);
        if (symbol(library, "openblas_get_config", &config)) {
            char word[64] = "";
            (void)sscanf(config(), "%*s %63s", word);
            (void)snprintf(b->name, sizeof b->name, "OpenBLAS %s", word);
        } else
            (void)snprintf(b->name, sizeof b->name, "BLAS from %s", file[i]);
        return;
    }
    (void)snprintf(b->name, sizeof b->name, "no BLAS found: slow (install libopenblas0)");
}

void blas_close(blas *b)
{
    if (b->library) dlclose(b->library);
    b->library = NULL;
}

bool blas_fits(size_t m, size_t n, size_t k, size_t lda, size_t ldb, size_t ldc)
{
    const size_t size[] = {m, n, k, lda, ldb, ldc};
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++)
        if (size[i] > INT_MAX) return false;
    return true;
}
