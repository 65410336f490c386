// Expected results of a whole-number net: plain loops over 64-bit integers, with the size of each sum.
#include "device_exact.h"

#include <stdlib.h>
#include <string.h>

typedef whole_terms terms;

static void add_term(terms *t, int64_t a, int64_t b) { t->sum += a * b, t->size += llabs(a * b); }

// The sum, or 0 beyond the limit, so that nothing overflows afterwards.
static int64_t bounded_sum(whole_net *n, const terms *t)
{
    if (t->size > n->sum) n->sum = t->size;
    n->beyond |= t->size >= WHOLE_SUM;
    return t->size < WHOLE_SUM ? t->sum : 0;
}

// Of the pointwise functions of a cell.
static void record_size(whole_net *n, double size)
{
    if (size > (double)n->sum) n->sum = size < WHOLE_SUM ? (int64_t)size : WHOLE_SUM;
    n->beyond |= size >= WHOLE_SUM;
}

static void record_operands(whole_net *n, const int64_t *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (llabs(x[i]) > n->operand) n->operand = llabs(x[i]);
}

// ---- parts of a net -------------------------------------------------------------------------------------------------

static size_t width(const whole_net *n, size_t l) { return l ? n->s.H : n->s.I ? n->s.I : n->s.V; }

// A tensor of layer l, and the blocks of z of its blocks of rows; x NULL: the cell has none.
typedef struct part {
    int64_t *x;
    char blocks[2 * WHOLE_BLOCKS + 1];
} part;

static part part_of(int64_t *const *t, const whole_net *n, size_t l, layer_tensor which)
{
    const size_t each = (n->tensors - 2) / n->s.L;
    part p = {0};
    for (size_t i = l * each; i < (l + 1) * each; i++)
        if (n->kind[i] == which) p.x = t[i];
    whole_blocks(n->cell, n->s.biases, which, p.blocks);
    return p;
}

// The states of row i (t*B + b) of layer l before its step; those after it are B rows further.
static int64_t *state(const whole_net *n, const whole_window *w, size_t l, size_t i)
{
    return w->h + (l * (n->s.T + 1) * n->s.B + i) * n->W;
}
static int64_t *gates(const whole_net *n, const whole_window *w, size_t l, size_t i)
{
    return w->dz + (l * n->N + i) * n->ZH;
}
static int64_t *mixed(const whole_net *n, const whole_window *w, size_t l, size_t i)
{
    return w->u + (l * n->N + i) * n->s.H;
}
static int64_t keep(const whole_window *w, size_t i) { return w->keep ? w->keep[i] : 1; }
static int64_t weight(const whole_window *w, size_t i) { return w->weight ? w->weight[i] : 1; }
static bool by_token(const whole_net *n, size_t l) { return l == 0 && n->s.I == 0; }
// Row i of the input of layer l.
static const int64_t *row_below(const whole_net *n, const whole_window *w, size_t l, size_t i)
{
    return l ? state(n, w, l - 1, i + n->s.B) : w->x + i * n->s.I;
}
// n->kept: keep times the states before the steps of layer l.
static void keep_states(whole_net *n, const whole_window *w, size_t l, size_t i)
{
    for (size_t k = 0; k < n->W; k++) n->kept[i * n->W + k] = keep(w, i) * state(n, w, l, i)[k];
}

// One unit: a function of the cell between its blocks and states.
static void gather_unit(const int64_t *from, size_t count, size_t H, size_t j, int64_t *to)
{
    for (size_t k = 0; k < count; k++) to[k] = from[k * H + j];
}
static void scatter_unit(const int64_t *from, size_t count, size_t H, size_t j, int64_t *to)
{
    for (size_t k = 0; k < count; k++) to[k * H + j] = from[k];
}

// ---- forward --------------------------------------------------------------------------------------------------------

