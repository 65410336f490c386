// Every op of backend.h in plain loops, over any number type: include a number_*.h first, then this text once. It is
// the reference of the other backends, so it is written to be read, in the order of the list in backend.h.
#include "host_memory.h"

#include "cells.h"
#include "optimizers.h"

#include <string.h>

// cells.h has the elementwise cells of backend.h and BPTT_WHOLE.
#define CELL_ONE(number, forward, backward) +1
_Static_assert(0 CELL_LIST(CELL_ONE) == BPTT_PLAIN_CELLS + 1, "a cell of backend.h is not in cells.h");

// Element (i, j) of a matrix of reals.
static REAL *REF(at)(bptt_mat m, size_t i, size_t j)
{
    return (REAL *)m.buf->data + m.at + (m.t ? j * m.ld + i : i * m.ld + j);
}
static TOTAL *REF(total)(bptt_mat m, size_t i) { return (TOTAL *)m.buf->data + m.at + i * m.ld; }
static int32_t REF(id)(bptt_mat m, size_t i) { return ((const int32_t *)m.buf->data)[m.at + i * m.ld]; }
#define AT(m, i, j) (*REF(at)(m, i, j))

static void REF(copy)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat x = s->arg[0], y = s->arg[1];
    for (size_t i = 0; i < y.rows; i++)
        for (size_t j = 0; j < y.cols; j++) AT(y, i, j) = AT(x, i, j);
}

static void REF(fill)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat y = s->arg[0];
    for (size_t i = 0; i < y.rows; i++)
        for (size_t j = 0; j < y.cols; j++) AT(y, i, j) = REAL_OF(s->value);
}

// Computes a block of columns at a time, so that its sums stay in registers or cache during the loop over k.
static void REF(gemm)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    enum { BLOCK = 64 };
    const bptt_mat a = s->arg[0], b = s->arg[1], c = s->arg[2];
    const size_t across = b.t ? b.ld : 1; // from b(k, j) to b(k, j + 1)
    for (size_t j0 = 0; j0 < c.cols; j0 += BLOCK)
        for (size_t i = 0; i < c.rows; i++) {
            const size_t n = c.cols - j0 < BLOCK ? c.cols - j0 : BLOCK;
            TOTAL sum[BLOCK] = {0};
            for (size_t k = 0; k < a.cols; k++) {
                const TOTAL aik = TOTAL_FROM(AT(a, i, k));
                const REAL *bk = &AT(b, k, j0);
                if (across == 1)
                    for (size_t j = 0; j < n; j++) sum[j] = TOTAL_ADD(sum[j], TOTAL_MUL(aik, TOTAL_FROM(bk[j])));
                else
                    for (size_t j = 0; j < n; j++)
                        sum[j] = TOTAL_ADD(sum[j], TOTAL_MUL(aik, TOTAL_FROM(bk[j * across])));
            }
            for (size_t j = 0; j < n; j++) {
                const TOTAL ab = s->alpha < 0 ? TOTAL_NEG(sum[j]) : sum[j];
                AT(c, i, j0 + j) = REAL_FROM(s->beta ? TOTAL_ADD(TOTAL_FROM(AT(c, i, j0 + j)), ab) : ab);
            }
        }
}

static void REF(gather)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat id = s->arg[0], w = s->arg[1], z = s->arg[2];
    for (size_t i = 0; i < z.rows; i++)
        for (size_t j = 0; j < z.cols; j++) {
            const REAL x = AT(w, (size_t)REF(id)(id, i), j);
            AT(z, i, j) = s->beta ? ADD(AT(z, i, j), x) : x;
        }
}

static void REF(scatter)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat id = s->arg[0], dz = s->arg[1], dw = s->arg[2];
    for (size_t v = 0; v < dw.rows; v++)
        for (size_t j = 0; j < dw.cols; j++) {
            TOTAL sum = TOTAL_FROM(s->beta ? AT(dw, v, j) : ZERO);
            for (size_t i = 0; i < dz.rows; i++)
                if ((size_t)REF(id)(id, i) == v) sum = TOTAL_ADD(sum, TOTAL_FROM(AT(dz, i, j)));
            AT(dw, v, j) = REAL_FROM(sum);
        }
}

static void REF(scale_rows)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat k = s->arg[0], x = s->arg[1], y = s->arg[2];
    for (size_t i = 0; i < y.rows; i++)
        for (size_t j = 0; j < y.cols; j++) {
            const REAL kx = MUL(AT(k, i, 0), AT(x, i, j));
            AT(y, i, j) = s->beta ? ADD(AT(y, i, j), kx) : kx;
        }
}

