// The loops over time: builds plans of ops. Knows time; knows no device and touches no element.
// The mathematics beside it: host/README.md.
#include "run.h"
#include "plan_ops.h"

#include <assert.h>
#include <stdlib.h>

// ---- views ----------------------------------------------------------------------------------------------------------

// Block t of a matrix with B rows for each t.
static bptt_mat at(const bptt_run *r, bptt_mat m, size_t t) { return bptt_rows(m, t * r->B, r->B); }
// Blocks first .. first + count - 1.
static bptt_mat span(const bptt_run *r, bptt_mat m, size_t first, size_t count)
{
    return bptt_rows(m, first * r->B, count * r->B);
}
// The view m at the first iteration of a loop; it moves by n blocks of B rows per iteration, and by u blocks per
// iteration of the enclosing loop.
static bptt_mat moving(const bptt_run *r, bptt_mat m, ptrdiff_t n, ptrdiff_t u)
{
    const ptrdiff_t block = (ptrdiff_t)(r->B * m.ld);
    m.move[0] = n * block, m.move[1] = u * block;
    return m;
}
// States of layer l; forward only, the layers alternate between two buffers.
static bptt_mat states(const bptt_run *r, size_t l) { return r->mem.h[r->config.gradient ? l : l % 2]; }
// A packed block of rows, padding included, as one row.
static bptt_mat as_one_row(bptt_mat m)
{
    return (bptt_mat){.buf = m.buf, .at = m.at, .rows = 1, .cols = m.rows * m.ld, .ld = m.rows * m.ld, .type = m.type};
}
static bool gated(const bptt_run *r) { return bptt_cell_is_gated(r->model->config.cell); }
// Columns of the states, or of their gradients, that are input of the layer above.
static bptt_mat h_of(const bptt_run *r, bptt_mat states) { return bptt_cols(states, 0, r->model->H); }
// h of layer l after each step of a window, if all states are stored.
static bptt_mat h_after(const bptt_run *r, size_t l) { return h_of(r, span(r, r->mem.h[l], 1, r->T)); }
// [(T+1)*B][W]: block t+1 is the gradient of layer l's states after step t, block 0 that of the state before the
// window. Layers alternate between two matrices from the top down, or have one each.
static bptt_mat run_dstates(const bptt_run *r, size_t l)
{
    return r->keeps_dz ? r->mem.dz[l] : r->mem.dh[(r->model->L - 1 - l) % 2];
}
// [N][H]: gradient of h_after from the layer above.
static bptt_mat run_dh(const bptt_run *r, size_t l) { return h_of(r, span(r, run_dstates(r, l), 1, r->T)); }
bptt_mat run_dz(const bptt_run *r, size_t l) { return gated(r) ? r->mem.gates[l] : run_dh(r, l); }
// Columns of z or dz, for a tensor: the blocks that it computes.
static bptt_mat blocks_of(const bptt_run *r, bptt_mat z, layer_tensor which)
{
    const layer_blocks b = model_blocks(&r->model->config, which);
    return bptt_cols(z, b.first * r->model->H, b.count * r->model->H);
}
// W' as a GEMM operand: the stored transpose if there is one, else a transposed view.
static bptt_mat transposed(bptt_mat w, bptt_mat stored) { return stored.buf ? stored : bptt_flip(w); }

// ---- forward --------------------------------------------------------------------------------------------------------

// S steps of time of a window. In a loop over blocks, each iteration is S steps of time later.
typedef struct steps {
    size_t first, S;
    bool moves;
} steps;

// Rows of a matrix of the window, [T*B], for these steps: all of them for an op, or those of the first step for the
// body of a loop over the steps.
static bptt_mat whole_of(const bptt_run *r, bptt_mat m, steps s)
{
    return moving(r, span(r, m, s.first, s.S), s.moves ? (ptrdiff_t)s.S : 0, 0);
}
static bptt_mat each_of(const bptt_run *r, bptt_mat m, steps s)
{
    return moving(r, at(r, m, s.first), 1, s.moves ? (ptrdiff_t)s.S : 0);
}

