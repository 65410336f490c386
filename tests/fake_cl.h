// The real OpenCL with some functions intercepted: they count objects, inject failures, and report made-up device
// properties.
#ifndef FAKE_CL_H
#define FAKE_CL_H

#include "cl_internal.h"
#include "near.h"

// Planted faults. All zero: none.
typedef struct fake {
    const char *call; // fails: "CreateBuffer"
    int after;        // calls that still succeed
    int times;        // that fail then; 0: all
    cl_int code;
    cl_device_info lie; // CL_DEVICE_*: GetDeviceInfo answers with lie_value or lie_text
    cl_ulong lie_value;
    const char *lie_text;
    const char *platform; // CL_PLATFORM_NAME; NULL: the real one
    size_t group;         // CL_KERNEL_WORK_GROUP_SIZE; 0: the real one
    const char *hears;    // the driver says this when `call` fails
    // counted
    long alive;              // objects and events made and not given back
    int compiled, from_file; // programs made from text, from a binary
    int launches;
    size_t lanes; // most work-items in a group of a launch
    void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *);
    void *user;
} fake;

static fake fake_now;
static cl_api fake_real;

static inline cl_int fake_trip(const char *call)
{
    fake *f = &fake_now;
    if (!f->call || strcmp(f->call, call) != 0 || f->after-- > 0) return CL_SUCCESS;
    if (f->times > 0 && -f->after > f->times) return CL_SUCCESS;
    if (f->hears && f->notify) f->notify(f->hears, NULL, 0, f->user);
    return f->code;
}

static inline cl_int fake_GetDeviceInfo(cl_device_id id, cl_device_info what, size_t n, void *out, size_t *bytes)
{
    const cl_int code = fake_real.GetDeviceInfo(id, what, n, out, bytes);
    if (code || !out || !fake_now.lie || what != fake_now.lie) return code;
    if (fake_now.lie_text) {
        snprintf(out, n, "%s", fake_now.lie_text);
        if (bytes) *bytes = strlen(fake_now.lie_text) + 1;
    } else
        memcpy(out, &fake_now.lie_value, n < sizeof fake_now.lie_value ? n : sizeof fake_now.lie_value);
    return code;
}

static inline cl_int fake_GetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t n, void *out, size_t *bytes)
{
    if (what != CL_PLATFORM_NAME || !fake_now.platform || !out)
        return fake_real.GetPlatformInfo(id, what, n, out, bytes);
    snprintf(out, n, "%s", fake_now.platform);
    return CL_SUCCESS;
}

static inline cl_context fake_CreateContext(const cl_context_properties *p, cl_uint n, const cl_device_id *id,
                                            void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                                            void *user, cl_int *code)
{
    fake_now.notify = notify, fake_now.user = user;
    *code = fake_trip("CreateContext");
    cl_context made = *code ? NULL : fake_real.CreateContext(p, n, id, notify, user, code);
    fake_now.alive += made != NULL;
    return made;
}

static inline cl_command_queue fake_CreateCommandQueue(cl_context c, cl_device_id id, cl_command_queue_properties p,
                                                       cl_int *code)
{
    *code = fake_trip("CreateCommandQueue");
    cl_command_queue made = *code ? NULL : fake_real.CreateCommandQueue(c, id, p, code);
    fake_now.alive += made != NULL;
    return made;
}

static inline cl_program fake_CreateProgramWithSource(cl_context c, cl_uint n, const char **text, const size_t *size,
                                                      cl_int *code)
{
    fake_now.compiled++;
    *code = fake_trip("CreateProgramWithSource");
    cl_program made = *code ? NULL : fake_real.CreateProgramWithSource(c, n, text, size, code);
    fake_now.alive += made != NULL;
    return made;
}

static inline cl_program fake_CreateProgramWithBinary(cl_context c, cl_uint n, const cl_device_id *id,
                                                      const size_t *size, const unsigned char **binary, cl_int *status,
                                                      cl_int *code)
{
    fake_now.from_file++;
    *code = fake_trip("CreateProgramWithBinary");
    cl_program made = *code ? NULL : fake_real.CreateProgramWithBinary(c, n, id, size, binary, status, code);
    fake_now.alive += made != NULL;
    return made;
}

static inline cl_int fake_BuildProgram(cl_program p, cl_uint n, const cl_device_id *id, const char *options,
                                       void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    const cl_int code = fake_trip("BuildProgram");
    return code ? code : fake_real.BuildProgram(p, n, id, options, notify, user);
}

static inline cl_kernel fake_CreateKernel(cl_program p, const char *name, cl_int *code)
{
    *code = fake_trip("CreateKernel");
    cl_kernel made = *code ? NULL : fake_real.CreateKernel(p, name, code);
    fake_now.alive += made != NULL;
    return made;
}

static inline cl_int fake_GetKernelWorkGroupInfo(cl_kernel k, cl_device_id id, cl_kernel_work_group_info what, size_t n,
                                                 void *out, size_t *bytes)
{
    const cl_int code = fake_trip("GetKernelWorkGroupInfo");
    if (code) return code;
    if (what != CL_KERNEL_WORK_GROUP_SIZE || !fake_now.group)
        return fake_real.GetKernelWorkGroupInfo(k, id, what, n, out, bytes);
    memcpy(out, &fake_now.group, n);
    return CL_SUCCESS;
}

