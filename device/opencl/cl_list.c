// Which devices there are, which of them can be used, and which one a name means.
#include "cl_internal.h"

#include <stdio.h>
#include <string.h>

enum { MOST_PLATFORMS = 16, MOST_DEVICES = 64 };

typedef struct found {
    cl_platform_id platform;
    cl_device_id id;
} found;

typedef struct finds {
    size_t n;
    found at[MOST_DEVICES];
} finds;

static bptt_status find_all(const cl_api *api, finds *all, bptt_error *e)
{
    cl_platform_id platform[MOST_PLATFORMS];
    cl_uint platforms = 0;
    char name[24];
    const cl_int code = api->GetPlatformIDs(MOST_PLATFORMS, platform, &platforms);
    if (code || platforms == 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "OpenCL has no platform (%s): install a driver (Debian: pocl-opencl-icd for processors; for a "
                         "GPU its maker's) and see that OCL_ICD_VENDORS, if set, names a folder of .icd files",
                         cl_error_name(code ? code : -1001, name, sizeof name));
    *all = (finds){0};
    for (cl_uint p = 0; p < platforms && p < MOST_PLATFORMS; p++) {
        cl_device_id id[MOST_DEVICES];
        cl_uint n = 0;
        if (api->GetDeviceIDs(platform[p], CL_DEVICE_TYPE_ALL, MOST_DEVICES, id, &n)) continue;
        for (cl_uint i = 0; i < n && i < MOST_DEVICES && all->n < MOST_DEVICES; i++)
            all->at[all->n++] = (found){platform[p], id[i]};
    }
    if (all->n == 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "OpenCL has %u platform%s but no device: see that the driver of your device is installed and "
                         "that you may use it (groups video and render)",
                         (unsigned)platforms, platforms == 1 ? "" : "s");
    return BPTT_OK;
}

// Text of a device, cut to n; "" where the driver gives none.
static void device_text(const cl_api *api, cl_device_id id, cl_device_info what, char *out, size_t n)
{
    char all[4096];
    size_t bytes = 0;
    out[0] = '\0';
    if (api->GetDeviceInfo(id, what, sizeof all - 1, all, &bytes) || bytes > sizeof all - 1) return;
    all[bytes] = '\0';
    (void)snprintf(out, n, "%.*s", (int)n - 1, all + strspn(all, " "));
}

static void platform_text(const cl_api *api, cl_platform_id id, cl_platform_info what, char *out, size_t n)
{
    char all[4096];
    size_t bytes = 0;
    out[0] = '\0';
    if (api->GetPlatformInfo(id, what, sizeof all - 1, all, &bytes) || bytes > sizeof all - 1) return;
    all[bytes] = '\0';
    (void)snprintf(out, n, "%.*s", (int)n - 1, all);
}

static bool device_flag(const cl_api *api, cl_device_id id, cl_device_info what)
{
    cl_bool yes = CL_FALSE;
    return !api->GetDeviceInfo(id, what, sizeof yes, &yes, NULL) && yes;
}

// Why a device cannot be used, or "".
static void device_refusal(const cl_api *api, cl_device_id id, char *out, size_t n)
{
    char version[64], profile[64];
    unsigned major = 0, minor = 0;
    device_text(api, id, CL_DEVICE_VERSION, version, sizeof version);
    device_text(api, id, CL_DEVICE_PROFILE, profile, sizeof profile);
    const bool has_version = sscanf(version, "OpenCL %u.%u", &major, &minor) == 2;
    const cl_device_fp_config needed = CL_FP_ROUND_TO_NEAREST | CL_FP_INF_NAN;
    cl_device_fp_config floats = 0;
    (void)api->GetDeviceInfo(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof floats, &floats, NULL);
    out[0] = '\0';
    if (!device_flag(api, id, CL_DEVICE_AVAILABLE))
        (void)snprintf(out, n, "the driver says that it is not available");
    else if (!device_flag(api, id, CL_DEVICE_COMPILER_AVAILABLE))
        (void)snprintf(out, n, "its driver has no compiler");
    else if (!has_version || major < 1 || (major == 1 && minor < 2))
        (void)snprintf(out, n, "it has \"%.40s\"; OpenCL 1.2 is needed", version);
    else if (!device_flag(api, id, CL_DEVICE_ENDIAN_LITTLE))
        (void)snprintf(out, n, "it is big-endian");
    else if (strcmp(profile, "FULL_PROFILE") != 0)
        (void)snprintf(out, n, "it has the embedded profile, whose float arithmetic is not exact");
    else if ((floats & needed) != needed)
        (void)snprintf(out, n, "its float arithmetic does not round to nearest or has no NaN");
}

