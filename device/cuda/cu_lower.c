// From a plan's steps to nodes: small kernels by launch.h, products by cuBLAS. What is cut, merged or added here:
//   products over a window that one layer's states go into and the next layer's steps wait for, in pieces of time
//   scatters by the tokens' order, which the host sorts
//   with operands of 16 bits: their copies, by the kernel that makes the number where there is one
#include "cu_node.h"
#include "cu_shadow.h"
#include "half_type.h"
#include "lower/sizes.h"
#include "lower/view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 256,     // of a block of GRID_ELEMENTS
    LANES = 64,        // of a block of GRID_GROUPS: what kernels.h calls WIDTH
    MOST_ROWS = 65535, // blocks in the second dimension of a grid
    PIECES = 8,        // of a window
    LEAST_STEPS = 4,   // of time in a piece
};

typedef struct lowering {
    const bptt_plan *plan;
    const bptt_op *loop; // of time, whose steps are being lowered; NULL: none
    const lower_rules *rules;
    node_list *out;
    size_t scratch;     // floats used
    span_set fresh;     // 16-bit copies that are up to date
    span_set gradients; // floats that are gradients: their copies are scaled
} lowering;

// ---- nodes ----------------------------------------------------------------------------------------------------------

static node *add_node(node_list *list, unsigned kind, size_t operands)
{
    list->at = grow(list->at, list->n, &list->room, sizeof *list->at, &list->failed);
    if (list->failed) return NULL;
    node *n = &list->at[list->n++];
    *n = (node){.kind = kind, .operands = operands};
    return n;
}

void nodes_free(node_list *list)
{
    free(list->at);
    *list = (node_list){0};
}

static unsigned least(size_t a, size_t b) { return (unsigned)(a < b ? a : b); }

// Threads lie along the columns, which are neighbours in memory.
static void set_grid(node *n, grid_kind kind, size_t rows, size_t cols)
{
    if (kind == GRID_GROUPS) {
        n->block[0] = LANES, n->block[1] = 1;
        n->grid[0] = least(rows, INT32_MAX), n->grid[1] = 1;
        return;
    }
    unsigned across = 1;
    while (across < LANES && across < cols) across *= 2;
    n->block[0] = across, n->block[1] = THREADS / across;
    n->grid[0] = least(pieces_of(cols, across), INT32_MAX);
    n->grid[1] = least(pieces_of(rows, n->block[1]), MOST_ROWS);
}

static void kernel_node(lowering *w, const bptt_op *s, const launch *l)
{
    if (l->rows == 0 || l->cols == 0) return;
    node *n = add_node(w->out, l->kernel, strlen(kernel_table[l->kernel].types));
    if (!n) return;
    memcpy(n->arg, l->arg, sizeof l->arg);
    n->k = l->k;
    n->charge = s->opcode;
    n->loop = w->loop ? (size_t)(w->loop - w->plan->op) + 1 : 0;
    set_grid(n, l->grid, l->rows, l->cols);
}

static bptt_mat shadow_of(const lower_rules *r, bptt_mat m)
{
    m.type = precision_type(r->precision);
    return m;
}

static knobs half_knobs(const lower_rules *r, const bptt_op *s)
{
    knobs k = knobs_of(s);
    k.half_kind = half_kind_of(precision_type(r->precision));
    return k;
}

// ---- freshness ------------------------------------------------------------------------------------------------------

static size_t whole_ld(const bptt_mat *m) { return cu_pad(view_width(m)); }

static void forget_written(lowering *w, const bptt_mat *m)
{
    if (!m->buf || m->type != BPTT_F32) return;
    spans_take(&w->fresh, m);
    spans_take(&w->gradients, m);
}

static bool is_gradient(const lowering *w, const bptt_mat *m)
{
    bool scaled = false;
    return w->plan->scale.buf && spans_have(&w->gradients, m, &scaled);
}

// The copy of an operand in 16 bits, made here if it is not up to date. *scaled: it is that of a gradient.
static bptt_mat fresh_copy(lowering *w, const bptt_op *s, bptt_mat m, bool *scaled)
{
    const bptt_mat shadow = shadow_of(w->rules, m);
    if (spans_have(&w->fresh, &m, scaled)) return shadow;
    *scaled = is_gradient(w, &m);
    const bptt_mat x = m.t ? bptt_flip(m) : m, y = m.t ? bptt_flip(shadow) : shadow; // as they lie
    launch l = {.kernel = LOWERED_cast,
                .arg = {x, y, *scaled ? w->plan->scale : (bptt_mat){0}},
                .k = half_knobs(w->rules, s),
                .grid = GRID_ELEMENTS,
                .rows = x.rows,
                .cols = x.cols};
    kernel_node(w, s, &l);
    spans_put(&w->fresh, &m, *scaled, whole_ld(&m));
    return shadow;
}