static void REF(cell_forward)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat z = s->arg[0], b = s->arg[1], b2 = s->arg[2], h = s->arg[3];
    for (size_t i = 0; i < h.rows; i++)
        for (size_t j = 0; j < h.cols; j++) {
            REAL x = AT(z, i, j);
            if (b.buf) x = ADD(x, AT(b, 0, j));
            if (b2.buf) x = ADD(x, AT(b2, 0, j));
            AT(h, i, j) = cell_forward((int)s->cell, x);
        }
}

static void REF(cell_backward)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat y = s->arg[0], dy = s->arg[1], dz = s->arg[2];
    for (size_t i = 0; i < dz.rows; i++)
        for (size_t j = 0; j < dz.cols; j++) AT(dz, i, j) = cell_backward((int)s->cell, AT(y, i, j), AT(dy, i, j));
}

// One unit: blocks of row i of z in columns j, j + H, ..., states likewise. The lists may be empty.
#define GATES_FORWARD(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    if (cell == number) { \
        REAL zij[Z], b4[S], now[S]; \
        const size_t first2 = Z - b2.cols / H; /* of b2 */ \
        for (size_t k = 0; k < Z; k++) { \
            zij[k] = AT(z, i, k * H + j); \
            if (b.buf && k < b.cols / H) zij[k] = ADD(zij[k], AT(b, 0, k * H + j)); \
            if (b2.buf && k >= first2) zij[k] = ADD(zij[k], AT(b2, 0, (k - first2) * H + j)); \
        } \
        for (size_t k = 0; k < S; k++) b4[k] = AT(before, i, k * H + j); \
        forward(whole, zij, b4, now); \
        for (size_t k = 0; k < Z; k++) AT(z, i, k *H + j) = zij[k]; \
        for (size_t k = 0; k < S; k++) AT(after, i, k *H + j) = now[k]; \
    }

static void REF(gates_forward)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat z = s->arg[0], b = s->arg[1], b2 = s->arg[2], before = s->arg[3], after = s->arg[4];
    const size_t H = after.cols / bptt_cell_row_of(s->cell)->states;
    const int whole = s->cell >= BPTT_WHOLE, cell = (int)(s->cell % BPTT_WHOLE);
    for (size_t i = 0; i < after.rows; i++)
        for (size_t j = 0; j < H; j++) {
            (void)z, (void)b, (void)b2, (void)before, (void)cell;
            GATED_CELL_LIST(GATES_FORWARD)
        }
}

#define GATES_BACKWARD(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    if (cell == number) { \
        REAL zij[Z], b4[S], now[S], dnow[S], db4[S]; \
        for (size_t k = 0; k < Z; k++) zij[k] = AT(z, i, k * H + j); \
        for (size_t k = 0; k < S; k++) { \
            b4[k] = AT(before, i, k * H + j), now[k] = AT(after, i, k * H + j); \
            dnow[k] = AT(dafter, i, k * H + j); \
        } \
        backward(whole, zij, b4, now, dnow, db4); \
        for (size_t k = 0; k < Z; k++) AT(z, i, k *H + j) = zij[k]; \
        for (size_t k = 0; k < S; k++) AT(dbefore, i, k *H + j) = ADD(AT(dbefore, i, k * H + j), db4[k]); \
    }

static void REF(gates_backward)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat z = s->arg[0], before = s->arg[1], after = s->arg[2], dafter = s->arg[3], dbefore = s->arg[4];
    const size_t H = after.cols / bptt_cell_row_of(s->cell)->states;
    const int whole = s->cell >= BPTT_WHOLE, cell = (int)(s->cell % BPTT_WHOLE);
    for (size_t i = 0; i < after.rows; i++)
        for (size_t j = 0; j < H; j++) {
            (void)z, (void)before, (void)dafter, (void)dbefore, (void)cell;
            GATED_CELL_LIST(GATES_BACKWARD)
        }
}

// One unit of a mixed cell, with all blocks of its row of z.
#define EACH_MIXED(number, Z, call) \
    if (cell == number) { \
        REAL zij[Z]; \
        for (size_t k = 0; k < Z; k++) zij[k] = AT(z, i, k * H + j); \
        call; \
        for (size_t k = 0; k < Z; k++) AT(z, i, k *H + j) = zij[k]; \
    }
#define MIX(number, Z, mix, mix_backward) EACH_MIXED(number, Z, AT(u, i, j) = mix(whole, zij, AT(h, i, j)))
#define MIX_BACKWARD(number, Z, mix, mix_backward) \
    EACH_MIXED(number, Z, AT(dh, i, j) = ADD(AT(dh, i, j), mix_backward(whole, zij, AT(h, i, j), AT(du, i, j))))

