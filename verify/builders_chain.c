// Random lists of cells and context builders, against the definitions of derivative and adjoint.
#include "builders.h"

#include <math.h>
#include <string.h>

enum { STEPS = 16, MOST = 5, ROWS = 3, LISTS = 120, STRAIGHT = 60, DRAWS = 16, ROOM = 1 << 17 };
enum { X, HID, CONCAT, PRE, NEXT, TRACE };

// ---- a builder that reads all five tensors --------------------------------------------------------------------------

// x = (c + z) / 4,  h = y z / 2 + (x + h) / 4, with indices that wrap around.
static bptt_status mix_apply(const bptt_builder_call *at, void *x_, void *h_, bptt_error *e)
{
    (void)e;
    const bptt_elman *from = at->from, *to = at->to;
    const bptt_elman_trace *a = at->trace;
    const size_t I = from->I, H = from->H, C = I + H;
    const double *ax = a->x, *ah = a->h, *c = a->concat, *z = a->pre, *y = a->next;
    double *x = x_, *h = h_;
    for (size_t r = 0; r < to->B; r++) {
        for (size_t k = 0; k < to->I; k++) x[r * to->I + k] = (c[r * C + k % C] + z[r * H + k % H]) / 4;
        for (size_t k = 0; k < to->H; k++)
            h[r * to->H + k] = y[r * H + k % H] * z[r * H + k % H] / 2 + (ax[r * I + k % I] + ah[r * H + k % H]) / 4;
    }
    return BPTT_OK;
}

static bptt_status mix_jvp(const bptt_builder_call *at, const bptt_elman_trace *d, void *dx_, void *dh_, bptt_error *e)
{
    (void)e;
    const bptt_elman *from = at->from, *to = at->to;
    const bptt_elman_trace *a = at->trace;
    const size_t I = from->I, H = from->H, C = I + H;
    const double *z = a->pre, *y = a->next;
    const double *vx = d->x, *vh = d->h, *vc = d->concat, *vz = d->pre, *vy = d->next;
    double *dx = dx_, *dh = dh_;
    for (size_t r = 0; r < to->B; r++) {
        for (size_t k = 0; k < to->I; k++) dx[r * to->I + k] = (vc[r * C + k % C] + vz[r * H + k % H]) / 4;
        for (size_t k = 0; k < to->H; k++) {
            const size_t j = r * H + k % H;
            dh[r * to->H + k] = (vy[j] * z[j] + y[j] * vz[j]) / 2 + (vx[r * I + k % I] + vh[j]) / 4;
        }
    }
    return BPTT_OK;
}

static bptt_status mix_vjp(const bptt_builder_call *at, const void *dx_, const void *dh_, const bptt_elman_trace *s,
                           bptt_error *e)
{
    (void)e;
    const bptt_elman *from = at->from, *to = at->to;
    const bptt_elman_trace *a = at->trace;
    const size_t I = from->I, H = from->H, C = I + H;
    const double *z = a->pre, *y = a->next, *dx = dx_, *dh = dh_;
    double *sx = s->x, *sh = s->h, *sc = s->concat, *sz = s->pre, *sy = s->next;
    for (size_t r = 0; r < to->B; r++) {
        for (size_t k = 0; k < to->I; k++) {
            sc[r * C + k % C] += dx[r * to->I + k] / 4;
            sz[r * H + k % H] += dx[r * to->I + k] / 4;
        }
        for (size_t k = 0; k < to->H; k++) {
            const size_t j = r * H + k % H;
            const double g = dh[r * to->H + k];
            sy[j] += g * z[j] / 2, sz[j] += y[j] * g / 2;
            sx[r * I + k % I] += g / 4, sh[j] += g / 4;
        }
    }
    return BPTT_OK;
}

bptt_builder whole_trace_builder(void) { return (bptt_builder){mix_apply, mix_jvp, mix_vjp, NULL}; }

// ---- a random list --------------------------------------------------------------------------------------------------