// ---- products -------------------------------------------------------------------------------------------------------

static void product_node(lowering *w, const bptt_op *s, bptt_mat a, bptt_mat b, bptt_mat c)
{
    bool a_scaled = false, b_scaled = false;
    if (precision_is_half(w->rules->precision)) {
        a = fresh_copy(w, s, a, &a_scaled);
        b = fresh_copy(w, s, b, &b_scaled);
        assert(!(a_scaled && b_scaled)); // no product of two gradients stands in a plan
    }
    node *n = add_node(w->out, NODE_PRODUCT, 3);
    if (!n) return;
    n->arg[0] = a, n->arg[1] = b, n->arg[2] = c;
    n->k = knobs_of(s);
    n->alpha = s->alpha < 0 ? ALPHA_MINUS : ALPHA_PLUS;
    if (a_scaled || b_scaled) {
        n->alpha = s->alpha < 0 ? ALPHA_MINUS_PER_SCALE : ALPHA_PER_SCALE;
        n->arg[n->operands++] = w->rules->per_scale; // read where it lies
    }
    n->charge = s->opcode;
    n->loop = w->loop ? (size_t)(w->loop - w->plan->op) + 1 : 0;
}

// The rows of a time loop whose cells write (or else read) elements of m; 0: there is none.
static size_t loop_rows(const bptt_plan *p, const bptt_mat *m, bool written)
{
    view_range r;
    const view_range all = view_range_of(m);
    size_t T = 0;
    for (size_t i = 0; i < p->ops; i++) {
        const bptt_op *s = &p->op[i];
        const bool forward = s->opcode == BPTT_CELL_FORWARD;
        if (s->opcode == BPTT_LOOP) T = s->loop.T;
        if (!forward && s->opcode != BPTT_CELL_BACKWARD) continue;
        const bptt_mat *x = written ? &s->arg[forward ? 3 : 2] : &s->arg[forward ? 0 : 1];
        if (T > 0 && view_passes(x, T, &r) && ranges_overlap(&r, &all)) return x->rows;
    }
    return 0;
}

// Rows of a piece of a product over a window: those of some steps of time; all of them where cutting gains nothing.
static size_t piece_rows(const lowering *w, const bptt_op *s)
{
    const bptt_mat *a = &s->arg[0], *c = &s->arg[2];
    if (!w->rules->pieces || w->loop || a->t || c->t) return c->rows;
    const size_t B = loop_rows(w->plan, a, true), other = B ? loop_rows(w->plan, c, false) : 0;
    if (B == 0 || other != B || c->rows % B != 0) return c->rows;
    const size_t T = c->rows / B, steps = pieces_of(T, PIECES);
    return B * (steps < LEAST_STEPS ? LEAST_STEPS : steps);
}

static void product(lowering *w, const bptt_op *s)
{
    const bptt_mat a = s->arg[0], b = s->arg[1], c = s->arg[2];
    const size_t each = piece_rows(w, s);
    for (size_t i = 0; i < c.rows; i += each) {
        const size_t n = c.rows - i < each ? c.rows - i : each;
        if (n == c.rows)
            product_node(w, s, a, b, c);
        else
            product_node(w, s, bptt_rows(a, i, n), b, bptt_rows(c, i, n));
    }
    forget_written(w, &c);
}

// ---- everything else ------------------------------------------------------------------------------------------------

static void cell(lowering *w, const bptt_op *s)
{
    const bool forward = s->opcode == BPTT_CELL_FORWARD;
    const bptt_mat *h = &s->arg[forward ? 3 : 2];
    const bool scaled = !forward && w->plan->scale.buf;
    launch l = {.kernel = forward ? LOWERED_cell_forward_cast : LOWERED_cell_backward_cast,
                .k = half_knobs(w->rules, s),
                .grid = GRID_ELEMENTS,
                .rows = h->rows,
                .cols = h->cols};
    memcpy(l.arg, s->arg, sizeof l.arg);
    l.arg[forward ? 4 : 3] = shadow_of(w->rules, *h);
    if (!forward) l.arg[4] = scaled ? w->plan->scale : (bptt_mat){0};
    kernel_node(w, s, &l);
    forget_written(w, h);
    spans_put(&w->fresh, h, scaled, whole_ld(h));
    if (!forward) spans_put(&w->gradients, h, false, whole_ld(h));
}