static void REF(mix)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat z = s->arg[0], h = s->arg[1], u = s->arg[2];
    const size_t H = u.cols;
    const int whole = s->cell >= BPTT_WHOLE, cell = (int)(s->cell % BPTT_WHOLE);
    for (size_t i = 0; i < u.rows; i++)
        for (size_t j = 0; j < H; j++) {
            (void)z, (void)h, (void)cell, (void)whole;
            MIXED_CELL_LIST(MIX)
        }
}

static void REF(mix_backward)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat z = s->arg[0], h = s->arg[1], du = s->arg[2], dh = s->arg[3];
    const size_t H = du.cols;
    const int whole = s->cell >= BPTT_WHOLE, cell = (int)(s->cell % BPTT_WHOLE);
    for (size_t i = 0; i < du.rows; i++)
        for (size_t j = 0; j < H; j++) {
            (void)z, (void)h, (void)dh, (void)cell, (void)whole;
            MIXED_CELL_LIST(MIX_BACKWARD)
        }
}

static void REF(colsum)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat dz = s->arg[0], db = s->arg[1];
    for (size_t j = 0; j < db.cols; j++) {
        TOTAL sum = TOTAL_FROM(s->beta ? AT(db, 0, j) : ZERO);
        for (size_t i = 0; i < dz.rows; i++) sum = TOTAL_ADD(sum, TOTAL_FROM(AT(dz, i, j)));
        AT(db, 0, j) = REAL_FROM(sum);
    }
}

static void REF(add_row)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat b = s->arg[0], x = s->arg[1];
    for (size_t i = 0; i < x.rows; i++)
        for (size_t j = 0; j < x.cols; j++) AT(x, i, j) = ADD(AT(x, i, j), AT(b, 0, j));
}

// a - b before rounding.
static TOTAL REF(beyond)(REAL a, REAL b) { return TOTAL_SUB(TOTAL_FROM(a), TOTAL_FROM(b)); }

// *largest = max_j x[i][j] by real part; returns sum_j exp(x[i][j] - largest). Any NaN makes the sum NaN.
static TOTAL REF(partition)(bptt_mat x, size_t i, REAL *largest)
{
    REAL top = AT(x, i, 0);
    for (size_t j = 1; j < x.cols; j++)
        if (LESS(top, AT(x, i, j))) top = AT(x, i, j);
    TOTAL sum = TOTAL_FROM(ZERO);
    for (size_t j = 0; j < x.cols; j++) sum = TOTAL_ADD(sum, TOTAL_EXP(REF(beyond)(AT(x, i, j), top)));
    *largest = top;
    return sum;
}

static void REF(softmax_xent)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d;
    const bptt_mat id = s->arg[0], k = s->arg[1], x = s->arg[2], loss = s->arg[3];
    const double weight = slots->scalar[BPTT_WEIGHT];
    for (size_t i = 0; i < x.rows; i++) {
        REAL top;
        const TOTAL sum = REF(partition)(x, i, &top);
        const size_t target = (size_t)REF(id)(id, i);
        const TOTAL ki = TOTAL_FROM(AT(k, i, 0)), log_sum = TOTAL_ADD(TOTAL_LOG(sum), TOTAL_FROM(top));
        *REF(total)(loss, i) = TOTAL_MUL(ki, TOTAL_SUB(log_sum, TOTAL_FROM(AT(x, i, target))));
        if (!s->gradient) continue;
        const TOTAL scale = weight > 0 ? TOTAL_DIV(ki, TOTAL_OF(weight)) : TOTAL_FROM(ZERO);
        for (size_t j = 0; j < x.cols; j++) {
            const TOTAL p = TOTAL_DIV(TOTAL_EXP(REF(beyond)(AT(x, i, j), top)), sum);
            AT(x, i, j) = REAL_FROM(TOTAL_MUL(scale, j == target ? TOTAL_SUB(p, TOTAL_OF(1.0)) : p));
        }
    }
}

static void REF(dense_loss)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d;
    const bptt_mat y = s->arg[0], k = s->arg[1], x = s->arg[2], loss = s->arg[3];
    const double weight = slots->scalar[BPTT_WEIGHT];
    const TOTAL M = TOTAL_OF((double)x.cols);
    for (size_t i = 0; i < x.rows; i++) {
        const TOTAL ki = TOTAL_FROM(AT(k, i, 0));
        const TOTAL scale = weight > 0 ? TOTAL_DIV(TOTAL_DIV(ki, TOTAL_OF(weight)), M) : TOTAL_FROM(ZERO);
        TOTAL sum = TOTAL_FROM(ZERO);
        for (size_t j = 0; j < x.cols; j++) {
            const REAL xij = AT(x, i, j), yij = AT(y, i, j);
            sum = TOTAL_ADD(sum, TOTAL_FROM(loss_value((int)s->loss, xij, yij)));
            if (s->gradient) AT(x, i, j) = REAL_FROM(TOTAL_MUL(scale, TOTAL_FROM(loss_slope((int)s->loss, xij, yij))));
        }
        *REF(total)(loss, i) = TOTAL_MUL(ki, TOTAL_DIV(sum, M));
    }
}

