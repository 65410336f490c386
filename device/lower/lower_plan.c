// Lowers the ops of a plan to launches: small kernels by launch.h, GEMMs by a library. In addition:
//   a GEMM over a window from the states of one layer to the input of the next is split along time
//   SCATTER uses the sorted order of the tokens, which the host computes
//   16-bit GEMM operands are written by the cell kernel that computes them, else by a cast
#include "lower_plan.h"
#include "half_copies.h"
#include "half_type.h"
#include "sizes.h"
#include "view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 256,     // threads of a block of GRID_ELEMENTS
    LANES = 64,        // threads of a block of GRID_GROUPS, WIDTH in kernels.h
    MOST_ROWS = 65535, // most blocks in the second dimension of a grid
    PIECES = 8,        // most pieces of a window
    LEAST_STEPS = 4,   // least steps of time of a piece
};

typedef struct lowering {
    const bptt_plan *plan;
    bool in_loop; // inside a loop of time
    const lower_rules *rules;
    launch_list *out;
    size_t scratch; // floats used
    half_copies copies;
} lowering;

// ---- launches -------------------------------------------------------------------------------------------------------

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// Neighbouring threads take neighbouring columns, so that accesses coalesce.
static void set_grid(launch *l)
{
    if (l->grid == GRID_GROUPS) {
        l->lanes[0] = LANES, l->lanes[1] = 1;
        l->groups[0] = least(l->rows, INT32_MAX), l->groups[1] = 1;
        return;
    }
    size_t across = 1;
    while (across < LANES && across < l->cols) across *= 2;
    l->lanes[0] = across, l->lanes[1] = THREADS / across;
    l->groups[0] = least(pieces_of(l->cols, across), INT32_MAX);
    l->groups[1] = least(pieces_of(l->rows, l->lanes[1]), MOST_ROWS);
}

static void add_kernel(lowering *w, launch *l)
{
    if (l->rows == 0 || l->cols == 0) return;
    set_grid(l);
    launch_add(w->out, l);
}

static bptt_mat half_view(const lower_rules *r, bptt_mat m)
{
    m.type = precision_type(r->precision);
    return m;
}

// A launch of a lowered kernel over rows x cols elements.
static launch lowered_launch(const lowering *w, unsigned kernel, const bptt_op *op, size_t rows, size_t cols)
{
    launch l = launch_for(kernel, op, GRID_ELEMENTS, rows, cols);
    l.constants.op.half_kind = half_kind_of(precision_type(w->rules->precision));
    return l;
}

// ---- 16-bit copies --------------------------------------------------------------------------------------------------

// The 16-bit copy of an operand; a stale copy is renewed by a cast. *scaled: the copy of a gradient.
static bptt_mat current_copy(lowering *w, const bptt_op *op, bptt_mat m, bool *scaled)
{
    const bptt_mat copy = half_view(w->rules, m);
    if (half_is_current(&w->copies, &m, scaled)) return copy;
    *scaled = w->plan->scale.buf && half_has_gradient(&w->copies, &m);
    const bptt_mat x = m.t ? bptt_flip(m) : m, y = m.t ? bptt_flip(copy) : copy; // without transpose
    launch l = lowered_launch(w, LOWERED_cast, op, x.rows, x.cols);
    l.arg[0] = x, l.arg[1] = y;
    if (*scaled) l.arg[2] = w->plan->scale;
    add_kernel(w, &l);
    half_copied(&w->copies, &m, *scaled);
    return copy;
}

// ---- products -------------------------------------------------------------------------------------------------------

static void add_product(lowering *w, const bptt_op *op, bptt_mat a, bptt_mat b, bptt_mat c)
{
    bool a_scaled = false, b_scaled = false;
    if (precision_is_half(w->rules->precision)) {
        a = current_copy(w, op, a, &a_scaled);
        b = current_copy(w, op, b, &b_scaled);
        assert(!(a_scaled && b_scaled)); // a plan has no product of two gradients
    }
    launch l = launch_for(KERNEL_gemm, op, GRID_ELEMENTS, c.rows, c.cols);
    l.kernel = LAUNCH_PRODUCT;
    l.arg[0] = a, l.arg[1] = b, l.arg[2] = c;
    if (a_scaled || b_scaled) l.arg[l.operands++] = w->rules->per_scale; // read on the device
    launch_add(w->out, &l);
}

