// Walks over the ops of a plan; this defines LOOP.
#include "backend.h"

bptt_op bptt_op_at(const bptt_op *op, size_t t, size_t u)
{
    bptt_op moved = *op;
    for (size_t k = 0; k < BPTT_OPERANDS; k++) {
        bptt_mat *m = &moved.arg[k];
        m->at += t * (size_t)m->move[0] + u * (size_t)m->move[1]; // modulo 2^N of size_t: a move may be negative
    }
    return moved;
}

size_t bptt_op_length(const bptt_op *op) { return op->opcode == BPTT_LOOP ? 1 + op->loop.body : 1; }

static void one_at(const bptt_walk *w, const bptt_op *op, size_t t, size_t u)
{
    const bptt_op moved = bptt_op_at(op, t, u);
    w->one(w->with, &moved);
}

// A loop with independent rows, at step u of the enclosing loop.
static void walk_rows(const bptt_walk *w, const bptt_op *loop, size_t u)
{
    if (w->whole) {
        w->whole(w->with, loop, u);
        return;
    }
    for (size_t t = 0; t < loop->loop.T; t++)
        for (size_t k = 1; k <= loop->loop.body; k++) one_at(w, &loop[k], t, u);
}

static void walk_blocks(const bptt_walk *w, const bptt_op *loop)
{
    for (size_t t = 0; t < loop->loop.T; t++)
        for (size_t k = 1; k <= loop->loop.body; k += bptt_op_length(&loop[k]))
            if (loop[k].opcode == BPTT_LOOP)
                walk_rows(w, &loop[k], t);
            else
                one_at(w, &loop[k], t, 0);
}

void bptt_walk_plan(const bptt_plan *p, const bptt_walk *w)
{
    for (size_t i = 0; i < p->ops; i += bptt_op_length(&p->op[i])) {
        const bptt_op *op = &p->op[i];
        if (op->opcode != BPTT_LOOP)
            w->one(w->with, op);
        else if (op->loop.kind == BPTT_LOOP_BLOCKS)
            walk_blocks(w, op);
        else
            walk_rows(w, op, 0);
    }
}
