// Ops on one thread. Other ops, and ops with transposed operands, run as in `ref`.
#include "ops.h"
#include "host_memory.h"

#include <math.h>
#include <string.h>

static float *at(bptt_mat m, size_t i) { return (float *)m.buf->data + m.at + i * m.ld; }
static double *total(bptt_mat m, size_t i) { return (double *)m.buf->data + m.at + i * m.ld; }
static size_t id(bptt_mat m, size_t i) { return (size_t)((const int32_t *)m.buf->data)[m.at + i * m.ld]; }

enum { BLOCK = 16 };

// y = x', in square blocks that fit in cache.
static void transpose(bptt_mat x, bptt_mat y)
{
    const float *const from = (const float *)x.buf->data + x.at;
    float *const to = (float *)y.buf->data + y.at;
    for (size_t i0 = 0; i0 < y.rows; i0 += BLOCK)
        for (size_t j0 = 0; j0 < y.cols; j0 += BLOCK)
            for (size_t i = i0; i < y.rows && i < i0 + BLOCK; i++)
                for (size_t j = j0; j < y.cols && j < j0 + BLOCK; j++) to[i * y.ld + j] = from[j * x.ld + i];
}

static void copy(const bptt_op *s)
{
    const bptt_mat x = s->arg[0], y = s->arg[1];
    if (x.t)
        transpose(x, y);
    else
        for (size_t i = 0; i < y.rows; i++) memmove(at(y, i), at(x, i), y.cols * sizeof(float));
}

static void gemm(const cpu_tools *c, const bptt_op *s, const float *packed, unsigned thread)
{
    const bptt_mat a = s->arg[0], b = s->arg[1], y = s->arg[2];
    c->loops->product(a.t, y.rows, y.cols, a.cols, at(a, 0), a.ld, packed ? packed : at(b, 0), packed ? 0 : b.ld,
                      s->beta, at(y, 0), y.ld, c->room + thread * c->loops->room);
}

static void gather(const cpu_tools *c, const bptt_op *s)
{
    const bptt_mat ids = s->arg[0], w = s->arg[1], z = s->arg[2];
    for (size_t i = 0; i < z.rows; i++)
        if (s->beta)
            c->loops->add(z.cols, at(w, id(ids, i)), at(z, i));
        else
            memcpy(at(z, i), at(w, id(ids, i)), z.cols * sizeof(float));
}

static void scatter(const cpu_tools *c, const bptt_op *s)
{
    const bptt_mat ids = s->arg[0], dz = s->arg[1], dw = s->arg[2];
    for (size_t v = 0; !s->beta && v < dw.rows; v++) memset(at(dw, v), 0, dw.cols * sizeof(float));
    for (size_t i = 0; i < dz.rows; i++) c->loops->add(dz.cols, at(dz, i), at(dw, id(ids, i)));
}

// Sums chunks of CHUNK rows, then the sums: each element passes through at most N / CHUNK + CHUNK additions, not N.
enum { CHUNK = 64, WIDTH = 512 };

static void colsum(const cpu_tools *c, const bptt_op *s)
{
    const bptt_mat dz = s->arg[0], db = s->arg[1];
    if (!s->beta) memset(at(db, 0), 0, db.cols * sizeof(float));
    for (size_t j = 0; j < db.cols; j += WIDTH) {
        const size_t n = db.cols - j < WIDTH ? db.cols - j : WIDTH;
        for (size_t i0 = 0; i0 < dz.rows; i0 += CHUNK) {
            float sum[WIDTH] = {0};
            for (size_t i = i0; i < dz.rows && i < i0 + CHUNK; i++) c->loops->add(n, at(dz, i) + j, sum);
            c->loops->add(n, sum, at(db, 0) + j);
        }
    }
}

static void softmax_xent(const cpu_tools *c, const bptt_op *s, const bptt_slots *slots)
{
    const bptt_mat ids = s->arg[0], k = s->arg[1], x = s->arg[2], loss = s->arg[3];
    const double weight = slots->scalar[BPTT_WEIGHT];
    for (size_t i = 0; i < x.rows; i++) {
        const double ki = (double)*at(k, i);
        *total(loss, i) =
            c->loops->xent(x.cols, at(x, i), id(ids, i), ki, s->gradient, weight > 0 ? (float)(ki / weight) : 0);
    }
}

static void update(const cpu_tools *c, const bptt_op *s, const bptt_slots *slots)
{
    const bptt_mat w = s->arg[0], g = s->arg[1], m = s->arg[2], v = s->arg[3], stat = s->arg[4];
    const struct bptt_rule *o = &s->rule;
    const double *const at_stat = total(stat, 0), loss = at_stat[STAT_LOSS], norm = sqrt(at_stat[STAT_SUMSQ]);
    if (!isfinite(loss) || !isfinite(norm) || at_stat[STAT_BLOCKED] != 0) return;
    const bool by_norm = o->clip > 0 && o->clip_mode == BPTT_CLIP_NORM && norm > o->clip;
    const bool by_value = o->clip > 0 && o->clip_mode == BPTT_CLIP_VALUE;
    for (size_t i = 0; i < w.rows; i++)
        c->loops->update(o, w.cols, at(w, i), at(g, i), m.buf ? at(m, i) : NULL, v.buf ? at(v, i) : NULL,
                         (float)(by_norm ? o->clip / (norm + 1e-6) : 1.0), by_value ? (float)o->clip : INFINITY,
                         (float)slots->scalar[BPTT_RATE], (float)slots->scalar[BPTT_ROOT]);
}

