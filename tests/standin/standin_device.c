// The stand-in's devices, contexts and objects.
#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEVICES = 2, DEEP = 16 };

static struct cu_context_of contexts[DEVICES] = {{.device = 0}, {.device = 1}};
static standin_object *alive; // newest first
static unsigned made;
static _Thread_local cu_context stack[DEEP];
static _Thread_local size_t depth;

cu_context standin_current(void) { return depth ? stack[depth - 1] : NULL; }
bool standin_used(void) { return contexts[0].retained > 1 || contexts[1].retained > 1; }

// ---- devices --------------------------------------------------------------------------------------------------------

static bool is_device(cu_device d) { return d >= 0 && d < standin_set()->devices; }

static cu_result init(unsigned flags)
{
    if (flags) return CU_INVALID_VALUE;
    return standin_set()->devices ? 0 : CU_NO_DEVICE;
}

static cu_result get_device(cu_device *device, int number)
{
    if (!is_device(number)) return 101;
    *device = number;
    return 0;
}

static cu_result device_name(char *name, int room, cu_device device)
{
    if (!is_device(device)) return 101;
    snprintf(name, (size_t)room, "Stand-in %d", device);
    return 0;
}

static cu_result total_memory(size_t *bytes, cu_device device)
{
    if (!is_device(device)) return 101;
    *bytes = standin_set()->memory;
    return 0;
}

static cu_result attribute_of(int *value, int attribute, cu_device device)
{
    if (!is_device(device)) return 101;
    switch (attribute) {
    case 1: *value = 1024; return 0; // MAX_THREADS_PER_BLOCK
    case 10: *value = 32; return 0;  // WARP_SIZE
    case 17:                         // KERNEL_EXEC_TIMEOUT
    case 18: *value = 0; return 0;   // INTEGRATED
    case 20: *value = 0; return 0;   // COMPUTE_MODE
    case CU_ATTRIBUTE_MAJOR: *value = standin_set()->major; return 0;
    case CU_ATTRIBUTE_MINOR: *value = standin_set()->minor; return 0;
    default: return standin_refuse(CU_INVALID_VALUE, "DeviceGetAttribute: %d is not known here", attribute);
    }
}

static cu_result set_int(int *to, int value)
{
    *to = value;
    return 0;
}

cu_result cuInit(unsigned flags) { STANDIN_CALL(Init, STANDIN_ALWAYS, init(flags)); }
cu_result cuDriverGetVersion(int *version)
{
    STANDIN_CALL(DriverGetVersion, STANDIN_ALWAYS, set_int(version, standin_set()->driver));
}
cu_result cuDeviceGetCount(int *n)
{
    STANDIN_CALL(DeviceGetCount, STANDIN_INIT | STANDIN_ALWAYS, set_int(n, standin_set()->devices));
}
cu_result cuDeviceGet(cu_device *device, int number)
{
    STANDIN_CALL(DeviceGet, STANDIN_INIT | STANDIN_ALWAYS, get_device(device, number));
}
cu_result cuDeviceGetName(char *name, int room, cu_device device)
{
    STANDIN_CALL(DeviceGetName, STANDIN_INIT | STANDIN_ALWAYS, device_name(name, room, device));
}
cu_result cuDeviceTotalMem_v2(size_t *bytes, cu_device device)
{
    STANDIN_CALL(DeviceTotalMem, STANDIN_INIT | STANDIN_ALWAYS, total_memory(bytes, device));
}
cu_result cuDeviceGetAttribute(int *value, int attribute, cu_device device)
{
    STANDIN_CALL(DeviceGetAttribute, STANDIN_INIT | STANDIN_ALWAYS, attribute_of(value, attribute, device));
}

// ---- contexts -------------------------------------------------------------------------------------------------------

static cu_result retain(cu_context *context, cu_device device)
{
    if (!is_device(device)) return 101;
    if (!contexts[device].retained++) contexts[device].lives++;
    *context = &contexts[device];
    return 0;
}

static cu_result state_of(cu_device device, unsigned *flags, int *active)
{
    if (!is_device(device)) return 101;
    *flags = 0, *active = contexts[device].retained > 0;
    return 0;
}

