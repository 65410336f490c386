// From steps to kernels: which kernels of kernels.h a step needs, with which operands, constants and grid. What the
// backends on devices share; knows no device language.
#ifndef LAUNCH_H
#define LAUNCH_H

#include "backend.h"

typedef uint64_t word;
typedef uint32_t count;
#include "kernel_args.h"

// Every kernel: its name in kernels.h and the types of its operands, in order: f float, i int. A kernel's arguments
// are, for each operand, its buffer and its view; then knobs; then the slots.
// clang-format off
#define KERNEL_LIST(X)                  \
    X(copy, "ff")                       \
    X(fill, "f")                        \
    X(gemm, "fff")                      \
    X(gather, "iff")                    \
    X(scatter, "iff")                   \
    X(scale_rows, "fff")                \
    X(cell_forward, "ffff")             \
    X(cell_backward, "fff")             \
    X(colsum_chunks, "ff")              \
    X(colsum, "ff")                     \
    X(add_row, "ff")                    \
    X(softmax_xent, "ifff")             \
    X(log_softmax, "f")                 \
    X(sum_chunks, "ff")                 \
    X(sumsq_chunks, "ff")               \
    X(sum, "ff")                        \
    X(update, "fffff")                  \
    X(guard, "f")
// clang-format on

typedef enum kernel_id {
#define KERNEL_ENUM(name, types) KERNEL_##name,
    KERNEL_LIST(KERNEL_ENUM)
#undef KERNEL_ENUM
        KERNELS
} kernel_id;

extern const char *const kernel_name[KERNELS];
extern const char *const kernel_types[KERNELS];

// Kernels that no entry needs by itself: what lowerings put in its place (kernels_lowered.h). Types: also h, numbers
// of 16 bits, of the kind that knobs.half_kind says. A scale is [1][2], its first element is meant; absent: 1.
//   cast               x y scale          y = half(scale x)
//   cell_forward_cast  z b b2 h y         CELL_FORWARD, and y = half(h)
//   cell_backward_cast y dy dz x scale    CELL_BACKWARD, and x = half(scale dz)
//   scatter_sorted     order start dz dw  SCATTER: dw[v] gets rows order[n] of dz, start[v] <= n < start[v+1], in turn
//   rescale            stat scale         GUARD of a plan with a scale
//   invert             scale per          per [1][2]: 1 / scale, -1 / scale, which are exact
// clang-format off
#define LOWERED_LIST(X)                 \
    X(cast, "fhf")                      \
    X(cell_forward_cast, "ffffh")       \
    X(cell_backward_cast, "fffhf")      \
    X(scatter_sorted, "iiff")           \
    X(rescale, "ff")                    \
    X(invert, "ff")
// clang-format on

enum {
    LOWERED_FIRST = KERNELS - 1,
#define LOWERED_ENUM(name, types) LOWERED_##name,
    LOWERED_LIST(LOWERED_ENUM)
#undef LOWERED_ENUM
        ALL_KERNELS
};

extern const char *const lowered_name[ALL_KERNELS - KERNELS]; // of kernel k: [k - KERNELS]
extern const char *const lowered_types[ALL_KERNELS - KERNELS];

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
