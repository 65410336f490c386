// A stacked recurrent network and its gradient in double, written from the formulas alone: one position, one unit at a
// time, weights as PyTorch writes them, dW added up step by step. It is the reference of host/ and shares no code with
// it.
#ifndef PLAIN_RNN_H
#define PLAIN_RNN_H

#include "bptt.h"
#include "near.h"

enum { PLAIN_LAYERS = 4, PLAIN_TENSORS = 4 * PLAIN_LAYERS + 2 };

// Tensors in the order of bptt.h: of each layer W_ih [H][in], W_hh [H][H], b_ih [H] (and b_hh); then W_y [V][H], b_y
// [V].
typedef struct plain_rnn {
    size_t V, I, H, L, B, T, per_layer, tensors;
    bptt_cell cell;
    size_t size[PLAIN_TENSORS];
    double *w[PLAIN_TENSORS], *dw[PLAIN_TENSORS];
    double *h;    // [L][T+1][B][H]: block 0 is the state before, to be set by the caller
    double *dh0;  // [L][B][H]
    double *dx;   // [T][B][I], dense inputs
    double *logp; // [T][B][V]
    double loss;
    const double *dy; // [T][B][H]: the gradient of the top states, instead of the loss's
    bool sizes;       // the reverse pass adds up |terms| instead: what rounding scales with
} plain_rnn;

// Copies a model's weights. I = 0 in the configuration means tokens.
static inline plain_rnn plain_of(bptt_model *m, size_t B, size_t T)
{
    bptt_model_config c;
    bptt_model_get_config(m, &c);
    plain_rnn p = {.V = c.vocab,
                   .I = c.input ? c.input : c.vocab,
                   .H = c.hidden,
                   .L = c.layers,
                   .B = B,
                   .T = T,
                   .cell = c.cell,
                   .per_layer = c.biases == 2 ? 4 : 3,
                   .tensors = bptt_model_tensors(m)};
    ck_assert_uint_le(p.L, PLAIN_LAYERS);
    for (size_t i = 0; i < p.tensors; i++) {
        bptt_tensor t;
        ck_assert_int_eq(bptt_model_tensor(m, i, &t, NULL), BPTT_OK);
        p.size[i] = t.rows * t.cols;
        p.w[i] = reals(p.size[i]);
        p.dw[i] = reals(p.size[i]);
        ck_assert_int_eq(bptt_model_read(m, BPTT_WEIGHTS, i, p.w[i], BPTT_F64, NULL), BPTT_OK);
    }
    p.h = reals(p.L * (T + 1) * B * p.H);
    p.dh0 = reals(p.L * B * p.H);
    p.dx = reals(T * B * p.I);
    p.logp = reals(T * B * p.V);
    return p;
}

static inline void plain_free(plain_rnn *p)
{
    for (size_t i = 0; i < p->tensors; i++) free(p->w[i]), free(p->dw[i]);
    free(p->h);
    free(p->dh0);
    free(p->dx);
    free(p->logp);
}

// A factor of a term, or its size.
static inline double plain_factor(const plain_rnn *p, double x) { return p->sizes ? fabs(x) : x; }

// State of layer l, row b, after t steps.
static inline double *plain_state(const plain_rnn *p, size_t l, size_t t, size_t b)
{
    return p->h + ((l * (p->T + 1) + t) * p->B + b) * p->H;
}

// Input k of layer l at (t, b): the dense number, the one-hot digit, or the state below.
static inline double plain_input(const plain_rnn *p, const bptt_window *w, size_t l, size_t t, size_t b, size_t k)
{
    if (l > 0) return plain_state(p, l - 1, t + 1, b)[k];
    if (w->token) return (size_t)w->token[t * p->B + b] == k ? 1 : 0;
    return ((const double *)w->dense)[(t * p->B + b) * p->I + k];
}

static inline double plain_mask(const float *x, size_t i) { return x ? (double)x[i] : 1; }

static inline void plain_forward_cell(plain_rnn *p, const bptt_window *w, size_t l, size_t t, size_t b)
{
    double *const *W = p->w + l * p->per_layer;
    const size_t in = l > 0 ? p->H : p->I;
    const double keep = plain_mask(w->keep, t * p->B + b);
    for (size_t j = 0; j < p->H; j++) {
        double z = W[2][j] + (p->per_layer == 4 ? W[3][j] : 0);
        for (size_t k = 0; k < in; k++) z += W[0][j * in + k] * plain_input(p, w, l, t, b, k);
        for (size_t k = 0; k < p->H; k++) z += W[1][j * p->H + k] * keep * plain_state(p, l, t, b)[k];
        plain_state(p, l, t + 1, b)[j] = p->cell == BPTT_RELU ? fmax(z, 0) : tanh(z);
    }
}

static inline void plain_output(plain_rnn *p, size_t t, size_t b)
{
    const double *Wy = p->w[p->tensors - 2], *by = p->w[p->tensors - 1], *h = plain_state(p, p->L - 1, t + 1, b);
    double *y = p->logp + (t * p->B + b) * p->V, top = -INFINITY, sum = 0;
    for (size_t v = 0; v < p->V; v++) {
        y[v] = by[v];
        for (size_t k = 0; k < p->H; k++) y[v] += Wy[v * p->H + k] * h[k];
        top = fmax(top, y[v]);
    }
    for (size_t v = 0; v < p->V; v++) sum += exp(y[v] - top);
    for (size_t v = 0; v < p->V; v++) y[v] -= top + log(sum);
}

