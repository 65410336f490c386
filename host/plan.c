// The time loops: which entry runs on what, in which order. Knows time, no device, touches no element.
// The mathematics beside it: host/README.md.
#include "run.h"

#include <assert.h>
#include <stdlib.h>

// ---- adding steps ---------------------------------------------------------------------------------------------------

enum { SET = 0, PLUS = 1 }; // overwrite the result, or add to it

static bptt_op *add(bptt_plan *p, bptt_opcode entry, unsigned chain)
{
    if (p->ops == p->room) {
        const size_t room = p->room ? 2 * p->room : 64;
        bptt_op *more = realloc(p->op, room * sizeof *more);
        if (!more) {
            p->failed = true;
            return &p->spare;
        }
        p->op = more;
        p->room = room;
    }
    bptt_op *s = &p->op[p->ops++];
    *s = (bptt_op){.opcode = entry, .alpha = 1, .chain = chain};
    return s;
}

static void copy(bptt_plan *p, bptt_mat x, bptt_mat y)
{
    bptt_op *s = add(p, BPTT_COPY, 0);
    s->arg[0] = x, s->arg[1] = y;
}

static void gemm(bptt_plan *p, unsigned chain, bptt_mat a, bptt_mat b, int beta, bptt_mat c)
{
    bptt_op *s = add(p, BPTT_GEMM, chain);
    s->beta = beta;
    s->arg[0] = a, s->arg[1] = b, s->arg[2] = c;
}

static void gather(bptt_plan *p, bptt_mat id, bptt_mat w, bptt_mat z)
{
    bptt_op *s = add(p, BPTT_GATHER, 0);
    s->arg[0] = id, s->arg[1] = w, s->arg[2] = z;
}

static void scatter(bptt_plan *p, bptt_mat id, bptt_mat dz, bptt_mat dw)
{
    bptt_op *s = add(p, BPTT_SCATTER, 0);
    s->arg[0] = id, s->arg[1] = dz, s->arg[2] = dw;
}

static void scale_rows(bptt_plan *p, unsigned chain, bptt_mat k, bptt_mat x, int beta, bptt_mat y)
{
    bptt_op *s = add(p, BPTT_SCALE_ROWS, chain);
    s->beta = beta;
    s->arg[0] = k, s->arg[1] = x, s->arg[2] = y;
}

static void cell_forward(bptt_plan *p, unsigned chain, const bptt_model *m, size_t l, bptt_mat z, bptt_mat h)
{
    bptt_op *s = add(p, BPTT_CELL_FORWARD, chain);
    s->cell = m->config.cell;
    s->arg[0] = z, s->arg[3] = h;
    s->arg[1] = model_layer(m, BPTT_WEIGHTS, l, BIAS_IH);
    s->arg[2] = model_layer(m, BPTT_WEIGHTS, l, BIAS_HH);
}

static void cell_backward(bptt_plan *p, unsigned chain, const bptt_model *m, bptt_mat y, bptt_mat dy, bptt_mat dz)
{
    bptt_op *s = add(p, BPTT_CELL_BACKWARD, chain);
    s->cell = m->config.cell;
    s->arg[0] = y, s->arg[1] = dy, s->arg[2] = dz;
}

static void colsum(bptt_plan *p, bptt_mat dz, int beta, bptt_mat db)
{
    bptt_op *s = add(p, BPTT_COLSUM, 0);
    s->beta = beta;
    s->arg[0] = dz, s->arg[1] = db;
}

static void add_row(bptt_plan *p, unsigned chain, bptt_mat b, bptt_mat x)
{
    bptt_op *s = add(p, BPTT_ADD_ROW, chain);
    s->arg[0] = b, s->arg[1] = x;
}

static void reduce(bptt_plan *p, bptt_opcode sum_or_sumsq, bptt_mat x, bptt_mat out)
{
    bptt_op *s = add(p, sum_or_sumsq, 0);
    s->arg[0] = x, s->arg[1] = out;
}

static void update(bptt_plan *p, const bptt_model *m, bptt_mat stat)
{
    const bptt_model_config *c = &m->config;
    bptt_op *s = add(p, BPTT_UPDATE, 0);
    s->rule = (struct bptt_rule){.optimizer = c->optimizer,
                                 .clip_mode = c->clip_mode,
                                 .clip = c->clip,
                                 .momentum = c->momentum,
                                 .decay = c->decay,
                                 .beta1 = c->beta1,
                                 .beta2 = c->beta2,
                                 .epsilon = c->epsilon};
    for (bptt_part part = BPTT_WEIGHTS; part <= BPTT_MOMENT2; part++) s->arg[part] = m->whole[part];
    s->arg[4] = stat;
}

// ---- views ----------------------------------------------------------------------------------------------------------

