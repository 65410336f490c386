// Part `activation` of `bptt verify`: tanh and sigmoid on every float, or on a sample. They are called as ops of the
// cpu backend, at every SIMD width of its inner loops, and of `ref`.
#include "backend.h"
#include "reference.h"
#include "sweep.h"
#include "verify.h"
#include "isa.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// Largest errors that device/f32.h states, in ulp.
#define TANH_ULP 0.730
#define SIGMOID_ULP 0.970

// Checksums of all result bits (sweep.h), of a sample and of all floats. They are the same on every machine and with
// every compiler, because device/f32.h uses correctly rounded operations only. Update them after a deliberate change.
typedef struct sums {
    uint64_t sampled, exhaustive;
} sums;
static const sums tanh_sums = {UINT64_C(0xa826e1dd57cd8b0a), UINT64_C(0x2e0419634d1424c8)};
static const sums sigmoid_sums = {UINT64_C(0x38f5733dbc903ef9), UINT64_C(0xd87098d42849be98)};

// ---- a cell as a function ------------------------------------------------------------------------------------------

// Device of one thread, with a row of inputs, a row of outputs, and a row of ones.
typedef struct seat {
    bptt_device *d;
    bptt_buf *buf;
    bptt_mat x, y, one;
} seat;

static void seat_close(seat *s)
{
    if (!s) return;
    if (s->d) s->d->backend.free(s->d, s->buf), s->d->backend.close(s->d);
    free(s);
}

static bptt_status seat_open(const bptt_backend *b, bptt_isa isa, void **out, bptt_error *e)
{
    seat *s = calloc(1, sizeof *s);
    if (!s) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a device");
    *out = s;
    bptt_status st = b->open(b, &(bptt_compute){.threads = 1, .isa = isa}, &s->d, e);
    if (!st) st = s->d->backend.alloc(s->d, 3 * SWEEP_CHUNK * sizeof(float), &s->buf, e);
    if (st) return st;
    s->x = (bptt_mat){.buf = s->buf, .rows = 1, .cols = SWEEP_CHUNK, .ld = SWEEP_CHUNK, .type = BPTT_F32};
    s->y = s->one = s->x;
    s->y.at = SWEEP_CHUNK, s->one.at = 2 * SWEEP_CHUNK;
    const bptt_op fill = {.opcode = BPTT_FILL, .value = 1, .arg = {s->one}};
    s->d->backend.op[BPTT_FILL](s->d, &fill, &(bptt_slots){0});
    return s->d->backend.sync(s->d, e);
}

// Writes x, runs the op, reads y.
static bptt_status through(seat *s, bptt_op *step, size_t n, const float *x, float *y, bptt_error *e)
{
    bptt_device *d = s->d;
    const bptt_mat in = bptt_cols(s->x, 0, n), out = bptt_cols(s->y, 0, n);
    bptt_status st = d->backend.write(d, in, x, BPTT_F32, e);
    if (st) return st;
    step->arg[0] = in;
    step->arg[step->opcode == BPTT_CELL_FORWARD ? 3 : 2] = out;
    if (step->opcode == BPTT_CELL_BACKWARD) step->arg[1] = bptt_cols(s->one, 0, n);
    d->backend.op[step->opcode](d, step, &(bptt_slots){0});
    return d->backend.read(d, y, BPTT_F32, out, e);
}

static bptt_status cell_values(void *own, size_t n, const float *x, float *y, bptt_error *e)
{
    bptt_op step = {.opcode = BPTT_CELL_FORWARD, .alpha = 1, .cell = BPTT_TANH};
    return through(own, &step, n, x, y, e);
}

static bptt_status cell_slopes(void *own, size_t n, const float *y, float *slope, bptt_error *e)
{
    bptt_op step = {.opcode = BPTT_CELL_BACKWARD, .alpha = 1, .cell = BPTT_TANH};
    return through(own, &step, n, y, slope, e);
}

// ---- the ways ------------------------------------------------------------------------------------------------------

static bptt_status way_open(sweep_way *w, const char *name, const bptt_backend *b, bptt_isa isa, unsigned threads,
                            bptt_error *e)
{
    *w = (sweep_way){.name = name, .values = cell_values, .slopes = cell_slopes};
    w->own = calloc(threads, sizeof *w->own);
    if (!w->own) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for %u threads", threads);
    bptt_status s = BPTT_OK;
    for (unsigned i = 0; !s && i < threads; i++) s = seat_open(b, isa, &w->own[i], e);
    return s;
}

static void ways_close(sweep_way *w, size_t ways, unsigned threads)
{
    for (size_t k = 0; k < ways; k++) {
        for (unsigned i = 0; w[k].own && i < threads; i++) seat_close(w[k].own[i]);
        free(w[k].own);
    }
}

