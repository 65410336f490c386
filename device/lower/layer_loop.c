// Reads the operands of a layer's loop from its body, and checks that they do not overlap.
#include "layer_loop.h"
#include "view.h"

#include <stdint.h>
#include <string.h>

// The view at the next step of the loop.
static bptt_mat next_of(bptt_mat m)
{
    m.at += (size_t)m.move[0];
    return m;
}

// ---- the body -------------------------------------------------------------------------------------------------------

static bool is(const bptt_op *op, bptt_opcode opcode, int beta)
{
    return op->opcode == opcode && op->alpha == 1 && op->beta == beta;
}

// [SCALE_ROWS keep h kept]  GEMM h W z  CELL_FORWARD z b b2 z; z is h of the next step.
static bool read_forward(const bptt_op *op, layer_loop *l)
{
    const bptt_op *product = l->masked ? op + 1 : op, *cell = product + 1;
    if (!is(product, BPTT_GEMM, 1) || !is(cell, BPTT_CELL_FORWARD, 0)) return false;
    l->h = product->arg[0];
    if (l->masked) {
        if (!is(op, BPTT_SCALE_ROWS, 0) || !same_moving_view(&op->arg[2], &product->arg[0])) return false;
        l->keep = op->arg[0], l->h = op->arg[1], l->kept = op->arg[2];
    }
    l->w = product->arg[1];
    l->cell = cell->cell;
    l->b = cell->arg[1], l->b2 = cell->arg[2];
    const bptt_mat z = next_of(l->h);
    return same_moving_view(&product->arg[2], &z) && same_moving_view(&cell->arg[0], &z) &&
           same_moving_view(&cell->arg[3], &z);
}

// CELL_BACKWARD h dz dz  GEMM dz W' before, or  GEMM dz W' dkept  SCALE_ROWS keep dkept before; before is dz of the
// next step of the loop.
static bool read_backward(const bptt_op *op, layer_loop *l)
{
    const bptt_op *cell = op, *product = op + 1;
    if (!is(cell, BPTT_CELL_BACKWARD, 0) || !is(product, BPTT_GEMM, !l->masked)) return false;
    l->cell = cell->cell;
    l->h = cell->arg[0], l->dz = cell->arg[1];
    l->w = product->arg[1];
    const bptt_mat before = next_of(l->dz);
    const bptt_mat *into = &product->arg[2];
    if (l->masked) {
        const bptt_op *scale = op + 2;
        if (!is(scale, BPTT_SCALE_ROWS, 1) || !same_moving_view(&scale->arg[1], &product->arg[2])) return false;
        l->keep = scale->arg[0], l->dkept = scale->arg[1];
        into = &scale->arg[2];
    }
    return same_moving_view(&cell->arg[1], &cell->arg[2]) && same_moving_view(&product->arg[0], &l->dz) &&
           same_moving_view(into, &before);
}

// ---- the body of a gated cell ---------------------------------------------------------------------------------------

static bool same_columns(const bptt_mat *m, bptt_mat of, size_t first, size_t cols)
{
    const bptt_mat part = bptt_cols(of, first, cols);
    return same_moving_view(m, &part);
}

// True if m is a group of blocks of z, with as many columns as w: *at is the first column.
static bool columns_of(const bptt_mat *m, const layer_loop *l, const bptt_mat *w, size_t *at)
{
    *at = m->at - l->z.at;
    return m->at >= l->z.at && m->cols <= l->z.cols && *at <= l->z.cols - m->cols && *at % l->H == 0 &&
           m->cols == (l->backward ? w->rows : w->cols) && same_columns(m, l->z, *at, m->cols);
}

// The cell and its number of units. False: it has no gates, or z and the states are not of one number of units.
static bool read_cell(const bptt_op *gates, layer_loop *l)
{
    l->cell = gates->cell;
    l->z = gates->arg[0];
    const size_t number = l->cell >= BPTT_WHOLE ? l->cell - BPTT_WHOLE : l->cell;
    if (number >= bptt_cells || !bptt_cell_is_gated(l->cell)) return false;
    const bptt_cell_row *row = bptt_cell_row_of(l->cell);
    l->H = l->z.cols / row->blocks;
    return l->H > 0 && l->z.cols == row->blocks * l->H && l->h.cols == row->states * l->H;
}