// z = x W_ih for these steps. below: h of the layer below after each step.
static void input_side(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat below, bptt_mat z, steps s)
{
    const run_memory *mem = &r->mem;
    const bptt_mat w_ih = model_layer(r->model, BPTT_WEIGHTS, l, WEIGHT_IH);
    if (l == 0 && mem->token.buf)
        gather(p, whole_of(r, mem->token, s), w_ih, z); // rows of W_ih
    else
        gemm(p, l == 0 ? whole_of(r, mem->dense, s) : below, w_ih, SET, z);
}

// z of a gated cell before its loop: the product of the input, zeros in the other blocks, and biases that the second
// product's operand needs.
static void gated_input(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat below, bptt_mat z, steps s)
{
    const bptt_model *m = r->model;
    const size_t H = m->H, in = model_blocks(&m->config, WEIGHT_IH).count * H;
    const bptt_mat b2 = model_layer(m, BPTT_WEIGHTS, l, BIAS_HH);
    if (in < z.cols) fill(p, bptt_cols(z, in, z.cols - in), 0);
    input_side(p, r, l, below, bptt_cols(z, 0, in), s);
    if (!*m->cell->mixed) return;
    add_row(p, model_layer(m, BPTT_WEIGHTS, l, BIAS_IH), bptt_cols(z, 0, in));
    if (b2.buf) add_row(p, b2, blocks_of(r, z, BIAS_HH));
}

// One step of a gated cell, from the states before it (kept) to those after it.
static void gated_step(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat z, bptt_mat kept, bptt_mat after)
{
    const bptt_model *m = r->model;
    const bptt_mat w_hh = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_HH), w = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_MIXED);
    if (w_hh.buf) gemm(p, h_of(r, kept), w_hh, PLUS, blocks_of(r, z, WEIGHT_HH));
    if (w.buf) {
        const bool back = r->config.gradient;
        const bptt_mat u = back ? moving(r, at(r, r->mem.mixed[l], 0), 1, 0) : r->mem.mixed[0];
        mix(p, m, z, h_of(r, kept), u);
        gemm(p, u, w, PLUS, blocks_of(r, z, WEIGHT_MIXED));
    }
    gates_forward(p, m, l, z, kept, after);
}

// 1 - keep of the first steps of a window: the part of each state that is the learned initial state.
static void fresh_parts(bptt_plan *p, const bptt_run *r, size_t T)
{
    const run_memory *mem = &r->mem;
    if (!mem->fresh.buf) return;
    fill(p, span(r, mem->fresh, 0, T), 1);
    scale_rows(p, span(r, mem->keep, 0, T), span(r, mem->minus, 0, T), PLUS, span(r, mem->fresh, 0, T));
}

// Layer l through these steps: block 0 of h is the state before, blocks 1 .. S are the states after each step.
static void layer_forward(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat below, bptt_mat h, steps s)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const bptt_mat before = moving(r, at(r, h, 0), 1, 0), after = moving(r, at(r, h, 1), 1, 0);
    const bptt_mat gates = gated(r) ? mem->gates[r->config.gradient ? l : 0] : span(r, h, 1, s.S);
    bptt_mat kept = before;
    copy(p, at(r, mem->state, l), at(r, h, 0));
    (gated(r) ? gated_input : input_side)(p, r, l, below, span(r, gates, 0, s.S), s);
    const size_t loop = loop_begin(p, BPTT_LOOP_FORWARD, s.S);
    if (r->config.keep) {
        kept = r->config.gradient ? moving(r, at(r, mem->kept[l], 0), 1, 0) : mem->kept[0];
        scale_rows(p, each_of(r, mem->keep, s), before, SET, kept);
        if (mem->fresh.buf) // kept += (1 - keep) h0
            gemm(p, each_of(r, mem->fresh, s), model_layer(m, BPTT_WEIGHTS, l, STATE_0), PLUS, kept);
    }
    if (gated(r))
        gated_step(p, r, l, moving(r, at(r, gates, 0), 1, 0), kept, after);
    else {
        const bptt_mat w_hh = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_HH);
        gemm(p, kept, w_hh, PLUS, after);    // z += h(t) W_hh
        cell_forward(p, m, l, after, after); // h(t+1) = f(z + b)
    }
    loop_end(p, loop);
    copy(p, at(r, h, s.S), at(r, mem->state, l));
}

// A block of `rows` rows of the window for the decoder. In a loop over blocks, each iteration is `rows` rows later.
typedef struct block {
    size_t first, rows;
    bool moves;
} block;

