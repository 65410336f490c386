// Cells joined by context builders: the builders and the chain of bptt_cells.h.
#include "backend.h"
#include "elman.h"

// ---- the builders that are here already -----------------------------------------------------------------------------

static bptt_status check_context(const bptt_builder_call *at, bptt_error *e)
{
    const bptt_context *c = at->user;
    const bptt_elman *from = at->from, *to = at->to;
    const bool stack = c->kind == BPTT_STACK, feedback = c->kind == BPTT_FEEDBACK;
    if ((unsigned)c->kind > BPTT_FEEDBACK)
        return bptt_fail(e, BPTT_BAD_CONFIG, "no builder has the number %d", (int)c->kind);
    if (from->B != to->B || from->type != to->type)
        return bptt_fail(e, BPTT_BAD_CONFIG, "the cells on both sides of a builder must have one type and one B");
    if (stack && to->I != from->H)
        return bptt_fail(e, BPTT_BAD_CONFIG, "a cell of input width %zu cannot stand on one of %zu units", to->I,
                         from->H);
    if (!stack && to->H != from->H)
        return bptt_fail(e, BPTT_BAD_CONFIG, "%zu units cannot carry the state of %zu", to->H, from->H);
    if (!(stack ? c->h : feedback ? c->readout : c->x))
        return bptt_fail(e, BPTT_BAD_INPUT, "a builder lacks its %s", stack ? "h" : feedback ? "readout" : "x");
    if (c->kind == BPTT_RESET && !c->keep) return bptt_fail(e, BPTT_BAD_INPUT, "a builder lacks its keep");
    return BPTT_OK;
}

static bool is_float(const bptt_builder_call *at) { return at->from->type == BPTT_F32; }

static bptt_status apply(const bptt_builder_call *at, void *x, void *h, bptt_error *e)
{
    const bptt_status s = check_context(at, e);
    if (!s) (is_float(at) ? f32_builder_apply : f64_builder_apply)(at, x, h);
    return s;
}

static bptt_status jvp(const bptt_builder_call *at, const bptt_elman_trace *d, void *dx, void *dh, bptt_error *e)
{
    const bptt_status s = check_context(at, e);
    if (!s) (is_float(at) ? f32_builder_jvp : f64_builder_jvp)(at, d->next, dx, dh);
    return s;
}

static bptt_status vjp(const bptt_builder_call *at, const void *dx, const void *dh, const bptt_elman_trace *s,
                       bptt_error *e)
{
    const bptt_status st = check_context(at, e);
    if (!st) (is_float(at) ? f32_builder_vjp : f64_builder_vjp)(at, dx, dh, s->next);
    return st;
}

bptt_builder bptt_context_builder(const bptt_context *c)
{
    return (bptt_builder){apply, jvp, vjp, (void *)(uintptr_t)c}; // none of the three writes through it
}

// ---- the chain ------------------------------------------------------------------------------------------------------

static bptt_builder_call builder_call(const bptt_chain *c, size_t t, const bptt_elman_trace *trace)
{
    return (bptt_builder_call){c->join[t].user, &c->cell[t], &c->cell[t + 1], &trace[t]};
}

static bptt_status check_trace(const bptt_elman_trace *t, size_t steps, const char *what, bptt_error *e)
{
    if (!t) return bptt_fail(e, BPTT_BAD_INPUT, "the chain has no %s", what);
    for (size_t i = 0; i < steps; i++)
        if (!t[i].x || !t[i].h || !t[i].concat || !t[i].pre || !t[i].next)
            return bptt_fail(e, BPTT_BAD_INPUT, "a tensor of step %zu of the %s is NULL", i, what);
    return BPTT_OK;
}

static bptt_status check_chain(const bptt_chain *c, const bptt_elman_trace *trace, bptt_error *e)
{
    if (!c || c->steps == 0 || !c->cell) return bptt_fail(e, BPTT_BAD_CONFIG, "a chain needs at least one cell");
    if (c->steps > 1 && !c->join) return bptt_fail(e, BPTT_BAD_CONFIG, "a chain of more than one cell needs builders");
    for (size_t t = 0; t < c->steps; t++) {
        if (c->cell[t].type != c->cell[0].type)
            return bptt_fail(e, BPTT_BAD_CONFIG, "the cells of a chain must have one type");
        if (t + 1 < c->steps && (!c->join[t].apply || !c->join[t].jvp || !c->join[t].vjp))
            return bptt_fail(e, BPTT_BAD_INPUT, "builder %zu lacks one of its three functions", t);
    }
    return check_trace(trace, c->steps, "trace", e);
}

bptt_status bptt_chain_forward(const bptt_chain *c, const bptt_elman_trace *trace, bptt_error *e)
{
    bptt_status s = check_chain(c, trace, e);
    for (size_t t = 0; !s && t < c->steps; t++) {
        const bptt_elman_trace *a = &trace[t];
        s = bptt_elman_forward(&c->cell[t], a->x, a->h, a->concat, a->pre, a->next, e);
        if (s || t + 1 == c->steps) return s;
        const bptt_builder_call at = builder_call(c, t, trace);
        s = c->join[t].apply(&at, a[1].x, a[1].h, e);
    }
    return s;
}

bptt_status bptt_chain_jvp(const bptt_chain *c, const bptt_elman_trace *trace, const bptt_elman_trace *d,
                           const void *const *dW, const void *const *db, bptt_error *e)
{
    bptt_status s = check_chain(c, trace, e);
    if (!s) s = check_trace(d, c->steps, "tangent", e);
    for (size_t t = 0; !s && t < c->steps; t++) {
        const bptt_elman_trace *a = &trace[t], *v = &d[t];
        s = bptt_elman_jvp(&c->cell[t], a->concat, a->next, v->x, v->h, dW ? dW[t] : NULL, db ? db[t] : NULL, v->concat,
                           v->pre, v->next, e);
        if (s || t + 1 == c->steps) return s;
        const bptt_builder_call at = builder_call(c, t, trace);
        s = c->join[t].jvp(&at, v, v[1].x, v[1].h, e);
    }
    return s;
}

bptt_status bptt_chain_vjp(const bptt_chain *c, const bptt_elman_trace *trace, const bptt_elman_trace *s,
                           void *const *dW, void *const *db, bptt_error *e)
{
    bptt_status st = check_chain(c, trace, e);
    if (!st) st = check_trace(s, c->steps, "cotangent", e);
    for (size_t t = st ? 0 : c->steps; !st && t-- > 0;) {
        const bptt_elman_cotangent in = {s[t].x, s[t].h, s[t].concat, s[t].pre, s[t].next};
        st = bptt_elman_vjp(&c->cell[t], trace[t].concat, trace[t].next, &in, s[t].x, s[t].h, dW ? dW[t] : NULL,
                            db ? db[t] : NULL, e);
        if (st || t == 0) return st;
        const bptt_builder_call at = builder_call(c, t - 1, trace);
        st = c->join[t - 1].vjp(&at, s[t].x, s[t].h, &s[t - 1], e);
    }
    return st;
}