static cu_result release(cu_device device)
{
    if (!is_device(device)) return 101;
    cu_context c = &contexts[device];
    if (!c->retained) return standin_refuse(CU_INVALID_CONTEXT, "DevicePrimaryCtxRelease: it is not retained");
    c->retained--;
    return 0;
}

static cu_result push(cu_context context)
{
    if (context != &contexts[0] && context != &contexts[1]) standin_die("CtxPushCurrent: that is no context");
    if (!context->retained) standin_die("CtxPushCurrent: the context of device %d is not retained", context->device);
    if (depth == DEEP) standin_die("CtxPushCurrent: %d contexts are pushed, none was popped", DEEP);
    stack[depth++] = context;
    return 0;
}

static cu_result pop(cu_context *context)
{
    if (!depth) return standin_refuse(CU_INVALID_CONTEXT, "CtxPopCurrent: none is pushed");
    depth--;
    if (context) *context = stack[depth];
    return 0;
}

cu_result cuDevicePrimaryCtxGetState(cu_device device, unsigned *flags, int *active)
{
    STANDIN_CALL(DevicePrimaryCtxGetState, STANDIN_INIT | STANDIN_ALWAYS, state_of(device, flags, active));
}
cu_result cuDevicePrimaryCtxRetain(cu_context *context, cu_device device)
{
    STANDIN_CALL(DevicePrimaryCtxRetain, STANDIN_INIT, retain(context, device));
}
cu_result cuDevicePrimaryCtxRelease_v2(cu_device device)
{
    STANDIN_CALL(DevicePrimaryCtxRelease, STANDIN_INIT | STANDIN_ALWAYS | STANDIN_GIVES_BACK, release(device));
}
cu_result cuCtxPushCurrent_v2(cu_context context)
{
    STANDIN_CALL(CtxPushCurrent, STANDIN_INIT | STANDIN_ALWAYS, push(context));
}
cu_result cuCtxPopCurrent_v2(cu_context *context)
{
    STANDIN_CALL(CtxPopCurrent, STANDIN_INIT | STANDIN_ALWAYS | STANDIN_GIVES_BACK, pop(context));
}

// ---- objects --------------------------------------------------------------------------------------------------------

static const char *const kind_words[STANDIN_KINDS] = {"module", "stream",           "event",
                                                      "graph",  "executable graph", "cuBLAS handle"};

void *standin_make(standin_kind kind, size_t bytes)
{
    standin_object *o = standin_more(NULL, 1, bytes);
    memset(o, 0, bytes);
    *o = (standin_object){.next = alive, .kind = kind, .number = ++made, .context = standin_current()};
    return alive = o;
}

void standin_unmake(void *object)
{
    standin_object **at = &alive;
    while (*at != object) at = &(*at)->next;
    *at = (*at)->next;
    free(object);
}

void standin_alive(const void *object, standin_kind kind)
{
    if (!object) standin_die("%s: the %s is NULL", standin_call(), kind_words[kind]);
    for (const standin_object *o = alive; o; o = o->next)
        if (o == object && o->kind == kind) return;
    standin_die("%s: the %s is not alive", standin_call(), kind_words[kind]);
}

void *standin_next(standin_kind kind, const void *at)
{
    standin_object *o = at ? ((const standin_object *)at)->next : alive;
    while (o && o->kind != kind) o = o->next;
    return o;
}

__attribute__((destructor)) static void look_for_leaks(void)
{
    const int leaks = standin_set()->leaks;
    if (!leaks || (standin_used() && leaks < 2)) return;
    size_t n = standin_report_memory();
    for (const standin_object *o = alive; o; o = o->next, n++)
        fprintf(stderr, "standin: leak: %s %u\n", kind_words[o->kind], o->number);
    for (size_t i = 0; i < DEVICES; i++)
        if (contexts[i].retained > 1)
            n++, fprintf(stderr, "standin: leak: the context of device %zu is retained %u times\n", i,
                         contexts[i].retained);
    if (n) _exit(99);
}