// Rows of m for the block: for an op of the loop over blocks, or (in) for an op of a nested loop.
static bptt_mat rows_of(bptt_mat m, block b, bool in)
{
    const ptrdiff_t by = b.moves ? (ptrdiff_t)(b.rows * m.ld) : 0;
    m = bptt_rows(m, b.first, b.rows);
    m.move[in] = by;
    return m;
}

// The first O columns of a matrix with the width of the inputs.
static bptt_mat skipped(const bptt_run *r, bptt_mat x) { return bptt_cols(x, 0, r->model->O); }

// logits = h W + b, with `skip` plus the first O columns of the inputs x.
static void outputs(bptt_plan *p, const bptt_run *r, bptt_mat h, bptt_mat x, bptt_mat logits)
{
    const bool skip = r->model->config.skip;
    if (skip) copy(p, skipped(r, x), logits);
    gemm(p, h, model_decoder_weight(r->model, BPTT_WEIGHTS), skip ? PLUS : SET, logits);
    add_row(p, model_decoder_bias(r->model, BPTT_WEIGHTS), logits);
}

// Loss of a block with top states h [rows][H]; h moves like `in` of rows_of.
static void block_loss(bptt_plan *p, const bptt_run *r, bptt_mat h, block b, bool gradient)
{
    const bptt_mat logits = bptt_rows(r->mem.logits, 0, b.rows);
    const bptt_loss loss = r->model->config.loss;
    outputs(p, r, h, r->mem.dense.buf ? rows_of(r->mem.dense, b, true) : r->mem.dense, logits);
    bptt_op *s = add(p, loss == BPTT_SOFTMAX ? BPTT_SOFTMAX_XENT : BPTT_DENSE_LOSS);
    s->gradient = gradient, s->loss = loss;
    s->arg[0] = rows_of(r->mem.target, b, true), s->arg[1] = rows_of(r->mem.weight, b, true);
    s->arg[2] = logits, s->arg[3] = rows_of(r->mem.losses, b, true);
}

// Loss of a block of the window with top states h [N][H]; with `gradient` also dh and the decoder's gradient.
static void decoder_block(bptt_plan *p, const bptt_run *r, bptt_mat h, block b, bool gradient, bool add_up)
{
    const bptt_model *m = r->model;
    const bptt_mat w = model_decoder_weight(m, BPTT_WEIGHTS), logits = bptt_rows(r->mem.logits, 0, b.rows);
    const size_t loop = loop_begin(p, BPTT_LOOP_OUTPUT, 1);
    block_loss(p, r, rows_of(h, b, true), b, gradient);
    if (gradient) // dh = dlogits W'
        gemm(p, logits, transposed(w, r->mem.out_flipped), SET, rows_of(run_dh(r, m->L - 1), b, true));
    loop_end(p, loop);
    if (!gradient) return;
    if (m->config.skip && r->mem.dx.buf) copy(p, logits, skipped(r, rows_of(r->mem.dx, b, false)));
    gemm(p, bptt_flip(rows_of(h, b, false)), logits, add_up, model_decoder_weight(m, BPTT_GRADIENT));
    colsum(p, logits, add_up, model_decoder_bias(m, BPTT_GRADIENT));
}

// The decoder over the window in blocks of R rows; the first block overwrites its gradient, the others add to it.
static void decoder(bptt_plan *p, const bptt_run *r, bptt_mat h, bool gradient)
{
    const size_t whole = h.rows / r->R, rest = h.rows % r->R;
    decoder_block(p, r, h, (block){0, r->R, false}, gradient, SET);
    if (whole > 1) {
        const size_t loop = loop_begin(p, BPTT_LOOP_BLOCKS, whole - 1);
        decoder_block(p, r, h, (block){r->R, r->R, true}, gradient, PLUS);
        loop_end(p, loop);
    }
    if (rest) decoder_block(p, r, h, (block){whole * r->R, rest, false}, gradient, PLUS);
}

// All layers over the whole window; all states are stored.
static void layers_forward(bptt_plan *p, const bptt_run *r)
{
    fresh_parts(p, r, r->T);
    for (size_t l = 0; l < r->model->L; l++)
        layer_forward(p, r, l, l ? h_after(r, l - 1) : (bptt_mat){0}, r->mem.h[l], (steps){0, r->T, false});
}

