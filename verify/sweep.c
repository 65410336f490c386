// Sweeps floats in ascending order in chunks on several threads; each chunk includes the last float of its predecessor.
#define _POSIX_C_SOURCE 200809L

#include "sweep.h"
#include "every_float.h"

#include <float.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CHUNKS = FLOATS / SWEEP_CHUNK };

typedef struct shared {
    const sweep *s;
    atomic_uint next; // chunk that nobody has begun
    atomic_bool failed;
} shared;

typedef struct worker {
    shared *all;
    unsigned number;
    sweep_verdict v;
    bptt_status status;
    bptt_error e;
    float x[SWEEP_CHUNK + 1], y[SWEEP_CHUNK + 1], other[SWEEP_CHUNK + 1];
    double exact[SWEEP_CHUNK + 1];
} worker;

// ---- one value -----------------------------------------------------------------------------------------------------

// NaN is the worst error. Of equal errors the one at the largest x is reported, independent of the threads.
static bool worse(double e, float x, double worst, float where) { return !(e <= worst) || (e == worst && x > where); }

static void check_value(const sweep *s, float x, double exact, float before, float y, sweep_verdict *v)
{
    v->judged++;
    if (isnan(exact) || isnan(y)) {
        v->nan += !(isnan(exact) && isnan(y)); // NaN for a number, or a number for NaN
        return;
    }
    v->decreasing += y < before;
    v->outside += (double)y >= s->lowest && (double)y <= s->highest ? 0 : 1;
    v->sign += s->odd && (bits_of_float(y) ^ bits_of_float(x)) >> 31 != 0;
    if (s->flushes && exact < (double)FLT_MIN) {
        v->flush += bits_of_float(y) != 0;
        return;
    }
    if (s->may_flush && y == 0 && fabs(exact) < (double)FLT_MIN) {
        v->flushed += x != 0;
        return;
    }
    const double e = ulp_error(y, exact);
    if (worse(e, x, v->worst, v->where)) v->worst = e, v->where = x;
}

static void check_slope(const sweep *s, float x, double exact, float slope, sweep_verdict *v)
{
    if (isnan(x)) {
        v->nan += isnan(slope) ? 0 : 1;
        return;
    }
    v->slopes_outside += !(slope >= 0 && slope <= 1);
    const double e = fabs((double)slope - s->exact_slope(exact));
    if (worse(e, x, v->worst_slope, v->where_slope)) v->worst_slope = e, v->where_slope = x;
}

// True if two results for one x are equal: same bits, or both NaN, or, where flushing is allowed, both zero or x.
static bool alike(const sweep *s, float x, float a, float b)
{
    const uint32_t u = bits_of_float(a), w = bits_of_float(b);
    if (u == w || (isnan(a) && isnan(b))) return true;
    const bool tiny = s->may_flush && fabsf(x) < FLT_MIN;
    return tiny && u >> 31 == w >> 31 && (a == 0 || a == x) && (b == 0 || b == x);
}

// Contribution of a value to the checksum: its bits, except where correct machines may differ (NaN, flushed values).
static uint64_t weight_of(const sweep *s, float x, float y)
{
    if (isnan(y)) return 1;
    return s->may_flush && fabsf(x) < FLT_MIN ? 0 : bits_of_float(y);
}

// ---- a chunk -------------------------------------------------------------------------------------------------------

static void *own_of(const sweep_way *way, unsigned thread) { return way->own ? way->own[thread] : NULL; }

static bptt_status mirror(worker *w)
{
    const sweep *s = w->all->s;
    float minus[SWEEP_CHUNK + 1];
    for (size_t i = 1; i <= SWEEP_CHUNK; i++) minus[i] = -w->x[i];
    const bptt_status st = s->way[0].values(own_of(&s->way[0], w->number), SWEEP_CHUNK, minus + 1, w->other + 1, &w->e);
    for (size_t i = 1; !st && i <= SWEEP_CHUNK; i++)
        w->v.odd += !isnan(w->y[i]) && bits_of_float(w->y[i]) != (bits_of_float(w->other[i]) ^ 0x80000000u);
    return st;
}

