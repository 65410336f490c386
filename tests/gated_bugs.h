// Bugs in plans of gated cells, for test_verify_unroll: the nets, of 4 units, and functions that change their plans.
#ifndef GATED_BUGS_H
#define GATED_BUGS_H

#include "identity.h"

#include <string.h>

// Two layers with two states, keep; one layer, two biases; second products: two layers, dense; one layer, keep.
static const net_case LONG = {BPTT_LSTM, 5, 0, 4, 2, 2, 8, 2, true, false, 0, TOKENS};
static const net_case GATED = {BPTT_GRU, 5, 0, 4, 1, 2, 8, 2, true, false, 0, TOKENS};
static const net_case TIMES = {BPTT_MLSTM, 5, 3, 4, 2, 3, 5, 1, false, false, 0, TOKENS};
static const net_case RESET = {BPTT_GRU_BEFORE, 5, 0, 4, 1, 2, 8, 2, true, false, 0, TOKENS};

// ---- ops --------------------------------------------------------------------------------------------

static void drop(bptt_plan *p, size_t i)
{
    memmove(&p->op[i], &p->op[i + 1], (p->ops - i - 1) * sizeof *p->op);
    p->ops--;
}

static bool is_gemm(const bptt_op *s, bool a_t, bool b_t, int beta, size_t rows, size_t cols)
{
    return s->opcode == BPTT_GEMM && s->arg[0].t == a_t && s->arg[1].t == b_t && s->beta == beta &&
           s->arg[2].rows == rows && s->arg[2].cols == cols;
}

static void one_step_early(bptt_mat *m, size_t B) { m->at -= B * m->ld; }
static void one_step_late(bptt_mat *m, size_t B) { m->at += B * m->ld; }

// ---- bugs -------------------------------------------------------------------------------------------

// Of operands of h and c, only h.
static void h_alone(bptt_op *s)
{
    for (size_t k = 0; k < BPTT_OPERANDS; k++)
        if (s->arg[k].cols == 8) s->arg[k].cols = 4;
}

// LONG
static void c_is_not_carried(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_COPY) h_alone(&p->op[i]);
}
static void c_has_no_gradient_before_keep(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_SCALE_ROWS && p->op[i].beta) h_alone(&p->op[i]);
}
static void last_gradient_of_c_is_lost(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_ADD_ROW && p->op[i].arg[0].cols == 16)
            p->op[i].arg[0].cols = p->op[i].arg[1].cols = 12;
}
static void gradient_of_c_is_not_cleared(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_FILL && p->op[i].arg[0].rows == 18) p->op[i].value = 1;
}
static void keep_does_not_reach_c(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++) {
        bptt_op *const s = &p->op[i];
        if (s->opcode != BPTT_SCALE_ROWS || s->beta) continue;
        bptt_op c = {.opcode = BPTT_COPY, .arg = {bptt_cols(s->arg[1], 4, 4), bptt_cols(s->arg[2], 4, 4)}};
        h_alone(s);
        memmove(s + 2, s + 1, (p->ops++ - i - 1) * sizeof c);
        s[1] = c, i++;
    }
}

// GATED
static void biases_change_places(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++) {
        const bptt_mat b = p->op[i].arg[1];
        if (p->op[i].opcode == BPTT_GATES_FORWARD) p->op[i].arg[1] = p->op[i].arg[2], p->op[i].arg[2] = b;
    }
}
static void saved_states_before_keep(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++) {
        bptt_op *const s = &p->op[i];
        if (s->opcode == BPTT_GATES_BACKWARD) one_step_early(&s->arg[2], 2), s->arg[1] = s->arg[2];
    }
}

// TIMES: dW of the second product from h
static void second_dW_of_the_states(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], true, false, 0, 4, 16)) p->op[i].arg[0] = p->op[i - 1].arg[0];
}
static void second_product_is_not_formed(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_MIX) drop(p, i--);
}

// RESET
static void no_path_through_the_reset_gate(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_MIX_BACKWARD) p->op[i].arg[3] = p->op[i].arg[2];
}

#endif
