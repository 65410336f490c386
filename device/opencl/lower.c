// Which chains are a layer's window: what host/plan.c makes of layer_forward and layer_backward_in_time, and nothing
// else. The first steps say what the window would be; then every step must be exactly the one such a window has there.
#include "task.h"

#include <stdint.h>

enum { PERIOD = 3, RANGES = 7 };

// Views as they are at the window's first step, and by how much they move from one step to the next (modulo the range
// of size_t).
typedef struct window {
    size_t T, period;
    bool backward, masked;
    bptt_cell cell;
    int last_beta;
    unsigned chain;
    bptt_mat keep, h, kept, w, b, b2; // forward: h, the state before; backward: h, the state after
    bptt_mat dz, dkept, dstate;       // backward
    size_t stride_keep, stride_h, stride_kept, stride_dz;
} window;

static bool same_view(const bptt_mat *a, const bptt_mat *b)
{
    return (!a->buf && !b->buf) || (a->buf == b->buf && a->at == b->at && a->rows == b->rows && a->cols == b->cols &&
                                    a->ld == b->ld && a->type == b->type && a->t == b->t);
}

static bool same_step(const bptt_op *a, const bptt_op *b)
{
    bool same = a->opcode == b->opcode && a->alpha == b->alpha && a->beta == b->beta && a->cell == b->cell &&
                a->chain == b->chain;
    for (size_t i = 0; i < BPTT_OPERANDS; i++) same = same && same_view(&a->arg[i], &b->arg[i]);
    return same;
}

static bptt_mat at(bptt_mat m, size_t stride, size_t t)
{
    m.at += t * stride;
    return m;
}

// The steps of the window's t-th step of time, in order.
static void forward_steps(const window *w, size_t t, bptt_op s[PERIOD])
{
    const bptt_mat z = at(w->h, w->stride_h, t + 1);
    bptt_mat before = at(w->h, w->stride_h, t);
    if (w->masked) {
        const bptt_mat kept = at(w->kept, w->stride_kept, t);
        *s++ = (bptt_op){.opcode = BPTT_SCALE_ROWS,
                         .alpha = 1,
                         .chain = w->chain,
                         .arg = {at(w->keep, w->stride_keep, t), before, kept}};
        before = kept;
    }
    *s++ = (bptt_op){.opcode = BPTT_GEMM, .alpha = 1, .beta = 1, .chain = w->chain, .arg = {before, w->w, z}};
    *s = (bptt_op){
        .opcode = BPTT_CELL_FORWARD, .alpha = 1, .cell = w->cell, .chain = w->chain, .arg = {z, w->b, w->b2, z}};
}

static void backward_steps(const window *w, size_t t, bptt_op s[PERIOD])
{
    const bool last = t + 1 == w->T;
    const bptt_mat dz = at(w->dz, w->stride_dz, t), into = last ? w->dstate : at(w->dz, w->stride_dz, t + 1);
    const int beta = last ? w->last_beta : 1;
    *s++ = (bptt_op){.opcode = BPTT_CELL_BACKWARD,
                     .alpha = 1,
                     .cell = w->cell,
                     .chain = w->chain,
                     .arg = {at(w->h, w->stride_h, t), dz, dz}};
    *s++ = (bptt_op){.opcode = BPTT_GEMM,
                     .alpha = 1,
                     .beta = w->masked ? 0 : beta,
                     .chain = w->chain,
                     .arg = {dz, w->w, w->masked ? w->dkept : into}};
    if (w->masked)
        *s = (bptt_op){.opcode = BPTT_SCALE_ROWS,
                       .alpha = 1,
                       .beta = beta,
                       .chain = w->chain,
                       .arg = {at(w->keep, w->stride_keep, t), w->dkept, into}};
}

// What the window is if it is one, from its first two and its last steps of time.
static void guess_forward(const bptt_op *s, window *w)
{
    const bptt_op *second = w->T > 1 ? s + w->period : s; // a window of one step never moves
    const bptt_op *product = w->masked ? s + 1 : s, *cell = product + 1;
    w->h = w->masked ? s->arg[1] : s->arg[0];
    w->w = product->arg[1];
    w->b = cell->arg[1], w->b2 = cell->arg[2];
    w->cell = cell->cell;
    w->stride_h = cell->arg[3].at - w->h.at;
    if (!w->masked) return;
    w->keep = s->arg[0], w->kept = s->arg[2];
    w->stride_keep = second->arg[0].at - w->keep.at, w->stride_kept = second->arg[2].at - w->kept.at;
}

