// The context builders of bptt_cells.h over any number type, after elman_text.h. Only `next` of the step before has a
// derivative, so that is all they are given of a tangent or a cotangent.

// Source of x and h of the next step.
#define X_IS_NEXT(c) ((c)->kind == BPTT_STACK)
#define H_IS_GIVEN(c) ((c)->kind == BPTT_STACK)

// Factor from row r of next to h.
static REAL REF(kept)(const bptt_context *c, size_t r)
{
    return c->kind == BPTT_RESET ? ((const REAL *)c->keep)[r] : ONE;
}

// The same for derivatives.
static REAL REF(passed)(const bptt_context *c, size_t r)
{
    return c->kind == BPTT_TRUNCATE || H_IS_GIVEN(c) ? ZERO : REF(kept)(c, r);
}

// The first of the largest of readout * next.
static size_t REF(choice)(const REAL *readout, const REAL *next, size_t I, size_t H)
{
    size_t best = 0;
    TOTAL most = ZERO;
    for (size_t i = 0; i < I; i++) {
        TOTAL logit = ZERO;
        for (size_t j = 0; j < H; j++) logit += (TOTAL)readout[i * H + j] * (TOTAL)next[j];
        if (i == 0 || most < logit) best = i, most = logit;
    }
    return best;
}

void REF(builder_apply)(const bptt_builder_call *at, void *x_, void *h_)
{
    const bptt_context *c = at->user;
    const bptt_elman *from = at->from, *to = at->to;
    const REAL *const next = at->trace->next, *const x_from = X_IS_NEXT(c) ? next : c->x;
    REAL *const x = x_, *const h = h_;
    for (size_t r = 0; r < to->B; r++) {
        const size_t one = c->kind == BPTT_FEEDBACK ? REF(choice)(c->readout, next + r * from->H, to->I, from->H) : 0;
        for (size_t k = 0; k < to->I; k++)
            x[r * to->I + k] = c->kind != BPTT_FEEDBACK ? x_from[r * to->I + k] : k == one ? ONE : ZERO;
        for (size_t k = r * to->H; k < (r + 1) * to->H; k++)
            h[k] = H_IS_GIVEN(c) ? ((const REAL *)c->h)[k] : MUL(REF(kept)(c, r), next[k]);
    }
}

void REF(builder_jvp)(const bptt_builder_call *at, const void *dnext_, void *dx_, void *dh_)
{
    const bptt_context *c = at->user;
    const bptt_elman *to = at->to;
    const REAL *const dnext = dnext_;
    REAL *const dx = dx_, *const dh = dh_;
    for (size_t k = 0; k < to->B * to->I; k++) dx[k] = X_IS_NEXT(c) ? dnext[k] : ZERO;
    for (size_t r = 0; r < to->B; r++)
        for (size_t k = r * to->H; k < (r + 1) * to->H; k++)
            dh[k] = H_IS_GIVEN(c) ? ZERO : MUL(REF(passed)(c, r), dnext[k]);
}

void REF(builder_vjp)(const bptt_builder_call *at, const void *dx_, const void *dh_, void *s_next_)
{
    const bptt_context *c = at->user;
    const bptt_elman *from = at->from, *to = at->to;
    const REAL *const dx = dx_, *const dh = dh_;
    REAL *const s_next = s_next_;
    for (size_t r = 0; r < to->B; r++)
        for (size_t k = r * from->H; k < (r + 1) * from->H; k++)
            s_next[k] = ADD(s_next[k], X_IS_NEXT(c) ? dx[k] : MUL(REF(passed)(c, r), dh[k]));
}

#undef X_IS_NEXT
#undef H_IS_GIVEN