// Forward only, in two buffers: all layers through S steps, then the losses of these S*B rows.
static void evaluate_steps(bptt_plan *p, const bptt_run *r, steps s)
{
    const size_t L = r->model->L;
    for (size_t l = 0; l < L; l++)
        layer_forward(p, r, l, l ? h_of(r, span(r, states(r, l - 1), 1, s.S)) : (bptt_mat){0}, states(r, l), s);
    const size_t loop = loop_begin(p, BPTT_LOOP_OUTPUT, 1);
    block_loss(p, r, h_of(r, span(r, states(r, L - 1), 1, s.S)), (block){s.first * r->B, s.S * r->B, s.moves}, false);
    loop_end(p, loop);
}

static void plan_evaluate(bptt_plan *p, const bptt_run *r)
{
    if (r->config.gradient) { // all states fit in its memory
        layers_forward(p, r);
        decoder(p, r, h_after(r, r->model->L - 1), false);
    } else {
        fresh_parts(p, r, r->T);
        const size_t loop = loop_begin(p, BPTT_LOOP_BLOCKS, r->T / r->S), rest = r->T % r->S;
        evaluate_steps(p, r, (steps){0, r->S, true});
        loop_end(p, loop);
        if (rest) evaluate_steps(p, r, (steps){r->T - rest, rest, false});
    }
    reduce(p, BPTT_SUM, r->mem.losses, bptt_cols(r->mem.stat, STAT_LOSS, 1));
}

// One step; its prediction goes to the first B rows of logits.
static void plan_next(bptt_plan *p, const bptt_run *r)
{
    const size_t L = r->model->L;
    const bptt_mat logits = at(r, r->mem.logits, 0);
    fresh_parts(p, r, 1);
    for (size_t l = 0; l < L; l++)
        layer_forward(p, r, l, l ? h_of(r, at(r, states(r, l - 1), 1)) : (bptt_mat){0}, states(r, l),
                      (steps){0, 1, false});
    outputs(p, r, h_of(r, at(r, states(r, L - 1), 1)), r->mem.dense.buf ? at(r, r->mem.dense, 0) : r->mem.dense,
            logits);
    if (r->model->config.loss == BPTT_SOFTMAX) add(p, BPTT_LOG_SOFTMAX)->arg[0] = logits;
}

// ---- backward -------------------------------------------------------------------------------------------------------

// Gradient of the kept states of the step: of each step a block of its own if h0 needs them all.
static bptt_mat each_dkept(const bptt_run *r, size_t l)
{
    return r->mem.fresh.buf ? moving(r, at(r, r->mem.dkept, (l + 1) * r->T - 1), -1, 0) : at(r, r->mem.dkept, l);
}

// From the gradient of the states after a step: dz of the step, and the gradient of the states before it.
static void elementwise_back(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat dh, bptt_mat before)
{
    const bptt_mat back = transposed(model_layer(r->model, BPTT_WEIGHTS, l, WEIGHT_HH), r->mem.hh_flipped[l]);
    cell_backward(p, r->model, moving(r, at(r, r->mem.h[l], r->T), -1, 0), dh, dh);
    if (r->config.keep) {
        gemm(p, dh, back, SET, each_dkept(r, l));
        scale_rows(p, moving(r, at(r, r->mem.keep, r->T - 1), -1, 0), each_dkept(r, l), PLUS, before);
    } else
        gemm(p, dh, back, PLUS, before); // dh(t) += dz(t) W_hh'
}

static void gated_back(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat dstates, bptt_mat before)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const size_t T = r->T;
    const bptt_mat w_hh = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_HH), w = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_MIXED);
    const bptt_mat from = moving(r, at(r, r->config.keep ? mem->kept[l] : mem->h[l], T - 1), -1, 0);
    const bptt_mat to = moving(r, at(r, mem->h[l], T), -1, 0), z = moving(r, at(r, mem->gates[l], T - 1), -1, 0);
    const bptt_mat into = r->config.keep ? each_dkept(r, l) : before;
    if (r->config.keep) fill(p, into, 0);
    gates_backward(p, m, z, from, to, dstates, into);
    if (w.buf) {
        const bptt_mat du = at(r, mem->dmixed, l);
        gemm(p, blocks_of(r, z, WEIGHT_MIXED), transposed(w, mem->mixed_flipped[l]), SET, du);
        mix_backward(p, m, z, h_of(r, from), du, h_of(r, into));
    }
    if (w_hh.buf) gemm(p, blocks_of(r, z, WEIGHT_HH), transposed(w_hh, mem->hh_flipped[l]), PLUS, h_of(r, into));
    if (r->config.keep) scale_rows(p, moving(r, at(r, mem->keep, T - 1), -1, 0), into, PLUS, before);
}