// A random list of cells: parameters and several traces of the same shapes.
typedef struct list {
    size_t n; // steps
    scratch mem;
    uint64_t random;
    bptt_elman cell[STEPS], sizes[STEPS]; // sizes: the same with |W|
    bptt_builder join[STEPS];
    bptt_context given[STEPS];
    double *dW[STEPS], *db[STEPS], *vW[STEPS], *vb[STEPS], *aW[STEPS], *ab[STEPS]; // gradient, tangent, its size
    bool fresh[STEPS]; // else the weights of the step before
} list;

static size_t length(const bptt_elman *e, int tensor)
{
    const size_t width[TRACE] = {e->I, e->H, e->I + e->H, e->H, e->H};
    return e->B * width[tensor];
}

static double *tensor(const bptt_elman_trace *t, int i)
{
    void *const all[TRACE] = {t->x, t->h, t->concat, t->pre, t->next};
    return all[i];
}

static void trace_open(list *l, bptt_elman_trace *t)
{
    for (size_t i = 0; i < l->n; i++) {
        double *x[TRACE];
        for (int k = 0; k < TRACE; k++) x[k] = scratch_take(&l->mem, length(&l->cell[i], k));
        t[i] = (bptt_elman_trace){x[X], x[HID], x[CONCAT], x[PRE], x[NEXT]};
    }
}

// to = from, or |from|.
static void trace_copy(const list *l, const bptt_elman_trace *from, const bptt_elman_trace *to, bool size)
{
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < TRACE; k++)
            for (size_t j = 0; j < length(&l->cell[i], k); j++)
                tensor(&to[i], k)[j] = size ? fabs(tensor(&from[i], k)[j]) : tensor(&from[i], k)[j];
}

static double trace_dot(const list *l, const bptt_elman_trace *a, const bptt_elman_trace *b)
{
    double sum = 0;
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < TRACE; k++) sum += dot_product(tensor(&a[i], k), tensor(&b[i], k), length(&l->cell[i], k));
    return sum;
}

typedef void filler(uint64_t *random, double *x, size_t n);
static void unit_reals(uint64_t *random, double *x, size_t n) { fill_real(random, 1, x, n); }
static void small_whole(uint64_t *random, double *x, size_t n) { fill_whole(random, 1, 1, x, n); }
static void large_whole(uint64_t *random, double *x, size_t n) { fill_whole(random, 512, 1, x, n); }

static void trace_fill(list *l, const bptt_elman_trace *t, filler *fill)
{
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < TRACE; k++) fill(&l->random, tensor(&t[i], k), length(&l->cell[i], k));
}

static double *sizes_of(list *l, const double *x, size_t n)
{
    double *s = scratch_take(&l->mem, n);
    for (size_t i = 0; i < n; i++) s[i] = fabs(x[i]);
    return s;
}

static void parameters(list *l, size_t t, filler *fill)
{
    bptt_elman *c = &l->cell[t];
    const size_t w = c->H * (c->I + c->H);
    l->fresh[t] = t == 0 || c->I != c[-1].I || c->H != c[-1].H || draw_below(&l->random, 2) == 0;
    if (l->fresh[t]) {
        double *const W = scratch_take(&l->mem, w), *const b = scratch_take(&l->mem, c->H);
        fill(&l->random, W, w), fill(&l->random, b, c->H);
        c->W = W, c->b = b;
        l->dW[t] = scratch_take(&l->mem, w), l->db[t] = scratch_take(&l->mem, c->H);
        l->vW[t] = scratch_take(&l->mem, w), l->vb[t] = scratch_take(&l->mem, c->H);
        fill(&l->random, l->vW[t], w), fill(&l->random, l->vb[t], c->H);
        l->aW[t] = sizes_of(l, l->vW[t], w), l->ab[t] = sizes_of(l, l->vb[t], c->H);
        l->sizes[t] = *c;
        l->sizes[t].W = sizes_of(l, W, w);
        return;
    }
    *c = c[-1], l->sizes[t] = l->sizes[t - 1];
    l->dW[t] = l->dW[t - 1], l->db[t] = l->db[t - 1], l->vW[t] = l->vW[t - 1], l->vb[t] = l->vb[t - 1];
    l->aW[t] = l->aW[t - 1], l->ab[t] = l->ab[t - 1];
}

