// Reference for GRU and LSTM rows: layers and gradient in double, written from the formulas.
//   gru   r, z = sigmoid of xp + hp;  n = tanh(xp_n + r hp_n);  h' = (1 - z) n + z h
//   lstm  i, f, o = sigmoid, g = tanh of xp + hp;  c' = f c + i g;  h' = o tanh c'
// with xp = W_ih x + b_ih, hp = W_hh h + b_hh; gates r, z, n and i, f, g, o (PyTorch, cuDNN).
#include "layers.h"
#include "product_f64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// One layer: everything it computed, time-major.
typedef struct gates {
    size_t H, B, T, W; // W = G*H
    layers_cell cell;
    const double *w_ih, *w_hh, *b_ih, *b_hh; // [W][H], [W][H], [W], [W]
    double *xp, *hp;                         // [T][B][W]; backward they become their own gradients
    double *gate;                            // [T][B][W] after their functions
    double *h, *c;                           // [T+1][B][H]
} gates;

static double *zeros(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof *x);
    if (!x) abort(); // a reference for a bench: there is nothing to clean up
    return x;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// A packed matrix, or its transpose.
static matrix_f64 plain(const double *x, size_t columns) { return (matrix_f64){(double *)x, columns, 1}; }
static matrix_f64 turned(const double *x, size_t columns) { return (matrix_f64){(double *)x, 1, columns}; }

// out [rows][W] = in [rows][H] w' + b.
static void affine(const double *in, const double *w, const double *b, size_t rows, size_t H, size_t W, double *out)
{
    for (size_t r = 0; r < rows; r++) memcpy(out + r * W, b, W * sizeof *b);
    product_f64(rows, H, W, plain(in, H), turned(w, H), false, true, plain(out, W));
}

// out [rows][H] += d [rows][W] w.
static void back(const double *d, const double *w, size_t rows, size_t H, size_t W, double *out)
{
    product_f64(rows, W, H, plain(d, W), plain(w, H), false, true, plain(out, H));
}

// dw [W][H] = d' in, db [W] = column sums of d.
static void gradient(const double *d, const double *in, size_t rows, size_t H, size_t W, double *dw, double *db)
{
    product_f64(W, rows, H, turned(d, W), plain(in, H), false, false, plain(dw, H));
    memset(db, 0, W * sizeof *db);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < W; j++) db[j] += d[r * W + j];
}

// Index of gate k of unit i = (b, j) at step t in [T][B][W].
static size_t place(const gates *g, size_t t, size_t i, size_t k)
{
    return (t * g->B + i / g->H) * g->W + k * g->H + i % g->H;
}

static void unit_forward(gates *g, size_t t, size_t i)
{
    const size_t now = t * g->B * g->H + i, next = now + g->B * g->H;
    const size_t at[4] = {place(g, t, i, 0), place(g, t, i, 1), place(g, t, i, 2), place(g, t, i, 3)};
    const double *xp = g->xp, *hp = g->hp;
    double *y = g->gate;
    y[at[0]] = sigmoid(xp[at[0]] + hp[at[0]]);
    y[at[1]] = sigmoid(xp[at[1]] + hp[at[1]]);
    if (g->cell == LAYERS_GRU) {
        y[at[2]] = tanh(xp[at[2]] + y[at[0]] * hp[at[2]]);
        g->h[next] = (1 - y[at[1]]) * y[at[2]] + y[at[1]] * g->h[now];
        return;
    }
    y[at[2]] = tanh(xp[at[2]] + hp[at[2]]);
    y[at[3]] = sigmoid(xp[at[3]] + hp[at[3]]);
    g->c[next] = y[at[1]] * g->c[now] + y[at[0]] * y[at[2]];
    g->h[next] = y[at[3]] * tanh(g->c[next]);
}

