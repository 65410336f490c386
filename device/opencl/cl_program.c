// The programs: sizes that suit the device, compiling or the kept binary, kernels. All models have the kernels of one
// program. The loops of each gated cell are a program of their own from the same text, made when a plan first holds
// such a loop: its functions are long, and compilers take seconds for each cell.
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

static bptt_status build_failed(cl_state *c, cl_program program, cl_int code, bptt_error *e)
{
    size_t bytes = 0;
    char name[24], words[240] = "no build log", message[200];
    (void)c->api.GetProgramBuildInfo(program, c->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    char *log = calloc(1, bytes + 1);
    if (log && !c->api.GetProgramBuildInfo(program, c->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL) && log[0])
        first_words(log, words, sizeof words);
    free(log);
    cl_message(c, message, sizeof message);
    return bptt_fail(e, BPTT_DEVICE,
                     "%s: its compiler refused the program (%s): %s%s; update its driver or use another "
                     "--device",
                     c->base.device, cl_error_name(code, name, sizeof name), words, message);
}

static void drop(const cl_state *c, cl_built *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->kernel[i]) (void)c->api.ReleaseKernel(b->kernel[i]);
    if (b->program) (void)c->api.ReleaseProgram(b->program);
    memset(b->kernel, 0, sizeof b->kernel);
    b->program = NULL;
}

void cl_drop_programs(cl_state *c)
{
    drop(c, &c->common);
    for (size_t i = 0; i < c->gated; i++) drop(c, &c->gates[i]);
    free(c->gates);
    c->gates = NULL, c->gated = 0;
}

static bptt_status make_kernels(const cl_state *c, cl_built *b, bptt_error *e)
{
    for (unsigned i = 0; i < b->n; i++) {
        const unsigned id = b->first + i;
        cl_int code = CL_SUCCESS;
        char words[24], name[64];
        (void)snprintf(name, sizeof name, "bptt_%s", id < KERNELS ? kernel_table[id].name : tuned_name[id - KERNELS]);
        b->kernel[i] = c->api.CreateKernel(b->program, name, &code);
        if (!code)
            code = c->api.GetKernelWorkGroupInfo(b->kernel[i], c->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof(size_t),
                                                 &b->largest_group[i], NULL);
        if (code)
            return bptt_fail(e, BPTT_DEVICE,
                             "%s: the kernel %s cannot be had: %s; update its driver or use another --device",
                             c->base.device, name, cl_error_name(code, words, sizeof words));
    }
    return BPTT_OK;
}

// From the file of an earlier build. False: none that the driver takes.
static bool from_binary(const cl_state *c, const cl_cache *cache, const char *options, cl_built *b)
{
    size_t bytes = 0;
    unsigned char *binary = cl_cache_read(cache, &bytes);
    if (!binary) return false;
    cl_int code = CL_SUCCESS, status = CL_SUCCESS;
    const unsigned char *pointer = binary;
    b->program = c->api.CreateProgramWithBinary(c->context, 1, &c->id, &bytes, &pointer, &status, &code);
    free(binary);
    if (!code) code = status;
    if (!code) code = c->api.BuildProgram(b->program, 1, &c->id, options, NULL, NULL);
    const bool right = !code && !make_kernels(c, b, NULL);
    if (!right) drop(c, b);
    return right;
}

static void keep_binary(const cl_state *c, const cl_cache *cache, cl_program program)
{
    size_t bytes = 0;
    if (!cache->path[0]) return; // drivers may do the most of their work only when they are asked for the binary
    if (c->api.GetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) || bytes == 0) return;
    unsigned char *binary = malloc(bytes);
    if (binary && !c->api.GetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL))
        cl_cache_write(cache, binary, bytes);
    free(binary);
}

// The folder of kept programs; NULL: the default. PoCL keeps kernels by itself as it compiles them. Asked for the
// binary, it compiles all kernels, which takes longer than those that a training run needs (16 of 29 s to the first
// update).
static const char *folder_for(const cl_state *c, const char *platform)
{
    return !c->cache && strcmp(platform, "Portable Computing Language") == 0 ? "" : c->cache;
}

