// Expected results of a whole-number net: plain loops over 64-bit integers, with the size of each sum.
#include "device_exact.h"

#include <stdlib.h>
#include <string.h>

int64_t whole_value(int64_t z) { return (z % 5 + 7) % 5 - 2; }
int64_t whole_slope(int64_t y) { return y == 0 ? 0 : y == 1 || y == -1 ? 1 : -1; }

// A sum and the sum of |terms|, which bounds all partial sums in any order.
typedef struct terms {
    int64_t sum, size;
} terms;

static void add_term(terms *t, int64_t a, int64_t b) { t->sum += a * b, t->size += llabs(a * b); }

// The sum, or 0 beyond the limit, so that nothing overflows afterwards.
static int64_t bounded_sum(whole_net *n, const terms *t)
{
    if (t->size > n->sum) n->sum = t->size;
    n->beyond |= t->size >= WHOLE_SUM;
    return t->size < WHOLE_SUM ? t->sum : 0;
}

static void record_operands(whole_net *n, const int64_t *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (llabs(x[i]) > n->operand) n->operand = llabs(x[i]);
}

static size_t width(const whole_net *n, size_t l) { return l ? n->s.H : n->s.I ? n->s.I : n->s.V; }
static int64_t *tensor_of(int64_t *const *t, const whole_net *n, size_t l, size_t which)
{
    return t[l * (2 + (size_t)n->s.biases) + which];
}
static int64_t *state(const whole_net *n, const whole_window *w, size_t l, size_t t)
{
    return w->h + (l * (n->s.T + 1) + t) * n->s.B * n->s.H;
}
static int64_t keep(const whole_window *w, size_t i) { return w->keep ? w->keep[i] : 1; }
static int64_t weight(const whole_window *w, size_t i) { return w->weight ? w->weight[i] : 1; }
static bool by_token(const whole_net *n, size_t l) { return l == 0 && n->s.I == 0; }
// Row i of the input of layer l.
static const int64_t *row_below(const whole_net *n, const whole_window *w, size_t l, size_t i)
{
    return l ? state(n, w, l - 1, 1) + i * n->s.H : w->x + i * n->s.I;
}

// ---- forward --------------------------------------------------------------------------------------------------------

static int64_t before_cell(whole_net *n, const whole_window *w, size_t l, size_t i, size_t j)
{
    const size_t H = n->s.H, I = width(n, l);
    const int64_t *const w_ih = tensor_of(n->w, n, l, WEIGHT_IH) + j * I;
    const int64_t *const w_hh = tensor_of(n->w, n, l, WEIGHT_HH) + j * H;
    const int64_t *const h = state(n, w, l, 0) + i * H; // row b of step t lies B*H further on with each step
    terms z = {0};
    for (int b = 0; b < n->s.biases; b++) add_term(&z, tensor_of(n->w, n, l, BIAS_IH + (size_t)b)[j], 1);
    if (by_token(n, l))
        add_term(&z, w_ih[w->token[i]], 1);
    else
        for (size_t k = 0; k < I; k++) add_term(&z, w_ih[k], row_below(n, w, l, i)[k]);
    for (size_t k = 0; k < H; k++) add_term(&z, w_hh[k], keep(w, i) * h[k]);
    return bounded_sum(n, &z);
}

// Starts from the last state of the previous window, if there is one.
static void forward_window(whole_net *n, whole_window *w, const whole_window *before)
{
    const size_t H = n->s.H, BH = n->s.B * H;
    for (size_t l = 0; l < n->s.L; l++) {
        const int64_t *const from = before ? state(n, before, l, n->s.T) : n->h0 + l * BH;
        memcpy(state(n, w, l, 0), from, BH * sizeof *from);
        for (size_t i = 0; i < n->N; i++)
            for (size_t j = 0; j < H; j++) state(n, w, l, 1)[i * H + j] = whole_value(before_cell(n, w, l, i, j));
    }
}

// ---- decoder --------------------------------------------------------------------------------------------------------

// Row i: logits in units of WHOLE_APART, loss, dlogit in units of 1 / weights.
static void decode_position(whole_net *n, whole_window *w, size_t i, terms *loss)
{
    const size_t H = n->s.H, V = n->s.V;
    const int64_t *const h = state(n, w, n->s.L - 1, 1) + i * H;
    const int64_t *const out = n->w[n->tensors - 2], *const bias = n->w[n->tensors - 1];
    size_t top = 0;
    for (size_t v = 0; v < V; v++) {
        terms z = {0};
        add_term(&z, bias[v], 1);
        for (size_t j = 0; j < H; j++) add_term(&z, out[v * H + j] * (n->unit / WHOLE_APART), h[j]);
        n->logit[v] = bounded_sum(n, &z);
        if (n->logit[v] > n->logit[top]) top = v;
        n->dlogit[i * V + v] = 0;
    }
    const size_t target = (size_t)w->target[i];
    add_term(loss, weight(w, i), n->logit[top] - n->logit[target]);
    n->dlogit[i * V + top] += weight(w, i);
    n->dlogit[i * V + target] -= weight(w, i);
}