static bool sorted_scatter(lowering *w, const bptt_op *s)
{
    const lower_rules *r = w->rules;
    if (!r->order.buf || !same_view(&s->arg[0], &w->plan->input[r->sorted]) || s->arg[2].rows + 1 != r->start.rows)
        return false;
    launch l = {.kernel = LOWERED_scatter_sorted,
                .arg = {r->order, r->start, s->arg[1], s->arg[2]},
                .k = knobs_of(s),
                .grid = GRID_ELEMENTS,
                .rows = s->arg[2].rows,
                .cols = s->arg[2].cols};
    kernel_node(w, s, &l);
    return true;
}

static void guard_with_scale(lowering *w, const bptt_op *s)
{
    launch l = {.kernel = LOWERED_rescale,
                .arg = {s->arg[0], w->plan->scale},
                .k = knobs_of(s),
                .grid = GRID_ELEMENTS,
                .rows = 1,
                .cols = 1};
    kernel_node(w, s, &l);
}

static void plain(lowering *w, const bptt_op *s)
{
    launch l[MOST_LAUNCHES];
    const size_t n = launches_of(s, w->rules->scratch, l), floats = launch_scratch(s);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; floats && k < BPTT_OPERANDS; k++) // sums have a place of their own, so that none waits
            if (l[i].arg[k].buf == w->rules->scratch) l[i].arg[k].at += w->scratch;
        kernel_node(w, s, &l[i]);
    }
    w->scratch += floats;
    const char *roles = bptt_opcode_roles[s->opcode];
    for (size_t k = 0; roles[k]; k++)
        if (strchr("=+O", roles[k])) forget_written(w, &s->arg[k]);
    if (s->opcode == BPTT_GATES_BACKWARD) spans_put(&w->gradients, &s->arg[0], false, whole_ld(&s->arg[0]));
    if (s->opcode == BPTT_SOFTMAX_XENT && s->gradient)
        spans_put(&w->gradients, &s->arg[2], false, whole_ld(&s->arg[2]));
}

static void lower_step(lowering *w, const bptt_op *s)
{
    const bool is_cell = s->opcode == BPTT_CELL_FORWARD || s->opcode == BPTT_CELL_BACKWARD;
    if (s->opcode == BPTT_GEMM)
        product(w, s);
    else if (is_cell && precision_is_half(w->rules->precision))
        cell(w, s);
    else if (s->opcode == BPTT_GUARD && w->plan->scale.buf)
        guard_with_scale(w, s);
    else if (s->opcode != BPTT_SCATTER || !sorted_scatter(w, s))
        plain(w, s);
}

static void invert_scale(lowering *w)
{
    const bptt_op s = {.opcode = BPTT_GUARD};
    launch l = {.kernel = LOWERED_invert,
                .arg = {w->plan->scale, w->rules->per_scale},
                .k = knobs_of(&s),
                .grid = GRID_ELEMENTS,
                .rows = 1,
                .cols = 1};
    kernel_node(w, &s, &l);
}

static void lower_one(void *with, const bptt_op *op) { lower_step(with, op); }

// A graph has a node for each kernel of each step.
static void lower_loop(void *with, const bptt_op *loop, size_t u)
{
    lowering *w = with;
    w->loop = loop->loop.kind == BPTT_LOOP_OUTPUT ? NULL : loop;
    for (size_t t = 0; t < loop->loop.T; t++)
        for (size_t k = 1; k <= loop->loop.body; k++) {
            const bptt_op moved = bptt_op_at(&loop[k], t, u);
            lower_step(w, &moved);
        }
    w->loop = NULL;
}

void lower_plan(const bptt_plan *p, const lower_rules *r, node_list *out)
{
    lowering w = {.plan = p, .rules = r, .out = out};
    if (p->scale.buf && precision_is_half(r->precision)) invert_scale(&w);
    bptt_walk_plan(p, &(bptt_walk){.one = lower_one, .whole = lower_loop, .with = &w});
    out->failed = out->failed || w.fresh.failed || w.gradients.failed;
    spans_free(&w.fresh);
    spans_free(&w.gradients);
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