// Backward step t: reads dh, dc of the state after t; overwrites xp and hp with their gradients; leaves in dh, dc the
// part of the gradient of the previous state that does not pass through W_hh.
static void unit_backward(gates *g, size_t t, size_t i, double *dh, double *dc)
{
    const size_t now = t * g->B * g->H + i, next = now + g->B * g->H;
    const size_t at[4] = {place(g, t, i, 0), place(g, t, i, 1), place(g, t, i, 2), place(g, t, i, 3)};
    const double a = g->gate[at[0]], b = g->gate[at[1]], n = g->gate[at[2]];
    double *dx = g->xp, *dp = g->hp;
    if (g->cell == LAYERS_GRU) { // a: r, b: z
        const double dn = *dh * (1 - b) * (1 - n * n), hp_n = dp[at[2]];
        dx[at[0]] = dp[at[0]] = dn * hp_n * a * (1 - a);
        dx[at[1]] = dp[at[1]] = *dh * (g->h[now] - n) * b * (1 - b);
        dx[at[2]] = dn, dp[at[2]] = dn * a;
        *dh *= b;
        return;
    }
    const double o = g->gate[at[3]], th = tanh(g->c[next]), d = *dc + *dh * o * (1 - th * th); // a: i, b: f, n: g
    dx[at[0]] = dp[at[0]] = d * n * a * (1 - a);
    dx[at[1]] = dp[at[1]] = d * g->c[now] * b * (1 - b);
    dx[at[2]] = dp[at[2]] = d * a * (1 - n * n);
    dx[at[3]] = dp[at[3]] = *dh * th * o * (1 - o);
    *dc = d * b, *dh = 0;
}

static void layer_up(gates *g, const double *in)
{
    const size_t BH = g->B * g->H, BW = g->B * g->W;
    affine(in, g->w_ih, g->b_ih, g->T * g->B, g->H, g->W, g->xp);
    for (size_t t = 0; t < g->T; t++) {
        affine(g->h + t * BH, g->w_hh, g->b_hh, g->B, g->H, g->W, g->hp + t * BW);
        for (size_t i = 0; i < BH; i++) unit_forward(g, t, i);
    }
}

// d [T][B][H]: on entry the gradient of the states after each step, on exit the gradient of the layer's input.
static void layer_down(gates *g, const double *in, double *d, double *dw)
{
    const size_t BH = g->B * g->H, BW = g->B * g->W, HW = g->H * g->W;
    double *dh = zeros(BH), *dc = zeros(BH);
    for (size_t t = g->T; t-- > 0;) {
        for (size_t i = 0; i < BH; i++) {
            dh[i] += d[t * BH + i];
            unit_backward(g, t, i, &dh[i], &dc[i]);
        }
        back(g->hp + t * BW, g->w_hh, g->B, g->H, g->W, dh);
    }
    gradient(g->xp, in, g->T * g->B, g->H, g->W, dw, dw + 2 * HW);
    gradient(g->hp, g->h, g->T * g->B, g->H, g->W, dw + HW, dw + 2 * HW + g->W);
    memset(d, 0, g->T * BH * sizeof *d);
    back(g->xp, g->w_ih, g->T * g->B, g->H, g->W, d);
    free(dh), free(dc);
}

void gates_reference(const problem *p, const outcome *to)
{
    const size_t W = p->G * p->H, N = p->T * p->B, BH = p->B * p->H, each = 2 * W * p->H + 2 * W;
    double *w = zeros(p->weights), *x = zeros(p->window);
    gates *g = calloc(p->L, sizeof *g);
    if (!g) abort();
    for (size_t i = 0; i < p->weights; i++) w[i] = (double)p->w[i];
    for (size_t i = 0; i < p->window; i++) x[i] = (double)p->x[i];
    for (size_t l = 0; l < p->L; l++) {
        const double *at = w + l * each;
        g[l] = (gates){p->H,
                       p->B,
                       p->T,
                       W,
                       p->cell,
                       at,
                       at + W * p->H,
                       at + 2 * W * p->H,
                       at + 2 * W * p->H + W,
                       zeros(N * W),
                       zeros(N * W),
                       zeros(N * W),
                       zeros(N * p->H + BH),
                       zeros(N * p->H + BH)};
        layer_up(&g[l], l ? g[l - 1].h + BH : x);
    }
    memcpy(to->y, g[p->L - 1].h + BH, p->window * sizeof *x);
    for (size_t i = 0; i < p->window; i++) to->dx[i] = (double)p->dy[i];
    for (size_t l = p->L; l-- > 0;) layer_down(&g[l], l ? g[l - 1].h + BH : x, to->dx, to->dw + l * each);
    for (size_t l = 0; l < p->L; l++) free(g[l].xp), free(g[l].hp), free(g[l].gate), free(g[l].h), free(g[l].c);
    free(g), free(w), free(x);
}