static void cell(const cpu_tools *c, const bptt_op *s)
{
    const bptt_mat b = s->arg[1], b2 = s->arg[2];
    if (s->opcode == BPTT_CELL_FORWARD)
        for (size_t i = 0; i < s->arg[3].rows; i++)
            c->loops->cell_forward(s->cell, s->arg[3].cols, at(s->arg[0], i), b.buf ? at(b, 0) : NULL,
                                   b2.buf ? at(b2, 0) : NULL, at(s->arg[3], i));
    else
        for (size_t i = 0; i < s->arg[2].rows; i++)
            c->loops->cell_backward(s->cell, s->arg[2].cols, at(s->arg[0], i), at(s->arg[1], i), at(s->arg[2], i));
}

static void gates(const cpu_tools *c, const bptt_op *s)
{
    const bptt_mat z = s->arg[0], b = s->arg[1], b2 = s->arg[2], *const m = s->arg;
    const bool forward = s->opcode == BPTT_GATES_FORWARD;
    const size_t H = m[4].cols / bptt_cell_row_of(s->cell)->states;
    for (size_t i = 0; i < z.rows; i++)
        if (forward)
            c->loops->gates_forward(s->cell, H, at(z, i), b.buf ? at(b, 0) : NULL, b.cols / H,
                                    b2.buf ? at(b2, 0) : NULL, b2.cols / H, at(m[3], i), at(m[4], i));
        else
            c->loops->gates_backward(s->cell, H, at(z, i), at(m[1], i), at(m[2], i), at(m[3], i), at(m[4], i));
}

static void mix(const cpu_tools *c, const bptt_op *s)
{
    const bptt_mat z = s->arg[0], h = s->arg[1], u = s->arg[2], dh = s->arg[3];
    for (size_t i = 0; i < z.rows; i++)
        if (s->opcode == BPTT_MIX)
            c->loops->mix(s->cell, u.cols, at(z, i), at(h, i), at(u, i));
        else
            c->loops->mix_backward(s->cell, u.cols, at(z, i), at(h, i), at(u, i), at(dh, i));
}

// Sums fixed pieces, so that the result does not depend on padding and tiles.
static void sumsq(const cpu_tools *c, const bptt_op *s)
{
    enum { PIECE = 1 << 12 };
    const bptt_mat x = s->arg[0];
    double sum = 0;
    for (size_t i = 0; i < x.rows; i++)
        for (size_t j = 0; j < x.cols; j += PIECE)
            sum += c->loops->sumsq(x.cols - j < PIECE ? x.cols - j : PIECE, at(x, i) + j);
    *total(s->arg[1], 0) = sum;
}

static bool transposed(const bptt_op *s)
{
    for (size_t i = 0; bptt_opcode_roles[s->opcode][i]; i++)
        if (s->arg[i].buf && s->arg[i].t) return true;
    return false;
}

void cpu_run_op(const cpu_tools *c, bptt_device *d, const bptt_op *s, const float *packed, const bptt_slots *slots,
                unsigned thread)
{
    const bool plain = !transposed(s);
    if (s->opcode == BPTT_GEMM && !s->arg[1].t && !s->arg[2].t && s->alpha == 1) {
        gemm(c, s, packed, thread);
        return;
    }
    if (s->opcode == BPTT_COPY && s->arg[1].type == BPTT_F32 && !s->arg[1].t) {
        copy(s);
        return;
    }
    if (plain) {
        switch (s->opcode) {
        case BPTT_GATHER: gather(c, s); return;
        case BPTT_SCATTER: scatter(c, s); return;
        case BPTT_CELL_FORWARD:
        case BPTT_CELL_BACKWARD: cell(c, s); return;
        case BPTT_GATES_FORWARD:
        case BPTT_GATES_BACKWARD: gates(c, s); return;
        case BPTT_MIX:
        case BPTT_MIX_BACKWARD: mix(c, s); return;
        case BPTT_COLSUM: colsum(c, s); return;
        case BPTT_ADD_ROW:
            for (size_t i = 0; i < s->arg[1].rows; i++)
                c->loops->add(s->arg[1].cols, at(s->arg[0], 0), at(s->arg[1], i));
            return;
        case BPTT_SOFTMAX_XENT: softmax_xent(c, s, slots); return;
        case BPTT_LOG_SOFTMAX:
            for (size_t i = 0; i < s->arg[0].rows; i++) c->loops->log_softmax(s->arg[0].cols, at(s->arg[0], i));
            return;
        case BPTT_SUMSQ: sumsq(c, s); return;
        case BPTT_UPDATE: update(c, s, slots); return;
        default: break;
        }
    }
    c->ref.op[s->opcode](d, s, slots);
}
