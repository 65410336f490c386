// Finding cuDNN and the CUDA runtime on this machine; see cudnn_api.h. The libraries stay loaded.
#include "cudnn_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { NN_OLDEST = 8901 }; // from this version on sequences' lengths are not wanted in device memory

static void *first_of(const char *const *file, const char **found, bptt_error *e)
{
    const char *why = NULL;
    for (; *file; file++) {
        void *library = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
        *found = *file;
        if (library) return library;
        if (!why) why = dlerror();
    }
    (void)bptt_fail(e, BPTT_NO_BACKEND, "cuDNN is not used: %.300s", why ? why : "not found");
    return NULL;
}

// POSIX wants a data pointer turned into a function's: through memory, so that no compiler minds.
static bool find(void *library, const char *symbol, void *function, bptt_error *e)
{
    void *at = dlsym(library, symbol);
    if (at) memcpy(function, &at, sizeof at);
    if (!at) (void)bptt_fail(e, BPTT_NO_BACKEND, "cuDNN is not used: its library has no %s", symbol);
    return at != NULL;
}

static void name_gpu(nn_api *a)
{
    int (*get)(int *, int) = NULL, (*name)(char *, int, int) = NULL, device = 0;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    const bool found =
        driver && find(driver, "cuDeviceGet", &get, NULL) && find(driver, "cuDeviceGetName", &name, NULL);
    if (!found || get(&device, 0) || name(a->gpu, sizeof a->gpu, device))
        (void)snprintf(a->gpu, sizeof a->gpu, "GPU 0");
}

static bptt_status load(nn_api *a, bptt_error *e)
{
    static const char *const nn_file[] = {"libcudnn.so.9", "libcudnn.so.8", NULL};
    static const char *const rt_file[] = {"libcudart.so.13", "libcudart.so.12", NULL};
    const char *nn_found = "", *rt_found = "";
    void *rt = first_of(rt_file, &rt_found, e), *nn = rt ? first_of(nn_file, &nn_found, e) : NULL;
    if (!nn) return BPTT_NO_BACKEND;
#define NN_API_FIND(symbol, result, parameters) \
    if (!find(nn, #symbol, &a->symbol, e)) return BPTT_NO_BACKEND;
#define RT_API_FIND(symbol, result, parameters) \
    if (!find(rt, #symbol, &a->symbol, e)) return BPTT_NO_BACKEND;
    RT_API_LIST(RT_API_FIND)
    NN_API_LIST(NN_API_FIND)
#undef NN_API_FIND
#undef RT_API_FIND
    (void)find(nn, "cudnnGetLastErrorString", &a->cudnnGetLastErrorString, NULL);
    const size_t v = a->cudnnGetVersion(), major = v / (v < 90000 ? 1000 : 10000);
    if (v < NN_OLDEST) return bptt_fail(e, BPTT_NO_BACKEND, "cuDNN is not used: its version is %zu, below 8.9.1", v);
    (void)snprintf(a->version, sizeof a->version, "%zu.%zu.%zu (%s, %s)", major, (v % (v < 90000 ? 1000 : 10000)) / 100,
                   v % 100, nn_found, rt_found);
    int devices = 0;
    const rt_result r = a->cudaGetDeviceCount(&devices);
    if (r || devices == 0)
        return bptt_fail(e, BPTT_NO_BACKEND, "cuDNN %s is not used: %s", a->version,
                         r ? a->cudaGetErrorString(r) : "no CUDA device");
    name_gpu(a);
    return BPTT_OK;
}

bptt_status nn_load(const nn_api **api, bptt_error *e)
{
    static nn_api loaded; // a program's, not the library's: there is one machine
    static bptt_error why;
    static bool tried;
    if (!tried) why.code = load(&loaded, &why);
    tried = true;
    if (why.code) return bptt_fail(e, why.code, "%s", why.words);
    *api = &loaded;
    return BPTT_OK;
}
