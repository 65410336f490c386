// Functions that append ops to a plan, one for each opcode. Included only by plan.c.
#ifndef PLAN_OPS_H
#define PLAN_OPS_H

#include "model.h"

#include <assert.h>

enum { SET = 0, PLUS = 1 }; // overwrite the result, or add to it

// Upper bound for the ops of any plan of L layers: OPS_OF_PLAN + OPS_OF_LAYER * L; independent of B and T.
enum { OPS_OF_PLAN = 48, OPS_OF_LAYER = 40 };
static size_t most_ops(size_t layers) { return OPS_OF_PLAN + OPS_OF_LAYER * layers; }

static bptt_op *add(bptt_plan *p, bptt_opcode opcode)
{
    assert(p->ops < p->room);
    bptt_op *s = &p->op[p->ops++];
    *s = (bptt_op){.opcode = opcode, .alpha = 1};
    return s;
}

// The ops added between loop_begin and loop_end are the body. Returns the index of the LOOP op, for loop_end.
static size_t loop_begin(bptt_plan *p, bptt_loop_kind kind, size_t T)
{
    add(p, BPTT_LOOP)->loop = (struct bptt_loop){.kind = kind, .T = T};
    return p->ops - 1;
}

static void loop_end(bptt_plan *p, size_t begin) { p->op[begin].loop.body = p->ops - 1 - begin; }

static void copy(bptt_plan *p, bptt_mat x, bptt_mat y)
{
    bptt_op *s = add(p, BPTT_COPY);
    s->arg[0] = x, s->arg[1] = y;
}

static void fill(bptt_plan *p, bptt_mat y, double value)
{
    bptt_op *s = add(p, BPTT_FILL);
    s->value = value;
    s->arg[0] = y;
}

static void gemm(bptt_plan *p, bptt_mat a, bptt_mat b, int beta, bptt_mat c)
{
    bptt_op *s = add(p, BPTT_GEMM);
    s->beta = beta;
    s->arg[0] = a, s->arg[1] = b, s->arg[2] = c;
}

static void gather(bptt_plan *p, bptt_mat id, bptt_mat w, bptt_mat z)
{
    bptt_op *s = add(p, BPTT_GATHER);
    s->arg[0] = id, s->arg[1] = w, s->arg[2] = z;
}

static void scatter(bptt_plan *p, bptt_mat id, bptt_mat dz, bptt_mat dw)
{
    bptt_op *s = add(p, BPTT_SCATTER);
    s->arg[0] = id, s->arg[1] = dz, s->arg[2] = dw;
}

static void scale_rows(bptt_plan *p, bptt_mat k, bptt_mat x, int beta, bptt_mat y)
{
    bptt_op *s = add(p, BPTT_SCALE_ROWS);
    s->beta = beta;
    s->arg[0] = k, s->arg[1] = x, s->arg[2] = y;
}

static void cell_forward(bptt_plan *p, const bptt_model *m, size_t l, bptt_mat z, bptt_mat h)
{
    bptt_op *s = add(p, BPTT_CELL_FORWARD);
    s->cell = m->config.cell;
    s->arg[0] = z, s->arg[3] = h;
    s->arg[1] = model_layer(m, BPTT_WEIGHTS, l, BIAS_IH);
    s->arg[2] = model_layer(m, BPTT_WEIGHTS, l, BIAS_HH);
}

static void cell_backward(bptt_plan *p, const bptt_model *m, bptt_mat y, bptt_mat dy, bptt_mat dz)
{
    bptt_op *s = add(p, BPTT_CELL_BACKWARD);
    s->cell = m->config.cell;
    s->arg[0] = y, s->arg[1] = dy, s->arg[2] = dz;
}

static void gates_forward(bptt_plan *p, const bptt_model *m, size_t l, bptt_mat z, bptt_mat before, bptt_mat after)
{
    bptt_op *s = add(p, BPTT_GATES_FORWARD);
    s->cell = m->config.cell;
    s->arg[0] = z, s->arg[3] = before, s->arg[4] = after;
    if (*m->cell->mixed) return; // its biases are in z
    s->arg[1] = model_layer(m, BPTT_WEIGHTS, l, BIAS_IH);
    s->arg[2] = model_layer(m, BPTT_WEIGHTS, l, BIAS_HH);
}

static void mix(bptt_plan *p, const bptt_model *m, bptt_mat z, bptt_mat h, bptt_mat u)
{
    bptt_op *s = add(p, BPTT_MIX);
    s->cell = m->config.cell;
    s->arg[0] = z, s->arg[1] = h, s->arg[2] = u;
}

static void mix_backward(bptt_plan *p, const bptt_model *m, bptt_mat z, bptt_mat h, bptt_mat du, bptt_mat dh)
{
    bptt_op *s = add(p, BPTT_MIX_BACKWARD);
    s->cell = m->config.cell;
    s->arg[0] = z, s->arg[1] = h, s->arg[2] = du, s->arg[3] = dh;
}

// dafter becomes dz in z and adds to dbefore.
static void gates_backward(bptt_plan *p, const bptt_model *m, bptt_mat z, bptt_mat before, bptt_mat after,
                           bptt_mat dafter, bptt_mat dbefore)
{
    bptt_op *s = add(p, BPTT_GATES_BACKWARD);
    s->cell = m->config.cell;
    s->arg[0] = z, s->arg[1] = before, s->arg[2] = after, s->arg[3] = dafter, s->arg[4] = dbefore;
}

static void colsum(bptt_plan *p, bptt_mat dz, int beta, bptt_mat db)
{
    bptt_op *s = add(p, BPTT_COLSUM);
    s->beta = beta;
    s->arg[0] = dz, s->arg[1] = db;
}

static void add_row(bptt_plan *p, bptt_mat b, bptt_mat x)
{
    bptt_op *s = add(p, BPTT_ADD_ROW);
    s->arg[0] = b, s->arg[1] = x;
}

static void reduce(bptt_plan *p, bptt_opcode sum_or_sumsq, bptt_mat x, bptt_mat out)
{
    bptt_op *s = add(p, sum_or_sumsq);
    s->arg[0] = x, s->arg[1] = out;
}

static void update(bptt_plan *p, const bptt_model *m, bptt_mat stat)
{
    const bptt_model_config *c = &m->config;
    bptt_op *s = add(p, BPTT_UPDATE);
#define COPY_MEMBER(name) .name = c->name,
    s->rule = (struct bptt_rule){
        .optimizer = c->optimizer, .clip_mode = c->clip_mode, .clip = c->clip, HYPERPARAMETER_LIST(COPY_MEMBER)};
#undef COPY_MEMBER
    for (bptt_part part = BPTT_WEIGHTS; part <= BPTT_MOMENT2; part++) s->arg[part] = m->whole[part];
    s->arg[4] = stat;
}

#endif
