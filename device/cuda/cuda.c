// The CUDA backend: the device, opened and closed, and the table of its functions.
#include "cu_image.h"
#include "cu_internal.h"
#include "half_type.h"

#include <stdio.h>
#include <stdlib.h>

// ---- closing --------------------------------------------------------------------------------------------------------

static void close_lane(bptt_device *d, cu_lane *lane)
{
    cu_state *c = cu_of(d);
    cu_free(d, lane->workspace);
    if (lane->stream) (void)c->api.StreamDestroy(lane->stream);
}

static void cuda_close(bptt_device *d)
{
    if (!d) return;
    cu_state *c = cu_of(d);
    if (c->retained) {
        inflight_close(d);
        cu_free(d, c->constants);
        cu_lock();
        if (!c->api.CtxPushCurrent(c->context)) {
            if (c->handle) (void)c->blas.Destroy(c->handle);
            for (size_t i = 0; i < MOST_STREAMS; i++) close_lane(d, &c->lane[i]);
            if (c->bounce) (void)c->api.MemFreeHost(c->bounce);
            if (c->module) (void)c->api.ModuleUnload(c->module);
            cu_leave(c);
        }
        cu_give_context(c);
        cu_unlock();
    }
    inflight_free_device(d);
}

// ---- opening --------------------------------------------------------------------------------------------------------

// The size that NVIDIA recommends (cuBLAS Library, cublasSetWorkspace), in bytes.
static size_t workspace_for(const cu_state *c)
{
    int major = 0;
    if (c->api.DeviceGetAttribute(&major, CU_ATTRIBUTE_MAJOR, c->id)) major = 0;
    return (size_t)(major == 9 || major == 10 ? 32 : major >= 12 ? 12 : 4) << 20;
}

static void open_handle(cu_state *c)
{
    const bool halves = precision_is_half(c->precision);
    BLAS(c, Create, "", &c->handle);
    BLAS(c, SetMathMode, "", c->handle, halves ? BLAS_FULL_PRECISION_REDUCTION : BLAS_DEFAULT_MATH);
    BLAS(c, SetPointerMode, "", c->handle,
         c->precision == BPTT_PRECISION_FP16 ? BLAS_POINTERS_DEVICE : BLAS_POINTERS_HOST);
}

bptt_status cu_open_lanes(bptt_device *d, unsigned streams, unsigned products, bptt_error *e)
{
    cu_state *c = cu_of(d);
    if (!cu_enter(c)) return fault_report(&c->base.fault, e);
    for (unsigned i = 0; i < streams; i++)
        if (!c->lane[i].stream) CU(c, StreamCreate, "", &c->lane[i].stream, CU_STREAM_NON_BLOCKING);
    cu_leave(c);
    bptt_status s = fault_report(&c->base.fault, e);
    for (unsigned i = 0; !s && i < streams; i++)
        if ((products >> i & 1) && !c->lane[i].workspace) s = cu_alloc(d, c->workspace_bytes, &c->lane[i].workspace, e);
    return s;
}

static bptt_status load_image(cu_state *c, bptt_error *e)
{
    char words[256];
    int version = 0;
    if (cuda_image_size == 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "bptt-cuda.so was built without nvcc, so it holds no kernels: build bptt again where CUDA "
                         "12.8 or 13 is installed");
    const cu_result code = c->api.ModuleLoadData(&c->module, cuda_image);
    if (c->api.DriverGetVersion(&version)) version = 0;
    if (code)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "%s: the driver (CUDA %d.%d) does not take the kernels of bptt-cuda.so (%s; %s): install a "
                         "newer driver, or build bptt with this GPU's CMAKE_CUDA_ARCHITECTURES",
                         c->base.device, version / 1000, version % 1000 / 10, cuda_image_of,
                         cu_words(&c->api, code, words, sizeof words));
    for (unsigned k = 0; k < ALL_KERNELS; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "bptt_%s", kernel_table[k].name);
        CU(c, ModuleGetFunction, name, &c->function[k], c->module, name);
    }
    return fault_report(&c->base.fault, e);
}

static bptt_status make_constants(bptt_device *d, bptt_error *e)
{
    static const float number[] = {0, 1, -1};
    cu_state *c = cu_of(d);
    const bptt_status s = cu_alloc(d, sizeof number, &c->constants, e);
    const bptt_mat row = {.buf = c->constants, .rows = 1, .cols = 3, .ld = 3, .type = BPTT_F32};
    return s ? s : cu_write(d, row, number, BPTT_F32, e);
}

