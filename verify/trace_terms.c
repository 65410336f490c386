// Recomputes each stored number in binary64 from the stored numbers it depends on, together with the sum of the
// absolute values of its terms.
//
// The error of the recomputation itself is bounded, not estimated: with u = 2^-53 a sum of k products is off by at most
// gamma(k) = k u / (1 - k u) times the sum of |terms| in any order (Higham, Accuracy and Stability of Numerical
// Algorithms, 3.1), tanh by REFERENCE_ERROR, and tanh and max(0, .) pass an error on no larger than it came. That is
// `slack`, and |stored - recomputed| + slack is certified.
//
// A finding holds if correct rounded arithmetic can have such an error. The worst-case bound, gamma at the run's own
// roundoff U, would accept an error of 1e-3 in a state of 512 units. The limit is therefore SAFE sqrt(k) U times the
// sum of |terms| (Higham & Mary 2019 show such a law for roundings that are independent with mean zero; products of
// OpenBLAS stayed below 1.2 sqrt(k) U), plus twice the roundoff of the operands where a product rounds those.
#include "reference.h"
#include "trace_sums.h"

#include <math.h>
#include <stdlib.h>

// ---- states --------------------------------------------------------------------------------------------------------

// z of layer l at (t, b) from the stored states, the input and the biases, with the absolute values of the terms.
static void add_cell(const trace_window *w, size_t l, size_t t, size_t b, trace_rows r)
{
    const trace_layer *m = &w->weight[l];
    const double *const b2 = m->of[BIAS_HH];
    for (size_t j = 0; j < w->H; j++) {
        r.z[j] = m->of[BIAS_IH][j] + (b2 ? b2[j] : 0);
        r.s[j] = fabs(m->of[BIAS_IH][j]) + (b2 ? fabs(b2[j]) : 0);
    }
    if (l == 0)
        for (size_t j = 0; j < w->H; j++) {
            const double x = m->of[WEIGHT_IH][j * w->V + w->token[t * w->B + b]];
            r.z[j] += x;
            r.s[j] += fabs(x);
        }
    else
        trace_add_product(r, m->of[WEIGHT_IH], trace_state(w, l - 1, t + 1, b), w->H, w->H);
    if (trace_keep(w, t, b) != 0) trace_add_product(r, m->of[WEIGHT_HH], trace_state(w, l, t, b), w->H, w->H);
}

bptt_status certify_states(const trace_window *w, finding *f, bptt_error *e)
{
    if (bptt_cell_is_gated(w->model.cell)) return certify_gated_states(w, f, e);
    *f = (finding){0};
    trace_rows r = {0};
    const bptt_status st = trace_rows_open(&r, w->H, e);
    for (size_t i = 0; !st && i < w->L * w->T * w->B; i++) {
        const size_t l = i / (w->T * w->B), t = i / w->B % w->T, b = i % w->B;
        const double k = (double)(l == 0 ? w->H + 3 : 2 * w->H + 2);
        const double *const got = trace_state(w, l, t + 1, b);
        add_cell(w, l, t, b, r);
        for (size_t j = 0; j < w->H; j++) {
            const double h = w->model.cell == BPTT_TANH ? reference_tanh(r.z[j]) : r.z[j] < 0 ? 0 : r.z[j];
            const double slack = trace_gamma(2 * k + 8) * r.s[j] + REFERENCE_ERROR * fabs(h);
            const double limit = trace_limit(w, k) * r.s[j] + 2 * w->unit * fabs(h) + slack + 2 * k * TRACE_TINY;
            trace_record(f, (size_t)(got - w->states) + j, got[j], h, r.s[j], slack, limit + 0x1p-51 * fabs(h));
        }
    }
    trace_rows_close(r);
    return st;
}

// ---- the decoder ---------------------------------------------------------------------------------------------------

// d: of one row of the window.
static trace_decoded decode_row(const trace_window *w, size_t t, size_t b, trace_rows d)
{
    const double scale = 1 / (double)(w->T * w->B), k = (double)(w->H + 2);
    const size_t target = w->target[t * w->B + b];
    double top = -INFINITY, all = 0, largest = 0;
    for (size_t v = 0; v < w->V; v++) d.z[v] = w->out_bias[v], d.s[v] = fabs(w->out_bias[v]);
    trace_add_product(d, w->out_weight, trace_state(w, w->L - 1, t + 1, b), w->V, w->H);
    for (size_t v = 0; v < w->V; v++) top = fmax(top, d.z[v]), largest = fmax(largest, d.s[v]);
    const double wanted = d.z[target];
    for (size_t v = 0; v < w->V; v++) {
        d.z[v] = reference_exp(d.z[v] - top);
        all += d.z[v];
    }
    for (size_t v = 0; v < w->V; v++) {
        const double p = d.z[v] / all, one = v == target ? 1 : 0;
        d.z[v] = scale * (p - one);
        d.s[v] = scale * (p + one);
    }
    const double spread = 2 * largest + (double)w->V + 40;
    return (trace_decoded){.loss = log(all) + top - wanted,
                           .slack = 2 * trace_gamma(2 * k + 8) * largest + 0x1p-50 * spread,
                           .limit = 2 * trace_limit(w, k) * largest +
                                    w->unit * (2 * largest + TRACE_SAFE * sqrt((double)w->V) + 30)};
}