// Block t of a matrix that holds B rows for each t.
static bptt_mat at(const bptt_run *r, bptt_mat m, size_t t) { return bptt_rows(m, t * r->B, r->B); }
// Blocks first .. first + count - 1.
static bptt_mat span(const bptt_run *r, bptt_mat m, size_t first, size_t count)
{
    return bptt_rows(m, first * r->B, count * r->B);
}
// States of layer l: forward only, the layers take turns in two buffers.
static bptt_mat states(const bptt_run *r, size_t l) { return r->mem.h[r->config.gradient ? l : l % 2]; }
// A packed block of rows, padding included, as one row.
static bptt_mat as_one_row(bptt_mat m)
{
    return (bptt_mat){.buf = m.buf, .at = m.at, .rows = 1, .cols = m.rows * m.ld, .ld = m.rows * m.ld, .type = m.type};
}
// What the gradient of layer l's states comes in, and its dz leaves in: two in turns from the top, or one for each.
bptt_mat run_dz(const bptt_run *r, size_t l)
{
    return r->keeps_dz ? r->mem.dz[l] : r->mem.dh[(r->model->L - 1 - l) % 2];
}
// W' for a product: the stored transpose if there is one, else a view.
static bptt_mat transposed(bptt_mat w, bptt_mat stored) { return stored.buf ? stored : bptt_flip(w); }

// ---- forward --------------------------------------------------------------------------------------------------------

// Steps t0 .. t0+S-1 of layer l: h block 0 is the state before, blocks 1..S the states after each step.
static void layer_forward(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat below, bptt_mat h, size_t t0, size_t S)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const bptt_mat w_ih = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_IH);
    const bptt_mat w_hh = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_HH);
    const bptt_mat all = span(r, h, 1, S);
    copy(p, at(r, mem->state, l), at(r, h, 0));
    if (l == 0 && mem->token.buf)
        gather(p, span(r, mem->token, t0, S), w_ih, all); // z = rows of W_ih
    else
        gemm(p, 0, l == 0 ? span(r, mem->dense, t0, S) : below, w_ih, SET, all); // z = x W_ih
    const unsigned chain = (unsigned)p->ops + 1;
    for (size_t t = 0; t < S; t++) {
        bptt_mat before = at(r, h, t);
        if (r->config.keep) {
            const bptt_mat kept = r->config.gradient ? at(r, mem->kept[l], t) : mem->kept[0];
            scale_rows(p, chain, at(r, mem->keep, t0 + t), before, SET, kept);
            before = kept;
        }
        gemm(p, chain, before, w_hh, PLUS, at(r, h, t + 1));            // z += h(t) W_hh
        cell_forward(p, chain, m, l, at(r, h, t + 1), at(r, h, t + 1)); // h(t+1) = f(z + b)
    }
    copy(p, at(r, h, S), at(r, mem->state, l));
}

// Rows first .. first + n - 1 of the window, whose top states are h [n][H]: loss, and with `gradient` dh [n][H] and the
// decoder's gradient.
static void decoder(bptt_plan *p, const bptt_run *r, bptt_mat h, size_t first, bool gradient, bool add_up, bptt_mat dh)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const size_t n = h.rows;
    const bptt_mat w = model_decoder_weight(m, BPTT_WEIGHTS), logits = bptt_rows(mem->logits, 0, n);
    const unsigned chain = (unsigned)p->ops + 1;
    gemm(p, chain, h, w, SET, logits);
    add_row(p, chain, model_decoder_bias(m, BPTT_WEIGHTS), logits);
    bptt_op *s = add(p, BPTT_SOFTMAX_XENT, chain);
    s->gradient = gradient;
    s->arg[0] = bptt_rows(mem->target, first, n), s->arg[1] = bptt_rows(mem->weight, first, n);
    s->arg[2] = logits, s->arg[3] = bptt_rows(mem->losses, first, n);
    if (!gradient) return;
    gemm(p, chain, logits, transposed(w, mem->out_flipped), SET, dh); // dh = dlogits W'
    gemm(p, 0, bptt_flip(h), logits, add_up, model_decoder_weight(m, BPTT_GRADIENT));
    colsum(p, logits, add_up, model_decoder_bias(m, BPTT_GRADIENT));
}

static void decoder_blocks(bptt_plan *p, const bptt_run *r, bptt_mat h, size_t first, bool gradient)
{
    for (size_t i = 0; i < h.rows; i += r->R) {
        const size_t n = h.rows - i < r->R ? h.rows - i : r->R;
        const bptt_mat dh = gradient ? bptt_rows(run_dz(r, r->model->L - 1), i, n) : (bptt_mat){0};
        decoder(p, r, bptt_rows(h, i, n), first + i, gradient, i > 0, dh);
    }
}