// The operand of a cell that other ops write or read over a whole window: what the cell writes, or else what it reads.
// NULL: the op is no cell.
static const bptt_mat *cell_operand(const bptt_op *op, bool written)
{
    switch (op->opcode) {
    case BPTT_CELL_FORWARD: return &op->arg[written ? 3 : 0];
    case BPTT_CELL_BACKWARD: return &op->arg[written ? 2 : 1];
    case BPTT_GATES_FORWARD: return &op->arg[written ? 4 : 0];
    case BPTT_GATES_BACKWARD: return &op->arg[written ? 0 : 3];
    default: return NULL;
    }
}

// Batch rows of a loop of time whose cells write (if not written: read) elements of m; 0: none.
static size_t loop_rows(const bptt_plan *p, const bptt_mat *m, bool written)
{
    view_range r;
    const view_range all = view_range_of(m);
    size_t T = 0;
    for (size_t i = 0; i < p->ops; i++) {
        const bptt_op *op = &p->op[i];
        if (op->opcode == BPTT_LOOP) T = op->loop.T;
        const bptt_mat *x = cell_operand(op, written);
        if (x && T > 0 && view_passes(x, T, &r) && ranges_overlap(&r, &all)) return x->rows;
    }
    return 0;
}

// Rows of a piece if a GEMM between two layers is split along time so that the layers can overlap; c->rows: not split.
static size_t piece_rows(const lowering *w, const bptt_op *op)
{
    const bptt_mat *a = &op->arg[0], *c = &op->arg[2];
    if (!w->rules->pieces || w->in_loop || a->t || c->t) return c->rows;
    const size_t B = loop_rows(w->plan, a, true), other = B ? loop_rows(w->plan, c, false) : 0;
    if (B == 0 || other != B || c->rows % B != 0) return c->rows;
    const size_t T = c->rows / B, steps = pieces_of(T, PIECES);
    return B * (steps < LEAST_STEPS ? LEAST_STEPS : steps);
}

static void product(lowering *w, const bptt_op *op)
{
    const bptt_mat a = op->arg[0], b = op->arg[1], c = op->arg[2];
    const size_t each = piece_rows(w, op);
    for (size_t i = 0; i < c.rows; i += each) {
        const size_t n = c.rows - i < each ? c.rows - i : each;
        if (n == c.rows)
            add_product(w, op, a, b, c);
        else
            add_product(w, op, bptt_rows(a, i, n), b, bptt_rows(c, i, n));
    }
    half_written(&w->copies, &c);
}

// ---- everything else ------------------------------------------------------------------------------------------------

static void cell(lowering *w, const bptt_op *op)
{
    const bool forward = op->opcode == BPTT_CELL_FORWARD;
    const bptt_mat *h = &op->arg[forward ? 3 : 2];
    const bool scaled = !forward && w->plan->scale.buf;
    const unsigned kernel = forward ? LOWERED_cell_forward_cast : LOWERED_cell_backward_cast;
    launch l = lowered_launch(w, kernel, op, h->rows, h->cols);
    memcpy(l.arg, op->arg, sizeof op->arg);
    l.arg[forward ? 4 : 3] = half_view(w->rules, *h);
    if (!forward) l.arg[4] = scaled ? w->plan->scale : (bptt_mat){0};
    add_kernel(w, &l);
    half_written(&w->copies, h);
    half_copied(&w->copies, h, scaled);
    if (!forward) half_is_gradient(&w->copies, h);
}

static bool sorted_scatter(lowering *w, const bptt_op *op)
{
    const lower_rules *r = w->rules;
    if (!r->order.buf || !same_view(&op->arg[0], &w->plan->input[r->sorted]) || op->arg[2].rows + 1 != r->start.rows)
        return false;
    launch l = launch_for(LOWERED_scatter_sorted, op, GRID_ELEMENTS, op->arg[2].rows, op->arg[2].cols);
    l.arg[0] = r->order, l.arg[1] = r->start, l.arg[2] = op->arg[1], l.arg[3] = op->arg[2];
    add_kernel(w, &l);
    return true;
}