// joint BPTT_FEEDBACK + 1: own.
static void join_next(list *l, size_t t, unsigned joint, const bptt_builder *own, filler *fill)
{
    const bptt_elman *from = &l->cell[t];
    bptt_elman *to = &l->cell[t + 1];
    *to = *from;
    to->I = joint == BPTT_STACK ? from->H : draw_below(&l->random, 3) ? from->I : 1 + draw_below(&l->random, MOST);
    if (joint == BPTT_STACK || joint > BPTT_FEEDBACK)
        to->H = draw_below(&l->random, 2) ? from->H : 1 + draw_below(&l->random, MOST);
    double *const x = scratch_take(&l->mem, to->B * to->I), *const h = scratch_take(&l->mem, to->B * to->H);
    double *const keep = scratch_take(&l->mem, to->B), *const readout = scratch_take(&l->mem, to->I * from->H);
    fill(&l->random, x, to->B * to->I), fill(&l->random, h, to->B * to->H);
    fill(&l->random, readout, to->I * from->H);
    for (size_t r = 0; r < to->B; r++) keep[r] = (double)draw_below(&l->random, 3) / 2;
    l->given[t] = (bptt_context){(bptt_builder_kind)joint, x, h, keep, readout};
    l->join[t] = joint > BPTT_FEEDBACK ? *own : bptt_context_builder(&l->given[t]);
}

static void list_make(list *l, size_t n, bptt_cell cell, unsigned joints, const bptt_builder *own, filler *fill)
{
    l->mem.used = 0;
    l->n = n;
    l->cell[0] = (bptt_elman){.type = BPTT_F64,
                              .cell = cell,
                              .B = 1 + draw_below(&l->random, ROWS),
                              .I = 1 + draw_below(&l->random, MOST),
                              .H = 1 + draw_below(&l->random, MOST)};
    for (size_t t = 0; t < n; t++) {
        parameters(l, t, fill);
        if (t + 1 < n) join_next(l, t, (unsigned)draw_below(&l->random, joints), own, fill);
    }
}

static bptt_chain chain_of(const list *l, size_t first, size_t n)
{
    return (bptt_chain){.steps = n, .cell = l->cell + first, .join = l->join + first};
}

// ---- a builder by itself --------------------------------------------------------------------------------------------

// to = a + by * d
static void trace_step(const list *l, const bptt_elman_trace *a, double by, const bptt_elman_trace *d,
                       const bptt_elman_trace *to)
{
    for (int k = 0; k < TRACE; k++)
        for (size_t j = 0; j < length(&l->cell[0], k); j++) tensor(to, k)[j] = tensor(a, k)[j] + by * tensor(d, k)[j];
}

