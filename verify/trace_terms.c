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
// OpenBLAS stay below 1.2 sqrt(k) U), plus twice the roundoff of the operands where a product rounds those.
#include "reference.h"
#include "trace_window.h"

#include <math.h>
#include <stdlib.h>

#define SAFE 4.0
#define TINY 0x1p-126 // below it numbers may be taken for zero, in each term
#define SEEN 0x1p-100 // errors below it say nothing when divided by sums as small

static double gamma_of(double k) { return k * 0x1p-53 / (1 - k * 0x1p-53); }
static double limit_of(const trace_window *w, double k) { return SAFE * sqrt(k) * w->unit + 2 * w->operand; }

static void record_error(finding *f, size_t i, double got, double want, double sum, double slack, double limit)
{
    const double error = fabs(got - want) + slack + 0x1p-53 * (fabs(got) + fabs(want));
    const double share = error == 0 ? 0 : error / limit;
    f->holds = (f->n == 0 || f->holds) && share <= 1; // NaN fails
    f->n++;
    const double ratio = error > SEEN ? error / sum : 0;
    if (!(error <= f->error) && !isnan(f->error)) f->error = error, f->at = i;
    if (!(slack <= f->slack)) f->slack = slack;
    if (!(share <= f->share) && !isnan(f->share)) f->share = share;
    if (!(ratio <= f->ratio) && !isnan(f->ratio)) f->ratio = ratio;
}

// Rows of sums: z of the terms, s of their absolute values.
typedef struct rows {
    double *z, *s;
} rows;

// z[j] += sum over k of m[j][k] x[k]
static void add_product(rows r, const double *m, const double *x, size_t J, size_t K)
{
    for (size_t j = 0; j < J; j++) {
        double z = 0, s = 0;
        for (size_t k = 0; k < K; k++) {
            const double term = m[j * K + k] * x[k];
            z += term;
            s += fabs(term);
        }
        r.z[j] += z, r.s[j] += s;
    }
}

// z[j] += sum over k of m[k][j] x[k]; sizes: those of x
static void add_transposed(rows r, const double *m, const double *x, const double *sizes, size_t K, size_t J)
{
    for (size_t k = 0; k < K; k++)
        for (size_t j = 0; j < J; j++) {
            r.z[j] += m[k * J + j] * x[k];
            r.s[j] += fabs(m[k * J + j]) * fabs(sizes[k]);
        }
}

static void set_zero(rows r, size_t n)
{
    for (size_t j = 0; j < n; j++) r.z[j] = r.s[j] = 0;
}

static bptt_status rows_open(rows *r, size_t n, bptt_error *e)
{
    r->z = calloc(n, sizeof *r->z);
    r->s = calloc(n, sizeof *r->s);
    return r->z && r->s ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to recompute a trace");
}

static void rows_close(rows r)
{
    free(r.z);
    free(r.s);
}

// ---- states --------------------------------------------------------------------------------------------------------

// z of layer l at (t, b) from the stored states, the input and the biases, with the absolute values of the terms.
static void add_cell(const trace_window *w, size_t l, size_t t, size_t b, rows r)
{
    const trace_layer *m = &w->weight[l];
    for (size_t j = 0; j < w->H; j++) {
        r.z[j] = m->bias_ih[j] + m->bias_hh[j];
        r.s[j] = fabs(m->bias_ih[j]) + fabs(m->bias_hh[j]);
    }
    if (l == 0)
        for (size_t j = 0; j < w->H; j++) {
            const double x = m->weight_ih[j * w->V + w->token[t * w->B + b]];
            r.z[j] += x;
            r.s[j] += fabs(x);
        }
    else
        add_product(r, m->weight_ih, trace_state(w, l - 1, t + 1, b), w->H, w->H);
    if (w->keep[t * w->B + b] != 0) add_product(r, m->weight_hh, trace_state(w, l, t, b), w->H, w->H);
}