static void describe(const cl_api *api, const found *f, size_t number, bptt_device_info *info)
{
    cl_device_type type = 0;
    cl_ulong memory = 0;
    char name[sizeof info->platform], version[sizeof info->platform];
    *info = (bptt_device_info){.backend = "opencl", .number = (unsigned)number, .threads = 1};
    platform_text(api, f->platform, CL_PLATFORM_NAME, name, sizeof name);
    platform_text(api, f->platform, CL_PLATFORM_VERSION, version, sizeof version);
    version[strcspn(version, ",")] = '\0'; // what follows a comma is how the driver was built
    char both[2 * sizeof info->platform];
    (void)snprintf(both, sizeof both, "%s %s", name, version);
    (void)snprintf(info->platform, sizeof info->platform, "%.*s", (int)sizeof info->platform - 1, both);
    for (size_t n = strlen(info->platform); n > 0 && strchr(" ,", info->platform[n - 1]); n--)
        info->platform[n - 1] = '\0';
    device_text(api, f->id, CL_DEVICE_NAME, info->device, sizeof info->device);
    (void)api->GetDeviceInfo(f->id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    (void)api->GetDeviceInfo(f->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
    info->kind = type & CL_DEVICE_TYPE_GPU ? BPTT_GPU : type & CL_DEVICE_TYPE_CPU ? BPTT_CPU : BPTT_ACCELERATOR;
    info->memory = memory;
    device_refusal(api, f->id, info->why_not, sizeof info->why_not);
    info->usable = info->why_not[0] == '\0';
}

bptt_status cl_list(const cl_api *api, size_t i, bptt_device_info *info, cl_platform_id *platform, cl_device_id *id,
                    bptt_error *e)
{
    finds all;
    const bptt_status s = find_all(api, &all, e);
    if (s && i > 0) return bptt_fail(e, BPTT_BAD_INPUT, "there is no OpenCL device %zu", i);
    if (s) return s;
    if (i >= all.n)
        return bptt_fail(e, BPTT_BAD_INPUT, "there is no OpenCL device %zu, only %zu of them, from 0", i, all.n);
    describe(api, &all.at[i], i, info);
    if (platform) *platform = all.at[i].platform;
    if (id) *id = all.at[i].id;
    return BPTT_OK;
}

// ---- choosing -------------------------------------------------------------------------------------------------------

// "0 Tahiti, 1 pthread-haswell (unusable)"
static void names(const cl_api *api, const finds *all, char *out, size_t n)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < all->n && at < n; i++) {
        bptt_device_info info;
        describe(api, &all->at[i], i, &info);
        at += (size_t)snprintf(out + at, n - at, "%s%zu %.60s%s", i ? ", " : "", i, info.device,
                               info.usable ? "" : " (not usable)");
    }
}

bptt_status cl_choose(const cl_api *api, const char *device, bptt_device_info *info, cl_platform_id *platform,
                      cl_device_id *id, bptt_error *e)
{
    finds all;
    const bptt_status s = find_all(api, &all, e);
    if (s) return s;
    int best = 0;
    for (size_t i = 0; i < all.n; i++) {
        bptt_device_info here;
        describe(api, &all.at[i], i, &here);
        if (bptt_suits(&here, device) <= best) continue;
        best = bptt_suits(&here, device);
        *info = here;
        *platform = all.at[i].platform;
        *id = all.at[i].id;
    }
    char has[300];
    names(api, &all, has, sizeof has);
    if (best == 0 && device)
        return bptt_fail(e, BPTT_NO_BACKEND, "no OpenCL device is called \"%.60s\"; there is: %s", device, has);
    if (best == 0) return bptt_fail(e, BPTT_NO_BACKEND, "no OpenCL device can be used; there is: %s", has);
    if (!info->usable)
        return bptt_fail(e, BPTT_NO_BACKEND, "OpenCL device %u, %s, cannot be used: %s", info->number, info->device,
                         info->why_not);
    return BPTT_OK;
}