static void REF(log_softmax)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat x = s->arg[0];
    for (size_t i = 0; i < x.rows; i++) {
        REAL top;
        const TOTAL log_sum = TOTAL_LOG(REF(partition)(x, i, &top));
        for (size_t j = 0; j < x.cols; j++) AT(x, i, j) = REAL_FROM(TOTAL_SUB(REF(beyond)(AT(x, i, j), top), log_sum));
    }
}

static void REF(sum)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat x = s->arg[0];
    TOTAL *const out = REF(total)(s->arg[1], 0);
    TOTAL sum = s->beta ? *out : TOTAL_FROM(ZERO);
    for (size_t i = 0; i < x.rows; i++)
        for (size_t j = 0; j < x.cols; j++) sum = TOTAL_ADD(sum, REF(total)(x, i)[j]);
    *out = sum;
}

static void REF(sumsq)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat x = s->arg[0];
    TOTAL sum = TOTAL_FROM(ZERO);
    for (size_t i = 0; i < x.rows; i++)
        for (size_t j = 0; j < x.cols; j++) {
            const TOTAL xij = TOTAL_FROM(AT(x, i, j));
            sum = TOTAL_ADD(sum, TOTAL_MUL(xij, xij));
        }
    *REF(total)(s->arg[1], 0) = sum;
}

#define UPDATE_CONSTANT(name, value) .name = REAL_OF(value),
#define UPDATE_LOOP(name, number, update, keeps_m, keeps_v) \
    for (size_t i = 0; rule->optimizer == (number) && i < w.rows; i++) \
        for (size_t j = 0; j < w.cols; j++) { \
            parameter p = {AT(w, i, j), ZERO, ZERO}; \
            if (keeps_m) p.m = AT(m, i, j); \
            if (keeps_v) p.v = AT(v, i, j); \
            p = update_element(number, k, AT(g, i, j), p); \
            if (keeps_m) AT(m, i, j) = p.m; \
            if (keeps_v) AT(v, i, j) = p.v; \
            AT(w, i, j) = p.w; \
        }

static void REF(update)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d;
    const bptt_mat w = s->arg[0], g = s->arg[1], m = s->arg[2], v = s->arg[3], stat = s->arg[4];
    const struct bptt_rule *const rule = &s->rule;
    const TOTAL *const at = REF(total)(stat, 0);
    const double loss = REAL_PART(at[STAT_LOSS]), norm = sqrt(REAL_PART(at[STAT_SUMSQ]));
    if (!isfinite(loss) || !isfinite(norm) || REAL_PART(at[STAT_BLOCKED]) != 0) return;
    const bool by_norm = rule->clip > 0 && rule->clip_mode == BPTT_CLIP_NORM && norm > rule->clip;
    const bool by_value = rule->clip > 0 && rule->clip_mode == BPTT_CLIP_VALUE;
    const update_constants k = {.scale = REAL_OF(by_norm ? rule->clip / (norm + 1e-6) : 1.0),
                                .limit = REAL_OF(by_value ? rule->clip : (double)INFINITY),
                                .rate = REAL_OF(slots->scalar[BPTT_RATE]),
                                .root = REAL_OF(slots->scalar[BPTT_ROOT]),
                                RULE_CONSTANT_LIST(UPDATE_CONSTANT)};
    OPTIMIZER_LIST(UPDATE_LOOP)
}

static void REF(guard)(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    TOTAL *const stat = REF(total)(s->arg[0], 0);
    if (!isfinite(REAL_PART(stat[STAT_LOSS])) || !isfinite(REAL_PART(stat[STAT_SUMSQ])))
        stat[STAT_BLOCKED] = TOTAL_OF(1.0);
}

static size_t REF(pad)(size_t cols) { return cols; }

static bptt_backend REF(backend)(void)
{
    return (bptt_backend){
        .name = REF_NAME,
        .real = REAL_TYPE,
        .sum = TOTAL_TYPE,
        .pad = REF(pad),
        .open = host_open,
        .close = host_close,
        .describe = host_describe,
        .alloc = host_alloc,
        .free = host_free,
        .write = host_write,
        .read = host_read,
        .sync = host_sync,
        .prepare = host_prepare,
        .run = host_run,
        .collect = host_collect,
        .forget = host_forget,
        .op =
            {
#define ENTRY_FUNCTION(name, function, roles, holds) [BPTT_##name] = REF(function),
                BPTT_OPCODE_LIST(ENTRY_FUNCTION)
#undef ENTRY_FUNCTION
            },
    };
}