bptt_status certify_states(const trace_window *w, finding *f, bptt_error *e)
{
    *f = (finding){0};
    rows r = {0};
    const bptt_status st = rows_open(&r, w->H, e);
    for (size_t i = 0; !st && i < w->L * w->T * w->B; i++) {
        const size_t l = i / (w->T * w->B), t = i / w->B % w->T, b = i % w->B;
        const double k = (double)(l == 0 ? w->H + 3 : 2 * w->H + 2);
        const double *const got = trace_state(w, l, t + 1, b);
        add_cell(w, l, t, b, r);
        for (size_t j = 0; j < w->H; j++) {
            const double h = w->cell == BPTT_TANH ? reference_tanh(r.z[j]) : r.z[j] < 0 ? 0 : r.z[j];
            const double slack = gamma_of(2 * k + 8) * r.s[j] + REFERENCE_ERROR * fabs(h);
            const double limit = limit_of(w, k) * r.s[j] + 2 * w->unit * fabs(h) + slack + 2 * k * TINY;
            record_error(f, (size_t)(got - w->states) + j, got[j], h, r.s[j], slack, limit + 0x1p-51 * fabs(h));
        }
    }
    rows_close(r);
    return st;
}

// ---- the decoder ---------------------------------------------------------------------------------------------------

// Of one row of the window: d = (softmax(logits) - onehot) / (T B), the sizes p and 1 apart in s; its loss.
typedef struct decoded {
    double loss;
    double slack, limit; // of an exponential's argument: what the recomputation, what the run may be off by
} decoded;

static decoded decode_row(const trace_window *w, size_t t, size_t b, rows d)
{
    const double scale = 1 / (double)(w->T * w->B), k = (double)(w->H + 2);
    const size_t target = w->target[t * w->B + b];
    double top = -INFINITY, all = 0, largest = 0;
    for (size_t v = 0; v < w->V; v++) d.z[v] = w->out_bias[v], d.s[v] = fabs(w->out_bias[v]);
    add_product(d, w->out_weight, trace_state(w, w->L - 1, t + 1, b), w->V, w->H);
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
    return (decoded){.loss = log(all) + top - wanted,
                     .slack = 2 * gamma_of(2 * k + 8) * largest + 0x1p-50 * spread,
                     .limit = 2 * limit_of(w, k) * largest + w->unit * (2 * largest + SAFE * sqrt((double)w->V) + 30)};
}

bptt_status certify_losses(const trace_window *w, finding *f, bptt_error *e)
{
    *f = (finding){0};
    rows d = {0};
    const bptt_status st = rows_open(&d, w->V, e);
    for (size_t i = 0; !st && i < w->T * w->B; i++) {
        const decoded one = decode_row(w, i / w->B, i % w->B, d);
        const double slack = one.slack + 0x1p-50 * fabs(one.loss);
        record_error(f, i, w->losses[i], one.loss, 1 + fabs(one.loss), slack,
                     one.limit + w->unit * fabs(one.loss) + 2 * slack);
    }
    rows_close(d);
    return st;
}

// ---- dz ------------------------------------------------------------------------------------------------------------

// Adds the gradient that the states of layer l after step t receive from the layer above or the decoder; the relative
// errors of the decoder's softmax go to *own.
static void add_above(const trace_window *w, size_t l, size_t t, size_t b, rows d, rows r, decoded *own)
{
    *own = (decoded){0};
    if (l == w->L - 1) {
        *own = decode_row(w, t, b, d);
        add_transposed(r, w->out_weight, d.z, d.s, w->V, w->H);
    } else {
        const double *const dz = trace_dz(w, l + 1, t, b);
        add_transposed(r, w->weight[l + 1].weight_ih, dz, dz, w->H, w->H);
    }
}

static void certify_dz_row(const trace_window *w, size_t i, rows d, rows r, finding *f)
{
    const size_t l = i / (w->T * w->B), t = i / w->B % w->T, b = i % w->B;
    const double *const y = trace_state(w, l, t + 1, b), *const got = trace_dz(w, l, t, b);
    const double k = (double)((l == w->L - 1 ? w->V : w->H) + w->H + 4);
    decoded own;
    set_zero(r, w->H);
    add_above(w, l, t, b, d, r, &own);
    if (t + 1 < w->T && w->keep[(t + 1) * w->B + b] != 0) {
        const double *const later = trace_dz(w, l, t + 1, b);
        add_transposed(r, w->weight[l].weight_hh, later, later, w->H, w->H);
    }
    for (size_t j = 0; j < w->H; j++) {
        const double relu = y[j] > 0 ? 1 : 0; // tanh: 1 - y y, whose terms are 1 and y y
        const double slope = w->cell == BPTT_TANH ? 1 - y[j] * y[j] : relu;
        const double s = r.s[j] * (w->cell == BPTT_TANH ? 1 + y[j] * y[j] : relu);
        const double slack = (gamma_of(2 * k + 8) + own.slack) * s;
        const double limit = (limit_of(w, k) + own.limit + 4 * w->unit) * s + 2 * slack + 2 * k * TINY;
        record_error(f, (size_t)(got - w->dz) + j, got[j], r.z[j] * slope, s, slack, limit);
    }
}