static void guess_backward(const bptt_op *s, window *w)
{
    const bptt_op *second = w->T > 1 ? s + w->period : s, *last = s + w->T * w->period - 1;
    w->h = s->arg[0], w->dz = s->arg[1], w->w = s[1].arg[1];
    w->cell = s->cell;
    w->stride_h = second->arg[0].at - w->h.at, w->stride_dz = second->arg[1].at - w->dz.at;
    w->dstate = last->arg[2];
    w->last_beta = last->beta;
    if (!w->masked) return;
    w->keep = s[2].arg[0], w->dkept = s[1].arg[2];
    w->stride_keep = second[2].arg[0].at - w->keep.at;
}

// ---- whether the kernels can do it ----------------------------------------------------------------------------------

static bool plain(const bptt_mat *m, size_t rows, size_t cols)
{
    return m->buf && m->type == BPTT_F32 && !m->t && m->rows == rows && m->cols == cols && m->ld >= cols &&
           m->ld <= INT32_MAX;
}

static bool plain_or_absent(const bptt_mat *m, size_t rows, size_t cols) { return !m->buf || plain(m, rows, cols); }

// Elements of its buffer that a view spans.
static size_t extent(const bptt_mat *m)
{
    return ((m->t ? m->cols : m->rows) - 1) * m->ld + (m->t ? m->rows : m->cols);
}

typedef struct range {
    const bptt_buf *buf;
    size_t first, end;
} range;

// What a view passes over in n steps of time. False if it meets itself.
static bool passed(const bptt_mat *m, size_t stride, size_t n, range *r)
{
    const size_t back = (size_t)0 - stride, moves = stride <= SIZE_MAX / 2 ? stride : back;
    *r = (range){m->buf, m->at, m->at};
    if (!m->buf) return true;
    if (moves > SIZE_MAX / 2 / n) return false;
    if (moves == stride)
        r->end += (n - 1) * moves + extent(m);
    else
        r->first -= (n - 1) * moves, r->end += extent(m);
    return n == 1 || moves == 0 || moves >= extent(m);
}