// z[block of row k*H + j][j] += row k*H + j of the tensor times x [columns]
static void add_product(const whole_net *n, const part *p, const int64_t *x, size_t columns, terms *z)
{
    const size_t H = n->s.H;
    for (size_t k = 0; p->x && p->blocks[k]; k++)
        for (size_t j = 0; j < H; j++)
            for (size_t i = 0; i < columns; i++)
                add_term(&z[(size_t)(p->blocks[k] - '0') * H + j], p->x[(k * H + j) * columns + i], x[i]);
}

static void add_token(const whole_net *n, const part *p, size_t token, terms *z)
{
    const size_t H = n->s.H;
    for (size_t k = 0; p->blocks[k]; k++)
        for (size_t j = 0; j < H; j++)
            add_term(&z[(size_t)(p->blocks[k] - '0') * H + j], p->x[(k * H + j) * n->s.V + token], 1);
}

// The pre-activations of row i without the second product.
static void first_products(whole_net *n, const whole_window *w, size_t l, size_t i, terms *z)
{
    static const int64_t one = 1;
    const part ih = part_of(n->w, n, l, WEIGHT_IH), hh = part_of(n->w, n, l, WEIGHT_HH);
    const part b = part_of(n->w, n, l, BIAS_IH), b2 = part_of(n->w, n, l, BIAS_HH);
    memset(z, 0, n->ZH * sizeof *z);
    if (by_token(n, l))
        add_token(n, &ih, (size_t)w->token[i], z);
    else
        add_product(n, &ih, row_below(n, w, l, i), width(n, l), z);
    add_product(n, &b, &one, 1, z), add_product(n, &b2, &one, 1, z);
    add_product(n, &hh, n->kept + i * n->W, n->s.H, z);
}

// u of row i, and its product.
static void second_product(whole_net *n, const whole_window *w, size_t l, size_t i, terms *z)
{
    const size_t H = n->s.H, Z = n->cell->blocks;
    const part m = part_of(n->w, n, l, WEIGHT_MIXED);
    int64_t *const u = mixed(n, w, l, i);
    double size = 0;
    for (size_t j = 0; j < H; j++) {
        int64_t unit[WHOLE_BLOCKS];
        for (size_t k = 0; k < Z; k++) unit[k] = bounded_sum(n, &z[k * H + j]);
        u[j] = n->cell->mix(unit, n->kept[i * n->W + j], &size);
        for (size_t k = 0; k < Z; k++)
            if (!strchr(m.blocks, (int)('0' + k))) z[k * H + j] = (terms){unit[k], llabs(unit[k])};
    }
    record_size(n, size);
    add_product(n, &m, u, H, z);
}

static void forward_row(whole_net *n, const whole_window *w, size_t l, size_t i, terms *z)
{
    const size_t H = n->s.H, Z = n->cell->blocks, S = n->cell->states;
    double size = 0;
    keep_states(n, w, l, i);
    first_products(n, w, l, i, z);
    if (n->cell->mix) second_product(n, w, l, i, z);
    for (size_t j = 0; j < H; j++) {
        int64_t unit[WHOLE_BLOCKS], before[WHOLE_STATES], after[WHOLE_STATES];
        for (size_t k = 0; k < Z; k++) unit[k] = bounded_sum(n, &z[k * H + j]);
        gather_unit(n->kept + i * n->W, S, H, j, before);
        n->cell->forward(unit, before, after, &size);
        scatter_unit(unit, Z, H, j, gates(n, w, l, i));
        scatter_unit(after, S, H, j, state(n, w, l, i + n->s.B));
    }
    record_size(n, size);
}

// Starts from the last state of the previous window, if there is one.
static void forward_window(whole_net *n, whole_window *w, const whole_window *before)
{
    const size_t BW = n->s.B * n->W;
    for (size_t l = 0; l < n->s.L; l++) {
        const int64_t *const from = before ? state(n, before, l, n->N) : n->h0 + l * BW;
        memcpy(state(n, w, l, 0), from, BW * sizeof *from);
        for (size_t i = 0; i < n->N; i++) forward_row(n, w, l, i, n->sums);
        record_operands(n, n->kept, n->N * n->W);
        if (n->cell->mix) record_operands(n, mixed(n, w, l, 0), n->N * n->s.H);
    }
}