// [SCALE_ROWS keep h kept]  [GEMM h W z]  [MIX z h u  GEMM u W z]  GATES_FORWARD z b b2 h after; after is h of the next
// step.
static bool read_gates_forward(const bptt_op *op, size_t n, layer_loop *l)
{
    const bptt_op *gates = op + n - 1;
    const bptt_mat from = gates->arg[3];
    l->masked = op->opcode == BPTT_SCALE_ROWS;
    l->h = l->masked ? op->arg[1] : from;
    l->b = gates->arg[1], l->b2 = gates->arg[2];
    const bptt_mat after = next_of(l->h);
    if (!is(gates, BPTT_GATES_FORWARD, 0) || !read_cell(gates, l) || !same_moving_view(&gates->arg[4], &after))
        return false;
    if (l->masked) {
        if (!is(op, BPTT_SCALE_ROWS, 0) || !same_moving_view(&op->arg[2], &from)) return false;
        l->keep = op->arg[0], l->kept = op->arg[2];
        op++;
    }
    if (is(op, BPTT_GEMM, 1)) {
        l->w = op->arg[1];
        if (!same_columns(&op->arg[0], from, 0, l->H) || !columns_of(&op->arg[2], l, &l->w, &l->hidden_at))
            return false;
        op++;
    }
    if (is(op, BPTT_MIX, 0) && is(op + 1, BPTT_GEMM, 1)) {
        l->u = op->arg[2], l->mixed = op[1].arg[1];
        if (op->cell != l->cell || !same_moving_view(&op->arg[0], &l->z) || !same_columns(&op->arg[1], from, 0, l->H) ||
            !same_moving_view(&op[1].arg[0], &l->u) || !columns_of(&op[1].arg[2], l, &l->mixed, &l->mixed_at))
            return false;
        op += 2;
    }
    return op == gates;
}

// [FILL dkept]  GATES_BACKWARD z kept h dh into  [GEMM z W' du  MIX_BACKWARD z kept du into]  [GEMM z W' into]
// [SCALE_ROWS keep dkept before]; into is dkept, or before, which is dh of the next step.
static bool read_gates_backward(const bptt_op *op, size_t n, layer_loop *l)
{
    const bptt_op *end = op + n;
    l->masked = op->opcode == BPTT_FILL;
    const bptt_op *gates = op + l->masked;
    const bptt_mat into = gates->arg[4], before = next_of(gates->arg[3]);
    l->kept = gates->arg[1], l->h = gates->arg[2], l->dz = gates->arg[3];
    if (!is(gates, BPTT_GATES_BACKWARD, 0) || !read_cell(gates, l)) return false;
    if (l->masked) {
        const bptt_op *scale = --end;
        l->keep = scale->arg[0], l->dkept = into;
        if (!is(op, BPTT_FILL, 0) || op->value != 0 || !is(scale, BPTT_SCALE_ROWS, 1) ||
            !same_moving_view(&op->arg[0], &into) || !same_moving_view(&scale->arg[1], &into) ||
            !same_moving_view(&scale->arg[2], &before))
            return false;
    } else if (!same_moving_view(&into, &before))
        return false;
    op = gates + 1;
    if (end - op >= 2 && is(op, BPTT_GEMM, 0) && is(op + 1, BPTT_MIX_BACKWARD, 0)) {
        l->mixed = op->arg[1], l->u = op->arg[2];
        if (op[1].cell != l->cell || !columns_of(&op->arg[0], l, &l->mixed, &l->mixed_at) ||
            !same_moving_view(&op[1].arg[0], &l->z) || !same_columns(&op[1].arg[1], l->kept, 0, l->H) ||
            !same_moving_view(&op[1].arg[2], &l->u) || !same_columns(&op[1].arg[3], into, 0, l->H))
            return false;
        op += 2;
    }
    if (op < end && is(op, BPTT_GEMM, 1)) {
        l->w = op->arg[1];
        if (!columns_of(&op->arg[0], l, &l->w, &l->hidden_at) || !same_columns(&op->arg[2], into, 0, l->H))
            return false;
        op++;
    }
    return op == end;
}

// ---- the operands ---------------------------------------------------------------------------------------------------

static bool plain(const bptt_mat *m, size_t rows, size_t cols)
{
    return m->buf && m->type == BPTT_F32 && !m->t && m->rows == rows && m->cols == cols && m->ld >= cols &&
           m->ld <= INT32_MAX;
}

static bool plain_or_absent(const bptt_mat *m, size_t rows, size_t cols) { return !m->buf || plain(m, rows, cols); }

static bool stays(const bptt_mat *m) { return !m->buf || m->move[0] == 0; }

