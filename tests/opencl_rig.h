// Shared by the tests of the OpenCL backend: a device opened with a setup, a program without the tuned kernels
// (compiles faster), and a main that skips if there is no device.
#ifndef OPENCL_RIG_H
#define OPENCL_RIG_H

#include "cl_internal.h"
#include "near.h"
#include "cl_program_text.h"
#include "suite.h"

static inline bptt_status look_for_opencl(bptt_error *e)
{
    const bptt_backend b = bptt_opencl();
    bptt_device_info info;
    return b.list(&b, 0, &info, e);
}

static inline int run_opencl_suite(const char *name, void (*add)(TCase *), double seconds)
{
    const int missing = device_missing("OpenCL", "BPTT_NEED_OPENCL", look_for_opencl);
    return missing ? missing : run_suite(name, add, seconds);
}

// Start of a file's text within the program.
static inline const char *text_of(const char *all, const char *file)
{
    char mark[64];
    snprintf(mark, sizeof mark, "#line 1 \"%s\"", file);
    const char *at = strstr(all, mark);
    CK_TRUE(at != NULL, "the program has no %s", file);
    return at;
}

// The program with empty kernels in place of multiply.cl and window.cl, which take long to compile. The caller frees
// it.
static inline char *small_text(size_t *size)
{
    char *all = must_alloc(cl_program_size + 1, 1), *text = must_alloc(cl_program_size + 4096, 1);
    memcpy(all, cl_program_text, cl_program_size);
    const char *cut = text_of(all, "multiply.cl"), *rest = text_of(all, "cl_probe.h");
    memcpy(text, all, (size_t)(cut - all));
    for (size_t i = 0; i < CL_KERNELS - KERNELS; i++) {
        if (KERNELS + i == TUNED_PROBE) continue; // probe.cl stays
        const size_t n = strlen(text);
        snprintf(text + n, 100, "__kernel void bptt_%s(__global float *x) { x[0] = 0; }\n", tuned_name[i]);
    }
    strcat(text, rest);
    *size = strlen(text);
    free(all);
    return text;
}

static inline bptt_device *open_device(const cl_setup *s, const bptt_compute *c)
{
    const bptt_backend b = bptt_opencl();
    bptt_device *d = NULL;
    bptt_error e = {0};
    CK_TRUE(cl_open_with(s, &b, c, &d, &e) == BPTT_OK, "%s", e.words);
    return d;
}

static inline void close_device(bptt_device *d) { d->backend.close(d); }

static inline bptt_mat tight(bptt_buf *b, size_t rows, size_t cols, bptt_type type)
{
    return (bptt_mat){.buf = b, .rows = rows, .cols = cols, .ld = cols, .type = type};
}

static inline bptt_buf *must_have(bptt_device *d, size_t bytes)
{
    bptt_buf *b = NULL;
    bptt_error e = {0};
    CK_TRUE(d->backend.alloc(d, bytes, &b, &e) == BPTT_OK, "%s", e.words);
    return b;
}

#define CK_DONE(call) \
    do { \
        bptt_error e_ = {0}, *const error = &e_; \
        const bptt_status status_ = (call); \
        (void)error; \
        if (status_) ck_abort_msg("%s:%d: %s", __FILE__, __LINE__, e_.words); \
    } while (0)

// The call fails so, with words that have these in them.
#define CK_FAILS(call, expected, part) \
    do { \
        bptt_error e_ = {0}, *const error = &e_; \
        const bptt_status status_ = (call); \
        if (status_ != (expected) || !strstr(e_.words, part)) \
            ck_abort_msg("%s:%d: status %d, \"%s\", without \"%s\"", __FILE__, __LINE__, (int)status_, e_.words, \
                         part); \
        CK_TRUE(e_.code == status_, "the status is %d, the error's %d", (int)status_, (int)e_.code); \
    } while (0)

#endif
