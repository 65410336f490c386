// The BLAS of the cpu backend, loaded at run time (cmake -DBPTT_BLAS=load).
#include "blas.h"

#include <stdio.h>

// One name at a time: a library without cblas_sgemm must not hide the next one.
static bool open_with_sgemm(blas *b, const char *file)
{
    static const char *const sgemm[] = {"cblas_sgemm"};
    const char *const list[] = {file, NULL};
    if (library_open(&b->library, list) && !library_find(&b->library, sgemm, 1, &b->sgemm)) return true;
    library_close(&b->library);
    return false;
}

// OpenBLAS is told to use one thread, and gives its version: "OpenBLAS 0.3.21 NO_LAPACKE ...".
static void describe_and_limit(blas *b, const char *file)
{
    static const char *const symbol[] = {"openblas_set_num_threads", "openblas_get_config"};
    struct {
        void (*set_threads)(int n);
        char *(*config)(void);
    } openblas;
    if (library_find(&b->library, symbol, 2, &openblas)) {
        (void)snprintf(b->name, sizeof b->name, "BLAS from %s", file);
        return;
    }
    char word[64] = "";
    openblas.set_threads(1);
    (void)sscanf(openblas.config(), "%*s %63s", word);
    (void)snprintf(b->name, sizeof b->name, "OpenBLAS %s", word);
}

void blas_open(blas *b)
{
    static const char *const file[] = {"libopenblas.so.0", "libopenblas.so", "libcblas.so.3", "libblas.so.3"};
    *b = (blas){0};
    if (library_program_is_static()) {
        (void)snprintf(b->name, sizeof b->name,
                       "no BLAS: the program is linked statically (build bptt with -DBPTT_BLAS=link)");
        return;
    }
    for (size_t i = 0; i < sizeof file / sizeof file[0]; i++) {
        if (!open_with_sgemm(b, file[i])) continue;
        describe_and_limit(b, file[i]);
        return;
    }
    (void)snprintf(b->name, sizeof b->name, "no BLAS found: slow (install libopenblas0)");
}

void blas_close(blas *b)
{
    library_close(&b->library);
    b->sgemm = NULL;
}