// All of the window's matrices lie apart, and those that hold something for each step move.
static bool apart(const window *w)
{
    range r[RANGES];
    size_t n = 0;
    const bool moves = w->backward ? w->T == 1 || (w->stride_h && w->stride_dz) : w->stride_h;
    if (!moves || !passed(&w->keep, w->stride_keep, w->T, &r[n++]) || !passed(&w->w, 0, 1, &r[n++]) ||
        !passed(&w->h, w->stride_h, w->T + !w->backward, &r[n++]))
        return false;
    if (w->backward) {
        if (!passed(&w->dz, w->stride_dz, w->T, &r[n++]) || !passed(&w->dkept, 0, 1, &r[n++]) ||
            !passed(&w->dstate, 0, 1, &r[n++]))
            return false;
    } else if (!passed(&w->kept, w->stride_kept, w->T, &r[n++]) || !passed(&w->b, 0, 1, &r[n++]) ||
               !passed(&w->b2, 0, 1, &r[n++])) {
        return false;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (r[i].buf && r[i].buf == r[j].buf && r[i].first < r[j].end && r[j].first < r[i].end) return false;
    return true;
}

static bool possible(const window *w)
{
    const size_t B = w->h.rows, H = w->h.cols;
    if (B == 0 || H == 0 || B > INT32_MAX || H > INT32_MAX || w->T > INT32_MAX) return false;
    if ((unsigned)w->cell > BPTT_WHOLE) return false;
    bptt_mat weights = w->w;
    weights.t = false;
    if (!plain(&w->h, B, H) || !plain(&weights, H, H) || (w->masked && !plain(&w->keep, B, 1))) return false;
    if (w->backward)
        return plain(&w->dz, B, H) && plain(&w->dstate, B, H) && (!w->masked || plain(&w->dkept, B, H)) && apart(w);
    return plain_or_absent(&w->b, 1, H) && plain_or_absent(&w->b2, 1, H) && (!w->masked || plain(&w->kept, B, H)) &&
           apart(w);
}

static bool recognise(const bptt_op *first, size_t n, window *w)
{
    *w = (window){0};
    if (n < 2 || first->chain == 0) return false;
    const bptt_opcode a = first[0].opcode, b = first[1].opcode;
    w->backward = a == BPTT_CELL_BACKWARD;
    w->masked = w->backward ? n > 2 && first[2].opcode == BPTT_SCALE_ROWS : a == BPTT_SCALE_ROWS;
    if (w->backward ? b != BPTT_GEMM : w->masked ? b != BPTT_GEMM : a != BPTT_GEMM || b != BPTT_CELL_FORWARD)
        return false;
    w->period = w->masked ? 3 : 2;
    if (n % w->period != 0) return false;
    w->T = n / w->period;
    w->chain = first->chain;
    (w->backward ? guess_backward : guess_forward)(first, w);
    for (size_t t = 0; t < w->T; t++) {
        bptt_op s[PERIOD];
        (w->backward ? backward_steps : forward_steps)(w, t, s);
        for (size_t i = 0; i < w->period; i++)
            if (!same_step(first + t * w->period + i, &s[i])) return false;
    }
    return (w->last_beta == 0 || w->last_beta == 1) && possible(w);
}

// ---- the task -------------------------------------------------------------------------------------------------------

enum {
    WARP = 32,
    LEAST_ROWS = 4,           // with fewer, a row of w is read from cache for too little work
    MOST_IN_CACHE = 512 * 512 // elements of w: beyond, each unit would fetch all of w from afar at every step, where
                              // the product alone gives each unit a part of it
};

// One work-item takes a group's rows: at most window_rows, and groups that share the units evenly. False: steps are
// faster.
static bool grid_of_rows(task *t, size_t B, size_t H, const tile_class *c, const cl_limits *limits)
{
    if (H > MOST_IN_CACHE / H && !limits->forced) return false;
    const size_t units = limits->units ? limits->units : 1, needed = (B + c->window_rows - 1) / c->window_rows;
    const size_t even = (needed + units - 1) / units * units, sensible = (B + LEAST_ROWS - 1) / LEAST_ROWS;
    const size_t groups = even <= sensible ? even : sensible > needed ? sensible : needed;
    t->global[0] = groups;
    t->local[0] = 1;
    return true;
}

// The group's lanes share columns; tiles of the rows, and perhaps w, lie in local memory. False: no room.
static bool grid_of_tiles(task *t, size_t B, size_t H, const tile_class *c, const cl_limits *limits)
{
    const size_t groups = (B + c->window_rows - 1) / c->window_rows, tiles = 2 * c->window_rows * H * sizeof(float);
    size_t lanes = (H + WARP - 1) / WARP * WARP;
    if (lanes > c->window_lanes) lanes = c->window_lanes;
    if (H > limits->local_memory || tiles > limits->local_memory) return false;
    const size_t room = limits->local_memory - tiles;
    const bool resident = limits->local_is_real && H <= room / sizeof(float) / H;
    t->constants.w.resident = resident;
    t->local_bytes = tiles + (resident ? H * H * sizeof(float) : 0);
    t->local[0] = lanes;
    t->global[0] = groups * lanes;
    return true;
}

bool window_of(const bptt_op *first, size_t n, const tile_class *c, const cl_limits *limits, task *t)
{
    window w;
    if (!recognise(first, n, &w)) return false;
    const size_t B = w.h.rows, H = w.h.cols;
    task made = {.kernel = w.backward ? TUNED_BACKWARD : TUNED_FORWARD,
                 .operands = 6,
                 .constants.w = {.stride_h = w.stride_h,
                                 .stride_dz = w.stride_dz,
                                 .stride_kept = w.stride_kept,
                                 .stride_keep = w.stride_keep,
                                 .T = (count)w.T,
                                 .B = (count)B,
                                 .H = (count)H,
                                 .cell = (int)w.cell,
                                 .masked = w.masked,
                                 .last_beta = w.last_beta},
                 .constant_bytes = sizeof(window_args),
                 .global = {1, 1},
                 .local = {1, 1},
                 .charge = bptt_charge_of(first, n)};
    const bptt_mat forward[] = {w.keep, w.h, w.kept, w.w, w.b, w.b2};
    const bptt_mat backward[] = {w.keep, w.h, w.dz, w.w, w.dkept, w.dstate};
    for (size_t i = 0; i < made.operands; i++) made.arg[i] = w.backward ? backward[i] : forward[i];
    const bool alone = c->group_rows * c->group_cols == 1;
    if (!(alone ? grid_of_rows : grid_of_tiles)(&made, B, H, c, limits)) return false;
    *t = made;
    return true;
}
