// The complex step.
#include "stepper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double STEP = 1e-30;

// The leaves of a net: its tensors, then the first state, then the dense input.
typedef struct leaf {
    size_t i, n;
    char name[48];
    double *x, *got; // [n]: its value, its gradient
    double *z;       // [2n]: its value as complex numbers
} leaf;

// State and dense input of the complex run.
typedef struct complex_window {
    double *state, *dense; // [2 states], [2 inputs]; state owns both
} complex_window;

static void widen(const double *x, double *z, size_t n)
{
    for (size_t i = 0; i < n; i++) z[2 * i] = x[i], z[2 * i + 1] = 0;
}

static bptt_status read_leaf(stepper *p, leaf *l, bptt_error *e)
{
    const size_t tensors = bptt_model_tensors(p->real);
    const double *const value = l->i == tensors ? p->h0 : p->dense;
    bptt_status s = BPTT_OK;
    if (l->i < tensors) {
        s = bptt_model_read(p->real, BPTT_WEIGHTS, l->i, l->x, BPTT_F64, e);
        if (!s) s = bptt_model_read(p->real, BPTT_GRADIENT, l->i, l->got, BPTT_F64, e);
    } else {
        for (size_t i = 0; i < l->n; i++) l->x[i] = value[i];
        s = bptt_run_read(p->r, l->i == tensors ? BPTT_GRAD_STATE : BPTT_GRAD_INPUT, l->got, BPTT_F64, e);
    }
    widen(l->x, l->z, l->n);
    return s;
}

static bptt_status write_leaf(stepper *p, const leaf *l, complex_window *w, bptt_error *e)
{
    const size_t tensors = bptt_model_tensors(p->real);
    if (l->i < tensors) return bptt_model_write(p->complex_, BPTT_WEIGHTS, l->i, l->z, BPTT_C128, e);
    double *const to = l->i == tensors ? w->state : w->dense;
    for (size_t i = 0; i < 2 * l->n; i++) to[i] = l->z[i];
    return BPTT_OK;
}

// Derivative of the loss with respect to the moved element.
static bptt_status derivative(stepper *p, const complex_window *w, double *d, bptt_error *e)
{
    const bptt_window window = stepper_window(p, w->dense, BPTT_C128);
    bptt_device *const device = p->complex_->device;
    bptt_report report;
    double stat[2 * BPTT_OUTPUTS];
    bptt_status s = bptt_run_write_state(p->ahead, w->state, BPTT_C128, e);
    if (!s) s = bptt_run_evaluate(p->ahead, &window, &report, e);
    if (s == BPTT_NOT_FINITE) *d = (double)NAN;
    if (s) return s == BPTT_NOT_FINITE ? BPTT_OK : s;
    s = device->backend.read(device, stat, BPTT_C128, p->ahead->mem.stat, e);
    if (!s) *d = stat[1] / STEP / report.weight;
    return s;
}

static bptt_status compare_leaf(stepper *p, leaf *l, size_t most, complex_window *w, step_found *f, bptt_error *e)
{
    const size_t count = l->n < most ? l->n : most;
    double largest = 0, off = 0;
    bptt_status s = read_leaf(p, l, e);
    for (size_t j = 0; !s && j < count; j++) {
        const size_t k = j * l->n / count;
        double want = 0;
        l->z[2 * k + 1] = STEP;
        s = write_leaf(p, l, w, e);
        if (!s) s = derivative(p, w, &want, e);
        l->z[2 * k + 1] = 0;
        const double d = fabs(l->got[k] - want);
        largest = fmax(largest, fabs(want));
        off = d <= off ? off : isnan(d) ? (double)INFINITY : d;
    }
    if (!s) s = write_leaf(p, l, w, e);
    if (s) return s;
    f->elements += count;
    const double relative = off > 0 ? off / largest : 0;
    if (relative < f->worst) return BPTT_OK;
    f->worst = relative;
    (void)snprintf(f->where, sizeof f->where, "%s of %s V %zu I %zu H %zu L %zu B %zu T %zu", l->name,
                   bptt_cell_row_of(p->c.cell)->word, p->c.V, p->c.I, p->c.H, p->c.L, p->c.B, p->c.T);
    return BPTT_OK;
}

static bptt_status check_leaf(stepper *p, size_t i, size_t most, complex_window *w, step_found *f, bptt_error *e)
{
    const size_t tensors = bptt_model_tensors(p->real);
    leaf l = {.i = i, .n = i == tensors ? p->states : p->inputs};
    (void)snprintf(l.name, sizeof l.name, "%s", i == tensors ? "first state" : "dense input");
    if (i < tensors) {
        bptt_tensor t;
        const bptt_status s = bptt_model_tensor(p->real, i, &t, e);
        if (s) return s;
        l.n = t.rows * t.cols;
        (void)snprintf(l.name, sizeof l.name, "%s", t.name);
    }
    if (l.n == 0) return BPTT_OK;
    l.x = calloc(4 * l.n, sizeof *l.x);
    if (!l.x) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to check %s", l.name);
    l.got = l.x + l.n, l.z = l.x + 2 * l.n;
    const bptt_status s = compare_leaf(p, &l, most, w, f, e);
    free(l.x);
    return s;
}

bptt_status step_net(const bptt_backend *judged, const net_case *c, size_t most, step_found *f, bptt_error *e)
{
    stepper p;
    bptt_status s = stepper_open(&p, judged, c, e);
    if (s) return s;
    complex_window w = {.state = calloc(2 * (p.states + p.inputs), sizeof *w.state)};
    if (!w.state) s = bptt_fail(e, BPTT_NO_MEMORY, "no memory for a window");
    if (!s) {
        w.dense = w.state + 2 * p.states;
        widen(p.h0, w.state, p.states);
        widen(p.dense, w.dense, p.inputs);
        s = bptt_run_write_state(p.r, p.h0, BPTT_F64, e);
    }
    const bptt_window window = stepper_window(&p, p.dense, BPTT_F64);
    if (!s) s = bptt_run_gradient(p.r, &window, NULL, e);
    if (s == BPTT_NOT_FINITE) { // no error: a claim that does not hold, even if the elements that are compared do
        f->worst = (double)INFINITY;
        (void)snprintf(f->where, sizeof f->where, "a loss or a norm that is not finite");
        s = BPTT_OK;
    }
    for (size_t i = 0; !s && i < bptt_model_tensors(p.real) + 2; i++) s = check_leaf(&p, i, most, &w, f, e);
    free(w.state);
    stepper_close(&p);
    return s;
}
