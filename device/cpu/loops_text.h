// The source text of the inner loops. The including file defines LOOPS(name).
//
// Rows are split into pieces of LANES elements. The compiler turns each loop over lanes into vector instructions, and
// every instruction set computes the same lanes in the same order.
#include "loops.h"
#include "number_f32.h"

#include "cells.h"
#include "optimizers.h"

#include <string.h>

enum { LANES = 16 };

// A piece is LANES contiguous elements; a result may overwrite an operand. The last, shorter piece of a row is computed
// in a padded copy: TAIL(t, x, n, rest) declares t with the n elements of x, padded with `rest`.
#define TAIL(t, x, n, rest) \
    float t[LANES]; \
    for (size_t l_ = 0; l_ < LANES; l_++) t[l_] = l_ < (n) ? (x)[l_] : (rest)

static inline void forward_piece(bptt_cell cell, const float *z, const float *b, const float *b2, float *h)
{
    float t[LANES];
    for (size_t l = 0; l < LANES; l++) t[l] = z[l];
    if (b)
        for (size_t l = 0; l < LANES; l++) t[l] += b[l];
    if (b2)
        for (size_t l = 0; l < LANES; l++) t[l] += b2[l];
    if (cell == BPTT_RELU)
        for (size_t l = 0; l < LANES; l++) t[l] = relu_forward(t[l]);
    else if (cell == BPTT_TANH)
        for (size_t l = 0; l < LANES; l++) t[l] = tanh_forward(t[l]);
    else
        for (size_t l = 0; l < LANES; l++) t[l] = whole_forward(t[l]);
    for (size_t l = 0; l < LANES; l++) h[l] = t[l];
}

static inline void forward_row(bptt_cell cell, size_t n, const float *z, const float *b, const float *b2, float *h)
{
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) forward_piece(cell, z + j, b ? b + j : NULL, b2 ? b2 + j : NULL, h + j);
    if (j == n) return;
    const float none[LANES] = {0};
    TAIL(zt, z + j, n - j, 0);
    TAIL(bt, b ? b + j : none, n - j, 0);
    TAIL(b2t, b2 ? b2 + j : none, n - j, 0);
    forward_piece(cell, zt, b ? bt : NULL, b2 ? b2t : NULL, zt);
    memcpy(h + j, zt, (n - j) * sizeof *h);
}

// A choice between two cells in each piece is fastest: three cost more, and with none gcc 12 compiles relu to branches,
// which take 3 times as long.
static void LOOPS(cell_forward)(bptt_cell cell, size_t n, const float *z, const float *b, const float *b2, float *h)
{
    if (cell == BPTT_WHOLE)
        forward_row(BPTT_WHOLE, n, z, b, b2, h);
    else
        forward_row(cell == BPTT_RELU ? BPTT_RELU : BPTT_TANH, n, z, b, b2, h);
}

static inline void backward_piece(bptt_cell cell, const float *y, const float *dy, float *dz)
{
    float t[LANES];
    if (cell == BPTT_RELU)
        for (size_t l = 0; l < LANES; l++) t[l] = relu_backward(y[l], dy[l]);
    else if (cell == BPTT_TANH)
        for (size_t l = 0; l < LANES; l++) t[l] = tanh_backward(y[l], dy[l]);
    else
        for (size_t l = 0; l < LANES; l++) t[l] = whole_backward(y[l], dy[l]);
    for (size_t l = 0; l < LANES; l++) dz[l] = t[l];
}

static inline void backward_row(bptt_cell cell, size_t n, const float *y, const float *dy, float *dz)
{
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) backward_piece(cell, y + j, dy + j, dz + j);
    if (j == n) return;
    TAIL(yt, y + j, n - j, 0);
    TAIL(dt, dy + j, n - j, 0);
    backward_piece(cell, yt, dt, dt);
    memcpy(dz + j, dt, (n - j) * sizeof *dz);
}

static void LOOPS(cell_backward)(bptt_cell cell, size_t n, const float *y, const float *dy, float *dz)
{
    if (cell == BPTT_RELU)
        backward_row(BPTT_RELU, n, y, dy, dz);
    else if (cell == BPTT_TANH)
        backward_row(BPTT_TANH, n, y, dy, dz);
    else
        backward_row(BPTT_WHOLE, n, y, dy, dz);
}

static void LOOPS(add)(size_t n, const float *x, float *y)
{
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        float t[LANES];
        for (size_t l = 0; l < LANES; l++) t[l] = y[j + l] + x[j + l];
        for (size_t l = 0; l < LANES; l++) y[j + l] = t[l];
    }
    for (; j < n; j++) y[j] += x[j];
}

// Sum of the lanes, in a fixed tree.
static double total(const double t[LANES])
{
    double s[LANES];
    memcpy(s, t, sizeof s);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++) s[l] += s[l + half];
    return s[0];
}

