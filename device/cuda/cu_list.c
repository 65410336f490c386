// Which devices there are, which of them can be used, and which one a name means.
#include "cu_image.h"
#include "cu_internal.h"

#include <stdio.h>

enum { LEAST_CAPABILITY = 75, LEAST_DRIVER = 12000 };

bptt_status cu_driver(cu_api *api, bptt_error *e)
{
    const bptt_status s = cu_api_load(api, e);
    if (s) return s;
    char words[256];
    int version = 0;
    const cu_result code = api->Init(0);
    if (code == CU_NO_DEVICE)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "NVIDIA's driver finds no GPU (CUDA_ERROR_NO_DEVICE): see that one is built in and given to "
                         "this machine or container, and that CUDA_VISIBLE_DEVICES, if set, names one");
    if (code == CU_STUB_LIBRARY)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "the libcuda.so.1 that was found is the CUDA toolkit's stub and no driver: take the folder "
                         "stubs out of LD_LIBRARY_PATH, or install NVIDIA's driver");
    if (code)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "NVIDIA's driver does not start (cuInit: %s): is its kernel module of the "
                         "same version loaded? (nvidia-smi tells)",
                         cu_words(api, code, words, sizeof words));
    if (api->DriverGetVersion(&version)) version = 0;
    if (version < LEAST_DRIVER)
        return bptt_fail(e, BPTT_NO_BACKEND, "NVIDIA's driver knows CUDA %d.%d; 12.0 is needed: install a newer driver",
                         version / 1000, version % 1000 / 10);
    return BPTT_OK;
}

static bptt_status find_count(const cu_api *api, size_t *n, bptt_error *e)
{
    char words[256];
    int found = 0;
    const cu_result code = api->DeviceGetCount(&found);
    if (code)
        return bptt_fail(e, BPTT_NO_BACKEND, "NVIDIA's driver lists no devices (cuDeviceGetCount: %s)",
                         cu_words(api, code, words, sizeof words));
    if (found <= 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "NVIDIA's driver lists no GPU: see that CUDA_VISIBLE_DEVICES, if set, names one");
    *n = (size_t)found;
    return BPTT_OK;
}

static int attribute(const cu_api *api, cu_device id, int which)
{
    int value = 0;
    return api->DeviceGetAttribute(&value, which, id) ? 0 : value;
}

static void describe(const cu_api *api, size_t number, cu_device *id, bptt_device_info *info)
{
    size_t memory = 0;
    int version = 0;
    *info = (bptt_device_info){.backend = "cuda", .number = (unsigned)number, .kind = BPTT_GPU, .threads = 1};
    if (api->DeviceGet(id, (int)number)) {
        (void)snprintf(info->why_not, sizeof info->why_not, "the driver does not give it");
        return;
    }
    if (api->DeviceGetName(info->device, (int)sizeof info->device, *id)) info->device[0] = '\0';
    if (!api->DeviceTotalMem(&memory, *id)) info->memory = memory;
    if (!api->DriverGetVersion(&version))
        (void)snprintf(info->platform, sizeof info->platform, "CUDA %d.%d", version / 1000, version % 1000 / 10);
    const int major = attribute(api, *id, CU_ATTRIBUTE_MAJOR), minor = attribute(api, *id, CU_ATTRIBUTE_MINOR);
    if (10 * major + minor < LEAST_CAPABILITY)
        (void)snprintf(info->why_not, sizeof info->why_not, "its compute capability is %d.%d; 7.5 is needed", major,
                       minor);
    info->usable = info->why_not[0] == '\0';
}

bptt_status cu_list(const cu_api *api, size_t i, bptt_device_info *info, cu_device *id, bptt_error *e)
{
    size_t n = 0;
    cu_device here = 0;
    const bptt_status s = find_count(api, &n, e);
    if (s && i > 0) return bptt_fail(e, BPTT_BAD_INPUT, "there is no CUDA device %zu", i);
    if (s) return s;
    if (i >= n) return bptt_fail(e, BPTT_BAD_INPUT, "there is no CUDA device %zu, only %zu of them, from 0", i, n);
    describe(api, i, &here, info);
    if (id) *id = here;
    return BPTT_OK;
}

// Without a name: the first usable device; if there is none, the first, so that the error can say why.
bptt_status cu_choose(const cu_api *api, const char *device, bptt_device_info *info, cu_device *id, bptt_error *e)
{
    size_t n = 0;
    int best = -1;
    const bptt_status s = find_count(api, &n, e);
    if (s) return s;
    for (size_t i = 0; i < n; i++) {
        bptt_device_info here;
        cu_device found = 0;
        describe(api, i, &found, &here);
        const int how = bptt_suits(&here, device);
        if (how <= best || (device && how == 0)) continue;
        best = how;
        *info = here;
        *id = found;
    }
    if (best < 0)
        return bptt_fail(e, BPTT_NO_BACKEND, "none of the %zu CUDA devices is called \"%.60s\" (bptt devices)", n,
                         device);
    if (!info->usable)
        return bptt_fail(e, BPTT_NO_BACKEND, "CUDA device %u, %s, cannot be used: %s", info->number, info->device,
                         info->why_not);
    return BPTT_OK;
}
