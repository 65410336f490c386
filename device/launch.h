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

// How work-items are dealt: all kernels take any number of them (they stride over what there is).
typedef enum grid_kind {
    GRID_ELEMENTS, // id 0 runs over columns, id 1 over rows: one work-item an element at most
    GRID_GROUPS    // each group of work-items takes whole rows (or chunks), its lanes share them
} grid_kind;

typedef struct launch {
    kernel_id kernel;
    bptt_entry entry; // to charge time to
    bptt_mat op[BPTT_OPERANDS];
    knobs k;
    grid_kind grid;
    size_t rows, cols; // ELEMENTS: of the output; GROUPS: rows is the number of groups wanted
} launch;

enum { MOST_LAUNCHES = 2 }; // of one step

// Floats of scratch memory a step needs.
size_t launch_scratch(const bptt_step *s);
// The kernels of a step in order; returns how many. scratch: a buffer with room for launch_scratch floats.
size_t launches_of(const bptt_step *s, bptt_buf *scratch, launch out[MOST_LAUNCHES]);
view view_of(const bptt_mat *m); // m->buf NULL: absent
knobs knobs_of(const bptt_step *s);
void slots_of(const bptt_slots *s, float out[SLOTS]);

#endif