// Forward only: S steps at a time through all layers, in two buffers.
static void plan_evaluate(bptt_plan *p, const bptt_run *r)
{
    for (size_t t = 0; t < r->T; t += r->S) {
        const size_t S = r->T - t < r->S ? r->T - t : r->S, L = r->model->L;
        for (size_t l = 0; l < L; l++)
            layer_forward(p, r, l, l ? span(r, states(r, l - 1), 1, S) : (bptt_mat){0}, states(r, l), t, S);
        decoder_blocks(p, r, span(r, states(r, L - 1), 1, S), t * r->B, false);
    }
    reduce(p, BPTT_SUM, r->mem.losses, bptt_cols(r->mem.stat, 0, 1));
}

// One step and its log-probabilities, left in the first B rows of logits.
static void plan_next(bptt_plan *p, const bptt_run *r)
{
    const size_t L = r->model->L;
    const bptt_mat logits = at(r, r->mem.logits, 0);
    for (size_t l = 0; l < L; l++)
        layer_forward(p, r, l, l ? at(r, states(r, l - 1), 1) : (bptt_mat){0}, states(r, l), 0, 1);
    gemm(p, 0, at(r, states(r, L - 1), 1), model_decoder_weight(r->model, BPTT_WEIGHTS), SET, logits);
    add_row(p, 0, model_decoder_bias(r->model, BPTT_WEIGHTS), logits);
    bptt_op *s = add(p, BPTT_LOG_SOFTMAX, 0);
    s->arg[0] = logits;
}

// ---- backward -------------------------------------------------------------------------------------------------------

// dh: on entry the gradient of the states after each step from above, on exit dz.
static void layer_backward_in_time(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat dh)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const bptt_mat back = transposed(model_layer(m, BPTT_WEIGHTS, l, WEIGHT_HH), mem->hh_flipped[l]);
    if (mem->dlast.buf) add_row(p, 0, as_one_row(at(r, mem->dlast, l)), as_one_row(at(r, dh, r->T - 1)));
    const unsigned chain = (unsigned)p->ops + 1;
    for (size_t t = r->T; t-- > 0;) {
        const bptt_mat dz = at(r, dh, t);
        const bptt_mat before = t > 0 ? at(r, dh, t - 1) : at(r, mem->dstate, l);
        cell_backward(p, chain, m, at(r, mem->h[l], t + 1), dz, dz);
        if (!r->config.keep) {
            gemm(p, chain, dz, back, t > 0 ? PLUS : SET, before); // dh(t) += dz(t) W_hh'
            continue;
        }
        gemm(p, chain, dz, back, SET, mem->dkept);
        scale_rows(p, chain, at(r, mem->keep, t), mem->dkept, t > 0 ? PLUS : SET, before);
    }
}

// After the loop: the layer's gradient as products over the whole window, and what goes to the layer below.
static void layer_gradient(bptt_plan *p, const bptt_run *r, size_t l, bptt_mat dz, bptt_mat dh_below)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    const bptt_mat dw_ih = model_layer(m, BPTT_GRADIENT, l, WEIGHT_IH);
    const bptt_mat db = model_layer(m, BPTT_GRADIENT, l, BIAS_IH), db2 = model_layer(m, BPTT_GRADIENT, l, BIAS_HH);
    const bptt_mat w_ih = model_layer(m, BPTT_WEIGHTS, l, WEIGHT_IH);
    const bptt_mat before = r->config.keep ? mem->kept[l] : span(r, mem->h[l], 0, r->T);
    gemm(p, 0, bptt_flip(before), dz, SET, model_layer(m, BPTT_GRADIENT, l, WEIGHT_HH)); // dW_hh = h' dz
    colsum(p, dz, SET, db);
    if (db2.buf) copy(p, db, db2);
    if (l == 0 && mem->token.buf) {
        scatter(p, mem->token, dz, dw_ih);
        return;
    }
    gemm(p, 0, bptt_flip(l == 0 ? mem->dense : span(r, mem->h[l - 1], 1, r->T)), dz, SET, dw_ih);
    if (dh_below.buf) gemm(p, 0, dz, transposed(w_ih, mem->ih_flipped[l]), SET, dh_below);
}

static void flip_layers(bptt_plan *p, const bptt_run *r)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    for (size_t l = 0; l < m->L; l++) {
        if (mem->hh_flipped[l].buf) copy(p, bptt_flip(model_layer(m, BPTT_WEIGHTS, l, WEIGHT_HH)), mem->hh_flipped[l]);
        if (mem->ih_flipped[l].buf) copy(p, bptt_flip(model_layer(m, BPTT_WEIGHTS, l, WEIGHT_IH)), mem->ih_flipped[l]);
    }
}