// ---- decoder --------------------------------------------------------------------------------------------------------

static void softmax(whole_net *n, whole_window *w, size_t i, terms *loss)
{
    size_t top = 0;
    const size_t target = (size_t)w->target[i];
    for (size_t v = 0; v < n->O; v++) {
        if (n->logit[v] > n->logit[top]) top = v;
        n->dlogit[i * n->O + v] = 0;
    }
    add_term(loss, weight(w, i), n->logit[top] - n->logit[target]);
    n->dlogit[i * n->O + top] += weight(w, i);
    n->dlogit[i * n->O + target] -= weight(w, i);
}

// Outputs x. The targets: x - `off` (SQUARED), x - WHOLE_APART `off` (ABSOLUTE), `off` (BINARY).
static void dense_loss(whole_net *n, whole_window *w, size_t i, terms *loss)
{
    enum { MOST = 1 << 13 }; // in units of WHOLE_APART: up to it, x * WHOLE_APART + 1 is exact in float
    for (size_t v = 0; v < n->O; v++) {
        const int64_t x = n->logit[v], off = w->off[i * n->O + v];
        int64_t *const y = &w->y[i * n->O + v], d = off, l = llabs(off);
        if (n->s.loss == BPTT_SQUARED)
            *y = x * WHOLE_APART - off, l = off * off;
        else if (n->s.loss == BPTT_ABSOLUTE)
            *y = (x - off) * WHOLE_APART;
        else
            *y = off, d = (x > 0) - off, l = (x > 0 ? x : 0) - x * off;
        n->beyond |= llabs(x) > MOST;
        add_term(loss, weight(w, i), l);
        n->dlogit[i * n->O + v] = weight(w, i) * d;
    }
}

// Row i: outputs in units of WHOLE_APART, loss, dlogit.
static void decode_position(whole_net *n, whole_window *w, size_t i, terms *loss)
{
    const size_t H = n->s.H;
    const int64_t *const h = state(n, w, n->s.L - 1, i + n->s.B);
    const int64_t *const out = n->w[n->tensors - 2], *const bias = n->w[n->tensors - 1];
    for (size_t v = 0; v < n->O; v++) {
        terms z = {0};
        add_term(&z, bias[v], 1);
        for (size_t j = 0; j < H; j++) add_term(&z, out[v * H + j] * (n->unit / WHOLE_APART), h[j]);
        n->logit[v] = bounded_sum(n, &z);
    }
    (n->s.M ? dense_loss : softmax)(n, w, i, loss);
}

// Sets the units of a window; returns how many units of a gradient of the layers are `unit` of the decoder's. A gated
// cell is not linear in a gradient, so its unit is 1.
static int64_t set_units(whole_net *n, whole_window *w)
{
    const double M = n->s.M ? (double)n->s.M : 1;
    const bool squared = n->s.loss == BPTT_SQUARED;
    w->decoder = (squared ? 2 : 1) / (M * (double)w->weights);
    w->apart = (squared ? 1 : WHOLE_APART) / M;
    w->layers = (double)n->unit * w->decoder;
    if (!n->s.gated) return 1;
    n->beyond |= w->layers < 1;
    const int64_t units = (int64_t)w->layers;
    w->layers = 1;
    return units;
}