bptt_status certify_losses(const trace_window *w, finding *f, bptt_error *e)
{
    *f = (finding){0};
    trace_rows d = {0};
    const bptt_status st = trace_rows_open(&d, w->V, e);
    for (size_t i = 0; !st && i < w->T * w->B; i++) {
        const trace_decoded one = decode_row(w, i / w->B, i % w->B, d);
        const double slack = one.slack + 0x1p-50 * fabs(one.loss);
        trace_record(f, i, w->losses[i], one.loss, 1 + fabs(one.loss), slack,
                     one.limit + w->unit * fabs(one.loss) + 2 * slack);
    }
    trace_rows_close(d);
    return st;
}

// ---- dz ------------------------------------------------------------------------------------------------------------

double trace_add_above(const trace_window *w, size_t l, size_t t, size_t b, trace_rows d, trace_rows r,
                       trace_decoded *own)
{
    *own = (trace_decoded){0};
    if (l == w->L - 1) {
        *own = decode_row(w, t, b, d);
        trace_add_transposed(r, w->out_weight, d.z, d.s, w->V, w->H);
        return (double)w->V;
    }
    const layer_blocks blocks = model_blocks(&w->model, WEIGHT_IH);
    for (size_t k = 0; k < blocks.count; k++) {
        const double *const dz = trace_dz(w, l + 1, t, b) + blocks.at[k] * w->H;
        trace_add_transposed(r, w->weight[l + 1].of[WEIGHT_IH] + k * w->H * w->H, dz, dz, w->H, w->H);
    }
    return (double)(blocks.count * w->H);
}

static void certify_dz_row(const trace_window *w, size_t i, trace_rows d, trace_rows r, finding *f)
{
    const size_t l = i / (w->T * w->B), t = i / w->B % w->T, b = i % w->B;
    const double *const y = trace_state(w, l, t + 1, b), *const got = trace_dz(w, l, t, b);
    trace_decoded own;
    trace_rows_zero(r, w->H);
    const double k = trace_add_above(w, l, t, b, d, r, &own) + (double)(w->H + 4);
    if (t + 1 < w->T && trace_keep(w, t + 1, b) != 0) {
        const double *const later = trace_dz(w, l, t + 1, b);
        trace_add_transposed(r, w->weight[l].of[WEIGHT_HH], later, later, w->H, w->H);
    }
    for (size_t j = 0; j < w->H; j++) {
        const double relu = y[j] > 0 ? 1 : 0; // tanh: 1 - y y, whose terms are 1 and y y
        const double slope = w->model.cell == BPTT_TANH ? 1 - y[j] * y[j] : relu;
        const double s = r.s[j] * (w->model.cell == BPTT_TANH ? 1 + y[j] * y[j] : relu);
        const double slack = (trace_gamma(2 * k + 8) + own.slack) * s;
        const double limit = (trace_limit(w, k) + own.limit + 4 * w->unit) * s + 2 * slack + 2 * k * TRACE_TINY;
        trace_record(f, (size_t)(got - w->dz) + j, got[j], r.z[j] * slope, s, slack, limit);
    }
}

bptt_status certify_dz(const trace_window *w, finding *f, finding *dstates, bptt_error *e)
{
    if (bptt_cell_is_gated(w->model.cell)) return certify_gated_dz(w, f, dstates, e);
    *f = *dstates = (finding){0};
    trace_rows d = {0}, r = {0};
    bptt_status st = trace_rows_open(&d, w->V, e);
    if (!st) st = trace_rows_open(&r, w->H, e);
    for (size_t i = 0; !st && i < w->L * w->T * w->B; i++) certify_dz_row(w, i, d, r, f);
    trace_rows_close(d);
    trace_rows_close(r);
    return st;
}

// ---- gradients -----------------------------------------------------------------------------------------------------

