// The seed's cell by itself: bptt_elman_forward, _vjp and _jvp of bptt_cells.h.
#include "backend.h"
#include "elman.h"

// The cell over each type of number; FP and DUAL are for proofs.
static const struct number {
    bptt_type type;
    void (*forward)(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, void *next);
    void (*vjp)(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s, void *dx,
                void *dh, void *dW, void *db);
} number[] = {
    {BPTT_F32, f32_elman_forward, f32_elman_vjp},
    {BPTT_F64, f64_elman_forward, f64_elman_vjp},
    {BPTT_FP, fp_elman_forward, fp_elman_vjp},
    {BPTT_DUAL, dual_elman_forward, dual_elman_vjp},
};

static const struct number *over(bptt_type type)
{
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
        if (number[i].type == type) return &number[i];
    return NULL;
}

static bptt_status check(const bptt_elman *e, bptt_error *error)
{
    if (!e || !e->B || !e->I || !e->H) return bptt_fail(error, BPTT_BAD_CONFIG, "B, I and H must be at least 1");
    if (e->I > SIZE_MAX - e->H) return bptt_fail(error, BPTT_BAD_CONFIG, "I + H is larger than any memory");
    if (!over(e->type))
        return bptt_fail(error, BPTT_BAD_CONFIG, "the cell's type must be BPTT_F32 or BPTT_F64, not %d", (int)e->type);
    if ((unsigned)e->cell >= BPTT_PLAIN_CELLS)
        return bptt_fail(error, BPTT_BAD_CONFIG, "no cell has the number %d", (int)e->cell);
    if (!e->W || !e->b) return bptt_fail(error, BPTT_BAD_INPUT, "the cell has no W or no b");
    return BPTT_OK;
}

bptt_status bptt_elman_forward(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, void *next,
                               bptt_error *error)
{
    const bptt_status s = check(e, error);
    if (s) return s;
    if (!x || !h) return bptt_fail(error, BPTT_BAD_INPUT, "the cell has no x or no h");
    over(e->type)->forward(e, x, h, concat, pre, next);
    return BPTT_OK;
}

bptt_status bptt_elman_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s,
                           void *dx, void *dh, void *dW, void *db, bptt_error *error)
{
    const bptt_status st = check(e, error);
    if (st) return st;
    if (!s) return bptt_fail(error, BPTT_BAD_INPUT, "no cotangent was given");
    if (s->next && !next) return bptt_fail(error, BPTT_BAD_INPUT, "a cotangent of next needs next");
    if (dW && !concat) return bptt_fail(error, BPTT_BAD_INPUT, "dW needs concat");
    over(e->type)->vjp(e, concat, next, s, dx, dh, dW, db);
    return BPTT_OK;
}

bptt_status bptt_elman_jvp(const bptt_elman *e, const void *concat, const void *next, const void *dx, const void *dh,
                           const void *dW, const void *db, void *dconcat, void *dpre, void *dnext, bptt_error *error)
{
    const bptt_status s = check(e, error);
    if (s) return s;
    if (dnext && !next) return bptt_fail(error, BPTT_BAD_INPUT, "dnext needs next");
    if (dW && !concat) return bptt_fail(error, BPTT_BAD_INPUT, "dW needs concat");
    (e->type == BPTT_F32 ? f32_elman_jvp : f64_elman_jvp)(e, concat, next, dx, dh, dW, db, dconcat, dpre, dnext);
    return BPTT_OK;
}
