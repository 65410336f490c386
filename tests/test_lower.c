// Lowering for OpenCL devices: which chains become a whole-window kernel and what it is told; grids of the small
// kernels. Needs no device: plans are those of real runs.
#include "nets.h"
#include "run.h"
#include "suite.h"
#include "task.h"

static const cl_limits processor = {BPTT_CPU, 1u << 20, false, 4096, 2, 16, false};
static const cl_limits many_cores = {BPTT_CPU, 32u << 10, false, 8192, 96, 8, false};
static const cl_limits large_gpu = {BPTT_GPU, 48u << 10, true, 1024, 132, 1, false};
static const cl_limits small_gpu = {BPTT_GPU, 8u << 10, true, 64, 1, 4, false};
static const cl_limits no_groups = {BPTT_ACCELERATOR, 0, false, 1, 0, 0, false};
static const cl_limits *const DEVICES[] = {&processor, &many_cores, &large_gpu, &small_gpu, &no_groups};
enum { DEVICE_KINDS = sizeof DEVICES / sizeof *DEVICES };

static bool windowed(const bptt_op *s, size_t n, const cl_limits *l, task *t)
{
    return window_of(s, n, tile_class_of(l), l, t);
}

static bool has(const bptt_op *s, size_t n, bptt_opcode e)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].opcode == e) return true;
    return false;
}

static bool same(const bptt_mat *a, const bptt_mat *b)
{
    return a->buf == b->buf && a->at == b->at && a->rows == b->rows && a->cols == b->cols && a->ld == b->ld &&
           a->type == b->type && a->t == b->t;
}

// The view that operand i of the window has after t steps is m.
static bool is_at(const task *k, size_t i, size_t t, word stride, const bptt_mat *m)
{
    bptt_mat o = k->arg[i];
    o.at += t * stride;
    return same(&o, m);
}

static bool forward_is(const task *k, const bptt_op *s, size_t n)
{
    const window_args *w = &k->constants.w;
    const size_t period = w->masked ? 3 : 2;
    bool ok = k->kernel == TUNED_FORWARD && k->charge == BPTT_WINDOW_FORWARD && n == w->T * period;
    for (size_t t = 0; ok && t < w->T; t++, s += period) {
        const bptt_op *product = w->masked ? s + 1 : s, *cell = product + 1;
        ok = is_at(k, 1, t, w->stride_h, w->masked ? &s->arg[1] : &s->arg[0]) &&
             is_at(k, 1, t + 1, w->stride_h, &cell->arg[3]) && is_at(k, 3, 0, 0, &product->arg[1]) &&
             is_at(k, 4, 0, 0, &cell->arg[1]) && is_at(k, 5, 0, 0, &cell->arg[2]) &&
             w->cell == (cell->cell == BPTT_RELU) && product->arg[2].at == cell->arg[0].at;
        if (w->masked)
            ok = ok && is_at(k, 0, t, w->stride_keep, &s->arg[0]) && is_at(k, 2, t, w->stride_kept, &s->arg[2]);
    }
    return ok;
}

static bool backward_is(const task *k, const bptt_op *s, size_t n)
{
    const window_args *w = &k->constants.w;
    const size_t period = w->masked ? 3 : 2;
    bool ok = k->kernel == TUNED_BACKWARD && k->charge == BPTT_WINDOW_BACKWARD && n == w->T * period;
    for (size_t t = 0; ok && t < w->T; t++, s += period) {
        const bptt_op *last = s + period - 1;
        const bool beyond = t + 1 == w->T;
        ok = is_at(k, 1, t, w->stride_h, &s->arg[0]) && is_at(k, 2, t, w->stride_dz, &s->arg[2]) &&
             is_at(k, 3, 0, 0, &s[1].arg[1]) &&
             is_at(k, beyond ? 5 : 2, beyond ? 0 : t + 1, w->stride_dz, &last->arg[2]) &&
             last->beta == (beyond ? w->last_beta : 1) && w->cell == (s->cell == BPTT_RELU);
        if (w->masked) ok = ok && is_at(k, 0, t, w->stride_keep, &s[2].arg[0]) && is_at(k, 4, 0, 0, &s[1].arg[2]);
    }
    return ok;
}

