// Queueing launches: a kernel's arguments, a product as cuBLAS wants it.
#include "cu_internal.h"

#include <stdio.h>

enum { MOST_ARGUMENTS = 2 * LAUNCH_OPERANDS + 2 };

// For each operand its buffer and its view; then the constants; then the slots. Absent operands get the slots' buffer,
// which no kernel reads there.
static void queue_kernel(cu_state *c, const launch *l, const cu_lane *lane, cu_memory slots)
{
    cu_memory memory[LAUNCH_OPERANDS];
    view views[LAUNCH_OPERANDS];
    void *argument[MOST_ARGUMENTS];
    op_constants constants = l->constants.op; // the driver takes no pointer to const
    size_t used = 0;
    for (size_t i = 0; i < l->operands; i++) {
        bptt_mat base = l->arg[i]; // a view says where its matrix begins
        base.at = 0;
        memory[i] = base.buf ? cu_address(&base) : slots;
        views[i] = view_of(&l->arg[i]);
        argument[used++] = &memory[i];
        argument[used++] = &views[i];
    }
    argument[used++] = &constants;
    argument[used++] = &slots;
    CU(c, LaunchKernel, kernel_table[l->kernel].name, c->function[l->kernel], (unsigned)l->groups[0],
       (unsigned)l->groups[1], 1, (unsigned)l->lanes[0], (unsigned)l->lanes[1], 1, 0, lane->stream, argument, NULL);
}

static blas_type data_type(bptt_type t) { return t == BPTT_F16 ? BLAS_F16 : t == BPTT_BF16 ? BLAS_BF16 : BLAS_F32; }
static void *blas_memory(cu_memory at) { return (void *)(uintptr_t)at; }

// The address of alpha or beta: on the device with a loss scale, which changes there; else on the host.
static const void *factor(const cu_state *c, const launch *l, bool is_beta)
{
    static const float number[] = {0, 1, -1};
    const size_t i = is_beta ? (size_t)l->constants.op.beta : l->constants.op.alpha < 0 ? 2 : 1;
    if (c->precision != BPTT_PRECISION_FP16) return &number[i];
    if (!is_beta && l->operands > 3) return blas_memory(cu_address(&l->arg[3]) + (i - 1) * sizeof(float));
    return blas_memory(c->constants->at + i * sizeof(float));
}

// The handle works on the stream of a lane, in its workspace.
static void bind_lane(cu_state *c, const cu_lane *lane)
{
    if (c->bound == lane) return;
    BLAS(c, SetStream, "", c->handle, lane->stream); // takes the workspace away: so it comes first
    BLAS(c, SetWorkspace, "", c->handle, blas_memory(lane->workspace->at), c->workspace_bytes);
    c->bound = c->base.fault.code ? NULL : lane;
}

// cuBLAS is column-major: it sees each matrix as its transpose, so ask for c' = b' a'. A c that lies across is turned
// first: c' = b' a' again.
static void queue_product(cu_state *c, const launch *l, const cu_lane *lane)
{
    const bool across = l->arg[2].t;
    const bptt_mat a = across ? bptt_flip(l->arg[1]) : l->arg[0], b = across ? bptt_flip(l->arg[0]) : l->arg[1];
    const bptt_mat out = across ? bptt_flip(l->arg[2]) : l->arg[2];
    const int M = (int)out.cols, N = (int)out.rows, K = (int)a.cols;
    const blas_type type = data_type(a.type);
    const int compute = c->precision == BPTT_PRECISION_TF32 ? BLAS_COMPUTE_32F_FAST_TF32 : BLAS_COMPUTE_32F;
    char on[64];
    (void)snprintf(on, sizeof on, "a product of %d x %d x %d", N, K, M);
    bind_lane(c, lane);
    BLAS(c, GemmEx, on, c->handle, b.t ? BLAS_T : BLAS_N, a.t ? BLAS_T : BLAS_N, M, N, K, factor(c, l, false),
         blas_memory(cu_address(&b)), type, (int)b.ld, blas_memory(cu_address(&a)), type, (int)a.ld, factor(c, l, true),
         blas_memory(cu_address(&out)), BLAS_F32, (int)out.ld, compute, BLAS_DEFAULT_ALGORITHM);
}

void cu_queue_launch(cu_state *c, const launch *l, const cu_lane *lane, cu_memory slots)
{
    if (l->kernel == LAUNCH_PRODUCT)
        queue_product(c, l, lane);
    else
        queue_kernel(c, l, lane, slots);
}