static void decoder(whole_net *n, whole_window *w)
{
    const size_t H = n->s.H, V = n->s.V;
    const int64_t *const out = n->w[n->tensors - 2], *const h = state(n, w, n->s.L - 1, 1);
    terms loss = {0};
    for (size_t i = 0; i < n->N; i++) decode_position(n, w, i, &loss);
    w->loss = bounded_sum(n, &loss);
    record_operands(n, n->dlogit, n->N * V);
    for (size_t v = 0; v < V; v++) {
        terms bias = {0};
        for (size_t i = 0; i < n->N; i++) add_term(&bias, n->dlogit[i * V + v], 1);
        w->g[n->tensors - 1][v] = bounded_sum(n, &bias);
        for (size_t j = 0; j < H; j++) {
            terms g = {0};
            for (size_t i = 0; i < n->N; i++) add_term(&g, n->dlogit[i * V + v], h[i * H + j]);
            w->g[n->tensors - 2][v * H + j] = bounded_sum(n, &g);
        }
    }
    for (size_t i = 0; i < n->N; i++)
        for (size_t j = 0; j < H; j++) {
            terms d = {0};
            for (size_t v = 0; v < V; v++) add_term(&d, n->dlogit[i * V + v], out[v * H + j]);
            n->dh[i * H + j] = bounded_sum(n, &d);
        }
}

// ---- backward -------------------------------------------------------------------------------------------------------

// Turns n->dh into dz in place; computes dh0 of the layer.
static void back_in_time(whole_net *n, whole_window *w, size_t l)
{
    const size_t H = n->s.H, B = n->s.B, BH = B * H;
    const int64_t *const w_hh = tensor_of(n->w, n, l, WEIGHT_HH);
    if (w->last)
        for (size_t i = 0; i < BH; i++) n->dh[(n->s.T - 1) * BH + i] += w->last[l * BH + i];
    for (size_t t = n->s.T; t-- > 0;) {
        int64_t *const dz = n->dh + t * BH, *const into = t ? dz - BH : w->dh0 + l * BH;
        for (size_t i = 0; i < BH; i++) dz[i] *= whole_slope(state(n, w, l, t + 1)[i]);
        for (size_t i = 0; i < BH; i++) {
            terms d = {0}, all = {0};
            for (size_t j = 0; j < H; j++) add_term(&d, dz[i / H * H + j], w_hh[j * H + i % H]);
            add_term(&all, bounded_sum(n, &d), keep(w, t * B + i / H));
            all.size = d.size * llabs(keep(w, t * B + i / H));
            if (t) add_term(&all, into[i], 1);
            into[i] = bounded_sum(n, &all);
        }
    }
    memcpy(w->dz + l * n->N * H, n->dh, n->N * H * sizeof *n->dh);
    record_operands(n, n->dh, n->N * H);
}

static int64_t weight_gradient(whole_net *n, const whole_window *w, size_t l, size_t j, size_t k, bool recurrent)
{
    const size_t H = n->s.H;
    terms g = {0};
    for (size_t i = 0; i < n->N; i++) {
        const int64_t in = recurrent        ? keep(w, i) * state(n, w, l, 0)[i * H + k]
                           : by_token(n, l) ? (size_t)w->token[i] == k
                                            : row_below(n, w, l, i)[k];
        add_term(&g, n->dh[i * H + j], in);
    }
    return bounded_sum(n, &g);
}

static void layer_gradient(whole_net *n, whole_window *w, size_t l)
{
    const size_t H = n->s.H, I = width(n, l);
    for (size_t j = 0; j < H; j++) {
        terms bias = {0};
        for (size_t k = 0; k < H; k++)
            tensor_of(w->g, n, l, WEIGHT_HH)[j * H + k] = weight_gradient(n, w, l, j, k, true);
        for (size_t k = 0; k < I; k++)
            tensor_of(w->g, n, l, WEIGHT_IH)[j * I + k] = weight_gradient(n, w, l, j, k, false);
        for (size_t i = 0; i < n->N; i++) add_term(&bias, n->dh[i * H + j], 1);
        for (int b = 0; b < n->s.biases; b++) tensor_of(w->g, n, l, BIAS_IH + (size_t)b)[j] = bounded_sum(n, &bias);
    }
}

// Gradient of the input of layer l.
static void layer_below(whole_net *n, const whole_window *w, size_t l)
{
    const size_t H = n->s.H, I = width(n, l);
    const int64_t *const w_ih = tensor_of(n->w, n, l, WEIGHT_IH);
    for (size_t i = 0; i < n->N; i++)
        for (size_t k = 0; k < I; k++) {
            terms d = {0};
            for (size_t j = 0; j < H; j++) add_term(&d, n->dh[i * H + j], w_ih[j * I + k]);
            n->below[i * I + k] = bounded_sum(n, &d);
        }
    memcpy(l ? n->dh : w->dx, n->below, n->N * I * sizeof *n->below);
}

void whole_compute_reference(whole_net *n)
{
    const size_t H = n->s.H, states = n->s.L * (n->s.T + 1) * n->s.B * H;
    n->sum = n->operand = 0, n->beyond = false;
    for (size_t i = 0; i < n->tensors; i++) record_operands(n, n->w[i], i + 1 < n->tensors ? n->size[i] : 0);
    for (size_t k = 0; k < WHOLE_WINDOWS && !n->beyond; k++) {
        whole_window *const w = &n->win[k];
        forward_window(n, w, k ? w - 1 : NULL);
        record_operands(n, w->h, states), record_operands(n, w->x, n->N * n->s.I);
        decoder(n, w);
        for (size_t l = n->s.L; l-- > 0;) {
            back_in_time(n, w, l);
            layer_gradient(n, w, l);
            if (l || n->s.I) layer_below(n, w, l);
        }
    }
}
