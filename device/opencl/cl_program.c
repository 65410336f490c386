// The program: sizes that suit the device, compiling or the kept binary, kernels.
#include "cl_internal.h"
#include "cl_cache.h"
#include "cl_program_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS = 1024 };

// The line of a build log that says what is wrong: the first with "error", else the first.
static void first_words(const char *log, char *out, size_t n)
{
    const char *at = strstr(log, "error");
    while (at && at > log && at[-1] != '\n') at--;
    if (!at) at = log + strspn(log, " \t\r\n");
    (void)snprintf(out, n, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static bptt_status build_failed(cl_state *c, cl_int code, bptt_error *e)
{
    size_t bytes = 0;
    char name[24], words[240] = "no build log", message[200];
    (void)c->api.GetProgramBuildInfo(c->program, c->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    char *log = calloc(1, bytes + 1);
    if (log && !c->api.GetProgramBuildInfo(c->program, c->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL) && log[0])
        first_words(log, words, sizeof words);
    free(log);
    cl_message(c, message, sizeof message);
    return bptt_fail(e, BPTT_DEVICE,
                     "%s: its compiler refused the program (%s): %s%s; update its driver or use another "
                     "--device",
                     c->base.device, cl_error_name(code, name, sizeof name), words, message);
}

void cl_drop_program(cl_state *c)
{
    for (size_t i = 0; i < CL_KERNELS; i++)
        if (c->kernel[i]) (void)c->api.ReleaseKernel(c->kernel[i]);
    if (c->probe) (void)c->api.ReleaseKernel(c->probe);
    if (c->program) (void)c->api.ReleaseProgram(c->program);
    memset(c->kernel, 0, sizeof c->kernel);
    c->probe = NULL;
    c->program = NULL;
}

static bptt_status make_kernel(cl_state *c, const char *name, cl_kernel *k, size_t *largest, bptt_error *e)
{
    cl_int code = CL_SUCCESS;
    char words[24], full[64];
    (void)snprintf(full, sizeof full, "bptt_%s", name);
    *k = c->api.CreateKernel(c->program, full, &code);
    if (!code && largest)
        code = c->api.GetKernelWorkGroupInfo(*k, c->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof *largest, largest, NULL);
    if (!code) return BPTT_OK;
    return bptt_fail(e, BPTT_DEVICE, "%s: the kernel %s cannot be had: %s; update its driver or use another --device",
                     c->base.device, full, cl_error_name(code, words, sizeof words));
}

static bptt_status make_kernels(cl_state *c, bptt_error *e)
{
    bptt_status s = make_kernel(c, "probe", &c->probe, NULL, e);
    for (size_t i = 0; !s && i < CL_KERNELS; i++)
        s = make_kernel(c, i < KERNELS ? kernel_table[i].name : tuned_name[i - KERNELS], &c->kernel[i],
                        &c->largest_group[i], e);
    return s;
}

// From the file of an earlier open. False: none that the driver takes.
static bool from_binary(cl_state *c, const cl_cache *cache, const char *options)
{
    size_t bytes = 0;
    unsigned char *binary = cl_cache_read(cache, &bytes);
    if (!binary) return false;
    cl_int code = CL_SUCCESS, status = CL_SUCCESS;
    const unsigned char *pointer = binary;
    c->program = c->api.CreateProgramWithBinary(c->context, 1, &c->id, &bytes, &pointer, &status, &code);
    free(binary);
    if (!code) code = status;
    if (!code) code = c->api.BuildProgram(c->program, 1, &c->id, options, NULL, NULL);
    const bool right = !code && !make_kernels(c, NULL);
    if (!right) cl_drop_program(c);
    return right;
}

static void keep_binary(const cl_state *c, const cl_cache *cache)
{
    size_t bytes = 0;
    if (!cache->path[0]) return; // drivers may do the most of their work only when they are asked for the binary
    if (c->api.GetProgramInfo(c->program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) || bytes == 0) return;
    unsigned char *binary = malloc(bytes);
    if (binary && !c->api.GetProgramInfo(c->program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL))
        cl_cache_write(cache, binary, bytes);
    free(binary);
}

static bptt_status make_program(cl_state *c, const cl_setup *s, const char *options, bptt_error *e)
{
    const char *text = s->text ? s->text : (const char *)cl_program_text;
    const size_t size = s->text ? s->text_size : cl_program_size;
    char name[128] = "", platform[256] = "", version[256] = "", driver[128] = "";
    (void)c->api.GetPlatformInfo(c->platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
    (void)c->api.GetPlatformInfo(c->platform, CL_PLATFORM_VERSION, sizeof platform - 1, platform, NULL);
    (void)c->api.GetDeviceInfo(c->id, CL_DEVICE_VERSION, sizeof version - 1, version, NULL);
    (void)c->api.GetDeviceInfo(c->id, CL_DRIVER_VERSION, sizeof driver - 1, driver, NULL);
    const char *const part[] = {name, platform, version, c->base.device, driver, options, text};
    enum { PARTS = sizeof part / sizeof part[0] };
    size_t bytes[PARTS];
    for (size_t i = 0; i < PARTS; i++) bytes[i] = i + 1 < PARTS ? strlen(part[i]) : size;
    cl_cache cache;
    cl_cache_open(&cache, s->cache, part, bytes, PARTS);
    bptt_status status = BPTT_OK;
    if (!from_binary(c, &cache, options)) {
        cl_int code = CL_SUCCESS;
        c->program = c->api.CreateProgramWithSource(c->context, 1, &text, &size, &code);
        if (!code) code = c->api.BuildProgram(c->program, 1, &c->id, options, NULL, NULL);
        status = code ? build_failed(c, code, e) : make_kernels(c, e);
        if (!status) keep_binary(c, &cache);
    }
    cl_cache_close(&cache);
    return status;
}

// Work-items that the tuned kernels are written for in this class, but the compiler did not find room for: the smallest
// group that one of them got. 0: all have room.
static size_t too_small(const cl_state *c)
{
    size_t smallest = 0;
    for (size_t i = KERNELS; i < CL_KERNELS; i++) {
        const size_t wanted =
            i == TUNED_MULTIPLY ? (size_t)c->tiles->group_rows * c->tiles->group_cols : (size_t)c->tiles->window_lanes;
        if (c->largest_group[i] < wanted && (smallest == 0 || c->largest_group[i] < smallest))
            smallest = c->largest_group[i];
    }
    return smallest;
}

bptt_status cl_build(cl_state *c, const cl_setup *s, bptt_error *e)
{
    for (;;) {
        char options[OPTIONS] = "-cl-std=CL1.2";
        const size_t n = strlen(options);
        const tile_class *before = c->tiles;
        c->tiles = tile_class_of(&c->limits);
        if (c->tiles == before)
            return bptt_fail(e, BPTT_NO_BACKEND, "%s: groups of %zu work-items are too small; use another --device",
                             c->base.device, c->limits.largest_group);
        tile_options(c->tiles, options + n, sizeof options - n);
        cl_drop_program(c);
        const bptt_status status = make_program(c, s, options, e);
        if (status) return status;
        const size_t room = too_small(c);
        if (room == 0) return BPTT_OK;
        c->limits.largest_group = room;
    }
}
