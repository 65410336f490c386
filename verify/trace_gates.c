// The states, gates and gradients of gated cells: the text of device/cells.h over numbers with bounds, from the stored
// states, operands of second products and gradients of states.
//
// A number is its value in binary64, and
//   size    the sum of |terms|
//   slack   a bound of its own error
//   limit   the error that a correct run may have: of products that of trace_limit, passed on through the formulas by
//           their derivatives, and two roundings for each operation, four for tanh and sigmoid
#include "trace_sums.h"

#include "reference.h"

#include <math.h>
#include <stdlib.h>

typedef struct bounded_number {
    double v, size, slack, limit, unit;
} bounded_number;

static bounded_number number_of(double v, double unit) { return (bounded_number){v, fabs(v), 0, 0, unit}; }

static bounded_number add_numbers(bounded_number a, bounded_number b, double sign)
{
    const double v = a.v + sign * b.v, unit = fmax(a.unit, b.unit);
    return (bounded_number){v, a.size + b.size, a.slack + b.slack + 0x1p-53 * fabs(v),
                            a.limit + b.limit + 2 * unit * fabs(v), unit};
}

// Of a product of numbers with errors ea, eb.
static double product_error(bounded_number a, bounded_number b, double ea, double eb)
{
    return fabs(a.v) * eb + fabs(b.v) * ea + ea * eb;
}

static bounded_number multiply_numbers(bounded_number a, bounded_number b)
{
    const double v = a.v * b.v, unit = fmax(a.unit, b.unit);
    return (bounded_number){v, a.size * b.size, product_error(a, b, a.slack, b.slack) + 0x1p-53 * fabs(v),
                            product_error(a, b, a.limit, b.limit) + 2 * unit * fabs(v) + TRACE_TINY, unit};
}

// A function whose slope is at most 1.
static bounded_number function_of(bounded_number x, double y)
{
    return (bounded_number){y, fabs(y), x.slack + REFERENCE_ERROR * fabs(y),
                            x.limit + 4 * x.unit * fabs(y) + TRACE_TINY, x.unit};
}

#define REAL bounded_number
#define INLINE static inline
#define ADD(a, b) add_numbers(a, b, 1)
#define SUB(a, b) add_numbers(a, b, -1)
#define MUL(a, b) multiply_numbers(a, b)
#define ZERO number_of(0, 0)
#define ONE number_of(1, 0)
#define TANH(x) function_of(x, reference_tanh((x).v))
#define SIGMOID(x) function_of(x, reference_sigmoid((x).v))
#define BELOW_ZERO(x) ((x).v < 0)
#define ABOVE_ZERO(x) ((x).v > 0)
#define WHOLE(x) (x)         // only for cells of whole numbers
#define SOFTPLUS_TAIL(x) (x) // only for losses of dense targets, of which there are no traces
#include "cells.h"

enum { MOST_STATES = 8 };

// Calls of the functions of a cell by its number, on z [blocks] of one unit.
#define FORWARD(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    _Static_assert(S <= MOST_STATES && Z <= MAX_BLOCKS, "room for a unit"); \
    if (cell == number) forward(0, z, before, after);
#define BACKWARD(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    if (cell == number) backward(0, z, before, after, dafter, dbefore);
#define MIX(number, Z, mix, mix_backward) \
    if (cell == number) return mix(0, z, h);
#define MIX_BACKWARD(number, Z, mix, mix_backward) \
    if (cell == number) return mix_backward(0, z, h, du);

static void unit_forward(bptt_cell cell, REAL *z, const REAL *before, REAL *after) { GATED_CELL_LIST(FORWARD) }
static void unit_backward(bptt_cell cell, REAL *z, const REAL *before, const REAL *after, const REAL *dafter,
                          REAL *dbefore)
{
    GATED_CELL_LIST(BACKWARD)
}
static REAL unit_mix(bptt_cell cell, REAL *z, REAL h)
{
    (void)cell, (void)z, (void)h;
    MIXED_CELL_LIST(MIX)
    return ZERO;
}
static REAL unit_mix_backward(bptt_cell cell, REAL *z, REAL h, REAL du)
{
    (void)cell, (void)z, (void)h, (void)du;
    MIXED_CELL_LIST(MIX_BACKWARD)
    return ZERO;
}

// ---- one row --------------------------------------------------------------------------------------------------------

// Memory for a row: sums of its products; z, states after it, gradient of the states before it.
typedef struct scratch {
    trace_rows sums, decoder;
    bounded_number *z, *after, *dbefore; // [ZH], [W], [W]; z owns all
} scratch;

static bptt_status scratch_open(const trace_window *w, scratch *s, bptt_error *e)
{
    *s = (scratch){.z = calloc(w->ZH + 2 * w->W, sizeof *s->z)};
    bptt_status st = s->z ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to recompute a trace");
    if (!st) st = trace_rows_open(&s->sums, w->ZH + w->W, e);
    if (!st) st = trace_rows_open(&s->decoder, w->V, e);
    if (!st) s->after = s->z + w->ZH, s->dbefore = s->after + w->W;
    return st;
}

