// A launch: one kernel with its operands, constants and grid; and the lowering of single ops to launches. Shared by the
// GPU backends; independent of the device language.
#ifndef LAUNCH_H
#define LAUNCH_H

#include "backend.h"

typedef uint64_t word;
typedef uint32_t count;
#include "kernel_args.h"

// All kernels of kernels.h: name; types of the operands in order (f float, i int); and a digit for each operand, 1 if
// the kernel writes it. The arguments of a kernel are the buffer and the view of each operand, its constants, and the
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
    X(mix, "fff", "101")                    \
    X(mix_backward, "ffff", "1001")         \
    X(colsum_chunks, "ff", "01")            \
    X(colsum, "ff", "01")                   \
    X(add_row, "ff", "01")                  \
    X(softmax_xent, "ifff", "0011")         \
    X(dense_loss, "ffff", "0011")           \
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

// Lowered kernels (kernels_lowered.h), which replace kernels of ops. Types also h: 16-bit floats of the format
// op_constants.half_kind. scale is [1][2]; its first element is used; absent: 1.
//   cast               x y scale          y = half(scale x)
//   cell_forward_cast  z b b2 h y         CELL_FORWARD, and y = half(h)
//   cell_backward_cast y dy dz x scale    CELL_BACKWARD, and x = half(scale dz)
//   scatter_sorted     order start dz dw  SCATTER: dw[v] adds rows order[n] of dz, n = start[v] .. start[v+1] - 1
//   rescale            stat scale         GUARD of a plan with a loss scale
//   invert             scale per          per [1][2]: 1 / scale, -1 / scale, both exact
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
        ALL_KERNELS,
    LAUNCH_PRODUCT = ALL_KERNELS, // GEMM by a library: a b c. A fourth operand, [1][2], is a factor in device memory:
                                  // its first element if alpha is 1, its second if alpha is -1
    LAUNCH_LOOP                   // no kernel: the `body` launches after this one, T times (constants.loop)
};

// The rows of both lists, by kernel number.
typedef struct kernel_row {
    const char *name, *types, *writes;
} kernel_row;
extern const kernel_row kernel_table[ALL_KERNELS];

// Mapping of work to work-items. Kernels stride over the data, so any grid is correct.
typedef enum grid_kind {
    GRID_ELEMENTS, // id 0 runs over columns, id 1 over rows; at most one work-item for each element
    GRID_GROUPS    // each group of work-items takes whole rows or chunks, which its lanes share
} grid_kind;

enum { LAUNCH_OPERANDS = 9 };

// Kernel, operands, constants, work and charge are filled by launches_of; groups, lanes, local_bytes by the backend.
typedef struct launch {
    unsigned kernel; // kernel_id, LOWERED_..., LAUNCH_..., or a kernel of the backend's own
    unsigned charge; // bptt_charge or bptt_opcode
    size_t operands;
    bptt_mat arg[LAUNCH_OPERANDS]; // buf NULL: absent. BF16, F16: in the 16-bit copy of the buffer
    union {
        op_constants op;
        layer_constants layer; // whole-loop kernels
        struct {
            size_t T, body;
        } loop;
    } constants;
    size_t constant_bytes;      // of the member in use
    grid_kind grid;             // the work:
    size_t rows, cols;          // ELEMENTS: of the output; GROUPS: rows is the number of groups wanted
    size_t groups[2], lanes[2]; // groups of work-items, work-items of a group; 0: along columns, 1: along rows
    size_t local_bytes;         // local (shared) memory of a group, passed as the last argument; 0: none
} launch;

// A growing list of launches; initialize with {0}.
typedef struct launch_list {
    size_t n, room;
    launch *at;
    bool failed; // no memory
} launch_list;

// Appends a launch. No memory: list->failed.
void launch_add(launch_list *list, const launch *l);
void launch_list_free(launch_list *list);

enum { MOST_LAUNCHES = 2 }; // most launches of one op

// Floats of scratch memory that an op needs.
size_t launch_scratch(const bptt_op *op);
// Lowers an op to launches in order and returns their number. scratch: a buffer of launch_scratch floats.
size_t launches_of(const bptt_op *op, bptt_buf *scratch, launch out[MOST_LAUNCHES]);
// A launch of a kernel with the constants and charge of an op, without operands.
launch launch_for(unsigned kernel, const bptt_op *op, grid_kind grid, size_t rows, size_t cols);
// The launch with its operands at step t of its loop and step u of the enclosing loop.
launch launch_at(const launch *l, size_t t, size_t u);
// Bit i is set if the launch writes operand i.
unsigned launch_writes(const launch *l);

view view_of(const bptt_mat *m); // m->buf NULL: absent
op_constants constants_of(const bptt_op *op);
void slots_of(const bptt_slots *s, float out[SLOTS]);

#endif
