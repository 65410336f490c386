// The BLAS of the cpu backend, loaded at run time (cmake -DBPTT_BLAS=load).
#include "blas.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Tries one file name at a time, so that a library without cblas_sgemm does not hide the next one.
static bool open_with_sgemm(blas *b, const char *file)
{
    static const char *const sgemm[] = {"cblas_sgemm"};
    const char *const list[] = {file, NULL};
    if (library_open(&b->library, list) && !library_find(&b->library, sgemm, 1, &b->sgemm)) return true;
    library_close(&b->library);
    return false;
}

typedef struct openblas {
    void (*set_threads)(int n);
    int (*threads)(void);
    char *(*config)(void);   // "OpenBLAS 0.3.21 NO_LAPACKE ..."
    char *(*corename)(void); // "SkylakeX"
} openblas;

static bool find_openblas(const blas *b, openblas *o)
{
    static const char *const symbol[] = {"openblas_set_num_threads", "openblas_get_num_threads", "openblas_get_config",
                                         "openblas_get_corename"};
    return !library_find(&b->library, symbol, sizeof symbol / sizeof symbol[0], o);
}

// OpenBLAS falls back to kernels of 2004 on an x86 processor that it does not know (0.3.21: Emerald Rapids).
static bool is_fallback(const openblas *o) { return strcmp(o->corename(), "Prescott") == 0; }

// Reloads OpenBLAS with OPENBLAS_CORETYPE set. This has no effect if the program itself has OpenBLAS loaded: then the
// core type stays.
static bool load_with_core(blas *b, const char *file, const char *core)
{
    static const char variable[] = "OPENBLAS_CORETYPE";
    library_close(&b->library);
    if (setenv(variable, core, 1)) return open_with_sgemm(b, file);
    const bool opened = open_with_sgemm(b, file);
    (void)unsetenv(variable);
    return opened;
}

static void describe(blas *b, const char *file, const char *core)
{
    openblas o;
    if (!find_openblas(b, &o)) {
        (void)snprintf(b->name, sizeof b->name, "BLAS from %s", file);
        return;
    }
    if (core && is_fallback(&o) && !getenv("OPENBLAS_CORETYPE") &&
        (!load_with_core(b, file, core) || !find_openblas(b, &o))) {
        library_close(&b->library);
        b->sgemm = NULL;
        (void)snprintf(b->name, sizeof b->name, "no BLAS: %s could not be loaded twice", file);
        return;
    }
    char word[40] = "";
    b->set_threads = o.set_threads, b->threads = o.threads;
    (void)sscanf(o.config(), "%*s %39s", word);
    (void)snprintf(b->name, sizeof b->name, "OpenBLAS %s%s%s", word,
                   core && is_fallback(&o) ? ", slow: takes this for a " : "",
                   core && is_fallback(&o) ? o.corename() : "");
}

static void load(blas *b, const char *core)
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
        describe(b, file[i], core);
        return;
    }
    (void)snprintf(b->name, sizeof b->name, "no BLAS found: slow (install libopenblas0)");
}

void blas_open(blas *b, const char *core)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; // the environment is the process's
    (void)pthread_mutex_lock(&one_at_a_time);
    load(b, core);
    (void)pthread_mutex_unlock(&one_at_a_time);
}

void blas_close(blas *b)
{
    library_close(&b->library);
    b->sgemm = NULL;
}