static bptt_status do_chunk(worker *w, uint64_t c)
{
    const sweep *s = w->all->s;
    const sweep_way *first = &s->way[0];
    void *const own = own_of(first, w->number);
    for (size_t i = 0; i <= SWEEP_CHUNK; i++) w->x[i] = nth_float(c * SWEEP_CHUNK + i - (c + i > 0));
    bptt_status st = first->values(own, 1, w->x, w->y, &w->e); // alone, so that chunks stay aligned
    if (!st) st = first->values(own, SWEEP_CHUNK, w->x + 1, w->y + 1, &w->e);
    for (size_t i = 1; !st && i <= SWEEP_CHUNK; i++) {
        w->exact[i] = s->exact((double)w->x[i]);
        check_value(s, w->x[i], w->exact[i], w->y[i - 1], w->y[i], &w->v);
        w->v.sum += weight_of(s, w->x[i], w->y[i]) * (2 * (c * SWEEP_CHUNK + i) + 1);
    }
    if (!st && s->odd) st = mirror(w);
    if (!st && first->slopes) st = first->slopes(own, SWEEP_CHUNK, w->y + 1, w->other + 1, &w->e);
    for (size_t i = 1; !st && first->slopes && i <= SWEEP_CHUNK; i++)
        check_slope(s, w->x[i], w->exact[i], w->other[i], &w->v);
    for (size_t k = 1; !st && k < s->ways; k++) {
        st = s->way[k].values(own_of(&s->way[k], w->number), SWEEP_CHUNK, w->x + 1, w->other + 1, &w->e);
        for (size_t i = 1; !st && i <= SWEEP_CHUNK; i++) w->v.unlike[k] += !alike(s, w->x[i], w->y[i], w->other[i]);
    }
    return st;
}

// True at the branch points of the formulas in device/f32.h and at the ends of the range.
static bool at_a_border(uint64_t c)
{
    static const float border[] = {0, FLT_MIN, 0.55f, 1, 9.01f, 10, 87.33654f, 88.72283f, FLT_MAX};
    for (size_t i = 0; i < sizeof border / sizeof border[0]; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const uint64_t at = place_of((float)sign * border[i]) / SWEEP_CHUNK;
            if (c == at || c + 1 == at || c == at + 1) return true;
        }
    return false;
}

static void *work(void *arg)
{
    worker *w = arg;
    const sweep *s = w->all->s;
    for (;;) {
        const unsigned c = atomic_fetch_add(&w->all->next, 1);
        if (c >= CHUNKS || w->status || atomic_load(&w->all->failed)) return NULL;
        if (s->sampled && c % SWEEP_STRIDE != 0 && !at_a_border(c)) continue;
        w->status = do_chunk(w, c);
        if (w->status) atomic_store(&w->all->failed, true);
        if (s->progress && w->number == 0 && c % 16 == 0) s->progress(s->user, (double)c / CHUNKS);
    }
}

// ---- all of them ---------------------------------------------------------------------------------------------------

static void add_verdict(const sweep_verdict *o, sweep_verdict *v)
{
    if (worse(o->worst, o->where, v->worst, v->where)) v->worst = o->worst, v->where = o->where;
    if (worse(o->worst_slope, o->where_slope, v->worst_slope, v->where_slope))
        v->worst_slope = o->worst_slope, v->where_slope = o->where_slope;
    v->judged += o->judged;
    v->decreasing += o->decreasing;
    v->outside += o->outside;
    v->nan += o->nan;
    v->odd += o->odd;
    v->sign += o->sign;
    v->flush += o->flush;
    v->slopes_outside += o->slopes_outside;
    v->flushed += o->flushed;
    v->sum += o->sum;
    for (size_t k = 0; k < SWEEP_WAYS; k++) v->unlike[k] += o->unlike[k];
}

uint64_t sweep_wrong(const sweep_verdict *v)
{
    uint64_t n = v->decreasing + v->outside + v->nan + v->odd + v->sign + v->flush + v->slopes_outside;
    for (size_t k = 0; k < SWEEP_WAYS; k++) n += v->unlike[k];
    return n;
}

bptt_status sweep_floats(const sweep *s, sweep_verdict *v, bptt_error *e)
{
    shared all = {.s = s};
    worker *w = calloc(s->threads, sizeof *w);
    pthread_t *thread = calloc(s->threads, sizeof *thread);
    unsigned started = 1; // this one
    bptt_status st = BPTT_OK;
    for (unsigned i = 0; w && i < s->threads; i++) w[i].all = &all, w[i].number = i;
    while (w && thread && started < s->threads && pthread_create(&thread[started], NULL, work, &w[started]) == 0)
        started++;
    if (w && thread)
        (void)work(&w[0]);
    else
        st = bptt_fail(e, BPTT_NO_MEMORY, "no memory for %u threads", s->threads);
    *v = (sweep_verdict){0};
    for (unsigned i = 0; !st && i < started; i++) {
        if (i > 0) pthread_join(thread[i], NULL);
        add_verdict(&w[i].v, v);
    }
    for (unsigned i = 0; !st && i < started; i++)
        if (w[i].status) st = bptt_fail(e, w[i].status, "%.500s", w[i].e.words);
    free(thread);
    free(w);
    return st;
}
