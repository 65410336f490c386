// The OpenCL backend: the device, opened and closed, and the table of its functions. It started as a shim over `ref`;
// nothing of a shim is left.
#include "cl_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- opening --------------------------------------------------------------------------------------------------------

static void opencl_close(bptt_device *d)
{
    if (!d) return;
    cl_state *c = cl_of(d);
    if (c->queue) (void)c->api.Finish(c->queue);
    if (c->queue) inflight_close(d);
    cl_drop_programs(c);
    if (c->queue) (void)c->api.ReleaseCommandQueue(c->queue);
    if (c->context) (void)c->api.ReleaseContext(c->context);
    if (c->message_lock_made) (void)pthread_mutex_destroy(&c->message.lock);
    inflight_free_device(d);
}

// Work-items in a group: the driver's limit of all of them, and that of each dimension, of which two are used.
static size_t largest_group(const cl_state *c)
{
    enum { DIMENSIONS = 16 }; // more than any device has
    size_t all = 1, each[DIMENSIONS] = {0};
    (void)c->api.GetDeviceInfo(c->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof all, &all, NULL);
    if (c->api.GetDeviceInfo(c->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof each, each, NULL)) return all;
    for (size_t i = 0; i < 2; i++)
        if (each[i] > 0 && each[i] < all) all = each[i];
    return all;
}

static void read_limits(cl_state *c, const bptt_device_info *info, const cl_limits *instead)
{
    cl_ulong block = 0, local = 0;
    cl_uint units = 1, vector = 0;
    cl_bool unified = CL_FALSE;
    cl_device_local_mem_type type = CL_GLOBAL;
    const cl_api *api = &c->api;
    (void)api->GetDeviceInfo(c->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof block, &block, NULL);
    (void)api->GetDeviceInfo(c->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    (void)api->GetDeviceInfo(c->id, CL_DEVICE_LOCAL_MEM_TYPE, sizeof type, &type, NULL);
    (void)api->GetDeviceInfo(c->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    (void)api->GetDeviceInfo(c->id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL);
    (void)api->GetDeviceInfo(c->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof vector, &vector, NULL);
    c->memory = info->memory > SIZE_MAX ? SIZE_MAX : (size_t)info->memory;
    c->largest_block = block > c->memory ? c->memory : (size_t)block;
    c->unified = unified;
    c->limits = (cl_limits){info->kind, (size_t)local, type == CL_LOCAL, largest_group(c), units, vector, false};
    if (instead) c->limits = *instead;
    c->limits.forced = c->lowering == BPTT_LOWER_ALWAYS;
}

static bptt_status open_failed(cl_state *c, const char *call, cl_int code, bptt_error *e)
{
    cl_failed(c, call, "", code);
    return fault_report(&c->base.fault, e);
}

static bptt_status make_single(bptt_device *d, bptt_error *e)
{
    cl_plan *p = &cl_of(d)->single;
    p->launches.at = calloc(MOST_LAUNCHES, sizeof *p->launches.at);
    if (!p->launches.at) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to open the opencl backend");
    p->launches.room = MOST_LAUNCHES;
    return cl_make_slots(d, p, MOST_LAUNCHES, e);
}

static bptt_status start(bptt_device *d, const cl_setup *s, const bptt_device_info *info, bool library, bptt_error *e)
{
    cl_state *c = cl_of(d);
    (void)snprintf(c->base.device, sizeof c->base.device, "%s", info->device);
    (void)snprintf(c->words, sizeof c->words, "%s, %s", info->device, info->platform);
    read_limits(c, info, s->limits);
    d->memory = c->memory;
    if (pthread_mutex_init(&c->message.lock, NULL)) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a lock");
    c->message_lock_made = true;
    const cl_context_properties of[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)c->platform, 0};
    cl_int code = CL_SUCCESS;
    c->context = c->api.CreateContext(of, 1, &c->id, cl_on_message, &c->message, &code);
    if (code) return open_failed(c, "CreateContext", code, e);
    c->queue = c->api.CreateCommandQueue(c->context, c->id, d->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    if (code) return open_failed(c, "CreateCommandQueue", code, e);
    bptt_status status = cl_build(c, s, e);
    if (!status) status = make_single(d, e);
    if (!status) status = cl_probe(d, s, e);
    return status || !library ? status : clblast_open(d, e);
}

bptt_status cl_open_with(const cl_setup *s, const bptt_backend *b, const bptt_compute *config, bptt_device **d,
                         bptt_error *e)
{
    cl_api api;
    bptt_device_info info = {0};
    cl_platform_id platform = NULL;
    cl_device_id id = NULL;
    bptt_status status = BPTT_OK;
    if (s->api)
        api = *s->api;
    else
        status = cl_api_load(&api, e);
    cl_lock();
    if (!status) status = cl_choose(&api, config->device, &info, &platform, &id, e);
    cl_unlock();
    if (status) return status;
    bptt_device *made = NULL;
    status = inflight_new_device(b, config, &cl_calls, &made, e);
    if (status) return status;
    cl_state *c = cl_of(made);
    c->base.single = &c->single.base;
    made->bits = c->bits;
    c->api = api;
    c->platform = platform;
    c->id = id;
    c->lowering = config->lowering;
    cl_lock();
    status = start(made, s, &info, config->product == BPTT_PRODUCT_LIBRARY, e);
    cl_unlock();
    if (status) {
        opencl_close(made);
        return inflight_open_failed(status, e);
    }
    *d = made;
    return BPTT_OK;
}

static bptt_status opencl_open(const bptt_backend *b, const bptt_compute *config, bptt_device **d, bptt_error *e)
{
    return cl_open_with(&(cl_setup){0}, b, config, d, e);
}

// ---- the table ------------------------------------------------------------------------------------------------------

static const char *opencl_describe(const bptt_device *d) { return cl_of(d)->words; }

static size_t opencl_pad(size_t cols)
{
    enum { LINE = 16, PAGE = 1024 }; // floats in a cache line, in a page
    const size_t whole = (cols + LINE - 1) / LINE * LINE;
    return whole > 0 && whole % (PAGE / 4) == 0 ? whole + LINE : whole; // rows must not share cache sets
}

static bptt_status opencl_list(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e)
{
    cl_api api;
    (void)b;
    bptt_status s = cl_api_load(&api, e);
    if (s && i > 0) return bptt_fail(e, BPTT_BAD_INPUT, "there is no OpenCL device %zu", i);
    if (s) return s;
    cl_lock();
    s = cl_list(&api, i, info, NULL, NULL, e);
    cl_unlock();
    return s;
}

bptt_backend bptt_opencl(void)
{
    bptt_backend b = {
        .name = "opencl",
        .real = BPTT_F32,
        .sum = BPTT_F32,
        .transposed_copies = true,
        .pad = opencl_pad,
        .open = opencl_open,
        .close = opencl_close,
        .describe = opencl_describe,
        .list = opencl_list,
        .alloc = cl_alloc,
        .free = cl_free,
        .write = cl_write,
        .read = cl_read,
        .sync = inflight_sync,
        .prepare = inflight_prepare,
        .run = inflight_run,
        .collect = inflight_collect,
        .forget = inflight_forget,
    };
    for (size_t i = 0; i < BPTT_OPCODES; i++) b.op[i] = cl_entry;
    return b;
}