// True if no matrix that the loop writes overlaps another, matrices with a block for each step move, and the others
// stay.
static bool apart(const layer_loop *l)
{
    const bool forward = !l->backward;
    const struct {
        const bptt_mat *m;
        bool written, further; // further: spans one step more than the others
    } all[] = {{&l->keep, false, false},  {&l->h, forward, forward}, {&l->kept, forward, false}, {&l->w, false, false},
               {&l->mixed, false, false}, {&l->b, false, false},     {&l->b2, false, false},     {&l->dz, true, true},
               {&l->dkept, true, false},  {&l->z, true, false},      {&l->u, true, false}};
    enum { OPERANDS = sizeof all / sizeof *all };
    view_range r[OPERANDS];
    if (!stays(&l->w) || !stays(&l->mixed) || !stays(&l->b) || !stays(&l->b2) || !stays(&l->dkept)) return false;
    if (l->h.move[0] == 0 || (l->backward && l->dz.move[0] == 0)) return false;
    for (size_t i = 0; i < OPERANDS; i++) {
        if (!view_passes(all[i].m, l->T + all[i].further, &r[i])) return false;
        for (size_t j = 0; j < i; j++)
            if ((all[i].written || all[j].written) && ranges_overlap(&r[i], &r[j])) return false;
    }
    return true;
}

// A weight of H units and columns of z; absent if it has no blocks.
static bool is_weight(const layer_loop *l, bptt_mat w, const char *blocks)
{
    const size_t columns = strlen(blocks) * l->H;
    if (columns == 0) return !w.buf;
    const bptt_mat stored = w.t ? bptt_flip(w) : w;
    return plain(&stored, stored.rows, stored.cols) && w.rows == (l->backward ? columns : l->H) &&
           w.cols == (l->backward ? l->H : columns);
}

static bool is_bias(const layer_loop *l, const bptt_mat *b)
{
    return plain_or_absent(b, 1, b->cols) && b->cols <= l->z.cols && b->cols % l->H == 0;
}

static bool gated_fits(const layer_loop *l)
{
    const size_t B = l->B, states = l->h.cols;
    const bptt_cell_row *row = bptt_cell_row_of(l->cell);
    return plain(&l->h, B, states) && plain(&l->z, B, l->z.cols) && (!l->masked || plain(&l->keep, B, 1)) &&
           (!(l->masked || l->backward) || plain(&l->kept, B, states)) && is_weight(l, l->w, row->hidden) &&
           is_weight(l, l->mixed, row->mixed) && (!l->mixed.buf || plain(&l->u, B, l->H)) && is_bias(l, &l->b) &&
           is_bias(l, &l->b2) && (!l->backward || plain(&l->dz, B, states)) &&
           (!l->dkept.buf || plain(&l->dkept, B, states));
}

static bool elementwise_fits(const layer_loop *l)
{
    const size_t B = l->B, H = l->H;
    if (l->cell != BPTT_WHOLE && (size_t)l->cell >= BPTT_PLAIN_CELLS) return false;
    bptt_mat w = l->w;
    w.t = false;
    if (!plain(&l->h, B, H) || !plain(&w, H, H) || (l->masked && !plain(&l->keep, B, 1))) return false;
    if (l->backward) return plain(&l->dz, B, H) && (!l->masked || plain(&l->dkept, B, H));
    return plain_or_absent(&l->b, 1, H) && plain_or_absent(&l->b2, 1, H) && (!l->masked || plain(&l->kept, B, H));
}

static bool fits(const layer_loop *l)
{
    const size_t B = l->B, H = l->H;
    if (B == 0 || H == 0 || l->T == 0 || B > INT32_MAX || H > INT32_MAX || l->T > INT32_MAX) return false;
    return (l->gated ? gated_fits : elementwise_fits)(l) && apart(l);
}

static bool read_elementwise(const bptt_op *op, size_t n, layer_loop *l)
{
    l->masked = n == 3;
    if ((n != 2 && !l->masked) || !(l->backward ? read_backward : read_forward)(op, l)) return false;
    l->H = l->h.cols;
    return true;
}

// True if an op of the body is that of a gated cell.
static bool has_gates(const bptt_op *loop)
{
    for (size_t i = 1; i <= loop->loop.body; i++)
        if (loop[i].opcode == BPTT_GATES_FORWARD || loop[i].opcode == BPTT_GATES_BACKWARD) return true;
    return false;
}

bool layer_loop_of(const bptt_op *loop, layer_loop *out)
{
    const bool backward = loop->loop.kind == BPTT_LOOP_BACKWARD;
    const size_t n = loop->loop.body;
    if (loop->opcode != BPTT_LOOP || (!backward && loop->loop.kind != BPTT_LOOP_FORWARD)) return false;
    layer_loop l = {.backward = backward, .gated = has_gates(loop), .T = loop->loop.T};
    if (l.gated ? !(backward ? read_gates_backward : read_gates_forward)(loop + 1, n, &l)
                : !read_elementwise(loop + 1, n, &l))
        return false;
    l.B = l.h.rows;
    if (!fits(&l)) return false;
    *out = l;
    return true;
}
