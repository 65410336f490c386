// The stand-in for libcublas: handles, and the requirements of a product.
#include "standin_gemm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLAS_NOT_INITIALIZED = 1, BLAS_INVALID_VALUE = 7, BLAS_EXECUTION_FAILED = 13, BLAS_NOT_SUPPORTED = 15 };

struct blas_handle_of {
    standin_object object;
    cu_stream stream;
    uint64_t workspace;
    size_t workspace_bytes; // 0: cuBLAS's own
    int math, pointers;
    bool used; // has multiplied outside of captures
};

// Product shapes run outside of captures, whose kernels cuBLAS has therefore loaded.
typedef struct warm {
    cu_context context;
    unsigned lives; // of the context: with it goes what was loaded
    int a_op, b_op, m, n, k, type, a_ld, b_ld, c_ld, compute, math, align[3];
} warm;

static warm *warmed;
static size_t warms;

// A driver failure becomes a failure of the cuBLAS call.
static blas_result gate(const char *name, unsigned needs)
{
    const int code = standin_enter(name, needs);
    if (code == CU_NOT_INITIALIZED || code == CU_INVALID_CONTEXT) return BLAS_NOT_INITIALIZED;
    return code >= 700 ? BLAS_EXECUTION_FAILED : code;
}
#define BLAS_CALL(name, needs, work) \
    blas_result code_ = gate(#name, needs); \
    if (!code_) code_ = (work); \
    return blas_leave(code_)

static blas_result blas_leave(blas_result code)
{
    code = standin_leave(code);
    return code >= 700 ? BLAS_EXECUTION_FAILED : code;
}

// ---- handles --------------------------------------------------------------------------------------------------------

static blas_result create(blas_handle *handle)
{
    blas_handle h = standin_make(STANDIN_HANDLE, sizeof *h);
    *handle = h;
    return 0;
}

static blas_result destroy(blas_handle h)
{
    standin_alive(h, STANDIN_HANDLE);
    standin_unmake(h);
    return 0;
}

static blas_result set_stream(blas_handle h, cu_stream stream)
{
    standin_alive(h, STANDIN_HANDLE);
    standin_alive(stream, STANDIN_STREAM);
    if (stream->object.context != h->object.context) standin_die("SetStream: handle and stream are of two contexts");
    h->stream = stream;
    h->workspace_bytes = 0; // SetStream puts cuBLAS's own workspace back
    return 0;
}

static blas_result set_workspace(blas_handle h, void *workspace, size_t bytes)
{
    standin_alive(h, STANDIN_HANDLE);
    const uint64_t at = (uint64_t)(uintptr_t)workspace;
    if (at % 256) return standin_refuse(BLAS_INVALID_VALUE, "SetWorkspace: not aligned to 256 bytes");
    if (!standin_is_device(at)) standin_die("SetWorkspace: no device address");
    standin_check_op(&(standin_op){.words = "SetWorkspace",
                                   .areas = 1,
                                   .area = {{.at = at, .rows = 1, .cols = 1, .size = bytes, .name = "workspace"}}});
    h->workspace = at;
    h->workspace_bytes = bytes;
    return 0;
}

static blas_result set_math(blas_handle h, int mode)
{
    standin_alive(h, STANDIN_HANDLE);
    const int known = 3 | BLAS_FULL_PRECISION_REDUCTION; // DEFAULT, PEDANTIC, TF32_TENSOR_OP
    if (mode & ~known) return standin_refuse(BLAS_INVALID_VALUE, "SetMathMode: %d", mode);
    h->math = mode;
    return 0;
}

static blas_result set_pointers(blas_handle h, int mode)
{
    standin_alive(h, STANDIN_HANDLE);
    if (mode != BLAS_POINTERS_HOST && mode != BLAS_POINTERS_DEVICE) return BLAS_INVALID_VALUE;
    h->pointers = mode;
    return 0;
}

static blas_result version(blas_handle h, int *v)
{
    standin_alive(h, STANDIN_HANDLE);
    *v = 130000;
    return 0;
}

blas_result cublasCreate_v2(blas_handle *handle) { BLAS_CALL(Create, STANDIN_CONTEXT | STANDIN_WAITS, create(handle)); }
blas_result cublasDestroy_v2(blas_handle handle)
{
    BLAS_CALL(Destroy, STANDIN_CONTEXT | STANDIN_WAITS | STANDIN_GIVES_BACK, destroy(handle));
}
blas_result cublasGetVersion_v2(blas_handle handle, int *v) { BLAS_CALL(GetVersion, STANDIN_INIT, version(handle, v)); }
blas_result cublasSetStream_v2(blas_handle handle, cu_stream stream)
{
    BLAS_CALL(SetStream, STANDIN_CONTEXT, set_stream(handle, stream));
}
blas_result cublasSetWorkspace_v2(blas_handle handle, void *workspace, size_t bytes)
{
    BLAS_CALL(SetWorkspace, STANDIN_CONTEXT, set_workspace(handle, workspace, bytes));
}
blas_result cublasSetMathMode(blas_handle handle, int mode)
{
    BLAS_CALL(SetMathMode, STANDIN_CONTEXT, set_math(handle, mode));
}
blas_result cublasSetPointerMode_v2(blas_handle handle, int mode)
{
    BLAS_CALL(SetPointerMode, STANDIN_CONTEXT, set_pointers(handle, mode));
}

const char *cublasGetStatusName(blas_result code)
{
    static const char *const names[16] = {
        [0] = "CUBLAS_STATUS_SUCCESS",           [1] = "CUBLAS_STATUS_NOT_INITIALIZED",
        [3] = "CUBLAS_STATUS_ALLOC_FAILED",      [7] = "CUBLAS_STATUS_INVALID_VALUE",
        [8] = "CUBLAS_STATUS_ARCH_MISMATCH",     [11] = "CUBLAS_STATUS_MAPPING_ERROR",
        [13] = "CUBLAS_STATUS_EXECUTION_FAILED", [14] = "CUBLAS_STATUS_INTERNAL_ERROR",
        [15] = "CUBLAS_STATUS_NOT_SUPPORTED"};
    return code >= 0 && code < 16 && names[code] ? names[code] : "CUBLAS_STATUS_UNKNOWN";
}

// ---- products -------------------------------------------------------------------------------------------------------

static float scalar_at(uint64_t at)
{
    float x;
    memcpy(&x, standin_host(at, sizeof x), sizeof x);
    return x;
}

static void run_gemm(const standin_op *op)
{
    const standin_gemm *g = &op->as.gemm;
    if (!g->m || !g->n) return;
    const float alpha = g->device_scalars ? scalar_at(g->alpha_at) : g->alpha;
    const float beta = g->device_scalars ? scalar_at(g->beta_at) : g->beta;
    const void *a = g->k ? standin_host(g->a, 1) : NULL, *b = g->k ? standin_host(g->b, 1) : NULL;
    standin_multiply(g, a, b, standin_host(g->c, 1), alpha, beta);
}

// Columns of `rows` elements each.
static void add_matrix(standin_op *op, uint64_t at, size_t rows, size_t cols, size_t ld, uint64_t size, bool read,
                       bool written, const char *name)
{
    if (!rows || !cols) return;
    op->area[op->areas++] = (standin_area){at, rows, cols, size, ld * size, size, read, written, name};
}

static void touch(standin_op *op, const standin_gemm *g, const struct blas_handle_of *h)
{
    const uint64_t size = g->type == BLAS_F32 ? 4 : 2;
    const bool adds = g->device_scalars || g->beta != 0;
    add_matrix(op, g->a, g->a_turned ? g->k : g->m, g->a_turned ? g->m : g->k, g->a_ld, size, true, false, "a");
    add_matrix(op, g->b, g->b_turned ? g->n : g->k, g->b_turned ? g->k : g->n, g->b_ld, size, true, false, "b");
    for (size_t i = 0; i < op->areas; i++) {
        standin_area c = {g->c, g->m, g->n, 4, g->c_ld * 4, 4, adds, true, "c"};
        if (g->m && g->n && standin_overlap(&op->area[i], &c))
            standin_die("%s: c overlaps %s", op->words, op->area[i].name);
    }
    add_matrix(op, g->c, g->m, g->n, g->c_ld, 4, adds, true, "c");
    if (g->device_scalars) {
        add_matrix(op, g->alpha_at, 1, 1, 1, 4, true, false, "alpha");
        add_matrix(op, g->beta_at, 1, 1, 1, 4, true, false, "beta");
    }
    if (h->workspace_bytes) add_matrix(op, h->workspace, 1, 1, 1, h->workspace_bytes, true, true, "workspace");
}

static bool aligned(uint64_t at, size_t bytes) { return at % bytes == 0; }

// The power of two that divides it, up to 16.
static int alignment(uint64_t at)
{
    int n = 16;
    while (!aligned(at, (size_t)n)) n /= 2;
    return n;
}

static blas_result demand(const standin_gemm *g, const warm *w, int b_type, int c_type, int algorithm)
{
    if (w->m < 0 || w->n < 0 || w->k < 0) return BLAS_INVALID_VALUE;
    const int a_rows = g->a_turned ? w->k : w->m, b_rows = g->b_turned ? w->n : w->k;
    if (w->a_ld < (a_rows > 1 ? a_rows : 1) || w->b_ld < (b_rows > 1 ? b_rows : 1) || w->c_ld < (w->m > 1 ? w->m : 1))
        return standin_refuse(BLAS_INVALID_VALUE, "GemmEx: columns of %d, %d, %d are %d, %d, %d apart", a_rows, b_rows,
                              w->m, w->a_ld, w->b_ld, w->c_ld);
    const bool half = w->type == BLAS_F16 || w->type == BLAS_BF16;
    if ((!half && w->type != BLAS_F32) || b_type != w->type || c_type != BLAS_F32)
        return standin_refuse(BLAS_NOT_SUPPORTED, "GemmEx: types %d, %d, %d", w->type, b_type, c_type);
    if (w->compute != BLAS_COMPUTE_32F && (w->compute != BLAS_COMPUTE_32F_FAST_TF32 || half))
        return standin_refuse(BLAS_NOT_SUPPORTED, "GemmEx: compute type %d of type %d", w->compute, w->type);
    if (algorithm < -1 || (algorithm > 23 && (algorithm < 99 || algorithm > 115)))
        return standin_refuse(BLAS_INVALID_VALUE, "GemmEx: algorithm %d", algorithm);
    const size_t align = half ? 2 : 4; // of one element: since cuBLAS 11, more alignment is only faster
    if (!aligned(g->a, align) || !aligned(g->b, align) || !aligned(g->c, 4))
        standin_die("GemmEx: an operand is not aligned to %zu bytes", align);
    return 0;
}

static void demand_warmth(blas_handle h, const warm *w, bool captures, const char *words)
{
    size_t i = 0;
    while (i < warms && memcmp(&warmed[i], w, sizeof *w) != 0) i++;
    if (captures && i < warms && !h->used) standin_die("%s: its handle never multiplied outside of a capture", words);
    h->used = true;
    if (i < warms) return;
    if (captures) standin_die("%s: not warmed up: it was never multiplied outside of a capture before", words);
    warmed = standin_more(warmed, warms + 1, sizeof *warmed);
    memcpy(&warmed[warms++], w, sizeof *w);
}

static blas_result queue_gemm(blas_handle h, standin_gemm *g, const warm *w, const void *alpha, const void *beta)
{
    static const char *const type_word[] = {[BLAS_F32] = "f32", [BLAS_F16] = "f16", [BLAS_BF16] = "bf16"};
    standin_op op = {.run = run_gemm};
    const bool captures = standin_capturing(h->stream);
    g->device_scalars = h->pointers == BLAS_POINTERS_DEVICE;
    if (g->device_scalars) {
        g->alpha_at = (uint64_t)(uintptr_t)alpha, g->beta_at = (uint64_t)(uintptr_t)beta;
        if (!standin_is_device(g->alpha_at) || !standin_is_device(g->beta_at))
            standin_die("GemmEx: alpha or beta is no device address, and SetPointerMode says device");
    } else {
        if (standin_is_device((uint64_t)(uintptr_t)alpha) || standin_is_device((uint64_t)(uintptr_t)beta))
            standin_die("GemmEx: alpha or beta is a device address, and SetPointerMode says host");
        memcpy(&g->alpha, alpha, sizeof g->alpha), memcpy(&g->beta, beta, sizeof g->beta);
    }
    const int n = snprintf(op.words, sizeof op.words, "product %c%c %dx%dx%d %s%s", "nt"[g->a_turned],
                           "nt"[g->b_turned], w -> m, w -> n, w -> k, type_word[g->type], g -> tf32 ? " tf32" : "");
    if (g->device_scalars)
        snprintf(op.words + n, sizeof op.words - (size_t)n, " alpha, beta on the device");
    else
        snprintf(op.words + n, sizeof op.words - (size_t)n, " alpha %g beta %g", (double)g->alpha, (double)g->beta);
    touch(&op, g, h);
    op.as.gemm = *g;
    if (captures && !h->workspace_bytes) standin_die("%s: no workspace was set since SetStream", op.words);
    demand_warmth(h, w, captures, op.words);
    return standin_queue(h->stream, &op) ? BLAS_EXECUTION_FAILED : 0;
}

static blas_result gemm(blas_handle h, standin_gemm *g, warm *w, const void *alpha, const void *beta, int b_type,
                        int c_type, int algorithm)
{
    standin_alive(h, STANDIN_HANDLE);
    if (!h->stream) standin_die("GemmEx: no stream was set");
    standin_alive(h->stream, STANDIN_STREAM);
    if (w->a_op < 0 || w->a_op > 1 || w->b_op < 0 || w->b_op > 1) return BLAS_INVALID_VALUE;
    const blas_result code = demand(g, w, b_type, c_type, algorithm);
    if (code) return code;
    w->context = h->object.context, w->lives = w->context->lives;
    w->math = h->math;
    if (standin_set()->warm_aligned)
        w->align[0] = alignment(g->a), w->align[1] = alignment(g->b), w->align[2] = alignment(g->c);
    g->tf32 = w->compute == BLAS_COMPUTE_32F_FAST_TF32;
    return queue_gemm(h, g, w, alpha, beta);
}

blas_result cublasGemmEx(blas_handle handle, int a_op, int b_op, int m, int n, int k, const void *alpha, const void *a,
                         int a_type, int a_ld, const void *b, int b_type, int b_ld, const void *beta, void *c,
                         int c_type, int c_ld, int compute, int algorithm)
{
    warm w;
    memset(&w, 0, sizeof w); // is compared as bytes
    w.a_op = a_op, w.b_op = b_op, w.m = m, w.n = n, w.k = k, w.type = a_type, w.compute = compute;
    w.a_ld = a_ld, w.b_ld = b_ld, w.c_ld = c_ld;
    standin_gemm g = {.a_turned = a_op == BLAS_T, .b_turned = b_op == BLAS_T, .type = a_type};
    g.m = (size_t)m, g.n = (size_t)n, g.k = (size_t)k;
    g.a_ld = (size_t)a_ld, g.b_ld = (size_t)b_ld, g.c_ld = (size_t)c_ld;
    g.a = (uint64_t)(uintptr_t)a, g.b = (uint64_t)(uintptr_t)b, g.c = (uint64_t)(uintptr_t)c;
    BLAS_CALL(GemmEx, STANDIN_CONTEXT, gemm(handle, &g, &w, alpha, beta, b_type, c_type, algorithm));
}

__attribute__((destructor)) static void forget(void) { free(warmed); }