// Whole numbers up to 2^9, products of three of them: all exact. (F(a + d) - F(a - d)) / 2 is the derivative of what is
// at most quadratic.
static bptt_status one_builder(list *l, bool x_stops, bool h_stops, tally t[CHAIN_LAWS], bptt_error *e)
{
    const bptt_elman *from = &l->cell[0], *to = &l->cell[1];
    const bptt_builder *b = &l->join[0];
    const size_t nx = to->B * to->I, nh = to->B * to->H;
    bptt_elman_trace a[2], d[2], near[2], s[2];
    const bptt_builder_call at = {b->user, from, to, a};
    double *out[4], *g = scratch_take(&l->mem, nx + nh);
    l->n = 1; // only the trace of `from` is needed
    trace_open(l, a), trace_open(l, d), trace_open(l, near), trace_open(l, s);
    trace_fill(l, a, large_whole), trace_fill(l, d, large_whole), large_whole(&l->random, g, nx + nh);
    for (int i = 0; i < 4; i++) out[i] = scratch_take(&l->mem, nx + nh);
    bptt_status st = BPTT_OK;
    for (int i = 0; !st && i < 2; i++) {
        trace_step(l, a, i ? -1 : 1, d, near);
        st = b->apply(&(bptt_builder_call){b->user, from, to, near}, out[i], out[i] + nx, e);
    }
    if (!st) st = b->jvp(&at, d, out[2], out[2] + nx, e);
    if (!st) st = b->vjp(&at, g, g + nx, s, e);
    if (st) return st;
    for (size_t i = 0; i < nx + nh; i++) out[3][i] = out[0][i] - out[1][i];
    if (!x_stops) tally_same(&t[BUILDER_DERIVATIVE], 2, out[2], out[3], nx, "x of a builder");
    if (!h_stops) tally_same(&t[BUILDER_DERIVATIVE], 2, out[2] + nx, out[3] + nx, nh, "h of a builder");
    const double left = dot_product(out[2], g, nx + nh), right = trace_dot(l, d, s);
    tally_same(&t[BUILDER_ADJOINT], 1, &left, &right, 1, "<J d, s> and <d, J' s> of a builder");
    memset(out[3], 0, (nx + nh) * sizeof *out[3]);
    if (x_stops) tally_same(&t[BUILDER_STOPS], 1, out[2], out[3], nx, "tangent of x behind a stop");
    if (h_stops) tally_same(&t[BUILDER_STOPS], 1, out[2] + nx, out[3] + nx, nh, "tangent of h behind a stop");
    return BPTT_OK;
}

static bptt_status each_builder(list *l, const bptt_builder *own, tally t[CHAIN_LAWS], bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (unsigned joint = 0; joint <= BPTT_FEEDBACK + 1; joint++)
        for (size_t i = 0; !s && i < DRAWS; i++) {
            list_make(l, 1, BPTT_TANH, 1, own, large_whole);
            join_next(l, 0, joint, own, large_whole);
            s = one_builder(l, joint == BPTT_FEEDBACK, joint == BPTT_TRUNCATE, t, e);
        }
    return s;
}

// ---- joined ---------------------------------------------------------------------------------------------------------

// Roundings that a product on a path from a tangent to a cotangent meets: the jvp's sums over [x; h] and W c, the vjp's
// over units, f', the builders, the rows that add up in dW, and the two scalar products.
static size_t roundings(const list *l)
{
    size_t k = 0;
    for (size_t t = 0; t < l->n; t++) {
        const size_t H = l->cell[t].H, C = l->cell[t].I + H, B = l->cell[t].B;
        k += 2 * C + H + B + 16 + B * (2 * C + 3 * H) + H * (C + 1);
    }
    return k;
}

// <J d, s> = <d, J' s>. The error bound is relative to <J d, s> of the same list with every number replaced by its
// absolute value, where no terms cancel.
static bptt_status adjoint(list *l, tally *t, bptt_error *e)
{
    bptt_elman_trace trace[STEPS], d[STEPS], s[STEPS], given[STEPS];
    trace_open(l, trace), trace_open(l, d), trace_open(l, s), trace_open(l, given);
    const bptt_chain c = chain_of(l, 0, l->n), sizes = {l->n, l->sizes, l->join};
    trace_fill(l, trace, unit_reals), trace_fill(l, d, unit_reals), trace_fill(l, s, unit_reals);
    trace_copy(l, s, given, false);
    bptt_status st = bptt_chain_forward(&c, trace, e);
    if (!st) st = bptt_chain_jvp(&c, trace, d, (const void *const *)l->vW, (const void *const *)l->vb, e);
    if (!st) st = bptt_chain_vjp(&c, trace, s, (void *const *)l->dW, (void *const *)l->db, e);
    if (st) return st;
    const size_t I = l->cell[0].B * l->cell[0].I, H = l->cell[0].B * l->cell[0].H;
    const double left = trace_dot(l, d, given);
    double right = dot_product(d[0].x, s[0].x, I) + dot_product(d[0].h, s[0].h, H);
    for (size_t i = 0; i < l->n; i++) {
        const size_t h = l->cell[i].H, w = h * (l->cell[i].I + h);
        if (l->fresh[i]) right += dot_product(l->vW[i], l->dW[i], w) + dot_product(l->vb[i], l->db[i], h);
    }
    trace_copy(l, trace, trace, true), trace_copy(l, d, d, true), trace_copy(l, given, given, true);
    st = bptt_chain_jvp(&sizes, trace, d, (const void *const *)l->aW, (const void *const *)l->ab, e);
    const double bound = 2 * rounding_of(roundings(l), BPTT_F64) * trace_dot(l, d, given);
    if (!st) tally_near(t, left, right, bound, "<J d, s> and <d, J' s> of joined steps");
    return st;
}