// All layers over the whole window, their states kept.
static void layers_forward(bptt_plan *p, const bptt_run *r)
{
    for (size_t l = 0; l < r->model->L; l++)
        layer_forward(p, r, l, l ? span(r, r->mem.h[l - 1], 1, r->T) : (bptt_mat){0}, r->mem.h[l], 0, r->T);
}

// From the gradient of the top layer's states in run_dz, which is spent.
static void layers_backward(bptt_plan *p, const bptt_run *r)
{
    for (size_t l = r->model->L; l-- > 0;) {
        layer_backward_in_time(p, r, l, run_dz(r, l));
        layer_gradient(p, r, l, run_dz(r, l), l > 0 ? run_dz(r, l - 1) : r->mem.dx);
    }
}

static void plan_gradient(bptt_plan *p, const bptt_run *r, bool train)
{
    const bptt_model *m = r->model;
    const run_memory *mem = &r->mem;
    flip_layers(p, r);
    if (mem->out_flipped.buf) copy(p, bptt_flip(model_decoder_weight(m, BPTT_WEIGHTS)), mem->out_flipped);
    layers_forward(p, r);
    decoder_blocks(p, r, span(r, mem->h[m->L - 1], 1, r->T), 0, true);
    reduce(p, BPTT_SUM, mem->losses, bptt_cols(mem->stat, 0, 1));
    layers_backward(p, r);
    reduce(p, BPTT_SUMSQ, m->whole[BPTT_GRADIENT], bptt_cols(mem->stat, 1, 1));
    if (!train) return;
    update(p, m, mem->stat);
    bptt_op *s = add(p, BPTT_GUARD, 0);
    s->arg[0] = mem->stat;
}

// ---- plans ----------------------------------------------------------------------------------------------------------

// Gives back the room that is left over.
static void trim(bptt_plan *p)
{
    bptt_op *trimmed = p->ops ? realloc(p->op, p->ops * sizeof *p->op) : NULL;
    if (trimmed) p->op = trimmed, p->room = p->ops;
}

static void window_inputs(bptt_plan *p, const bptt_run *r)
{
    p->input[IN_TOKEN] = r->mem.token;
    p->input[IN_TARGET] = r->mem.target;
    p->input[IN_WEIGHT] = r->mem.weight;
    p->input[IN_KEEP] = r->mem.keep;
    p->input[IN_DENSE] = r->mem.dense;
}

// Of the first step; what the run does not have stays absent.
static void next_inputs(bptt_plan *p, const bptt_run *r)
{
    if (r->mem.token.buf) p->input[IN_TOKEN] = at(r, r->mem.token, 0);
    if (r->mem.keep.buf) p->input[IN_KEEP] = at(r, r->mem.keep, 0);
    if (r->mem.dense.buf) p->input[IN_DENSE] = at(r, r->mem.dense, 0);
}

void plan_work(bptt_plan *p, const bptt_run *r, work w)
{
    *p = (bptt_plan){0};
    if (w == NEXT)
        next_inputs(p, r);
    else
        window_inputs(p, r);
    if (w != NEXT) p->output = r->mem.stat;
    if (w == GRADIENT || w == TRAIN) p->scale = r->model->scale;
    if (w == EVALUATE)
        plan_evaluate(p, r);
    else if (w == NEXT)
        plan_next(p, r);
    else
        plan_gradient(p, r, w == TRAIN);
    trim(p);
}

void plan_layers(bptt_plan *p, const bptt_run *r, layers_part part, bptt_mat dy)
{
    assert(r->config.gradient);
    *p = (bptt_plan){0};
    if (part != LAYERS_BACKWARD) layers_forward(p, r);
    if (part != LAYERS_FORWARD) {
        p->scale = r->model->scale;
        flip_layers(p, r);
        copy(p, dy, run_dz(r, r->model->L - 1)); // the caller's stays as it is: dh turns into dz
        layers_backward(p, r);
    }
    trim(p);
}

// Where the loops above change, this changes: entries for each step of time, and for each pass or block.
size_t plan_bytes(const bptt_model_config *m, const bptt_run *r)
{
    const size_t in_time = (r->config.keep ? 3 : 2) * r->T * m->layers; // one pass, one direction
    const size_t passes = (r->T + r->S - 1) / r->S, blocks = (r->T * r->B + r->R - 1) / r->R + passes;
    const size_t forward = in_time + 3 * m->layers * passes + 6 * blocks + 8;
    const size_t backward = in_time + 9 * m->layers + 9;
    const size_t next = 6 * m->layers + 3;
    return (forward + next + (r->config.gradient ? 2 * (forward + backward) : 0)) * sizeof(bptt_op);
}