static inline double plain_weight(const plain_rnn *p, const bptt_window *w)
{
    double sum = 0;
    for (size_t i = 0; i < p->T * p->B; i++) sum += plain_mask(w->weight, i);
    return sum;
}

static inline void plain_forward(plain_rnn *p, const bptt_window *w)
{
    const double weight = plain_weight(p, w);
    p->loss = 0;
    for (size_t t = 0; t < p->T; t++)
        for (size_t b = 0; b < p->B; b++) {
            for (size_t l = 0; l < p->L; l++) plain_forward_cell(p, w, l, t, b);
            plain_output(p, t, b);
            const size_t i = t * p->B + b;
            if (weight > 0) p->loss -= plain_mask(w->weight, i) * p->logp[i * p->V + (size_t)w->target[i]] / weight;
        }
}

// dtop [H] += W_y' (softmax - onehot), and the decoder's own gradient.
static inline void plain_output_back(plain_rnn *p, const bptt_window *w, size_t t, size_t b, double *dtop)
{
    const double *Wy = p->w[p->tensors - 2], *h = plain_state(p, p->L - 1, t + 1, b), weight = plain_weight(p, w);
    const size_t i = t * p->B + b;
    const double scale = weight > 0 ? plain_mask(w->weight, i) / weight : 0;
    for (size_t v = 0; v < p->V; v++) {
        const double one = (size_t)w->target[i] == v ? 1 : 0, e = exp(p->logp[i * p->V + v]);
        const double d = scale * (p->sizes ? e + one : e - one);
        p->dw[p->tensors - 1][v] += d;
        for (size_t k = 0; k < p->H; k++) {
            p->dw[p->tensors - 2][v * p->H + k] += d * plain_factor(p, h[k]);
            dtop[k] += d * plain_factor(p, Wy[v * p->H + k]);
        }
    }
}

// One cell back: dh [H] is the gradient of its output; din and dbefore are added to.
static inline void plain_cell_back(plain_rnn *p, const bptt_window *w, size_t l, size_t t, size_t b, const double *dh,
                                   double *din, double *dbefore)
{
    double *const *W = p->w + l * p->per_layer, *const *dW = p->dw + l * p->per_layer;
    const size_t in = l > 0 ? p->H : p->I;
    const double keep = plain_mask(w->keep, t * p->B + b), *y = plain_state(p, l, t + 1, b);
    for (size_t j = 0; j < p->H; j++) {
        const double dz = p->cell == BPTT_RELU ? (y[j] > 0 ? dh[j] : 0) : dh[j] * (1 - y[j] * y[j]);
        dW[2][j] += dz;
        if (p->per_layer == 4) dW[3][j] += dz;
        for (size_t k = 0; k < in; k++) {
            dW[0][j * in + k] += dz * plain_factor(p, plain_input(p, w, l, t, b, k));
            din[k] += dz * plain_factor(p, W[0][j * in + k]);
        }
        for (size_t k = 0; k < p->H; k++) {
            dW[1][j * p->H + k] += dz * keep * plain_factor(p, plain_state(p, l, t, b)[k]);
            dbefore[k] += dz * keep * plain_factor(p, W[1][j * p->H + k]);
        }
    }
}

// Row by row of the batch: rows never meet but in the sums. Overwrites dw, dh0, dx.
static inline void plain_backward(plain_rnn *p, const bptt_window *w)
{
    const size_t H = p->H, L = p->L;
    for (size_t i = 0; i < p->tensors; i++) memset(p->dw[i], 0, p->size[i] * sizeof(double));
    memset(p->dx, 0, p->T * p->B * p->I * sizeof(double));
    double *dh = reals(L * H), *before = reals(L * H); // of every layer's state after and before step t
    for (size_t b = 0; b < p->B; b++) {
        memset(dh, 0, L * H * sizeof *dh);
        for (size_t t = p->T; t-- > 0;) {
            memset(before, 0, L * H * sizeof *before);
            for (size_t j = 0; p->dy && j < H; j++)
                dh[(L - 1) * H + j] += plain_factor(p, p->dy[(t * p->B + b) * H + j]);
            if (!p->dy) plain_output_back(p, w, t, b, dh + (L - 1) * H);
            for (size_t l = L; l-- > 0;)
                plain_cell_back(p, w, l, t, b, dh + l * H, l ? dh + (l - 1) * H : p->dx + (t * p->B + b) * p->I,
                                before + l * H);
            memcpy(dh, before, L * H * sizeof *dh);
        }
        for (size_t l = 0; l < L; l++) memcpy(p->dh0 + (l * p->B + b) * H, dh + l * H, H * sizeof *dh);
    }
    free(dh);
    free(before);
}

// Loss, log-probabilities, states and gradients of a window that starts from h0 [L][B][H].
static inline void plain_gradient(plain_rnn *p, const bptt_window *w, const double *h0)
{
    for (size_t l = 0; l < p->L; l++) memcpy(plain_state(p, l, 0, 0), h0 + l * p->B * p->H, p->B * p->H * sizeof *h0);
    plain_forward(p, w);
    plain_backward(p, w);
}

// After it: dw, dh0 and dx become the sums of the sizes of the terms that they were sums of.
static inline void plain_sizes(plain_rnn *p, const bptt_window *w)
{
    p->sizes = true;
    plain_backward(p, w);
    p->sizes = false;
}

#endif