static void zero_gradients(list *l)
{
    for (size_t t = 0; t < l->n; t++) {
        const size_t h = l->cell[t].H;
        memset(l->dW[t], 0, h * (l->cell[t].I + h) * sizeof(double));
        memset(l->db[t], 0, h * sizeof(double));
    }
}

// All results in one array: cotangents, then the weight gradient of each step.
static double *flatten(list *l, const bptt_elman_trace *s, size_t *n)
{
    double *const first = scratch_take(&l->mem, 0);
    for (size_t t = 0; t < l->n; t++) {
        const size_t h = l->cell[t].H, w = h * (l->cell[t].I + h);
        for (int k = 0; k < TRACE; k++)
            memcpy(scratch_take(&l->mem, length(&l->cell[t], k)), tensor(&s[t], k),
                   length(&l->cell[t], k) * sizeof(double));
        memcpy(scratch_take(&l->mem, w), l->dW[t], w * sizeof(double));
        memcpy(scratch_take(&l->mem, h), l->db[t], h * sizeof(double));
    }
    *n = (size_t)(scratch_take(&l->mem, 0) - first);
    return first;
}

// vjp of [k, n), the builder's vjp and vjp of [0, k) together equal the vjp of the whole list. The same for forward.
static bptt_status glued(list *l, tally *t, bptt_error *e)
{
    bptt_elman_trace trace[STEPS], s[STEPS], given[STEPS], again[STEPS];
    size_t n = 0, m = 0;
    trace_open(l, trace), trace_open(l, again), trace_open(l, s), trace_open(l, given);
    const bptt_chain whole = chain_of(l, 0, l->n);
    trace_fill(l, trace, unit_reals), trace_fill(l, given, unit_reals);
    trace_copy(l, given, s, false), trace_copy(l, trace, again, false);
    zero_gradients(l);
    bptt_status st = bptt_chain_forward(&whole, trace, e);
    if (!st) st = bptt_chain_vjp(&whole, trace, s, (void *const *)l->dW, (void *const *)l->db, e);
    const double *want = flatten(l, s, &n), *states = flatten(l, trace, &m);
    for (size_t k = 1; !st && k < l->n; k++) {
        const size_t used = l->mem.used;
        const bptt_chain first = chain_of(l, 0, k), rest = chain_of(l, k, l->n - k);
        const bptt_builder *b = &l->join[k - 1];
        const bptt_elman *from = &l->cell[k - 1];
        const bptt_builder_call built = {b->user, from, from + 1, &again[k - 1]},
                                at = {b->user, from, from + 1, &trace[k - 1]};
        st = bptt_chain_forward(&first, again, e);
        if (!st) st = b->apply(&built, again[k].x, again[k].h, e);
        if (!st) st = bptt_chain_forward(&rest, again + k, e);
        tally_same(t, 1, flatten(l, again, &m), states, m, "a trace glued");
        trace_copy(l, given, s, false);
        zero_gradients(l);
        if (!st) st = bptt_chain_vjp(&rest, trace + k, s + k, (void *const *)l->dW + k, (void *const *)l->db + k, e);
        if (!st) st = b->vjp(&at, s[k].x, s[k].h, &s[k - 1], e);
        if (!st) st = bptt_chain_vjp(&first, trace, s, (void *const *)l->dW, (void *const *)l->db, e);
        tally_same(t, 1, flatten(l, s, &n), want, n, "gradients glued");
        l->mem.used = used;
    }
    return st;
}