bptt_status certify_dz(const trace_window *w, finding *f, bptt_error *e)
{
    *f = (finding){0};
    rows d = {0}, r = {0};
    bptt_status st = rows_open(&d, w->V, e);
    if (!st) st = rows_open(&r, w->H, e);
    for (size_t i = 0; !st && i < w->L * w->T * w->B; i++) certify_dz_row(w, i, d, r, f);
    rows_close(d);
    rows_close(r);
    return st;
}

// ---- gradients -----------------------------------------------------------------------------------------------------

// m[j][k] += x[j] y[k]; sizes: those of x
static void add_outer(rows m, const double *x, const double *sizes, const double *y, size_t J, size_t K)
{
    for (size_t j = 0; j < J; j++)
        for (size_t k = 0; k < K; k++) {
            m.z[j * K + k] += x[j] * y[k];
            m.s[j * K + k] += fabs(sizes[j]) * fabs(y[k]);
        }
}

static void note_all(const trace_window *w, const double *got, rows m, size_t n, const decoded *own, finding *f)
{
    const double k = (double)(w->T * w->B) + 2;
    for (size_t i = 0; got && i < n; i++) {
        const double slack = (gamma_of(2 * k + 8) + own->slack) * m.s[i];
        const double limit = (limit_of(w, k) + own->limit) * m.s[i] + 2 * slack + 2 * k * TINY;
        record_error(f, i, got[i], m.z[i], m.s[i], slack, limit);
    }
}

static void certify_layer(const trace_window *w, size_t l, rows m, gradient_findings *f)
{
    const size_t N = w->T * w->B, H = w->H;
    const trace_layer *g = &w->gradient[l];
    const decoded none = {0};
    const double one = 1;
    set_zero(m, H * H);
    for (size_t i = 0; i < N; i++) {
        const double *const dz = trace_dz(w, l, i / w->B, i % w->B);
        if (w->keep[i] != 0) add_outer(m, dz, dz, trace_state(w, l, i / w->B, i % w->B), H, H);
    }
    note_all(w, g->weight_hh, m, H * H, &none, &f->weights);
    const size_t in = l == 0 ? w->V : H;
    set_zero(m, H * in);
    for (size_t i = 0; i < N; i++) {
        const double *const dz = trace_dz(w, l, i / w->B, i % w->B);
        if (l > 0) add_outer(m, dz, dz, trace_state(w, l - 1, i / w->B + 1, i % w->B), H, H);
        for (size_t j = 0; l == 0 && j < H; j++) {
            m.z[j * in + w->token[i]] += dz[j];
            m.s[j * in + w->token[i]] += fabs(dz[j]);
        }
    }
    note_all(w, g->weight_ih, m, H * in, &none, &f->weights);
    set_zero(m, H);
    for (size_t i = 0; i < N; i++) {
        const double *const dz = trace_dz(w, l, i / w->B, i % w->B);
        add_outer(m, dz, dz, &one, H, 1);
    }
    note_all(w, g->bias_ih, m, H, &none, &f->biases);
    note_all(w, g->bias_hh, m, H, &none, &f->biases);
}

static void certify_decoder(const trace_window *w, rows d, rows m, gradient_findings *f)
{
    decoded worst = {0};
    const double one = 1;
    rows bias = {m.z + w->V * w->H, m.s + w->V * w->H};
    set_zero(m, w->V * (w->H + 1));
    for (size_t i = 0; i < w->T * w->B; i++) {
        const decoded own = decode_row(w, i / w->B, i % w->B, d);
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
    rows d = {0}, m = {0};
    bptt_status st = rows_open(&d, w->V, e);
    if (!st) st = rows_open(&m, widest * (w->H + 1), e);
    for (size_t l = 0; !st && l < w->L; l++) certify_layer(w, l, m, f);
    if (!st) certify_decoder(w, d, m, f);
    rows_close(d);
    rows_close(m);
    return st;
}
