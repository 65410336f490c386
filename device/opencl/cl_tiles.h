// Tile sizes and grids of OpenCL launches, for each kind of device. Knows no OpenCL: needs no device.
#ifndef CL_TILES_H
#define CL_TILES_H

#include "lower/launch.h"

// Kernels besides those of KERNEL_LIST: the tiled GEMM, the loop of a layer over all steps, the arithmetic probe. No
// program holds kernels of LOWERED_LIST, so these take their numbers.
//   multiply          a b c                        op_constants
//   window_forward    keep h kept W b b2           layer_constants   h: the state before the first step
//   window_backward   keep y dz back dkept         layer_constants   y: the state after the last step
//   probe             in out                       the device's arithmetic (cl_probe.c)
// Those of gated cells are in a program for each cell; operands as in layer_loop.h:
//   gates_window_forward    keep h kept z w u mixed b b2        layer_constants
//   gates_window_backward   keep h kept z w u mixed dz dkept    layer_constants
typedef enum tuned_id {
    TUNED_MULTIPLY = KERNELS,
    TUNED_FORWARD,
    TUNED_BACKWARD,
    TUNED_PROBE,
    CL_COMMON, // kernels of the program that all models have
    TUNED_GATES_FORWARD = CL_COMMON,
    TUNED_GATES_BACKWARD,
    CL_KERNELS
} tuned_id;

extern const char *const tuned_name[CL_KERNELS - KERNELS]; // as kernel_row.name: without the bptt_ of the text

// Sizes that suit a kind of device: one row of a small table.
typedef struct tile_class {
    const char *name;
    unsigned lanes_of_groups; // lanes in a group of GRID_GROUPS kernels
    unsigned lanes_of_rows;   // work-items across the columns of GRID_ELEMENTS kernels
    unsigned group_rows, group_cols, lane_rows, lane_cols, depth, vector; // the product: lanes in a group, outputs of a
                                                                          // lane, depth of a block of k, vector width
    unsigned window_rows, window_lanes; // a whole loop: most batch rows of a group, its lanes
} tile_class;

// The limits of a device, as far as choosing sizes needs them.
typedef struct cl_limits {
    bptt_kind kind;
    size_t local_memory; // bytes
    bool local_is_real;  // memory of its own, not a piece of global memory
    size_t largest_group;
    unsigned units;        // compute units
    unsigned vector_width; // floats in a native vector; 0: unknown
    bool forced;           // whole-loop kernels also where single ops are thought to be faster
} cl_limits;

const tile_class *tile_class_of(const cl_limits *l);
// Macros for the compiler, " -DNAME=VALUE" each.
void tile_options(const tile_class *c, char *out, size_t room);

// Sets groups and lanes of a launch of a small kernel; KERNEL_gemm becomes TUNED_MULTIPLY.
void cl_set_grid(launch *l, const tile_class *c, const cl_limits *limits);
// One launch for a whole loop, with the bits of its ops. False: the loop is not a layer's, or does not fit the device
// (its local memory; a processor's cache).
bool cl_loop_launch(const bptt_op *loop, const tile_class *c, const cl_limits *limits, launch *l);

#endif
