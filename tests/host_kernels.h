// Device kernels compiled as host C (device/kernels.h, kernels_lowered.h), called by number or by name for one
// work-item, which is the only lane of its group.
#ifndef HOST_KERNELS_H
#define HOST_KERNELS_H

#include "lower/launch.h"

#include "prelude_c.h"

// kernel: a kernel_id, or one of LOWERED_LIST. data, at: of each operand, in order; data NULL where it is absent.
void host_kernel_run(unsigned kernel, const work_item *item, void *const *data, const view *at, const op_constants *k,
                     const float *slots);

// The number of a name ("copy", "cast"; what the device's function adds in front is not part of it); ALL_KERNELS: there
// is none.
unsigned host_kernel_named(const char *name);

// The same by name; false: there is none.
bool host_kernel_call(const char *name, const work_item *item, void *const *data, const view *at, const op_constants *k,
                      const float *slots);

#endif