// run_dstates of layer l: on entry the gradient from above of h after each step; on exit run_dz.
static void layer_backward_in_time(bptt_plan *p, const bptt_run *r, size_t l)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const size_t T = r->T, H = m->H;
    const bptt_mat d = run_dstates(r, l), last = moving(r, at(r, d, T), -1, 0);
    const bptt_mat before = moving(r, at(r, d, T - 1), -1, 0);
    if (m->S > 1) fill(p, bptt_cols(d, H, (m->S - 1) * H), 0); // these have no input from above
    if (mem->dlast.buf) add_row(p, as_one_row(at(r, mem->dlast, l)), as_one_row(at(r, d, T)));
    fill(p, at(r, d, 0), 0);
    const size_t loop = loop_begin(p, BPTT_LOOP_BACKWARD, T);
    (gated(r) ? gated_back : elementwise_back)(p, r, l, last, before);
    loop_end(p, loop);
    copy(p, at(r, d, 0), at(r, mem->dstate, l));
}

static bool same_columns(bptt_mat a, bptt_mat b) { return a.at == b.at && a.cols == b.cols; }

// After the loop: weight gradients of the layer as GEMMs over the whole window, and dh of the layer below.
static void layer_gradient(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat dz, bptt_mat dh_below)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const bptt_mat dw_ih = model_layer(m, BPTT_GRADIENT, l, WEIGHT_IH),
                   dw_hh = model_layer(m, BPTT_GRADIENT, l, WEIGHT_HH);
    const bptt_mat dw_mixed = model_layer(m, BPTT_GRADIENT, l, WEIGHT_MIXED);
    const bptt_mat db = model_layer(m, BPTT_GRADIENT, l, BIAS_IH), db2 = model_layer(m, BPTT_GRADIENT, l, BIAS_HH);
    const bptt_mat w_ih = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_IH);
    const bptt_mat before = h_of(r, r->config.keep ? mem->kept[l] : span(r, mem->h[l], 0, r->T));
    const bool skip = l == 0 && m->config.skip; // dx of the model holds the gradient on the path around the layers
    const bptt_mat dx = blocks_of(r, dz, WEIGHT_IH), dz2 = blocks_of(r, dz, BIAS_HH);
    if (dw_hh.buf) gemm(p, bptt_flip(before), blocks_of(r, dz, WEIGHT_HH), SET, dw_hh); // dW_hh = h' dz
    if (dw_mixed.buf) gemm(p, bptt_flip(mem->mixed[l]), blocks_of(r, dz, WEIGHT_MIXED), SET, dw_mixed);
    if (mem->fresh.buf) // dh0 = sum over steps and streams of (1 - keep) dkept
        gemm(p, bptt_flip(mem->fresh), span(r, mem->dkept, l * r->T, r->T), SET,
             model_layer(m, BPTT_GRADIENT, l, STATE_0));
    colsum(p, dx, SET, db);
    if (db2.buf && same_columns(dx, dz2))
        copy(p, db, db2);
    else if (db2.buf)
        colsum(p, dz2, SET, db2);
    if (l == 0 && mem->token.buf) {
        scatter(p, mem->token, dx, dw_ih);
        return;
    }
    gemm(p, bptt_flip(l == 0 ? mem->dense : h_after(r, l - 1)), dx, SET, dw_ih);
    if (dh_below.buf) gemm(p, dx, transposed(w_ih, mem->ih_flipped[l]), skip ? PLUS : SET, dh_below);
}

static void flip_layers(bptt_plan *p, const bptt_run *r)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    for (size_t l = 0; l < m->L; l++) {
        const bptt_mat into[] = {
            [WEIGHT_IH] = mem->ih_flipped[l], [WEIGHT_HH] = mem->hh_flipped[l], [WEIGHT_MIXED] = mem->mixed_flipped[l]};
        for (layer_tensor which = WEIGHT_IH; which <= WEIGHT_MIXED; which++)
            if (into[which].buf) copy(p, bptt_flip(model_layer(m, BPTT_WEIGHTS, l, which)), into[which]);
    }
}