// Every chain of the plan is a window if a cell is in it, as the steps say, and else none. Returns how many there are.
static size_t check_plan(const bptt_plan *p, const bptt_run *r, const cl_limits *l)
{
    size_t windows = 0;
    for (size_t i = 0, n; i < p->ops; i += n) {
        const bptt_op *s = p->op + i;
        n = bptt_chain_length(p, i);
        const bool forward = has(s, n, BPTT_CELL_FORWARD), backward = has(s, n, BPTT_CELL_BACKWARD);
        task t;
        memset(&t, 0x55, sizeof t);
        ck_assert_int_eq(windowed(s, n, l, &t), forward || backward);
        if (!forward && !backward) continue;
        windows++;
        ck_assert(forward ? forward_is(&t, s, n) : backward_is(&t, s, n));
        ck_assert_uint_eq(t.constants.w.B, r->B);
        ck_assert_uint_eq(t.constants.w.H, r->model->config.hidden);
        ck_assert_int_eq(t.constants.w.masked, r->config.keep != 0);
        ck_assert_uint_eq(t.operands, 6);
        ck_assert_uint_eq(t.constant_bytes, sizeof(window_args));
        ck_assert_uint_le(t.local_bytes, l->local_memory);
        ck_assert_uint_le(t.local[0] * t.local[1], l->largest_group);
        ck_assert_uint_eq(t.global[0] % t.local[0] + t.global[1] % t.local[1], 0);
        const size_t rows = tile_class_of(l)->window_rows, groups = t.global[0] / t.local[0];
        ck_assert_uint_ge(groups * rows, r->B);
        ck_assert_uint_lt(tile_class_of(l)->lanes_of_groups == 1 ? groups - 1 : (groups - 1) * rows, r->B);
    }
    return windows;
}

static net net_of(const char *backend, bptt_cell cell, size_t H, size_t L, size_t B, size_t T, bool gradient, bool keep)
{
    bptt_model_config c = net_config(backend, BPTT_F32, 11, H, L);
    c.cell = cell;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = gradient, .keep = keep});
    return n;
}

START_TEST(every_window_of_a_plan_is_recognised_and_nothing_else)
{
    static const char *const who[] = {"ref", "cpu"}; // a view of W' and a stored one
    static const size_t T[] = {1, 2, 7, 33};
    for (size_t i = 0; i < 2 * 4 * 4; i++) {
        const bool gradient = i / 8 % 2, keep = i / 16;
        const size_t L = 1 + i % 3, steps = T[i / 2 % 4];
        net n = net_of(who[i % 2], i % 3 ? BPTT_TANH : BPTT_RELU, 7 + i, L, 1 + i % 7, steps, gradient, keep);
        const size_t passes = (steps + n.r->S - 1) / n.r->S;
        for (size_t k = 0; k < DEVICE_KINDS; k++) {
            ck_assert_uint_eq(check_plan(&n.r->plan[EVALUATE], n.r, DEVICES[k]), L * passes);
            ck_assert_uint_eq(check_plan(&n.r->plan[NEXT], n.r, DEVICES[k]), L);
            if (!gradient) continue;
            ck_assert_uint_eq(check_plan(&n.r->plan[GRADIENT], n.r, DEVICES[k]), 2 * L);
            ck_assert_uint_eq(check_plan(&n.r->plan[TRAIN], n.r, DEVICES[k]), 2 * L);
        }
        net_close(&n);
    }
}
END_TEST

// ---- what must be refused -------------------------------------------------------------------------------------------

// The chain of a training plan with `cell` in it, copied; *n steps.
static bptt_op *chain_of(const net *w, bptt_opcode cell, size_t *n)
{
    const bptt_plan *p = &w->r->plan[TRAIN];
    for (size_t i = 0;; i += *n) {
        ck_assert_uint_lt(i, p->ops);
        *n = bptt_chain_length(p, i);
        if (!has(p->op + i, *n, cell)) continue;
        bptt_op *s = must_alloc(*n, sizeof *s);
        memcpy(s, p->op + i, *n * sizeof *s);
        return s;
    }
}