// True if two traces lie on the same linear piece: no relu unit changes sign between them.
static bool same_piece(const list *l, const bptt_elman_trace *a, const bptt_elman_trace *b)
{
    bool same = true;
    for (size_t t = 0; t < l->n; t++) {
        const double *za = a[t].pre, *zb = b[t].pre;
        for (size_t i = 0; i < length(&l->cell[t], PRE); i++) same = same && (za[i] > 0) == (zb[i] > 0);
    }
    return same;
}

// F(a + d) - F(a - d) = 2 J d for x and h, without rounding: whole numbers, d in units of 2^-12, keeps in halves.
static bptt_status straight(list *l, tally *t, bptt_error *e)
{
    bptt_elman_trace at[3][STEPS], d[STEPS];
    const bptt_chain c = chain_of(l, 0, l->n);
    for (int i = 0; i < 3; i++) trace_open(l, at[i]);
    trace_open(l, d);
    for (int k = X; k <= HID; k++) {
        const size_t n = length(&l->cell[0], k);
        fill_whole(&l->random, 8, 1, tensor(at[0], k), n);
        fill_whole(&l->random, 8, 0x1p-12, tensor(d, k), n);
        for (size_t j = 0; j < n; j++)
            for (int i = 1; i < 3; i++) tensor(at[i], k)[j] = tensor(at[0], k)[j] + (i == 1 ? 1 : -1) * tensor(d, k)[j];
    }
    bptt_status s = BPTT_OK;
    for (int i = 0; !s && i < 3; i++) s = bptt_chain_forward(&c, at[i], e);
    if (!s) s = bptt_chain_jvp(&c, at[0], d, NULL, NULL, e);
    if (s || !same_piece(l, at[0], at[1]) || !same_piece(l, at[1], at[2])) return s;
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < TRACE; k++) {
            double *ahead = tensor(&at[1][i], k);
            for (size_t j = 0; j < length(&l->cell[i], k); j++) ahead[j] -= tensor(&at[2][i], k)[j];
            tally_same(t, 2, tensor(&d[i], k), ahead, length(&l->cell[i], k), "tangent of a list of steps");
        }
    return BPTT_OK;
}

bptt_status chain_laws(const bptt_builder *own, tally t[CHAIN_LAWS], bptt_error *e)
{
    const bptt_builder mix = whole_trace_builder();
    list l = {.random = 20251};
    bptt_status s = scratch_open(&l.mem, ROOM, e);
    if (!own) own = &mix;
    if (!s) s = each_builder(&l, own, t, e);
    for (size_t i = 0; !s && i < LISTS; i++) {
        const bptt_cell cell = i % 3 ? BPTT_TANH : BPTT_RELU; // own squares, so relu would grow without end
        list_make(&l, 1 + i % STEPS, cell, BPTT_FEEDBACK + (cell == BPTT_TANH ? 2 : 1), own, unit_reals);
        const size_t used = l.mem.used;
        s = adjoint(&l, &t[CHAIN_ADJOINT], e);
        l.mem.used = used;
        if (!s) s = glued(&l, &t[CHAIN_GLUED], e);
    }
    for (size_t i = 0; !s && i < STRAIGHT; i++) {
        list_make(&l, 1 + i % 6, BPTT_RELU, BPTT_RESET + 1, own, small_whole);
        s = straight(&l, &t[CHAIN_DERIVATIVE], e);
    }
    scratch_close(&l.mem);
    return s;
}
