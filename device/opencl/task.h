// One kernel of the OpenCL program, ready to be queued: what lowering makes of steps and the queue understands.
#ifndef CL_TASK_H
#define CL_TASK_H

#include "launch.h"

// Kernels besides those of KERNEL_LIST: the tiled product, and a layer through all steps of time.
//   multiply          a b c                        knobs
//   window_forward    keep h kept W b b2           window_args   h: the state before the first step
//   window_backward   keep y dz back dkept         window_args   y: the state after the last step
typedef enum tuned_id { TUNED_MULTIPLY = KERNELS, TUNED_FORWARD, TUNED_BACKWARD, CL_KERNELS } tuned_id;
enum { TASK_LOOP = CL_KERNELS }; // no kernel: the `body` tasks after this one, T times

enum { TASK_OPERANDS = 8 };

// Arguments of the kernel, in order: for each operand its buffer and its view; the constants; the slots; and, if
// local_bytes is not 0, that much local memory.
typedef struct task {
    unsigned kernel; // kernel_id, tuned_id or TASK_LOOP
    size_t T, body;  // TASK_LOOP
    size_t operands;
    bptt_mat arg[TASK_OPERANDS]; // buf NULL: absent
    union {
        knobs k;
        window_args w;
    } constants;
    size_t constant_bytes; // of the member in use
    size_t local_bytes;
    size_t global[2], local[2]; // work-items in all, in a group
    unsigned charge;            // bptt_charge or bptt_opcode
} task;

// Sizes that suit a kind of device: one row of a small table.
typedef struct tile_class {
    const char *name;
    unsigned lanes_of_groups; // lanes in a group of GRID_GROUPS kernels
    unsigned lanes_of_rows;   // work-items across the columns of GRID_ELEMENTS kernels
    unsigned group_rows, group_cols, lane_rows, lane_cols, depth, vector; // the product: lanes in a group, outputs of a
                                                                          // lane, depth of a block of k, vector width
    unsigned window_rows, window_lanes; // a window: most batch rows of a group, its lanes
} tile_class;

// What a device can do, as far as choosing matters.
typedef struct cl_limits {
    bptt_kind kind;
    size_t local_memory; // bytes
    bool local_is_real;  // memory of its own, not a piece of global memory
    size_t largest_group;
    unsigned units;        // compute units
    unsigned vector_width; // floats in a native vector; 0: unknown
    bool forced;           // windows also where steps are thought to be faster
} cl_limits;

const tile_class *tile_class_of(const cl_limits *l);
// Macros for the compiler, " -DNAME=VALUE" each.
void tile_options(const tile_class *c, char *out, size_t room);

// The task of one launch of a small kernel; the product becomes TUNED_MULTIPLY.
task task_of(const launch *l, const tile_class *c, const cl_limits *limits);
// If the loop is a layer's, and fits the device (its local memory; a processor's cache): true, and the one task that
// does all of it, to the last bit what its ops do one by one.
bool window_of(const bptt_op *loop, const tile_class *c, const cl_limits *limits, task *t);
// The task at step t of its loop, and step u of the loop around that: its operands moved.
task task_at(const task *of, size_t t, size_t u);

extern const char *const tuned_name[CL_KERNELS - KERNELS]; // as kernel_row.name: without the bptt_ of the text

#endif