static inline cl_mem fake_CreateBuffer(cl_context c, cl_mem_flags flags, size_t n, void *host, cl_int *code)
{
    *code = fake_trip("CreateBuffer");
    cl_mem made = *code ? NULL : fake_real.CreateBuffer(c, flags, n, host, code);
    fake_now.alive += made != NULL;
    return made;
}

static inline cl_int fake_EnqueueFillBuffer(cl_command_queue q, cl_mem m, const void *x, size_t n, size_t at,
                                            size_t bytes, cl_uint waits, const cl_event *wait, cl_event *event)
{
    const cl_int code = fake_trip("EnqueueFillBuffer");
    return code ? code : fake_real.EnqueueFillBuffer(q, m, x, n, at, bytes, waits, wait, event);
}

static inline cl_int fake_EnqueueWriteBufferRect(cl_command_queue q, cl_mem m, cl_bool wait, const size_t *there,
                                                 const size_t *here, const size_t *region, size_t a, size_t b, size_t c,
                                                 size_t d, const void *x, cl_uint n, const cl_event *w, cl_event *event)
{
    cl_int code = fake_trip("EnqueueWriteBufferRect");
    if (!code) code = fake_real.EnqueueWriteBufferRect(q, m, wait, there, here, region, a, b, c, d, x, n, w, event);
    fake_now.alive += !code && event;
    return code;
}

static inline cl_int fake_EnqueueReadBufferRect(cl_command_queue q, cl_mem m, cl_bool wait, const size_t *there,
                                                const size_t *here, const size_t *region, size_t a, size_t b, size_t c,
                                                size_t d, void *x, cl_uint n, const cl_event *w, cl_event *event)
{
    cl_int code = fake_trip("EnqueueReadBufferRect");
    if (!code) code = fake_real.EnqueueReadBufferRect(q, m, wait, there, here, region, a, b, c, d, x, n, w, event);
    fake_now.alive += !code && event;
    return code;
}

static inline void *fake_EnqueueMapBuffer(cl_command_queue q, cl_mem m, cl_bool wait, cl_map_flags flags, size_t at,
                                          size_t n, cl_uint waits, const cl_event *w, cl_event *event, cl_int *code)
{
    *code = fake_trip("EnqueueMapBuffer");
    void *x = *code ? NULL : fake_real.EnqueueMapBuffer(q, m, wait, flags, at, n, waits, w, event, code);
    fake_now.alive += !*code && event;
    return x;
}

static inline cl_int fake_EnqueueUnmapMemObject(cl_command_queue q, cl_mem m, void *at, cl_uint n, const cl_event *w,
                                                cl_event *event)
{
    const cl_int code = fake_real.EnqueueUnmapMemObject(q, m, at, n, w, event);
    fake_now.alive += !code && event;
    return code;
}

static inline cl_int fake_EnqueueNDRangeKernel(cl_command_queue q, cl_kernel k, cl_uint dims, const size_t *offset,
                                               const size_t *global, const size_t *local, cl_uint n, const cl_event *w,
                                               cl_event *event)
{
    cl_int code = fake_trip("EnqueueNDRangeKernel");
    fake_now.launches++;
    if (local[0] * local[1] > fake_now.lanes) fake_now.lanes = local[0] * local[1];
    if (!code) code = fake_real.EnqueueNDRangeKernel(q, k, dims, offset, global, local, n, w, event);
    fake_now.alive += !code && event;
    return code;
}

static inline cl_int fake_WaitForEvents(cl_uint n, const cl_event *event)
{
    const cl_int code = fake_trip("WaitForEvents"), real = fake_real.WaitForEvents(n, event);
    return code ? code : real;
}

static inline cl_int fake_RetainEvent(cl_event e)
{
    fake_now.alive++;
    return fake_real.RetainEvent(e);
}

#define FAKE_RELEASE(name, type) \
    static inline cl_int fake_Release##name(type x) \
    { \
        fake_now.alive--; \
        return fake_real.Release##name(x); \
    }
FAKE_RELEASE(Context, cl_context)
FAKE_RELEASE(CommandQueue, cl_command_queue)
FAKE_RELEASE(Program, cl_program)
FAKE_RELEASE(Kernel, cl_kernel)
FAKE_RELEASE(MemObject, cl_mem)
FAKE_RELEASE(Event, cl_event)
#undef FAKE_RELEASE

// clang-format off
#define FAKE_LIST(X) \
    X(GetPlatformInfo) X(GetDeviceInfo) X(CreateContext) X(CreateCommandQueue) X(CreateProgramWithSource) \
    X(CreateProgramWithBinary) X(BuildProgram) X(CreateKernel) X(GetKernelWorkGroupInfo) X(CreateBuffer) \
    X(EnqueueFillBuffer) \
    X(EnqueueWriteBufferRect) X(EnqueueReadBufferRect) X(EnqueueMapBuffer) X(EnqueueUnmapMemObject) \
    X(EnqueueNDRangeKernel) X(WaitForEvents) X(RetainEvent) X(ReleaseContext) X(ReleaseCommandQueue) \
    X(ReleaseProgram) X(ReleaseKernel) X(ReleaseMemObject) X(ReleaseEvent)
// clang-format on

// Nothing wrong yet: fake_now is zero.
static inline cl_api fake_api(void)
{
    bptt_error e = {0};
    CK_TRUE(cl_api_load(&fake_real, &e) == BPTT_OK, "%s", e.words);
    cl_api api = fake_real;
#define FAKE_ENTRY(name) api.name = fake_##name;
    FAKE_LIST(FAKE_ENTRY)
#undef FAKE_ENTRY
    fake_now = (fake){0};
    return api;
}

#endif