static void decoder(whole_net *n, whole_window *w)
{
    const size_t H = n->s.H, O = n->O;
    const int64_t *const out = n->w[n->tensors - 2], units = set_units(n, w);
    terms loss = {0};
    for (size_t i = 0; i < n->N; i++) decode_position(n, w, i, &loss);
    w->loss = bounded_sum(n, &loss);
    record_operands(n, n->dlogit, n->N * O);
    for (size_t v = 0; v < O; v++) {
        terms bias = {0};
        for (size_t i = 0; i < n->N; i++) add_term(&bias, n->dlogit[i * O + v], 1);
        w->g[n->tensors - 1][v] = bounded_sum(n, &bias);
        for (size_t j = 0; j < H; j++) {
            terms g = {0};
            for (size_t i = 0; i < n->N; i++)
                add_term(&g, n->dlogit[i * O + v], state(n, w, n->s.L - 1, i + n->s.B)[j]);
            w->g[n->tensors - 2][v * H + j] = bounded_sum(n, &g);
        }
    }
    memset(n->dh, 0, n->N * n->W * sizeof *n->dh);
    for (size_t i = 0; i < n->N; i++)
        for (size_t j = 0; j < H; j++) {
            terms d = {0};
            for (size_t v = 0; v < O; v++) add_term(&d, n->dlogit[i * O + v] * units, out[v * H + j]);
            n->dh[i * n->W + j] = bounded_sum(n, &d);
        }
}

// ---- backward -------------------------------------------------------------------------------------------------------

// d[j] += sum over the rows of the tensor of dz times its column j, of `columns`.
static void add_back(const whole_net *n, const part *p, const int64_t *dz, size_t columns, terms *d)
{
    const size_t H = n->s.H;
    for (size_t k = 0; p->x && p->blocks[k]; k++)
        for (size_t i = 0; i < H; i++)
            for (size_t j = 0; j < columns; j++)
                add_term(&d[j], dz[(size_t)(p->blocks[k] - '0') * H + i], p->x[(k * H + i) * columns + j]);
}

// The pointwise part of row i: dz in the gates, d [W] the gradient of the kept states but for the product with W_hh.
static void back_through_cell(whole_net *n, const whole_window *w, size_t l, size_t i, terms *d)
{
    const size_t H = n->s.H, Z = n->cell->blocks, S = n->cell->states;
    double size = 0;
    for (size_t j = 0; j < H; j++) {
        int64_t z[WHOLE_BLOCKS], before[WHOLE_STATES], after[WHOLE_STATES], now[WHOLE_STATES], old[WHOLE_STATES];
        gather_unit(gates(n, w, l, i), Z, H, j, z);
        gather_unit(n->kept + i * n->W, S, H, j, before), gather_unit(state(n, w, l, i + n->s.B), S, H, j, after);
        gather_unit(n->dh + i * n->W, S, H, j, now);
        n->cell->backward(z, before, after, now, old, &size);
        scatter_unit(z, Z, H, j, gates(n, w, l, i));
        for (size_t k = 0; k < S; k++) add_term(&d[k * H + j], old[k], 1);
    }
    record_size(n, size);
}

static void back_through_mix(whole_net *n, const whole_window *w, size_t l, size_t i, terms *d)
{
    const size_t H = n->s.H, Z = n->cell->blocks;
    const part m = part_of(n->w, n, l, WEIGHT_MIXED);
    terms *const du = d + n->W;
    double size = 0;
    memset(du, 0, H * sizeof *du);
    add_back(n, &m, gates(n, w, l, i), H, du);
    for (size_t j = 0; j < H; j++) {
        int64_t z[WHOLE_BLOCKS];
        gather_unit(gates(n, w, l, i), Z, H, j, z);
        const int64_t dh = n->cell->mix_backward(z, n->kept[i * n->W + j], bounded_sum(n, &du[j]), &size);
        scatter_unit(z, Z, H, j, gates(n, w, l, i));
        add_term(&d[j], dh, 1);
    }
    record_size(n, size);
}

