// The seed's cell with all its saved tensors, row by row in plain loops, over any number type: include a number_*.h
// first. It shares only cells.h with the unrolled network, so that one can check the other. Declarations: elman.h.
#include "elman.h"

#include "cells.h"

// a b before rounding.
static TOTAL REF(times)(REAL a, REAL b) { return TOTAL_MUL(TOTAL_FROM(a), TOTAL_FROM(b)); }

// c = [x; h], z = W c + b, y = f(z).  concat, pre, next may be NULL.
void REF(elman_forward)(const bptt_elman *e, const void *x_, const void *h_, void *concat_, void *pre_, void *next_)
{
    const REAL *const W = e->W, *const b = e->b, *const x = x_, *const h = h_;
    REAL *const concat = concat_, *const pre = pre_, *const next = next_;
    const size_t I = e->I, H = e->H, C = I + H;
    for (size_t r = 0; r < e->B; r++) {
        for (size_t k = 0; concat && k < C; k++) concat[r * C + k] = k < I ? x[r * I + k] : h[r * H + k - I];
        for (size_t j = 0; j < H; j++) {
            TOTAL z = TOTAL_FROM(b[j]);
            for (size_t k = 0; k < I; k++) z = TOTAL_ADD(z, REF(times)(W[j * C + k], x[r * I + k]));
            for (size_t k = 0; k < H; k++) z = TOTAL_ADD(z, REF(times)(W[j * C + I + k], h[r * H + k]));
            const REAL rounded = REAL_FROM(z);
            if (pre) pre[r * H + j] = rounded;
            if (next) next[r * H + j] = cell_forward((int)e->cell, rounded);
        }
    }
}

// dz of one row and unit: s.pre + s.next f'(z).
static REAL REF(elman_dz)(const bptt_elman *e, const REAL *next, const bptt_elman_cotangent *s, size_t i)
{
    const REAL *const s_pre = s->pre, *const s_next = s->next;
    REAL dz = s_pre ? s_pre[i] : ZERO;
    if (s_next) dz = ADD(dz, cell_backward((int)e->cell, next[i], s_next[i]));
    return dz;
}

// dc = [dx; dh], dz = W dc + dW c + db, dy = f'(z) dz; a direction that is NULL is zero.
void REF(elman_jvp)(const bptt_elman *e, const void *concat_, const void *next_, const void *dx_, const void *dh_,
                    const void *dW_, const void *db_, void *dconcat_, void *dpre_, void *dnext_)
{
    const REAL *const W = e->W, *const concat = concat_, *const next = next_;
    const REAL *const dx = dx_, *const dh = dh_, *const dW = dW_, *const db = db_;
    REAL *const dconcat = dconcat_, *const dpre = dpre_, *const dnext = dnext_;
    const size_t I = e->I, H = e->H, C = I + H;
    for (size_t r = 0; r < e->B; r++) {
        for (size_t k = 0; dconcat && k < C; k++) {
            const REAL *const from = k < I ? dx : dh;
            dconcat[r * C + k] = !from ? ZERO : k < I ? from[r * I + k] : from[r * H + k - I];
        }
        for (size_t j = 0; j < H; j++) {
            TOTAL dz = TOTAL_FROM(db ? db[j] : ZERO);
            for (size_t k = 0; dx && k < I; k++) dz = TOTAL_ADD(dz, REF(times)(W[j * C + k], dx[r * I + k]));
            for (size_t k = 0; dh && k < H; k++) dz = TOTAL_ADD(dz, REF(times)(W[j * C + I + k], dh[r * H + k]));
            for (size_t k = 0; dW && k < C; k++) dz = TOTAL_ADD(dz, REF(times)(dW[j * C + k], concat[r * C + k]));
            const REAL rounded = REAL_FROM(dz);
            if (dpre) dpre[r * H + j] = rounded;
            if (dnext) dnext[r * H + j] = cell_backward((int)e->cell, next[r * H + j], rounded); // f' is a number
        }
    }
}

// dc = s.concat + W' dz, dx = s.x + dc[0:I], dh = s.h + dc[I:], dW += dz c', db += dz.
void REF(elman_vjp)(const bptt_elman *e, const void *concat_, const void *next, const bptt_elman_cotangent *s,
                    void *dx_, void *dh_, void *dW_, void *db_)
{
    const REAL *const W = e->W, *const concat = concat_;
    const REAL *const s_x = s->x, *const s_h = s->h, *const s_c = s->concat;
    REAL *const dx = dx_, *const dh = dh_, *const dW = dW_, *const db = db_;
    const size_t I = e->I, H = e->H, C = I + H;
    for (size_t r = 0; r < e->B; r++)
        for (size_t k = 0; k < C; k++) {
            TOTAL dc = TOTAL_FROM(s_c ? s_c[r * C + k] : ZERO);
            for (size_t j = 0; j < H; j++)
                dc = TOTAL_ADD(dc, REF(times)(W[j * C + k], REF(elman_dz)(e, next, s, r * H + j)));
            if (k < I && dx) dx[r * I + k] = ADD(s_x ? s_x[r * I + k] : ZERO, REAL_FROM(dc));
            if (k >= I && dh) dh[r * H + k - I] = ADD(s_h ? s_h[r * H + k - I] : ZERO, REAL_FROM(dc));
        }
    for (size_t r = 0; r < e->B; r++)
        for (size_t j = 0; j < H; j++) {
            const REAL dz = REF(elman_dz)(e, next, s, r * H + j);
            if (db) db[j] = ADD(db[j], dz);
            for (size_t k = 0; dW && k < C; k++) dW[j * C + k] = ADD(dW[j * C + k], MUL(dz, concat[r * C + k]));
        }
}