static void scratch_close(scratch *s)
{
    free(s->z);
    trace_rows_close(s->sums), trace_rows_close(s->decoder);
}

static trace_rows block_of(trace_rows r, size_t first) { return (trace_rows){r.z + first, r.s + first}; }

// The j-th sum of k products, as a number.
static bounded_number sum_of(const trace_window *w, trace_rows r, size_t j, double k)
{
    return (bounded_number){r.z[j], r.s[j], trace_gamma(2 * k + 8) * r.s[j],
                            trace_limit(w, k) * r.s[j] + 2 * k * TRACE_TINY, w->unit};
}

// Adds a tensor's product with x [H] to its blocks of z.
static void add_blocks(const trace_window *w, size_t l, layer_tensor which, const double *x, trace_rows r)
{
    const layer_blocks blocks = model_blocks(&w->model, which);
    const size_t H = w->H, columns = which >= BIAS_IH ? 1 : H;
    for (size_t k = 0; k < blocks.count; k++)
        trace_add_product(block_of(r, blocks.at[k] * H), w->weight[l].of[which] + k * H * columns, x, H, columns);
}

// The pre-activations of the row but for the second product.
static void row_products(const trace_window *w, size_t l, size_t t, size_t b, scratch *s)
{
    static const double one = 1;
    const size_t H = w->H;
    const layer_blocks in = model_blocks(&w->model, WEIGHT_IH);
    trace_rows_zero(s->sums, w->ZH);
    add_blocks(w, l, BIAS_IH, &one, s->sums), add_blocks(w, l, BIAS_HH, &one, s->sums);
    if (l > 0) add_blocks(w, l, WEIGHT_IH, trace_state(w, l - 1, t + 1, b), s->sums);
    for (size_t j = 0; l == 0 && j < in.count * H; j++) {
        const double x = w->weight[0].of[WEIGHT_IH][j * w->V + w->token[t * w->B + b]];
        s->sums.z[in.at[j / H] * H + j % H] += x, s->sums.s[in.at[j / H] * H + j % H] += fabs(x);
    }
    if (trace_keep(w, t, b) != 0) add_blocks(w, l, WEIGHT_HH, trace_state(w, l, t, b), s->sums);
    for (size_t j = 0; j < w->ZH; j++) s->z[j] = sum_of(w, s->sums, j, (double)(2 * H + 3));
}

static void read_unit(const bounded_number *from, size_t count, size_t H, size_t j, bounded_number *unit)
{
    for (size_t k = 0; k < count; k++) unit[k] = from[k * H + j];
}
static void write_unit(bounded_number *to, size_t count, size_t H, size_t j, const bounded_number *unit)
{
    for (size_t k = 0; k < count; k++) to[k * H + j] = unit[k];
}
// Stored numbers of a unit times keep, 0 or 1: without an error.
static void stored_unit(const trace_window *w, const double *from, double keep, size_t j, bounded_number *unit)
{
    for (size_t k = 0; k < w->W / w->H; k++) unit[k] = number_of(keep * from[k * w->H + j], w->unit);
}

static void record_number(finding *f, size_t i, double got, bounded_number want)
{
    trace_record(f, i, got, want.v, want.size, want.slack, want.limit + 2 * want.slack + 0x1p-51 * fabs(want.v));
}

// u, compared with the stored one, whose product adds to z.
static void row_mixed(const trace_window *w, size_t l, size_t t, size_t b, scratch *s, finding *f)
{
    const size_t H = w->H, Z = w->ZH / H;
    const double keep = trace_keep(w, t, b);
    const double *const u = w->mixed + ((l * w->T + t) * w->B + b) * H, *const h = trace_state(w, l, t, b);
    for (size_t j = 0; j < H; j++) {
        bounded_number z[MAX_BLOCKS];
        read_unit(s->z, Z, H, j, z);
        const bounded_number want = unit_mix(w->model.cell, z, number_of(keep * h[j], w->unit));
        write_unit(s->z, Z, H, j, z);
        if (f) record_number(f, (size_t)(trace_state(w, l, t + 1, b) - w->states) + j, u[j], want);
    }
    trace_rows_zero(s->sums, w->ZH);
    add_blocks(w, l, WEIGHT_MIXED, u, s->sums);
    for (size_t j = 0; j < w->ZH; j++)
        if (s->sums.s[j] > 0) s->z[j] = ADD(s->z[j], sum_of(w, s->sums, j, (double)H));
}

// z as the forward pass leaves it, and the states after the row. f: NULL, or the findings of u.
static void row_forward(const trace_window *w, size_t l, size_t t, size_t b, scratch *s, finding *f)
{
    const size_t H = w->H, Z = w->ZH / H, S = w->W / H;
    row_products(w, l, t, b, s);
    if (w->mixed) row_mixed(w, l, t, b, s, f);
    for (size_t j = 0; j < H; j++) {
        bounded_number z[MAX_BLOCKS], before[MOST_STATES], after[MOST_STATES];
        read_unit(s->z, Z, H, j, z);
        stored_unit(w, trace_state(w, l, t, b), trace_keep(w, t, b), j, before);
        unit_forward(w->model.cell, z, before, after);
        write_unit(s->z, Z, H, j, z), write_unit(s->after, S, H, j, after);
    }
}

