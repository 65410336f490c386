// Device kernels compiled as host C, called by number or by name.
#include "host_kernels.h"

#include "kernels.h"
#include "kernels_lowered.h"

#include <assert.h>
#include <string.h>

typedef struct call {
    const work_item *item;
    void *const *data;
    const view *at;
    const op_constants *k;
    const float *slots;
} call;

#define ARGUMENT(i) c->data[i], c->at[i]
#define ARGUMENTS_1 ARGUMENT(0)
#define ARGUMENTS_2 ARGUMENTS_1, ARGUMENT(1)
#define ARGUMENTS_3 ARGUMENTS_2, ARGUMENT(2)
#define ARGUMENTS_4 ARGUMENTS_3, ARGUMENT(3)
#define ARGUMENTS_5 ARGUMENTS_4, ARGUMENT(4)
#define CALL(name, operands) \
    static void call_##name(const call *c) { bptt_##name(c->item, ARGUMENTS_##operands, *c->k, c->slots); }
CALL(copy, 2)
CALL(fill, 1)
CALL(gemm, 3)
CALL(gather, 3)
CALL(scatter, 3)
CALL(scale_rows, 3)
CALL(cell_forward, 4)
CALL(cell_backward, 3)
CALL(gates_forward, 5)
CALL(gates_backward, 5)
CALL(mix, 3)
CALL(mix_backward, 4)
CALL(colsum_chunks, 2)
CALL(colsum, 2)
CALL(add_row, 2)
CALL(softmax_xent, 4)
CALL(dense_loss, 4)
CALL(log_softmax, 1)
CALL(sum_chunks, 2)
CALL(sumsq_chunks, 2)
CALL(sum, 2)
CALL(update, 5)
CALL(guard, 1)
CALL(cast, 3)
CALL(cell_forward_cast, 5)
CALL(cell_backward_cast, 5)
CALL(scatter_sorted, 4)
CALL(rescale, 2)
CALL(invert, 2)

typedef void caller(const call *c);
static caller *const callers[ALL_KERNELS] = {
#define KERNEL_CALL(name, types, writes) call_##name,
    KERNEL_LIST(KERNEL_CALL) LOWERED_LIST(KERNEL_CALL)
#undef KERNEL_CALL
};

void host_kernel_run(unsigned kernel, const work_item *item, void *const *data, const view *at, const op_constants *k,
                     const float *slots)
{
    assert(kernel < ALL_KERNELS);
    callers[kernel](&(call){item, data, at, k, slots});
}

unsigned host_kernel_named(const char *name)
{
    unsigned kernel = 0;
    while (kernel < ALL_KERNELS && strcmp(kernel_table[kernel].name, name) != 0) kernel++;
    return kernel;
}

bool host_kernel_call(const char *name, const work_item *item, void *const *data, const view *at, const op_constants *k,
                      const float *slots)
{
    const unsigned kernel = host_kernel_named(name);
    if (kernel == ALL_KERNELS) return false;
    host_kernel_run(kernel, item, data, at, k, slots);
    return true;
}