// m[j][k] += x[j] y[k]; sizes: those of x
static void add_outer(trace_rows m, const double *x, const double *sizes, const double *y, size_t J, size_t K)
{
    for (size_t j = 0; j < J; j++)
        for (size_t k = 0; k < K; k++) {
            m.z[j * K + k] += x[j] * y[k];
            m.s[j * K + k] += fabs(sizes[j]) * fabs(y[k]);
        }
}

static void note_all(const trace_window *w, const double *got, trace_rows m, size_t n, const trace_decoded *own,
                     finding *f)
{
    const double k = (double)(w->T * w->B) + 2;
    for (size_t i = 0; i < n; i++) {
        const double slack = (trace_gamma(2 * k + 8) + own->slack) * m.s[i];
        const double limit = (trace_limit(w, k) + own->limit) * m.s[i] + 2 * slack + 2 * k * TRACE_TINY;
        trace_record(f, i, got[i], m.z[i], m.s[i], slack, limit);
    }
}

// Row i of the operand of a tensor's product, [columns].
static const double *operand_row(const trace_window *w, size_t l, layer_tensor which, size_t i)
{
    static const double one = 1;
    const size_t t = i / w->B, b = i % w->B;
    if (which >= BIAS_IH) return &one;
    if (which == WEIGHT_MIXED) return w->mixed + (l * w->T * w->B + i) * w->H;
    return which == WEIGHT_HH ? trace_state(w, l, t, b) : trace_state(w, l - 1, t + 1, b);
}

// One block of H rows of a tensor's gradient, [H][columns], from a block of dz.
static void certify_block(const trace_window *w, size_t l, layer_tensor which, size_t k, trace_rows m, finding *f)
{
    const layer_blocks blocks = model_blocks(&w->model, which);
    const bool token = which == WEIGHT_IH && l == 0;
    const size_t H = w->H, columns = which >= BIAS_IH ? 1 : token ? w->V : H;
    const trace_decoded none = {0};
    trace_rows_zero(m, H * columns);
    for (size_t i = 0; i < w->T * w->B; i++) {
        const double *const dz = trace_dz(w, l, i / w->B, i % w->B) + blocks.at[k] * H;
        if (which == WEIGHT_HH && w->keep[i] == 0) continue;
        if (!token) add_outer(m, dz, dz, operand_row(w, l, which, i), H, columns);
        for (size_t j = 0; token && j < H; j++) {
            m.z[j * columns + w->token[i]] += dz[j];
            m.s[j * columns + w->token[i]] += fabs(dz[j]);
        }
    }
    note_all(w, w->gradient[l].of[which] + k * H * columns, m, H * columns, &none, f);
}

static void certify_layer(const trace_window *w, size_t l, trace_rows m, gradient_findings *f)
{
    for (layer_tensor which = WEIGHT_IH; which < LAYER_TENSORS; which++)
        for (size_t k = 0; k < model_blocks(&w->model, which).count; k++)
            certify_block(w, l, which, k, m, which >= BIAS_IH ? &f->biases : &f->weights);
}

static void certify_decoder(const trace_window *w, trace_rows d, trace_rows m, gradient_findings *f)
{
    trace_decoded worst = {0};
    const double one = 1;
    trace_rows bias = {m.z + w->V * w->H, m.s + w->V * w->H};
    trace_rows_zero(m, w->V * (w->H + 1));
    for (size_t i = 0; i < w->T * w->B; i++) {
        const trace_decoded own = decode_row(w, i / w->B, i % w->B, d);
        worst.slack = fmax(worst.slack, own.slack), worst.limit = fmax(worst.limit, own.limit);
        add_outer(m, d.z, d.s, trace_state(w, w->L - 1, i / w->B + 1, i % w->B), w->V, w->H);
        add_outer(bias, d.z, d.s, &one, w->V, 1);
    }
    note_all(w, w->grad_out_weight, m, w->V * w->H, &worst, &f->decoder);
    note_all(w, w->grad_out_bias, bias, w->V, &worst, &f->decoder);
}

bptt_status certify_gradient(const trace_window *w, gradient_findings *f, bptt_error *e)
{
    const size_t widest = w->H > w->V ? w->H : w->V;
    *f = (gradient_findings){0};
    trace_rows d = {0}, m = {0};
    bptt_status st = trace_rows_open(&d, w->V, e);
    if (!st) st = trace_rows_open(&m, widest * (w->H + 1), e);
    for (size_t l = 0; !st && l < w->L; l++) certify_layer(w, l, m, f);
    if (!st) certify_decoder(w, d, m, f);
    trace_rows_close(d);
    trace_rows_close(m);
    return st;
}