static void describe(cu_state *c, const bptt_device_info *info, const char *ignored)
{
    int version = 0;
    if (c->blas.GetVersion(c->handle, &version)) version = 0;
    (void)snprintf(c->words, sizeof c->words, "%s, %s, cuBLAS %d.%d.%d (%s)", info->device, info->platform,
                   version / 10000, version % 10000 / 100, version % 100, c->blas.file);
    (void)snprintf(c->bits, sizeof c->bits, "same bits but for products, which are cuBLAS's%s%.60s",
                   *ignored ? "; ignored: " : "", ignored);
}

static bptt_status start(cu_state *c, const bptt_device_info *info, const char *ignored, bptt_error *e)
{
    char words[256];
    const cu_result code = cu_take_context(c);
    if (code)
        return bptt_fail(e, BPTT_DEVICE, "%s cannot be used (cuDevicePrimaryCtxRetain: %s)", c->base.device,
                         cu_words(&c->api, code, words, sizeof words));
    c->workspace_bytes = workspace_for(c);
    if (!cu_enter(c)) return fault_report(&c->base.fault, e);
    open_handle(c);
    CU(c, MemHostAlloc, "transfers", &c->bounce, BOUNCE_BYTES, 0);
    bptt_status s = fault_report(&c->base.fault, e);
    if (!s) s = load_image(c, e);
    if (!s) describe(c, info, ignored);
    cu_leave(c);
    return s;
}

static bptt_status open_libraries(cu_state *c, const char *device, bptt_device_info *info, char *ignored, size_t room,
                                  bptt_error *e)
{
    int version = 0;
    cu_lock();
    bptt_status s = cu_driver(&c->api, e);
    if (!s) s = cu_choose(&c->api, device, info, &c->id, e);
    if (!s && c->api.DriverGetVersion(&version)) version = 0;
    if (!s) s = blas_api_load(&c->blas, version, ignored, room, e);
    cu_unlock();
    return s;
}

static bptt_status cuda_open(const bptt_backend *b, const bptt_compute *config, bptt_device **d, bptt_error *e)
{
    bptt_device_info info = {0};
    char ignored[200] = "";
    bptt_device *made = NULL;
    bptt_status s = inflight_new_device(b, config, &cu_calls, &made, e);
    if (s) return s;
    cu_state *c = cu_of(made);
    c->base.single = &c->single.base;
    made->bits = c->bits;
    c->lowering = config->lowering;
    c->precision = config->precision;
    s = open_libraries(c, config->device, &info, ignored, sizeof ignored, e);
    (void)snprintf(c->base.device, sizeof c->base.device, "%s", info.device);
    made->memory = (size_t)info.memory;
    cu_lock();
    if (!s) s = start(c, &info, ignored, e);
    cu_unlock();
    if (!s) s = cu_open_lanes(made, 1, 1, e);
    if (!s) s = make_constants(made, e);
    if (!s) s = cu_make_slots(made, &c->single, e);
    if (s) {
        cuda_close(made);
        return inflight_open_failed(s, e);
    }
    *d = made;
    return BPTT_OK;
}

// ---- the table ------------------------------------------------------------------------------------------------------

static const char *cuda_describe(const bptt_device *d) { return cu_of(d)->words; }

static bptt_status cuda_list(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e)
{
    cu_api api;
    (void)b;
    cu_lock();
    bptt_status s = cu_driver(&api, e);
    if (s && i > 0) s = bptt_fail(e, BPTT_BAD_INPUT, "there is no CUDA device %zu", i);
    if (!s) s = cu_list(&api, i, info, NULL, e);
    cu_unlock();
    return s;
}

bptt_backend bptt_cuda(void)
{
    bptt_backend b = {
        .name = "cuda",
        .real = BPTT_F32,
        .sum = BPTT_F32,
        .pad = lower_pad,
        .overlaps = true,
        .precisions = 1u << BPTT_PRECISION_TF32 | 1u << BPTT_PRECISION_BF16 | 1u << BPTT_PRECISION_FP16,
        .logits_at_a_time = 1 << 23, // 32 MiB of floats: few large products
        .open = cuda_open,
        .close = cuda_close,
        .describe = cuda_describe,
        .list = cuda_list,
        .alloc = cu_alloc,
        .free = cu_free,
        .write = cu_write,
        .read = cu_read,
        .sync = inflight_sync,
        .prepare = inflight_prepare,
        .run = inflight_run,
        .collect = inflight_collect,
        .forget = inflight_forget,
    };
    for (size_t i = 0; i < BPTT_OPCODES; i++) b.op[i] = cu_entry;
    return b;
}