bptt_status certify_gated_states(const trace_window *w, finding *f, bptt_error *e)
{
    scratch s;
    *f = (finding){0};
    const bptt_status st = scratch_open(w, &s, e);
    for (size_t i = 0; !st && i < w->L * w->T * w->B; i++) {
        const size_t l = i / (w->T * w->B), t = i / w->B % w->T, b = i % w->B;
        const double *const got = trace_state(w, l, t + 1, b);
        row_forward(w, l, t, b, &s, f);
        for (size_t j = 0; j < w->W; j++) record_number(f, (size_t)(got - w->states) + j, got[j], s.after[j]);
    }
    scratch_close(&s);
    return st;
}

// ---- backward -------------------------------------------------------------------------------------------------------

static const double *dstates_of(const trace_window *w, size_t l, size_t t, size_t b)
{
    return w->dstates + ((l * (w->T + 1) + t) * w->B + b) * w->W;
}

// Adds the product of a tensor's transpose with the stored dz of the row.
static void add_back(const trace_window *w, size_t l, layer_tensor which, const double *dz, trace_rows r)
{
    const layer_blocks blocks = model_blocks(&w->model, which);
    const size_t H = w->H;
    for (size_t k = 0; k < blocks.count; k++) {
        const double *const x = dz + blocks.at[k] * H;
        trace_add_transposed(r, w->weight[l].of[which] + k * H * H, x, x, H, H);
    }
}

// From the gradient of the states after the row: z becomes dz, and s->dbefore the gradient of the kept states before
// it, but for what they receive from elsewhere.
static void row_backward(const trace_window *w, size_t l, size_t t, size_t b, scratch *s)
{
    const size_t H = w->H, Z = w->ZH / H, S = w->W / H;
    const double *const before = trace_state(w, l, t, b), *const dz = trace_dz(w, l, t, b);
    const double keep = trace_keep(w, t, b);
    row_forward(w, l, t, b, s, NULL);
    trace_rows_zero(s->sums, w->ZH + w->W);
    const trace_rows du = s->sums, dh = block_of(s->sums, w->ZH);
    if (w->mixed) add_back(w, l, WEIGHT_MIXED, dz, du);
    add_back(w, l, WEIGHT_HH, dz, dh);
    for (size_t j = 0; j < H; j++) {
        bounded_number z[MAX_BLOCKS], old[MOST_STATES], now[MOST_STATES], d[MOST_STATES], dold[MOST_STATES];
        read_unit(s->z, Z, H, j, z);
        stored_unit(w, before, keep, j, old), stored_unit(w, trace_state(w, l, t + 1, b), 1, j, now);
        stored_unit(w, dstates_of(w, l, t + 1, b), 1, j, d);
        unit_backward(w->model.cell, z, old, now, d, dold);
        if (w->mixed)
            dold[0] = ADD(dold[0], unit_mix_backward(w->model.cell, z, old[0], sum_of(w, du, j, (double)w->ZH)));
        dold[0] = ADD(dold[0], sum_of(w, dh, j, (double)w->ZH));
        write_unit(s->z, Z, H, j, z), write_unit(s->dbefore, S, H, j, dold);
    }
}

// The gradient of the states after step t - 1, block t, from the row of step t, if there is one that keeps
// the states, and from above.
static void record_dstates(const trace_window *w, size_t l, size_t t, size_t b, scratch *s, finding *f)
{
    const double *const got = dstates_of(w, l, t, b);
    const bool later = t < w->T && trace_keep(w, t, b) != 0;
    trace_decoded own = {0};
    double k = 0;
    trace_rows_zero(s->sums, w->H);
    if (t > 0) k = trace_add_above(w, l, t - 1, b, s->decoder, s->sums, &own);
    for (size_t j = 0; j < w->W; j++) {
        bounded_number d = later ? s->dbefore[j] : number_of(0, w->unit);
        if (j < w->H && t > 0) {
            bounded_number above = sum_of(w, s->sums, j, k);
            above.slack += own.slack * above.size, above.limit += own.limit * above.size;
            d = ADD(d, above);
        }
        record_number(f, (size_t)(got - w->dstates) + j, got[j], d);
    }
}

bptt_status certify_gated_dz(const trace_window *w, finding *dz, finding *dstates, bptt_error *e)
{
    scratch s;
    *dz = *dstates = (finding){0};
    const bptt_status st = scratch_open(w, &s, e);
    for (size_t i = 0; !st && i < w->L * w->B * (w->T + 1); i++) {
        const size_t l = i / (w->B * (w->T + 1)), t = i / w->B % (w->T + 1), b = i % w->B;
        if (t < w->T) {
            const double *const got = trace_dz(w, l, t, b);
            row_backward(w, l, t, b, &s);
            for (size_t j = 0; j < w->ZH; j++) record_number(dz, (size_t)(got - w->dz) + j, got[j], s.z[j]);
        }
        record_dstates(w, l, t, b, &s, dstates);
    }
    scratch_close(&s);
    return st;
}