enum { CHANGES = 7 };

static void change(bptt_mat *m, int which, bptt_buf *other)
{
    if (which == 0) m->at += 1;
    if (which == 1) m->rows += 1;
    if (which == 2) m->cols += 1;
    if (which == 3) m->ld += 1;
    if (which == 4) m->type = BPTT_F64;
    if (which == 5) m->t = !m->t;
    if (which == 6) m->buf = other;
}

enum { STEP_CHANGES = 6 };

static void change_step(bptt_op *s, int which)
{
    if (which == 0) s->beta = 1 - s->beta;
    if (which == 1) s->beta = 2;
    if (which == 2) s->opcode = BPTT_COPY;
    if (which == 3) s->alpha = -1;
    if (which == 4) s->chain++;
    if (which == 5) s->cell = s->cell == BPTT_TANH ? BPTT_RELU : BPTT_TANH;
}

// One thing changed in one step, then another: refused, but for `may`: an operand of the last step and its beta, which
// say where the window ends.
static void check_changes(bptt_op *s, size_t n, size_t may)
{
    task t;
    net other = net_of("ref", BPTT_TANH, 3, 1, 1, 1, false, false);
    ck_assert(windowed(s, n, &processor, &t));
    for (size_t i = 0; i < n; i++) {
        const bptt_op kept = s[i];
        const bool last = i + 1 == n && may;
        for (size_t o = 0; o < BPTT_OPERANDS; o++)
            for (int c = 0; c < CHANGES; c++) {
                if (!s[i].arg[o].buf && c < 6) continue;
                change(&s[i].arg[o], c, other.r->mem.logits.buf);
                const bool fine = last && o == may && (c == 0 || c == 3 || c == 6);
                ck_assert_msg(fine || !windowed(s, n, &processor, &t), "step %zu, operand %zu, change %d", i, o, c);
                s[i] = kept;
            }
        for (int c = 0; c < STEP_CHANGES; c++) {
            change_step(&s[i], c);
            ck_assert_int_eq(windowed(s, n, &processor, &t), last && c == 0);
            s[i] = kept;
        }
        for (size_t j = i + 1; j < n; j++) {
            s[i] = s[j], s[j] = kept;
            ck_assert(!windowed(s, n, &processor, &t));
            s[j] = s[i], s[i] = kept;
        }
    }
    ck_assert(!windowed(s, n - 1, &processor, &t) && !windowed(s, 1, &processor, &t));
    net_close(&other);
}

START_TEST(a_chain_with_anything_changed_is_refused)
{
    for (int keep = 0; keep < 2; keep++) {
        net w = net_of("cpu", BPTT_TANH, 9, 1, 5, 4, true, keep);
        size_t n;
        bptt_op *s = chain_of(&w, BPTT_CELL_FORWARD, &n);
        check_changes(s, n, 0);
        free(s);
        s = chain_of(&w, BPTT_CELL_BACKWARD, &n);
        check_changes(s, n, 2);
        ck_assert_uint_eq(n, keep ? 12 : 8);
        free(s);
        net_close(&w);
    }
}
END_TEST

// Operands of a chain that are the view m, changed.
static void change_everywhere(bptt_op *s, size_t n, const bptt_mat *m, int which)
{
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < BPTT_OPERANDS; o++)
            if (s[i].arg[o].buf && same(&s[i].arg[o], m)) change(&s[i].arg[o], which, NULL);
}

