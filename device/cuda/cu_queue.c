// Queueing nodes: a kernel's arguments, a product as cuBLAS wants it.
#include "cu_own.h"

#include <stdio.h>

enum { MOST_ARGUMENTS = 2 * BPTT_OPERANDS + 2 };

// For each operand its buffer and its view; then the constants; then the slots. Absent operands get the slots' buffer,
// which nobody reads there.
static void queue_kernel(cu_own *c, const node *n, const cu_lane *lane, cu_memory slots)
{
    cu_memory memory[BPTT_OPERANDS];
    view views[BPTT_OPERANDS];
    void *argument[MOST_ARGUMENTS];
    knobs k = n->k;
    size_t used = 0;
    for (size_t i = 0; i < n->operands; i++) {
        bptt_mat base = n->arg[i]; // a view says where its matrix begins
        base.at = 0;
        memory[i] = base.buf ? cu_address(&base) : slots;
        views[i] = view_of(&n->arg[i]);
        argument[used++] = &memory[i];
        argument[used++] = &views[i];
    }
    argument[used++] = &k;
    argument[used++] = &slots;
    CU(c, LaunchKernel, kernel_table[n->kind].name, c->function[n->kind], n->grid[0], n->grid[1], 1, n->block[0],
       n->block[1], 1, 0, lane->stream, argument, NULL);
}

static blas_type data_type(bptt_type t) { return t == BPTT_F16 ? BLAS_F16 : t == BPTT_BF16 ? BLAS_BF16 : BLAS_F32; }
static void *blas_memory(cu_memory at) { return (void *)(uintptr_t)at; }

// Where a factor lies: on the device with a loss scale, which changes there; else on the host.
static const void *factor(const cu_own *c, const node *n, bool is_beta)
{
    static const float number[] = {0, 1, -1};
    const size_t i = is_beta ? (size_t)n->k.beta : n->alpha == ALPHA_MINUS || n->alpha == ALPHA_MINUS_PER_SCALE ? 2 : 1;
    if (c->precision != BPTT_PRECISION_FP16) return &number[i];
    if (!is_beta && n->alpha >= ALPHA_PER_SCALE) return blas_memory(cu_address(&n->arg[3]) + (i - 1) * sizeof(float));
    return blas_memory(c->constants->at + i * sizeof(float));
}

// cuBLAS is column-major: it sees each matrix as its transpose, so ask for c' = b' a'. A c that lies across is turned
// first: c' = b' a' again.
static void queue_product(cu_own *c, const node *n, const cu_lane *lane)
{
    const bool across = n->arg[2].t;
    const bptt_mat a = across ? bptt_flip(n->arg[1]) : n->arg[0], b = across ? bptt_flip(n->arg[0]) : n->arg[1];
    const bptt_mat out = across ? bptt_flip(n->arg[2]) : n->arg[2];
    const int M = (int)out.cols, N = (int)out.rows, K = (int)a.cols;
    const blas_type type = data_type(a.type);
    const int compute = c->precision == BPTT_PRECISION_TF32 ? BLAS_COMPUTE_32F_FAST_TF32 : BLAS_COMPUTE_32F;
    char on[64];
    (void)snprintf(on, sizeof on, "a product of %d x %d x %d", N, K, M);
    BLAS(c, GemmEx, on, lane->blas, b.t ? BLAS_T : BLAS_N, a.t ? BLAS_T : BLAS_N, M, N, K, factor(c, n, false),
         blas_memory(cu_address(&b)), type, (int)b.ld, blas_memory(cu_address(&a)), type, (int)a.ld, factor(c, n, true),
         blas_memory(cu_address(&out)), BLAS_F32, (int)out.ld, compute, BLAS_DEFAULT_ALGORITHM);
}

void cu_queue_node(cu_own *c, const node *n, const cu_lane *lane, cu_memory slots)
{
    if (n->kind == NODE_PRODUCT)
        queue_product(c, n, lane);
    else
        queue_kernel(c, n, lane, slots);
}