static float largest(size_t n, const float *x)
{
    float top[LANES];
    for (size_t l = 0; l < LANES; l++) top[l] = x[0];
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) top[l] = LESS(top[l], x[j + l]) ? x[j + l] : top[l];
    for (; j < n; j++) top[0] = LESS(top[0], x[j]) ? x[j] : top[0];
    for (size_t l = 1; l < LANES; l++) top[0] = LESS(top[0], top[l]) ? top[l] : top[0];
    return top[0];
}

// e = exp(x - top), added to sum.
static inline void exp_piece(const float *x, float top, float *e, float sum[LANES])
{
    for (size_t l = 0; l < LANES; l++) e[l] = f32_exp(x[l] - top);
    for (size_t l = 0; l < LANES; l++) sum[l] += e[l];
}

// The sum of exp(x[j] - top); with `keep` these replace x.
static inline double partition(size_t n, float *x, float top, bool keep)
{
    float e[LANES], sum[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        exp_piece(x + j, top, e, sum);
        if (keep)
            for (size_t l = 0; l < LANES; l++) x[j + l] = e[l];
    }
    if (j < n) {
        TAIL(t, x + j, n - j, -INFINITY);
        exp_piece(t, top, e, sum);
        if (keep) memcpy(x + j, e, (n - j) * sizeof *x);
    }
    double lanes[LANES];
    for (size_t l = 0; l < LANES; l++) lanes[l] = (double)sum[l];
    return total(lanes);
}

static double LOOPS(xent)(size_t n, float *x, size_t target, double k, bool gradient, float scale)
{
    const float top = largest(n, x), wanted = x[target];
    const double all = partition(n, x, top, gradient);
    if (gradient) {
        const float each = (float)((double)scale / all);
        for (size_t j = 0; j < n; j++) x[j] *= each;
        x[target] -= scale;
    }
    return k * (log(all) + (double)top - (double)wanted);
}

static void LOOPS(log_softmax)(size_t n, float *x)
{
    const float top = largest(n, x);
    const double log_sum = log(partition(n, x, top, false));
    for (size_t j = 0; j < n; j++) x[j] = (float)((double)x[j] - (double)top - log_sum);
}

static double LOOPS(sumsq)(size_t n, const float *x)
{
    double sum[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) sum[l] += (double)x[j + l] * (double)x[j + l];
    for (size_t l = 0; j + l < n; l++) sum[l] += (double)x[j + l] * (double)x[j + l];
    return total(sum);
}

static void LOOPS(sigmoid)(size_t n, const float *x, float *y)
{
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        float t[LANES];
        for (size_t l = 0; l < LANES; l++) t[l] = f32_sigmoid(x[j + l]);
        for (size_t l = 0; l < LANES; l++) y[j + l] = t[l];
    }
    for (; j < n; j++) y[j] = f32_sigmoid(x[j]);
}

#define UPDATE_LANES(name, number, update, keeps_m, keeps_v) \
    if (optimizer == BPTT_##name) \
        for (size_t l = 0; l < LANES; l++) { \
            const parameter p = update_element(number, k, g[l], (parameter){wl[l], ml[l], vl[l]}); \
            wl[l] = p.w, ml[l] = p.m, vl[l] = p.v; \
        }

// w, g, m, v: pieces; m, v are scratch if the optimizer does not keep them.
static inline void update_piece(bptt_optimizer optimizer, update_constants k, float *w, const float *g, float *m,
                                float *v)
{
    float wl[LANES], ml[LANES], vl[LANES];
    for (size_t l = 0; l < LANES; l++) wl[l] = w[l], ml[l] = m[l], vl[l] = v[l];
    OPTIMIZER_LIST(UPDATE_LANES)
    for (size_t l = 0; l < LANES; l++) w[l] = wl[l], m[l] = ml[l], v[l] = vl[l];
}

#define UPDATE_CONSTANT(name, value) .name = (float)(value),

static void LOOPS(update)(const struct bptt_rule *rule, size_t n, float *w, const float *g, float *m, float *v,
                          float scale, float limit, float rate, float root)
{
    const update_constants k = {scale, limit, rate, root, RULE_CONSTANT_LIST(UPDATE_CONSTANT)};
    float none[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        update_piece(rule->optimizer, k, w + j, g + j, m ? m + j : none, v ? v + j : none);
    if (j == n) return;
    TAIL(wt, w + j, n - j, 0);
    TAIL(gt, g + j, n - j, 0);
    TAIL(mt, m ? m + j : none, n - j, 0);
    TAIL(vt, v ? v + j : none, n - j, 0);
    update_piece(rule->optimizer, k, wt, gt, mt, vt);
    memcpy(w + j, wt, (n - j) * sizeof *w);
    if (m) memcpy(m + j, mt, (n - j) * sizeof *m);
    if (v) memcpy(v + j, vt, (n - j) * sizeof *v);
}
