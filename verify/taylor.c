// Convergence rates of Taylor remainders.
#include "stepper.h"

#include <math.h>
#include <stdlib.h>

typedef struct direction {
    size_t n;            // parameters, then the first state
    double *x, *d, *now; // [n]: where f(0) is, the direction, x + s d; x owns all
} direction;

static bptt_status each_tensor(stepper *p, bptt_part part, double *x, bool write, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < bptt_model_tensors(p->real); i++) {
        bptt_tensor t;
        s = bptt_model_tensor(p->real, i, &t, e);
        if (!s)
            s = write ? bptt_model_write(p->real, part, i, x, BPTT_F64, e)
                      : bptt_model_read(p->real, part, i, x, BPTT_F64, e);
        x += t.rows * t.cols;
    }
    return s;
}

// f(s); with slope not NULL also <gradient, direction> there. NaN where the loss or the gradient is not finite.
static bptt_status loss(stepper *p, direction *g, double s, double *f, double *slope, bptt_error *e)
{
    const size_t parameters = g->n - p->states;
    const bptt_window w = stepper_window(p, p->dense, BPTT_F64);
    bptt_report report = {.loss = (double)NAN};
    for (size_t i = 0; i < g->n; i++) g->now[i] = g->x[i] + s * g->d[i];
    bptt_status st = each_tensor(p, BPTT_WEIGHTS, g->now, true, e);
    if (!st) st = bptt_run_write_state(p->r, g->now + parameters, BPTT_F64, e);
    if (!st) st = slope ? bptt_run_gradient(p->r, &w, &report, e) : bptt_run_evaluate(p->r, &w, &report, e);
    if (st && st != BPTT_NOT_FINITE) return st;
    *f = report.loss;
    if (slope) *slope = (double)NAN;
    if (!slope || st) return BPTT_OK;
    st = each_tensor(p, BPTT_GRADIENT, g->now, false, e);
    if (!st) st = bptt_run_read(p->r, BPTT_GRAD_STATE, g->now + parameters, BPTT_F64, e);
    *slope = 0;
    for (size_t i = 0; i < g->n; i++) *slope += g->now[i] * g->d[i];
    return st;
}

static bptt_status measure_rates(stepper *p, direction *g, double *least, double *largest, bptt_error *e)
{
    enum { FIRST = 8, LAST = 12 }; // steps 2^-8 .. 2^-12: the rest is far above the rounding of f, and of second order
    double f0 = 0, slope = 0, before = 0;
    *least = (double)INFINITY, *largest = -(double)INFINITY;
    bptt_status s = each_tensor(p, BPTT_WEIGHTS, g->x, false, e);
    if (!s) s = loss(p, g, 0, &f0, &slope, e);
    for (int k = FIRST; !s && k <= LAST; k++) {
        const double step = ldexp(1, -k);
        double f = 0;
        s = loss(p, g, step, &f, NULL, e);
        const double rest = fabs(f - f0 - step * slope), rate = log2(before / rest);
        const bool number = isfinite(rate);
        if (k > FIRST) *least = fmin(*least, number ? rate : -(double)INFINITY);
        if (k > FIRST) *largest = fmax(*largest, number ? rate : (double)INFINITY);
        before = rest;
    }
    return s;
}

bptt_status taylor_net(const bptt_backend *judged, const net_case *c, double *least, double *largest, bptt_error *e)
{
    stepper p;
    bptt_status s = stepper_open(&p, judged, c, e);
    if (s) return s;
    direction g = {.n = bptt_model_parameters(p.real) + p.states};
    uint64_t random = 5;
    g.x = calloc(3 * g.n, sizeof *g.x);
    if (!g.x) s = bptt_fail(e, BPTT_NO_MEMORY, "no memory for a direction");
    if (!s) {
        g.d = g.x + g.n, g.now = g.d + g.n;
        for (size_t i = 0; i < p.states; i++) g.x[g.n - p.states + i] = p.h0[i];
        for (size_t i = 0; i < g.n; i++) g.d[i] = stepper_draw(&random) / sqrt((double)c->H);
        s = measure_rates(&p, &g, least, largest, e);
    }
    free(g.x);
    stepper_close(&p);
    return s;
}