// The widest loops come first, since training uses them. *ways counts the ways that ways_close must close, on failure
// too. `ref` repeats the plain width with the C library's fma for each operation, so it is used only in a sample.
static bptt_status tanh_ways(sweep_way *w, size_t *ways, bool sampled, unsigned threads, bptt_error *e)
{
    const bptt_backend cpu = bptt_cpu(), ref = bptt_ref_f32();
    bptt_status s = BPTT_OK;
    for (bptt_isa isa = BPTT_ISA_AVX512; !s && isa >= BPTT_ISA_PLAIN; isa--)
        if (bptt_cpu_loops(isa)) s = way_open(&w[(*ways)++], bptt_cpu_loops(isa), &cpu, isa, threads, e);
    return s || !sampled ? s : way_open(&w[(*ways)++], "ref", &ref, BPTT_ISA_AUTO, threads, e);
}

#define SIGMOID_OF(isa) \
    static bptt_status sigmoid_##isa(void *own, size_t n, const float *x, float *y, bptt_error *e) \
    { \
        (void)own, (void)e; \
        bptt_cpu_sigmoid(BPTT_ISA_##isa, n, x, y); \
        return BPTT_OK; \
    }
SIGMOID_OF(PLAIN)
SIGMOID_OF(AVX2)
SIGMOID_OF(AVX512)
#undef SIGMOID_OF

// The derivative of sigmoid from its value.
static bptt_status sigmoid_slopes(void *own, size_t n, const float *y, float *slope, bptt_error *e)
{
    (void)own, (void)e;
    for (size_t i = 0; i < n; i++) slope[i] = y[i] * (1 - y[i]);
    return BPTT_OK;
}

static void sigmoid_ways(sweep_way *w, size_t *ways)
{
    bptt_status (*const at[])(void *, size_t, const float *, float *, bptt_error *) = {
        [BPTT_ISA_PLAIN] = sigmoid_PLAIN, [BPTT_ISA_AVX2] = sigmoid_AVX2, [BPTT_ISA_AVX512] = sigmoid_AVX512};
    for (bptt_isa isa = BPTT_ISA_AVX512; isa >= BPTT_ISA_PLAIN; isa--)
        if (bptt_cpu_loops(isa))
            w[(*ways)++] = (sweep_way){.name = bptt_cpu_loops(isa), .values = at[isa], .slopes = sigmoid_slopes};
}

// ---- the lines -----------------------------------------------------------------------------------------------------

typedef struct sweep_report {
    const verify_options *o;
    size_t *failures;
    const char *what; // being swept
} sweep_report;

static void report_claim(const sweep_report *t, const char *claim, bool holds, const char *found)
{
    const evidence kind = t->o->exhaustive ? EVIDENCE_EXHAUSTIVE : EVIDENCE_SAMPLED;
    const verify_line line = {.part = "activation", .claim = claim, .kind = kind, .holds = holds, .found = found};
    if (!holds) ++*t->failures;
    if (t->o->line) t->o->line(t->o->user, &line);
}

static void show_sweep_progress(void *user, double done)
{
    const sweep_report *t = user;
    t->o->progress(t->o->user, t->what, done);
}

static void report_values(const sweep_report *t, const char *claim, const sweep *s, const sweep_verdict *v,
                          double limit)
{
    char found[400];
    const double slack = REFERENCE_ERROR * 0x1p24; // ulp, of a value below its power of two
    const uint64_t wrong = v->decreasing + v->outside + v->nan + v->odd + v->sign + v->flush;
    int n = snprintf(found, sizeof found,
                     "%" PRIu64 " floats by %s: worst %.4f ulp at x = %.9g, the binary64 reference off by at most %.1g "
                     "ulp; decreasing %" PRIu64 ", outside %" PRIu64 ", NaN wrong %" PRIu64,
                     v->judged, s->way[0].name, v->worst, (double)v->where, slack, v->decreasing, v->outside, v->nan);
    if (s->odd && n > 0 && n < (int)sizeof found)
        n += snprintf(found + n, sizeof found - (size_t)n, ", not odd %" PRIu64 ", sign of zero %" PRIu64, v->odd,
                      v->sign);
    if (s->flushes && n > 0 && n < (int)sizeof found)
        n += snprintf(found + n, sizeof found - (size_t)n, ", not flushed %" PRIu64, v->flush);
    if (v->flushed && n > 0 && n < (int)sizeof found)
        (void)snprintf(found + n, sizeof found - (size_t)n, "; %" PRIu64 " subnormal x taken for zero", v->flushed);
    report_claim(t, claim, wrong == 0 && v->worst + slack <= limit, found);
}

static void report_ways(const sweep_report *t, const char *claim, const sweep *s, const sweep_verdict *v,
                        const sums *known)
{
    char found[400];
    uint64_t unlike = 0;
    const uint64_t sum = s->sampled ? known->sampled : known->exhaustive;
    int n = snprintf(found, sizeof found, "sum of all bits %016" PRIx64 ", %s", v->sum,
                     v->sum == sum ? "as it should be" : "which is that of another text");
    if (n > 0 && n < (int)sizeof found) n += snprintf(found + n, sizeof found - (size_t)n, "; %s", s->way[0].name);
    for (size_t k = 1; k < s->ways; k++) {
        unlike += v->unlike[k];
        if (n > 0 && n < (int)sizeof found)
            n +=
                snprintf(found + n, sizeof found - (size_t)n, ", %s: %" PRIu64 " unlike", s->way[k].name, v->unlike[k]);
    }
    if (s->ways < 2 && n > 0 && n < (int)sizeof found)
        (void)snprintf(found + n, sizeof found - (size_t)n, " is the only way on this processor");
    report_claim(t, claim, unlike == 0 && v->sum == sum, found);
}

static void report_slopes(const sweep_report *t, const char *claim, const char *rule, const sweep_verdict *v,
                          double limit)
{
    char found[300];
    (void)snprintf(found, sizeof found,
                   "worst |%s| %.3g at x = %.9g, bound %.3g; outside 0..1 %" PRIu64
                   "; no bound of the relative error, which near |y| = 1 is as large as 1",
                   rule, v->worst_slope, (double)v->where_slope, limit, v->slopes_outside);
    report_claim(t, claim, v->slopes_outside == 0 && v->worst_slope + 3 * REFERENCE_ERROR <= limit, found);
}

// In units of 2^-24: an error of TANH_ULP in y is one of 2 TANH_ULP in y^2; the product and the difference round.
#define TANH_SLOPE ((2 * TANH_ULP + 1) * 0x1p-24)
// y (1 - y) changes by at most the error of y, and 1 - y is exact for y >= 1/2. For y < 1/2 the error of y is half as
// large, and 1 - y rounds by 2^-25, times y < 1/2: together less than the first. The product, below 1/4, rounds by
// 2^-27.
#define SIGMOID_SLOPE (SIGMOID_ULP * 0x1p-24 + 0x1p-27)

// ---- the part ------------------------------------------------------------------------------------------------------

// Number of threads that the cpu backend uses by default.
static bptt_status cores(unsigned *threads, bptt_error *e)
{
    const bptt_backend b = bptt_cpu();
    bptt_device *d = NULL;
    const bptt_status s = b.open(&b, &(bptt_compute){.threads = 0}, &d, e);
    if (s) return s;
    *threads = d->threads > 0 ? d->threads : 1;
    d->backend.close(d);
    return BPTT_OK;
}

static bptt_status sweep_tanh(sweep_report *t, sweep *s, bptt_error *e)
{
    sweep_way way[SWEEP_WAYS];
    sweep_verdict v;
    s->way = way, s->ways = 0;
    s->exact = reference_tanh, s->exact_slope = reference_tanh_slope;
    s->lowest = -1, s->highest = 1, s->odd = true, s->flushes = false;
    t->what = "activation: tanh";
    bptt_status st = tanh_ways(way, &s->ways, s->sampled, s->threads, e);
    if (!st) st = sweep_floats(s, &v, e);
    if (!st) {
        report_values(t, "tanh: error bounded, odd, monotone, in [-1, 1], NaN and infinities right", s, &v, TANH_ULP);
        report_slopes(t, "the rule 1 - y y gives the derivative of tanh at x, absolutely", "1 - y y - tanh' x", &v,
                      TANH_SLOPE);
        report_ways(t, "tanh has the same bits at every width of the cpu backend, and on every machine", s, &v,
                    &tanh_sums);
    }
    ways_close(way, s->ways, s->threads);
    return st;
}

static bptt_status sweep_sigmoid(sweep_report *t, sweep *s, bptt_error *e)
{
    sweep_way way[SWEEP_WAYS];
    sweep_verdict v;
    s->way = way, s->ways = 0;
    s->exact = reference_sigmoid, s->exact_slope = reference_sigmoid_slope;
    s->lowest = 0, s->highest = 1, s->odd = false, s->flushes = true;
    t->what = "activation: sigmoid";
    sigmoid_ways(way, &s->ways);
    const bptt_status st = sweep_floats(s, &v, e);
    if (st) return st;
    report_values(t, "sigmoid: error bounded, monotone, in [0, 1], NaN and infinities right", s, &v, SIGMOID_ULP);
    report_slopes(t, "the rule y (1 - y) gives the derivative of sigmoid at x, absolutely", "y (1 - y) - sigmoid' x",
                  &v, SIGMOID_SLOPE);
    report_ways(t, "sigmoid has the same bits at every width of the cpu backend, and on every machine", s, &v,
                &sigmoid_sums);
    return BPTT_OK;
}

bptt_status verify_activation(const verify_options *o, size_t *failures, bptt_error *e)
{
    sweep_report t = {.o = o, .failures = failures};
    sweep s = {
        .sampled = !o->exhaustive, .may_flush = true, .progress = o->progress ? show_sweep_progress : NULL, .user = &t};
    bptt_status st = cores(&s.threads, e);
    if (!st) st = sweep_tanh(&t, &s, e);
    return st ? st : sweep_sigmoid(&t, &s, e);
}