static void guard_with_scale(lowering *w, const bptt_op *op)
{
    launch l = launch_for(LOWERED_rescale, op, GRID_ELEMENTS, 1, 1);
    l.arg[0] = op->arg[0], l.arg[1] = w->plan->scale;
    add_kernel(w, &l);
}

static void plain(lowering *w, const bptt_op *op)
{
    launch l[MOST_LAUNCHES];
    const size_t n = launches_of(op, w->rules->scratch, l), floats = launch_scratch(op);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; floats && k < l[i].operands;
             k++) // separate scratch for each sum, so that none waits for another
            if (l[i].arg[k].buf == w->rules->scratch) l[i].arg[k].at += w->scratch;
        add_kernel(w, &l[i]);
    }
    w->scratch += floats;
    const char *roles = bptt_opcode_roles[op->opcode];
    for (size_t k = 0; roles[k]; k++)
        if (strchr("=+O", roles[k])) half_written(&w->copies, &op->arg[k]);
    if (op->opcode == BPTT_GATES_BACKWARD || op->opcode == BPTT_MIX_BACKWARD) half_is_gradient(&w->copies, &op->arg[0]);
    if (op->opcode == BPTT_SOFTMAX_XENT && op->gradient) half_is_gradient(&w->copies, &op->arg[2]);
}

static void lower_op(lowering *w, const bptt_op *op)
{
    const bool is_cell = op->opcode == BPTT_CELL_FORWARD || op->opcode == BPTT_CELL_BACKWARD;
    if (op->opcode == BPTT_GEMM)
        product(w, op);
    else if (is_cell && precision_is_half(w->rules->precision))
        cell(w, op);
    else if (op->opcode == BPTT_GUARD && w->plan->scale.buf)
        guard_with_scale(w, op);
    else if (op->opcode != BPTT_SCATTER || !sorted_scatter(w, op))
        plain(w, op);
}

static void invert_scale(lowering *w)
{
    launch l = launch_for(LOWERED_invert, &(bptt_op){.opcode = BPTT_GUARD}, GRID_ELEMENTS, 1, 1);
    l.arg[0] = w->plan->scale, l.arg[1] = w->rules->per_scale;
    add_kernel(w, &l);
}

static void lower_one(void *with, const bptt_op *op) { lower_op(with, op); }

// Adds a launch for each kernel of each step of time.
static void lower_loop(void *with, const bptt_op *loop, size_t u)
{
    lowering *w = with;
    w->in_loop = loop->loop.kind != BPTT_LOOP_OUTPUT;
    for (size_t t = 0; t < loop->loop.T; t++)
        for (size_t k = 1; k <= loop->loop.body; k++) {
            const bptt_op moved = bptt_op_at(&loop[k], t, u);
            lower_op(w, &moved);
        }
    w->in_loop = false;
}

void lower_plan(const bptt_plan *p, const lower_rules *r, launch_list *out)
{
    lowering w = {.plan = p, .rules = r, .out = out, .copies.pad = lower_pad};
    if (p->scale.buf && precision_is_half(r->precision)) invert_scale(&w);
    bptt_walk_plan(p, &(bptt_walk){.one = lower_one, .whole = lower_loop, .with = &w});
    out->failed = out->failed || half_copies_failed(&w.copies);
    half_copies_free(&w.copies);
}

static void add_scratch(void *with, const bptt_op *op) { *(size_t *)with += launch_scratch(op); }

size_t lower_scratch(const bptt_plan *p)
{
    size_t all = 0;
    bptt_walk_plan(p, &(bptt_walk){.one = add_scratch, .with = &all});
    return all;
}

bool lower_sorts(const bptt_plan *p, size_t *input, size_t *rows)
{
    for (size_t i = 0; i < p->ops; i++)
        for (size_t k = 0; p->op[i].opcode == BPTT_SCATTER && k < BPTT_INPUTS; k++)
            if (p->input[k].buf && same_view(&p->op[i].arg[0], &p->input[k])) {
                *input = k;
                *rows = p->op[i].arg[2].rows;
                return true;
            }
    return false;
}
