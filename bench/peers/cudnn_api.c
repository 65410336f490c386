// Finding cuDNN and the CUDA runtime on this machine; see cudnn_api.h. The libraries stay loaded.
#include "cudnn_api.h"
#include "library.h"

#include <stdio.h>

enum { NN_OLDEST = 8901 }; // from this version on sequences' lengths are not wanted in device memory

// Opens the first library of a list and fills a table of n functions from it.
static bptt_status open_and_find(library *l, const char *const *file, const char *const *symbol, size_t n, void *table,
                                 bptt_error *e)
{
    if (!library_open(l, file)) return bptt_fail(e, BPTT_NO_BACKEND, "cuDNN is not used: %.300s", l->words);
    const char *const missing = library_find(l, symbol, n, table);
    if (missing) return bptt_fail(e, BPTT_NO_BACKEND, "cuDNN is not used: %s has no %s", l->file, missing);
    return BPTT_OK;
}

static void name_gpu(nn_api *a)
{
    static const char *const file[] = {"libcuda.so.1", NULL}, *const symbol[] = {"cuDeviceGet", "cuDeviceGetName"};
    struct {
        int (*get)(int *device, int number);
        int (*name)(char *words, int room, int device);
    } call;
    library driver;
    int device = 0;
    const bool found = !open_and_find(&driver, file, symbol, 2, &call, NULL);
    if (!found || call.get(&device, 0) || call.name(a->gpu, sizeof a->gpu, device))
        (void)snprintf(a->gpu, sizeof a->gpu, "GPU 0");
}

static bptt_status find_libraries(nn_api *a, library *nn, library *rt, bptt_error *e)
{
    static const char *const nn_file[] = {"libcudnn.so.9", "libcudnn.so.8", NULL};
    static const char *const rt_file[] = {"libcudart.so.13", "libcudart.so.12", NULL};
#define API_SYMBOL(symbol, result, parameters) #symbol,
    static const char *const nn_symbol[] = {NN_API_LIST(API_SYMBOL)}, *const rt_symbol[] = {RT_API_LIST(API_SYMBOL)};
#undef API_SYMBOL
    enum { NN = sizeof nn_symbol / sizeof nn_symbol[0], RT = sizeof rt_symbol / sizeof rt_symbol[0] };
    _Static_assert(offsetof(nn_api, cudaGetErrorString) == NN * sizeof(void *), "cuDNN's functions do not come first");
    _Static_assert(offsetof(nn_api, cudnnGetLastErrorString) == (NN + RT) * sizeof(void *), "more than two lists");
    void *const rt_table = (unsigned char *)a + offsetof(nn_api, cudaGetErrorString);
    const bptt_status s = open_and_find(rt, rt_file, rt_symbol, RT, rt_table, e);
    return s ? s : open_and_find(nn, nn_file, nn_symbol, NN, a, e);
}

static bptt_status load(nn_api *a, bptt_error *e)
{
    static const char *const optional[] = {"cudnnGetLastErrorString"};
    library nn, rt;
    const bptt_status s = find_libraries(a, &nn, &rt, e);
    if (s) return s;
    (void)library_find(&nn, optional, 1, &a->cudnnGetLastErrorString);
    const size_t v = a->cudnnGetVersion(), major = v / (v < 90000 ? 1000 : 10000);
    if (v < NN_OLDEST) return bptt_fail(e, BPTT_NO_BACKEND, "cuDNN is not used: its version is %zu, below 8.9.1", v);
    (void)snprintf(a->version, sizeof a->version, "%zu.%zu.%zu (%s, %s)", major, (v % (v < 90000 ? 1000 : 10000)) / 100,
                   v % 100, nn.file, rt.file);
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