// Operand o of the i-th step of every step of time, changed alike, wherever else that view is an operand.
static void check_changes_of_all(bptt_op *s, size_t n, size_t period)
{
    task t;
    bptt_op *all = must_alloc(n, sizeof *all);
    for (size_t i = 0; i < period; i++)
        for (size_t o = 0; o < BPTT_OPERANDS; o++)
            for (int c = 1; c < 6; c++) {
                memcpy(all, s, n * sizeof *s);
                if (!s[i].arg[o].buf || c == 3) continue;
                for (size_t k = i; k < n; k += period) {
                    const bptt_mat *was = &s[k].arg[o];
                    if (same(was, &all[k].arg[o])) change_everywhere(all, n, was, c);
                }
                const bool flipped = c == 5 && s[i].opcode == BPTT_GEMM && o == 1; // W may lie either way
                ck_assert_msg(windowed(all, n, &processor, &t) == flipped, "%zu, operand %zu, change %d", i, o, c);
            }
    free(all);
}

START_TEST(a_chain_with_a_strange_view_everywhere_is_refused)
{
    for (int keep = 0; keep < 2; keep++)
        for (size_t T = 1; T < 4; T++) {
            net w = net_of("cpu", BPTT_TANH, 9, 1, 5, T, true, keep);
            size_t n;
            bptt_op *s = chain_of(&w, BPTT_CELL_FORWARD, &n);
            check_changes_of_all(s, n, keep ? 3 : 2);
            free(s);
            s = chain_of(&w, BPTT_CELL_BACKWARD, &n);
            check_changes_of_all(s, n, keep ? 3 : 2);
            free(s);
            net_close(&w);
        }
}
END_TEST

START_TEST(matrices_that_overlap_are_refused)
{
    net w = net_of("cpu", BPTT_TANH, 9, 1, 5, 4, true, true);
    task t;
    size_t n;
    bptt_op *s = chain_of(&w, BPTT_CELL_BACKWARD, &n);
    bptt_mat *into = &s[n - 1].arg[2];
    const bptt_mat state = *into, dz = s[0].arg[1], y = s[0].arg[0], dkept = s[1].arg[2];
    ck_assert(windowed(s, n, &processor, &t));
    const size_t taken[] = {dz.at,          dz.at + 4 * dz.ld + 8, s[n - 3].arg[1].at - 4 * dz.ld - 8, y.at, dkept.at,
                            s[1].arg[1].at, s[2].arg[0].at};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        into->at = taken[i];
        ck_assert_msg(!windowed(s, n, &processor, &t), "case %zu", i);
    }
    *into = state;
    ck_assert(windowed(s, n, &processor, &t));
    for (size_t i = 0; i < n; i += 3) s[i].arg[0].at = y.at; // the states do not move
    ck_assert(!windowed(s, n, &processor, &t));
    free(s);
    s = chain_of(&w, BPTT_CELL_FORWARD, &n);
    for (size_t by = w.r->mem.h[0].ld - 9; by < w.r->mem.h[0].ld - 7; by++) { // as close as they may be, then closer
        bptt_op *closer = must_alloc(n, sizeof *closer);
        memcpy(closer, s, n * sizeof *s);
        for (size_t i = 0; i < n; i += 3) {
            bptt_mat *const after[] = {&closer[i + 1].arg[2], &closer[i + 2].arg[0], &closer[i + 2].arg[3]};
            closer[i].arg[1].at -= i / 3 * by;
            for (size_t k = 0; k < 3; k++) after[k]->at -= (i / 3 + 1) * by;
        }
        ck_assert_int_eq(windowed(closer, n, &processor, &t), by == w.r->mem.h[0].ld - 9);
        free(closer);
    }
    free(s);
    net_close(&w);
}
END_TEST

