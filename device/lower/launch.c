// Lowers ops to launches.
#include "launch.h"
#include "sizes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_CHECK(name, types, writes) \
    _Static_assert(sizeof(types) == sizeof(writes), #name ": a letter of types and of writes for each operand");
KERNEL_LIST(KERNEL_CHECK)
LOWERED_LIST(KERNEL_CHECK)
#undef KERNEL_CHECK

#define KERNEL_ROW(name, types, writes) {#name, types, writes},
const kernel_row kernel_table[ALL_KERNELS] = {KERNEL_LIST(KERNEL_ROW) LOWERED_LIST(KERNEL_ROW)};
#undef KERNEL_ROW

view view_of(const bptt_mat *m)
{
    if (!m->buf) return (view){0};
    assert(m->rows <= UINT32_MAX && m->cols <= UINT32_MAX);
    assert(m->ld <= UINT32_MAX || (m->t ? m->cols : m->rows) <= 1);
    const count ld = m->ld <= UINT32_MAX ? (count)m->ld : 0;
    return (view){
        .at = m->at, .rows = (count)m->rows, .cols = (count)m->cols, .down = m->t ? 1 : ld, .across = m->t ? ld : 1};
}

#define OPTIMIZER_CHECK(name, number, update, keeps_m, keeps_v) \
    _Static_assert(BPTT_##name == (number), "bptt.h and OPTIMIZER_LIST number " #name " differently");
OPTIMIZER_LIST(OPTIMIZER_CHECK)
#undef OPTIMIZER_CHECK

#define LOSS_CHECK(number, NAME, word, value, slope) \
    _Static_assert(BPTT_##NAME == (number), "bptt.h and LOSS_LIST number " #NAME " differently");
LOSS_LIST(LOSS_CHECK)
#undef LOSS_CHECK

op_constants constants_of(const bptt_op *op)
{
    const struct bptt_rule *rule = &op->rule;
    return (op_constants){
        .alpha = op->alpha,
        .beta = op->beta,
        .cell = (int)op->cell,
        .gradient = op->gradient,
        .loss = (int)op->loss,
        .optimizer = (int)rule->optimizer,
        .by_norm = rule->clip > 0 && rule->clip_mode == BPTT_CLIP_NORM,
        .by_value = rule->clip > 0 && rule->clip_mode == BPTT_CLIP_VALUE,
        .clip = (float)rule->clip,
#define RULE_CONSTANT(name, value) .name = (float)(value),
        RULE_CONSTANT_LIST(RULE_CONSTANT)
#undef RULE_CONSTANT
            .value = (float)op->value,
    };
}

void slots_of(const bptt_slots *s, float out[SLOTS])
{
    memset(out, 0, SLOTS * sizeof *out);
    const double weight = s->scalar[BPTT_WEIGHT];
    out[SLOT_PER_WEIGHT] = weight > 0 ? (float)(1 / weight) : 0;
    out[SLOT_RATE] = (float)s->scalar[BPTT_RATE];
    out[SLOT_ROOT] = (float)s->scalar[BPTT_ROOT];
}

// ---- launches ------------------------------------------------------------------------------------------------------

launch launch_for(unsigned kernel, const bptt_op *op, grid_kind grid, size_t rows, size_t cols)
{
    return (launch){.kernel = kernel,
                    .charge = op->opcode,
                    .operands = strlen(kernel_table[kernel].types),
                    .constants.op = constants_of(op),
                    .constant_bytes = sizeof(op_constants),
                    .grid = grid,
                    .rows = rows,
                    .cols = cols};
}

launch launch_at(const launch *l, size_t t, size_t u)
{
    launch moved = *l;
    for (size_t i = 0; i < moved.operands; i++)
        moved.arg[i].at += t * (size_t)moved.arg[i].move[0] + u * (size_t)moved.arg[i].move[1];
    return moved;
}

unsigned launch_writes(const launch *l)
{
    const char *const writes = l->kernel == LAUNCH_PRODUCT ? "0010" : kernel_table[l->kernel].writes;
    unsigned bits = 0;
    for (size_t i = 0; i < l->operands; i++)
        if (l->arg[i].buf && writes[i] == '1') bits |= 1u << i;
    return bits;
}

void launch_add(launch_list *list, const launch *l)
{
    list->at = grow(list->at, list->n, &list->room, sizeof *list->at, &list->failed);
    if (!list->failed) list->at[list->n++] = *l;
}

void launch_list_free(launch_list *list)
{
    free(list->at);
    *list = (launch_list){0};
}

// ---- sums in two launches -------------------------------------------------------------------------------------------

// A sum of all elements reads the matrix along its longer side.
static bptt_mat lying(bptt_mat x) { return x.rows > x.cols ? bptt_flip(x) : x; }

// Number of partial sums of an op, rows x cols; 0 for other opcodes.
static void partial_sums(const bptt_op *op, size_t *rows, size_t *cols)
{
    const bptt_mat x = op->opcode == BPTT_COLSUM ? op->arg[0] : lying(op->arg[0]);
    *rows = *cols = 0;
    if (op->opcode == BPTT_COLSUM) *rows = pieces_of(x.rows, COLSUM_ROWS), *cols = x.cols;
    if (op->opcode == BPTT_SUM || op->opcode == BPTT_SUMSQ) *rows = x.rows, *cols = pieces_of(x.cols, SUM_PIECE);
}

size_t launch_scratch(const bptt_op *op)
{
    size_t rows, cols;
    partial_sums(op, &rows, &cols);
    return rows * cols;
}

static size_t sum_launches(const bptt_op *op, bptt_buf *scratch, launch out[MOST_LAUNCHES])
{
    size_t rows, cols;
    partial_sums(op, &rows, &cols);
    const bool columns = op->opcode == BPTT_COLSUM;
    const bptt_mat part = {.buf = scratch, .rows = rows, .cols = cols, .ld = cols, .type = BPTT_F32};
    bptt_mat all = part;
    if (!columns) all.rows = 1, all.cols = all.ld = rows * cols;
    const kernel_id chunks = op->opcode == BPTT_SUM     ? KERNEL_sum_chunks
                             : op->opcode == BPTT_SUMSQ ? KERNEL_sumsq_chunks
                                                        : KERNEL_colsum_chunks;
    const grid_kind grid = columns ? GRID_ELEMENTS : GRID_GROUPS;
    out[0] = launch_for(chunks, op, grid, columns ? rows : rows * cols, columns ? cols : 1);
    out[0].arg[0] = columns ? op->arg[0] : lying(op->arg[0]);
    out[0].arg[1] = part;
    out[1] = launch_for(columns ? KERNEL_colsum : KERNEL_sum, op, grid, 1, columns ? cols : 1);
    out[1].arg[0] = all;
    out[1].arg[1] = op->arg[1];
    if (op->opcode == BPTT_SUMSQ) out[1].constants.op.beta = 0;
    return 2;
}

// ---- everything else in one -----------------------------------------------------------------------------------------

typedef struct how {
    kernel_id kernel;
    unsigned shape; // the operand that gives the rows and columns of the grid
    grid_kind grid;
} how;

// No default: the compiler names the opcode that is missing.
static how how_of(bptt_opcode opcode)
{
    switch (opcode) {
    case BPTT_COPY: return (how){KERNEL_copy, 1, GRID_ELEMENTS};
    case BPTT_FILL: return (how){KERNEL_fill, 0, GRID_ELEMENTS};
    case BPTT_GEMM: return (how){KERNEL_gemm, 2, GRID_ELEMENTS};
    case BPTT_GATHER: return (how){KERNEL_gather, 2, GRID_ELEMENTS};
    case BPTT_SCATTER: return (how){KERNEL_scatter, 2, GRID_ELEMENTS};
    case BPTT_SCALE_ROWS: return (how){KERNEL_scale_rows, 2, GRID_ELEMENTS};
    case BPTT_CELL_FORWARD: return (how){KERNEL_cell_forward, 3, GRID_ELEMENTS};
    case BPTT_CELL_BACKWARD: return (how){KERNEL_cell_backward, 2, GRID_ELEMENTS};
    case BPTT_GATES_FORWARD: return (how){KERNEL_gates_forward, 4, GRID_ELEMENTS};
    case BPTT_GATES_BACKWARD: return (how){KERNEL_gates_backward, 2, GRID_ELEMENTS};
    case BPTT_MIX: return (how){KERNEL_mix, 2, GRID_ELEMENTS};
    case BPTT_MIX_BACKWARD: return (how){KERNEL_mix_backward, 2, GRID_ELEMENTS};
    case BPTT_ADD_ROW: return (how){KERNEL_add_row, 1, GRID_ELEMENTS};
    case BPTT_SOFTMAX_XENT: return (how){KERNEL_softmax_xent, 2, GRID_GROUPS};
    case BPTT_DENSE_LOSS: return (how){KERNEL_dense_loss, 2, GRID_GROUPS};
    case BPTT_LOG_SOFTMAX: return (how){KERNEL_log_softmax, 0, GRID_GROUPS};
    case BPTT_UPDATE: return (how){KERNEL_update, 0, GRID_ELEMENTS};
    case BPTT_GUARD: return (how){KERNEL_guard, 0, GRID_ELEMENTS};
    case BPTT_COLSUM:
    case BPTT_SUM:
    case BPTT_SUMSQ: // sum_launches
    case BPTT_OPCODES: break;
    }
    assert(false);
    return (how){KERNELS, 0, GRID_ELEMENTS};
}

static launch plain_launch(const bptt_op *op)
{
    const how h = how_of(op->opcode);
    const bptt_mat *m = &op->arg[h.shape];
    const bool one = h.grid == GRID_GROUPS || op->opcode == BPTT_GUARD;
    launch l = launch_for(h.kernel, op, h.grid, m->rows, one ? 1 : m->cols);
    memcpy(l.arg, op->arg, sizeof op->arg);
    return l;
}

// A long row, such as all weights of a model, would give a grid of one row. It is folded: one launch reads it as rows
// of FOLD elements, a second one reads the rest.
enum { FOLD = 1024 };

// Number of operands of an op that may be folded; 0: the op is not folded.
static size_t foldable(const bptt_op *op)
{
    const size_t n = op->opcode == BPTT_UPDATE ? 4 : op->opcode == BPTT_COPY ? 2 : op->opcode == BPTT_FILL ? 1 : 0;
    for (size_t k = 0; k < n; k++)
        if (op->arg[k].buf && (op->arg[k].t || op->arg[k].rows != 1 || op->arg[k].cols < 2 * FOLD)) return 0;
    return n;
}

static size_t folded(const bptt_op *op, size_t operands, launch out[MOST_LAUNCHES])
{
    const size_t n = op->arg[0].cols, rows = n / FOLD, rest = n % FOLD;
    bptt_op body = *op, tail = *op;
    for (size_t k = 0; k < operands; k++) {
        body.arg[k].rows = rows, body.arg[k].cols = body.arg[k].ld = FOLD;
        tail.arg[k].at += rows * FOLD, tail.arg[k].cols = tail.arg[k].ld = rest;
    }
    out[0] = plain_launch(&body);
    if (rest) out[1] = plain_launch(&tail);
    return rest ? 2 : 1;
}

size_t launches_of(const bptt_op *op, bptt_buf *scratch, launch out[MOST_LAUNCHES])
{
    if (op->opcode == BPTT_COLSUM || op->opcode == BPTT_SUM || op->opcode == BPTT_SUMSQ)
        return sum_launches(op, scratch, out);
    const size_t operands = foldable(op);
    if (operands) return folded(op, operands, out);
    out[0] = plain_launch(op);
    return 1;
}