// Backward through all layers, from the gradient of the top layer's states in run_dz, which is overwritten.
static void layers_backward(bptt_plan *p, const bptt_run *r)
{
    for (size_t l = r->model->L; l-- > 0;) {
        layer_backward_in_time(p, r, l);
        layer_gradient(p, r, l, run_dz(r, l), l > 0 ? run_dh(r, l - 1) : r->mem.dx);
    }
}

static void plan_gradient(bptt_plan *p, const bptt_run *r, bool train)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    flip_layers(p, r);
    if (mem->out_flipped.buf) copy(p, bptt_flip(model_decoder_weight(m, BPTT_WEIGHTS)), mem->out_flipped);
    layers_forward(p, r);
    if (m->config.skip && mem->dx.buf && m->I > m->O) fill(p, bptt_cols(mem->dx, m->O, m->I - m->O), 0);
    decoder(p, r, h_after(r, m->L - 1), true);
    reduce(p, BPTT_SUM, mem->losses, bptt_cols(mem->stat, STAT_LOSS, 1));
    layers_backward(p, r);
    reduce(p, BPTT_SUMSQ, m->whole[BPTT_GRADIENT], bptt_cols(mem->stat, STAT_SUMSQ, 1));
    if (!train) return;
    update(p, m, mem->stat);
    bptt_op *s = add(p, BPTT_GUARD);
    s->arg[0] = mem->stat;
}

// ---- plans ----------------------------------------------------------------------------------------------------------

static bool plan_open(bptt_plan *p, const bptt_run *r)
{
    *p = (bptt_plan){.room = most_ops(r->model->L)};
    p->op = calloc(p->room, sizeof *p->op);
    return p->op != NULL;
}

size_t plan_bytes(const bptt_model_config *m, bool gradient)
{
    return (gradient ? WORKS : NEXT + 1) * most_ops(m->layers) * sizeof(bptt_op);
}

static void window_inputs(bptt_plan *p, const bptt_run *r)
{
    p->input[IN_TOKEN] = r->mem.token;
    p->input[IN_TARGET] = r->mem.target;
    p->input[IN_WEIGHT] = r->mem.weight;
    p->input[IN_KEEP] = r->mem.keep;
    p->input[IN_DENSE] = r->mem.dense;
}

// Views for the first step; absent matrices of the run stay absent.
static void next_inputs(bptt_plan *p, const bptt_run *r)
{
    if (r->mem.token.buf) p->input[IN_TOKEN] = at(r, r->mem.token, 0);
    if (r->mem.keep.buf) p->input[IN_KEEP] = at(r, r->mem.keep, 0);
    if (r->mem.dense.buf) p->input[IN_DENSE] = at(r, r->mem.dense, 0);
}

bool plan_work(bptt_plan *p, const bptt_run *r, work w)
{
    if (!plan_open(p, r)) return false;
    if (w == NEXT)
        next_inputs(p, r);
    else
        window_inputs(p, r);
    if (w != NEXT) p->output = r->mem.stat;
    if (w == GRADIENT || w == TRAIN) p->scale = r->model->scale;
    if (w != NEXT && r->config.lengths) fill(p, r->mem.state, 0); // no window takes the state of another
    if (w == EVALUATE)
        plan_evaluate(p, r);
    else if (w == NEXT)
        plan_next(p, r);
    else
        plan_gradient(p, r, w == TRAIN);
    return true;
}

bool plan_layers(bptt_plan *p, const bptt_run *r, layers_part part, bptt_mat dy)
{
    assert(r->config.gradient);
    if (!plan_open(p, r)) return false;
    if (part != LAYERS_BACKWARD) layers_forward(p, r);
    if (part != LAYERS_FORWARD) {
        if (r->model->config.skip && r->mem.dx.buf) fill(p, r->mem.dx, 0); // there is no decoder
        p->scale = r->model->scale;
        flip_layers(p, r);
        copy(p, dy, run_dh(r, r->model->L - 1)); // a copy, since dh turns into dz in place
        layers_backward(p, r);
    }
    return true;
}