START_TEST(a_window_takes_no_more_local_memory_than_there_is)
{
    static const size_t H[] = {7, 33, 65, 130};
    for (size_t i = 0; i < 4; i++) {
        net w = net_of("cpu", BPTT_TANH, H[i], 1, 5, 3, true, false);
        size_t n;
        bptt_op *s = chain_of(&w, BPTT_CELL_BACKWARD, &n);
        cl_limits l = large_gpu;
        task t;
        const size_t tiles = 2 * tile_class_of(&l)->window_rows * H[i] * sizeof(float);
        const size_t all = tiles + H[i] * H[i] * sizeof(float), base = 16u << 10; // below base: another class
        l.local_memory = all > base ? all : base;
        ck_assert(windowed(s, n, &l, &t) && t.constants.w.resident && t.local_bytes == all);
        l.local_is_real = false;
        ck_assert(windowed(s, n, &l, &t) && !t.constants.w.resident && t.local_bytes == tiles);
        l.local_is_real = true;
        l.local_memory = all - 1;
        if (all > base) ck_assert(windowed(s, n, &l, &t) && !t.constants.w.resident && t.local_bytes == tiles);
        cl_limits tiny = small_gpu;
        const size_t least = 2 * tile_class_of(&tiny)->window_rows * H[i] * sizeof(float);
        tiny.local_memory = least;
        ck_assert(windowed(s, n, &tiny, &t) && t.local_bytes == least);
        tiny.local_memory = least - 1;
        ck_assert(!windowed(s, n, &tiny, &t));
        free(s);
        net_close(&w);
    }
}
END_TEST

START_TEST(a_processor_takes_windows_whose_weights_stay_in_its_cache)
{
    for (size_t H = 512; H < 514; H++) {
        net w = net_of("ref", BPTT_TANH, H, 1, 1, 1, true, false);
        size_t n;
        task t;
        bptt_op *s = chain_of(&w, BPTT_CELL_FORWARD, &n);
        ck_assert_int_eq(windowed(s, n, &processor, &t), H == 512);
        ck_assert(windowed(s, n, &large_gpu, &t));
        cl_limits told = processor;
        told.forced = true; // --lowering always
        ck_assert(windowed(s, n, &told, &t));
        free(s);
        net_close(&w);
    }
}
END_TEST

// ---- grids ----------------------------------------------------------------------------------------------------------

static launch product(size_t N, size_t K, size_t M, bool a_t)
{
    bptt_buf *some = (bptt_buf *)&processor; // never looked into
    launch l = {.kernel = KERNEL_gemm, .opcode = BPTT_GEMM, .k = {.alpha = -1, .beta = 1}, .rows = N, .cols = M};
    l.arg[0] = (bptt_mat){some, 0, N, K, a_t ? N : K, BPTT_F32, a_t};
    l.arg[1] = (bptt_mat){some, N * K, K, M, M, BPTT_F32, false};
    l.arg[2] = (bptt_mat){some, N * K + K * M, N, M, M, BPTT_F32, false};
    return l;
}

static void check_grid(const task *t, const cl_limits *l)
{
    ck_assert_uint_gt(t->local[0] * t->local[1], 0);
    ck_assert_uint_le(t->local[0] * t->local[1], l->largest_group);
    for (int d = 0; d < 2; d++) ck_assert(t->global[d] > 0 && t->global[d] % t->local[d] == 0);
}

static const size_t SIZES[] = {1, 7, 33, 50, 65, 512, 4096};
enum { SIZES_N = sizeof SIZES / sizeof *SIZES };

START_TEST(groups_of_the_product_cover_it_once)
{
    for (size_t i = 0; i < SIZES_N * SIZES_N * DEVICE_KINDS * 2; i++) {
        const cl_limits *l = DEVICES[i / 2 % DEVICE_KINDS];
        const tile_class *c = tile_class_of(l);
        const size_t N = SIZES[i / 2 / DEVICE_KINDS % SIZES_N], M = SIZES[i / 2 / DEVICE_KINDS / SIZES_N];
        const launch g = product(N, 65, M, i % 2);
        const task t = task_of(&g, c, l);
        check_grid(&t, l);
        ck_assert(t.kernel == TUNED_MULTIPLY && t.operands == 3 && t.charge == BPTT_GEMM && t.local_bytes == 0);
        ck_assert(t.constant_bytes == sizeof(knobs) && t.constants.k.alpha == -1 && t.constants.k.beta == 1);
        const size_t rows = c->group_rows * c->lane_rows, cols = c->group_cols * c->lane_cols;
        const size_t down = (N + rows - 1) / rows, across = (M + cols - 1) / cols;
        ck_assert(t.local[0] == c->group_cols && t.local[1] == c->group_rows);
        const size_t groups[] = {t.global[0] / t.local[0], t.global[1] / t.local[1]};
        if (c->group_rows * c->group_cols > 1) // the kernel has no loop over tiles
            ck_assert(groups[0] == down && groups[1] == across);
        else
            ck_assert(groups[0] <= across && groups[1] <= down);
    }
}
END_TEST