static bptt_status build(cl_state *c, const char *options, cl_built *b, bptt_error *e)
{
    const char *text = c->text ? c->text : (const char *)cl_program_text;
    const size_t size = c->text ? c->text_size : cl_program_size;
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
    cl_cache_open(&cache, folder_for(c, name), part, bytes, PARTS);
    bptt_status status = BPTT_OK;
    if (!from_binary(c, &cache, options, b)) {
        cl_int code = CL_SUCCESS;
        b->program = c->api.CreateProgramWithSource(c->context, 1, &text, &size, &code);
        if (!code) code = c->api.BuildProgram(b->program, 1, &c->id, options, NULL, NULL);
        status = code ? build_failed(c, b->program, code, e) : make_kernels(c, b, e);
        if (!status) keep_binary(c, &cache, b->program);
    }
    cl_cache_close(&cache);
    return status;
}

// Work-items that the tuned kernels are written for in this class, but the compiler did not find room for: the smallest
// group that one of them got. 0: all have room.
static size_t too_small(const cl_state *c)
{
    size_t smallest = 0;
    for (size_t i = KERNELS; i < TUNED_PROBE; i++) {
        const size_t wanted =
            i == TUNED_MULTIPLY ? (size_t)c->tiles->group_rows * c->tiles->group_cols : (size_t)c->tiles->window_lanes;
        const size_t got = c->common.largest_group[i];
        if (got < wanted && (smallest == 0 || got < smallest)) smallest = got;
    }
    return smallest;
}

static void options_of(const cl_state *c, char options[OPTIONS])
{
    const int n = snprintf(options, OPTIONS, "-cl-std=CL1.2");
    tile_options(c->tiles, options + n, OPTIONS - (size_t)n);
}

bptt_status cl_build(cl_state *c, const cl_setup *s, bptt_error *e)
{
    c->text = s->text, c->text_size = s->text_size, c->cache = s->cache;
    for (;;) {
        char options[OPTIONS];
        const tile_class *before = c->tiles;
        c->tiles = tile_class_of(&c->limits);
        if (c->tiles == before)
            return bptt_fail(e, BPTT_NO_BACKEND, "%s: groups of %zu work-items are too small; use another --device",
                             c->base.device, c->limits.largest_group);
        options_of(c, options);
        drop(c, &c->common);
        c->common.n = CL_COMMON;
        const bptt_status status = build(c, options, &c->common, e);
        if (status) return status;
        const size_t room = too_small(c);
        if (room == 0) return BPTT_OK;
        c->limits.largest_group = room;
    }
}

// ---- gated cells ----------------------------------------------------------------------------------------------------

static cl_built *gates_of(const cl_state *c, int cell)
{
    for (size_t i = 0; i < c->gated; i++)
        if (c->gates[i].cell == cell) return &c->gates[i];
    return NULL;
}

bptt_status cl_build_gates(cl_state *c, int cell, bptt_error *e)
{
    if (gates_of(c, cell)) return BPTT_OK;
    char options[OPTIONS];
    cl_built made = {.first = CL_COMMON, .n = CL_KERNELS - CL_COMMON, .cell = cell};
    cl_built *more = realloc(c->gates, (c->gated + 1) * sizeof *more);
    if (!more) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host for the program of a cell");
    c->gates = more;
    options_of(c, options);
    const size_t n = strlen(options);
    (void)snprintf(options + n, sizeof options - n, " -DGATES_CELL=%d", cell);
    cl_lock();
    const bptt_status status = build(c, options, &made, NULL);
    cl_unlock();
    if (status) {
        drop(c, &made);
        memset(made.largest_group, 0, sizeof made.largest_group);
    }
    c->gates[c->gated++] = made;
    return BPTT_OK;
}

cl_kernel cl_kernel_of(const cl_state *c, const launch *l, size_t *largest_group)
{
    const cl_built *b = l->kernel < CL_COMMON ? &c->common : gates_of(c, l->constants.layer.cell);
    const size_t i = l->kernel - b->first;
    if (largest_group) *largest_group = b->largest_group[i];
    return b->kernel[i];
}