// Turns the gates of the layer into dz; computes dh0. n->dh: the gradient of its states from above.
static void back_in_time(whole_net *n, whole_window *w, size_t l)
{
    const size_t B = n->s.B, W = n->W;
    const part hh = part_of(n->w, n, l, WEIGHT_HH);
    terms *const d = n->sums;
    for (size_t i = 0; w->last && i < B * W; i++) n->dh[(n->N - B) * W + i] += w->last[l * B * W + i];
    for (size_t i = 0; i < n->N; i++) keep_states(n, w, l, i);
    for (size_t i = n->N; i-- > 0;) {
        int64_t *const into = i >= B ? n->dh + (i - B) * W : w->dh0 + (l * B + i) * W;
        memset(d, 0, W * sizeof *d);
        back_through_cell(n, w, l, i, d);
        if (n->cell->mix) back_through_mix(n, w, l, i, d);
        add_back(n, &hh, gates(n, w, l, i), n->s.H, d);
        for (size_t k = 0; k < W; k++) {
            terms all = {0};
            add_term(&all, bounded_sum(n, &d[k]), keep(w, i));
            all.size = d[k].size * llabs(keep(w, i));
            if (i >= B) add_term(&all, into[k], 1);
            into[k] = bounded_sum(n, &all);
        }
    }
    record_operands(n, gates(n, w, l, 0), n->N * n->ZH);
}

// Element k of the operand of a tensor's product in row i.
static int64_t operand(const whole_net *n, const whole_window *w, size_t l, layer_tensor which, size_t i, size_t k)
{
    if (which >= BIAS_IH) return 1;
    if (which == WEIGHT_MIXED) return mixed(n, w, l, i)[k];
    if (which == WEIGHT_HH) return n->kept[i * n->W + k];
    return by_token(n, l) ? (size_t)w->token[i] == k : row_below(n, w, l, i)[k];
}

static void layer_gradient(whole_net *n, whole_window *w, size_t l)
{
    const size_t H = n->s.H;
    for (layer_tensor which = WEIGHT_IH; which <= BIAS_HH; which++) {
        const part g = part_of(w->g, n, l, which);
        const size_t columns = which >= BIAS_IH ? 1 : which == WEIGHT_IH ? width(n, l) : H;
        for (size_t row = 0; g.x && row < H * strlen(g.blocks); row++) {
            const size_t at = (size_t)(g.blocks[row / H] - '0') * H + row % H;
            for (size_t k = 0; k < columns; k++) {
                terms sum = {0};
                for (size_t i = 0; i < n->N; i++) add_term(&sum, gates(n, w, l, i)[at], operand(n, w, l, which, i, k));
                g.x[row * columns + k] = bounded_sum(n, &sum);
            }
        }
    }
}

// Gradient of the input of layer l.
static void layer_below(whole_net *n, const whole_window *w, size_t l)
{
    const size_t I = width(n, l), to = l ? n->W : I;
    const part ih = part_of(n->w, n, l, WEIGHT_IH);
    for (size_t i = 0; i < n->N; i++) {
        terms *const d = n->sums;
        memset(d, 0, I * sizeof *d);
        add_back(n, &ih, gates(n, w, l, i), I, d);
        for (size_t k = 0; k < I; k++) n->below[i * I + k] = bounded_sum(n, &d[k]);
    }
    int64_t *const into = l ? n->dh : w->dx;
    memset(into, 0, n->N * to * sizeof *into);
    for (size_t i = 0; i < n->N; i++) memcpy(into + i * to, n->below + i * I, I * sizeof *into);
}

void whole_compute_reference(whole_net *n)
{
    n->sum = n->operand = 0, n->beyond = false;
    for (size_t i = 0; i < n->tensors; i++) record_operands(n, n->w[i], i + 1 < n->tensors ? n->size[i] : 0);
    for (size_t k = 0; k < WHOLE_WINDOWS && !n->beyond; k++) {
        whole_window *const w = &n->win[k];
        forward_window(n, w, k ? w - 1 : NULL);
        record_operands(n, w->x, n->N * n->s.I);
        record_operands(n, state(n, w, 0, 0), n->s.L * (n->s.T + 1) * n->s.B * n->W);
        decoder(n, w);
        for (size_t l = n->s.L; l-- > 0;) {
            back_in_time(n, w, l);
            layer_gradient(n, w, l);
            if (l || n->s.I) layer_below(n, w, l);
        }
    }
}