START_TEST(grids_fit_the_device_and_have_work_for_every_group)
{
    for (size_t i = 0; i < SIZES_N * SIZES_N * DEVICE_KINDS; i++) {
        const cl_limits *l = DEVICES[i % DEVICE_KINDS];
        const tile_class *c = tile_class_of(l);
        launch e = product(SIZES[i / DEVICE_KINDS % SIZES_N], 1, SIZES[i / DEVICE_KINDS / SIZES_N], false);
        e.kernel = KERNEL_cell_backward, e.opcode = BPTT_CELL_BACKWARD, e.grid = GRID_ELEMENTS;
        task t = task_of(&e, c, l);
        check_grid(&t, l);
        ck_assert(t.kernel == KERNEL_cell_backward && t.operands == 3 && t.charge == BPTT_CELL_BACKWARD);
        ck_assert_uint_le(t.global[0] - t.local[0], e.cols - 1);
        ck_assert_uint_le(t.global[1] - t.local[1], e.rows - 1);
        ck_assert(t.local[0] < 2 * e.cols && t.local[1] < 2 * e.rows);
        if (c->group_rows * c->group_cols == 1) ck_assert(t.global[0] == 1 && t.local[1] == 1);
        e.kernel = KERNEL_softmax_xent, e.opcode = BPTT_SOFTMAX_XENT, e.grid = GRID_GROUPS;
        t = task_of(&e, c, l);
        check_grid(&t, l);
        ck_assert(t.operands == 4 && t.local[0] == c->lanes_of_groups && t.global[1] == 1);
        ck_assert_uint_le(t.global[0] / t.local[0], e.rows);
    }
}
END_TEST

START_TEST(a_device_gets_the_sizes_of_its_kind)
{
    char options[300];
    for (size_t i = 0; i < DEVICE_KINDS; i++) {
        const tile_class *c = tile_class_of(DEVICES[i]);
        const bool alone = DEVICES[i]->kind == BPTT_CPU || DEVICES[i]->largest_group < 64;
        ck_assert_uint_le(c->lanes_of_groups, DEVICES[i]->largest_group);
        ck_assert_int_eq(c->group_rows * c->group_cols == 1, alone);
        tile_options(c, options, sizeof options);
        ck_assert_int_eq(strstr(options, " -DONE_LANE ") != NULL, alone);
        ck_assert_ptr_nonnull(strstr(options, " -DWINDOW_ROWS="));
    }
    ck_assert_uint_eq(tile_class_of(&processor)->vector, 16);
    ck_assert_uint_eq(tile_class_of(&many_cores)->vector, 8);
    ck_assert_uint_eq(tile_class_of(&large_gpu)->group_rows, 16);
    ck_assert_uint_eq(tile_class_of(&small_gpu)->group_rows, 8);
    cl_limits little = large_gpu;
    little.local_memory = 15u << 10; // of which groups of 256 need 9
    ck_assert_uint_eq(tile_class_of(&little)->group_rows, 8);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_window_of_a_plan_is_recognised_and_nothing_else);
    tcase_add_test(c, a_chain_with_anything_changed_is_refused);
    tcase_add_test(c, a_chain_with_a_strange_view_everywhere_is_refused);
    tcase_add_test(c, matrices_that_overlap_are_refused);
    tcase_add_test(c, a_window_takes_no_more_local_memory_than_there_is);
    tcase_add_test(c, a_processor_takes_windows_whose_weights_stay_in_its_cache);
    tcase_add_test(c, groups_of_the_product_cover_it_once);
    tcase_add_test(c, grids_fit_the_device_and_have_work_for_every_group);
    tcase_add_test(c, a_device_gets_the_sizes_of_its_kind);
}

int main(void) { return run_suite("lower", add, 60); }
