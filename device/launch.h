// From steps to kernels: which kernels of kernels.h a step needs, with which operands, constants and grid. What the
// backends on devices share; knows no device language.
#ifndef LAUNCH_H
#define LAUNCH_H

#include "backend.h"

typedef uint64_t word;
typedef uint32_t count;
#include "kernel_args.h"

// Every kernel: its name in kernels.h; the types of its operands, in order: f float, i int; and which of them it
// writes: 1 or 0 for each. A kernel's arguments are, for each operand, its buffer and its view; then knobs; then the
// slots.
// clang-format off
#define KERNEL_LIST(X)                      \
    X(copy, "ff", "01")                     \
    X(fill, "f", "1")                       \
    X(gemm, "fff", "001")                   \
    X(gather, "iff", "001")                 \
    X(scatter, "iff", "001")                \
    X(scale_rows, "fff", "001")             \
    X(cell_forward, "ffff", "0001")         \
    X(cell_backward, "fff", "001")          \
    X(gates_forward, "fffff", "10001")      \
    X(gates_backward, "fffff", "10001")     \
    X(colsum_chunks, "ff", "01")            \
    X(colsum, "ff", "01")                   \
    X(add_row, "ff", "01")                  \
    X(softmax_xent, "ifff", "0011")         \
    X(log_softmax, "f", "1")                \
    X(sum_chunks, "ff", "01")               \
    X(sumsq_chunks, "ff", "01")             \
    X(sum, "ff", "01")                      \
    X(update, "fffff", "10110")             \
    X(guard, "f", "1")
// clang-format on

typedef enum kernel_id {
#define KERNEL_ENUM(name, types, writes) KERNEL_##name,
    KERNEL_LIST(KERNEL_ENUM)
#undef KERNEL_ENUM
        KERNELS
} kernel_id;

// Kernels that no entry needs by itself: what lowerings put in its place (kernels_lowered.h). Types: also h, numbers
// of 16 bits, of the kind that knobs.half_kind says. A scale is [1][2], its first element is meant; absent: 1.
//   cast               x y scale          y = half(scale x)
//   cell_forward_cast  z b b2 h y         CELL_FORWARD, and y = half(h)
//   cell_backward_cast y dy dz x scale    CELL_BACKWARD, and x = half(scale dz)
//   scatter_sorted     order start dz dw  SCATTER: dw[v] gets rows order[n] of dz, start[v] <= n < start[v+1], in turn
//   rescale            stat scale         GUARD of a plan with a scale
//   invert             scale per          per [1][2]: 1 / scale, -1 / scale, which are exact
// clang-format off
#define LOWERED_LIST(X)                     \
    X(cast, "fhf", "010")                   \
    X(cell_forward_cast, "ffffh", "00011")  \
    X(cell_backward_cast, "fffhf", "00110") \
    X(scatter_sorted, "iiff", "0001")       \
    X(rescale, "ff", "11")                  \
    X(invert, "ff", "01")
// clang-format on

enum {
    LOWERED_FIRST = KERNELS - 1,
#define LOWERED_ENUM(name, types, writes) LOWERED_##name,
    LOWERED_LIST(LOWERED_ENUM)
#undef LOWERED_ENUM
        ALL_KERNELS
};

// The rows of both lists: kernel k's is kernel_table[k].
typedef struct kernel_row {
    const char *name, *types, *writes;
} kernel_row;
extern const kernel_row kernel_table[ALL_KERNELS];

// How work-items are dealt: all kernels take any number of them (they stride over what there is).
typedef enum grid_kind {
    GRID_ELEMENTS, // id 0 runs over columns, id 1 over rows: one work-item an element at most
    GRID_GROUPS    // each group of work-items takes whole rows (or chunks), its lanes share them
} grid_kind;

typedef struct launch {
    unsigned kernel;    // kernel_id, or one of LOWERED_LIST
    bptt_opcode opcode; // to charge time to
    bptt_mat arg[BPTT_OPERANDS];
    knobs k;
    grid_kind grid;
    size_t rows, cols; // ELEMENTS: of the output; GROUPS: rows is the number of groups wanted
} launch;

enum { MOST_LAUNCHES = 2 }; // of one step

// Floats of scratch memory a step needs.
size_t launch_scratch(const bptt_op *s);
// The kernels of a step in order; returns how many. scratch: a buffer with room for launch_scratch floats.
size_t launches_of(const bptt_op *s, bptt_buf *scratch, launch out[MOST_LAUNCHES]);
view view_of(const bptt_mat *m); // m->buf NULL: absent
knobs knobs_of(const bptt_op *s);
void slots_of(const bptt_slots *s, float out[SLOTS]);

#endif
