// The adjoint identity of the seed's cell, exactly.
#include "identity.h"
#include "modp.h"

#include <stdlib.h>
#include <string.h>

enum leaf { X, HID, WEIGHT, BIAS, LEAVES };              // inputs of the cell
enum trace { S_X, S_H, S_CONCAT, S_PRE, S_NEXT, TRACE }; // the tensors of its trace

typedef struct cell_work {
    bptt_elman e;
    size_t n[LEAVES], m[TRACE];
    uint64_t *in[LEAVES], *v[LEAVES], *grad[LEAVES], *was[LEAVES];
    uint64_t *pair[LEAVES];                       // in + e v: two words each
    uint64_t *y[TRACE], *s[TRACE], *moved[TRACE]; // the trace, its cotangents, the trace over dual numbers
    uint64_t *words;                              // behind all of them
} cell_work;

static bptt_status work_open(cell_work *k, const cell_case *c, bptt_error *e)
{
    const size_t B = c->B, I = c->I, H = c->H;
    *k = (cell_work){.e = {.type = BPTT_FP, .cell = c->cell, .B = B, .I = I, .H = H},
                     .n = {B * I, B * H, H * (I + H), H},
                     .m = {B * I, B * H, B * (I + H), B * H, B * H}};
    size_t all = 0;
    for (int i = 0; i < LEAVES; i++) all += 6 * k->n[i];
    for (int i = 0; i < TRACE; i++) all += 4 * k->m[i];
    k->words = calloc(all, sizeof *k->words);
    if (!k->words) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to check a cell");
    uint64_t *at = k->words, random = 1 + c->slots;
    for (int i = 0; i < LEAVES; i++) {
        const size_t n = k->n[i];
        k->in[i] = modp_carve(&at, n), k->v[i] = modp_carve(&at, n), k->grad[i] = modp_carve(&at, n),
        k->was[i] = modp_carve(&at, n);
        k->pair[i] = modp_carve(&at, 2 * n);
        modp_draw(&random, k->in[i], n), modp_draw(&random, k->v[i], n), modp_draw(&random, k->was[i], n);
        memcpy(k->grad[i], k->was[i], n * sizeof *at);
        for (size_t j = 0; j < n; j++) k->pair[i][2 * j] = k->in[i][j], k->pair[i][2 * j + 1] = k->v[i][j];
    }
    for (int i = 0; i < TRACE; i++) {
        const size_t m = k->m[i];
        k->y[i] = modp_carve(&at, m), k->s[i] = modp_carve(&at, m), k->moved[i] = modp_carve(&at, 2 * m);
        modp_draw(&random, k->s[i], m);
    }
    return BPTT_OK;
}

static bptt_status run_cell_forward(const cell_calls *judged, cell_work *k, bptt_error *e)
{
    memcpy(k->y[S_X], k->in[X], k->n[X] * sizeof(uint64_t));
    memcpy(k->y[S_H], k->in[HID], k->n[HID] * sizeof(uint64_t));
    memcpy(k->moved[S_X], k->pair[X], 2 * k->n[X] * sizeof(uint64_t));
    memcpy(k->moved[S_H], k->pair[HID], 2 * k->n[HID] * sizeof(uint64_t));
    bptt_elman over = k->e;
    over.W = k->in[WEIGHT], over.b = k->in[BIAS];
    const bptt_status s = judged->forward(&over, k->in[X], k->in[HID], k->y[S_CONCAT], k->y[S_PRE], k->y[S_NEXT], e);
    if (s) return s;
    over.type = BPTT_DUAL, over.W = k->pair[WEIGHT], over.b = k->pair[BIAS];
    return judged->forward(&over, k->pair[X], k->pair[HID], k->moved[S_CONCAT], k->moved[S_PRE], k->moved[S_NEXT], e);
}

static bptt_status run_cell_reverse(const cell_calls *judged, cell_work *k, unsigned slots, bptt_error *e)
{
    const uint64_t *given[TRACE];
    for (int i = 0; i < TRACE; i++) given[i] = slots >> i & 1 ? k->s[i] : NULL;
    const bptt_elman_cotangent s = {given[S_X], given[S_H], given[S_CONCAT], given[S_PRE], given[S_NEXT]};
    bptt_elman over = k->e;
    over.W = k->in[WEIGHT], over.b = k->in[BIAS];
    return judged->vjp(&over, k->y[S_CONCAT], k->y[S_NEXT], &s, k->grad[X], k->grad[HID], k->grad[WEIGHT],
                       k->grad[BIAS], e);
}

// concat = [x; h] and pre = W concat + b; over dual numbers the same values.
static bool follows_formula(const cell_work *k)
{
    const size_t I = k->e.I, H = k->e.H, C = I + H;
    bool same = true;
    for (size_t r = 0; r < k->e.B; r++) {
        const uint64_t *const c = k->y[S_CONCAT] + r * C;
        for (size_t i = 0; i < C; i++) same &= c[i] == (i < I ? k->in[X][r * I + i] : k->in[HID][r * H + i - I]);
        for (size_t j = 0; j < H; j++)
            same &= k->y[S_PRE][r * H + j] == modp_add(modp_dot(k->in[WEIGHT] + j * C, c, C), k->in[BIAS][j]);
    }
    for (int i = 0; i < TRACE; i++)
        for (size_t j = 0; j < k->m[i]; j++) same &= k->moved[i][2 * j] == k->y[i][j];
    return same;
}

static bool is_adjoint(const cell_work *k, unsigned slots)
{
    uint64_t left = 0, right = 0;
    for (int i = 0; i < TRACE; i++)
        for (size_t j = 0; slots >> i & 1 && j < k->m[i]; j++)
            left = modp_add(left, modp_mul(k->moved[i][2 * j + 1], k->s[i][j]));
    for (int i = 0; i < LEAVES; i++) {
        right = modp_add(right, modp_dot(k->v[i], k->grad[i], k->n[i]));
        if (i == WEIGHT || i == BIAS) right = modp_sub(right, modp_dot(k->v[i], k->was[i], k->n[i]));
    }
    return left == right;
}

bptt_status identity_cell(const cell_calls *judged, const cell_case *c, cell_verdict *v, bptt_error *e)
{
    cell_work k;
    bptt_status s = work_open(&k, c, e);
    if (!s) s = run_cell_forward(judged, &k, e);
    if (!s) s = run_cell_reverse(judged, &k, c->slots, e);
    if (!s) *v = (cell_verdict){follows_formula(&k), is_adjoint(&k, c->slots)};
    free(k.words);
    return s;
}
