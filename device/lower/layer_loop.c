// Reads the operands of a layer's loop from its body, and checks that they do not overlap.
#include "layer_loop.h"
#include "view.h"

#include <stdint.h>

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

// ---- the operands ---------------------------------------------------------------------------------------------------

static bool plain(const bptt_mat *m, size_t rows, size_t cols)
{
    return m->buf && m->type == BPTT_F32 && !m->t && m->rows == rows && m->cols == cols && m->ld >= cols &&
           m->ld <= INT32_MAX;
}

static bool plain_or_absent(const bptt_mat *m, size_t rows, size_t cols) { return !m->buf || plain(m, rows, cols); }

static bool stays(const bptt_mat *m) { return !m->buf || m->move[0] == 0; }

// True if no two matrices of the loop overlap, matrices with a block for each step move, and the others stay.
static bool apart(const layer_loop *l)
{
    enum { OPERANDS = 6 };
    const bptt_mat *const all[OPERANDS] = {
        &l->keep, &l->h, &l->kept, &l->w, l->backward ? &l->dz : &l->b, l->backward ? &l->dkept : &l->b2};
    view_range r[OPERANDS];
    if (!stays(&l->w) || !stays(&l->b) || !stays(&l->b2) || !stays(&l->dkept)) return false;
    if (l->h.move[0] == 0 || (l->backward && l->dz.move[0] == 0)) return false;
    for (size_t i = 0; i < OPERANDS; i++) {
        const bool further = all[i] == (l->backward ? &l->dz : &l->h); // spans one step more than the others
        if (!view_passes(all[i], l->T + further, &r[i])) return false;
        for (size_t j = 0; j < i; j++)
            if (ranges_overlap(&r[i], &r[j])) return false;
    }
    return true;
}

static bool fits(const layer_loop *l)
{
    const size_t B = l->B, H = l->H;
    if (B == 0 || H == 0 || l->T == 0 || B > INT32_MAX || H > INT32_MAX || l->T > INT32_MAX) return false;
    if (l->cell != BPTT_WHOLE && (size_t)l->cell >= bptt_cells) return false;
    bptt_mat w = l->w;
    w.t = false;
    if (!plain(&l->h, B, H) || !plain(&w, H, H) || (l->masked && !plain(&l->keep, B, 1))) return false;
    if (l->backward) return plain(&l->dz, B, H) && (!l->masked || plain(&l->dkept, B, H)) && apart(l);
    return plain_or_absent(&l->b, 1, H) && plain_or_absent(&l->b2, 1, H) && (!l->masked || plain(&l->kept, B, H)) &&
           apart(l);
}

bool layer_loop_of(const bptt_op *loop, layer_loop *out)
{
    const bool backward = loop->loop.kind == BPTT_LOOP_BACKWARD, masked = loop->loop.body == 3;
    if (loop->opcode != BPTT_LOOP || (!backward && loop->loop.kind != BPTT_LOOP_FORWARD)) return false;
    if (loop->loop.body != 2 && !masked) return false;
    layer_loop l = {.backward = backward, .masked = masked, .T = loop->loop.T};
    if (!(backward ? read_backward : read_forward)(loop + 1, &l)) return false;
    l.B = l.h.rows, l.H = l.h.cols;
    if (!fits(&l)) return false;
    *out = l;
    return true;
}
