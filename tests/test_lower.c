// Lowering for OpenCL devices: loops that become a whole-window kernel, and its operands; grids of the small
// kernels. Needs no device: plans are those of real runs.
#include "lower_rig.h"

static const cl_limits *const DEVICES[] = {&processor, &many_cores, &large_gpu, &small_gpu, &no_groups};
enum { DEVICE_KINDS = sizeof DEVICES / sizeof *DEVICES };

static bool same(const bptt_mat *a, const bptt_mat *b)
{
    return a->buf == b->buf && a->at == b->at && a->rows == b->rows && a->cols == b->cols && a->ld == b->ld &&
           a->type == b->type && a->t == b->t;
}

// The view that operand i of the window has after t steps is m.
static bool is_at(const launch *k, size_t i, size_t t, word stride, const bptt_mat *m)
{
    bptt_mat o = k->arg[i];
    o.at += t * stride;
    return same(&o, m);
}

static bool forward_is(const launch *k, const bptt_op *loop, size_t t)
{
    const layer_constants *w = &k->constants.layer;
    const bptt_op *body = loop + 1;
    const bptt_op first = bptt_op_at(body, t, 0), product = bptt_op_at(&body[w->masked ? 1 : 0], t, 0);
    const bptt_op cell = bptt_op_at(&body[w->masked ? 2 : 1], t, 0);
    const bool ok = k->kernel == TUNED_FORWARD && k->charge == BPTT_WINDOW_FORWARD && k->operands == 6 &&
                    is_at(k, 1, t, w->stride_h, &first.arg[w->masked ? 1 : 0]) &&
                    is_at(k, 1, t + 1, w->stride_h, &cell.arg[3]) && is_at(k, 3, 0, 0, &product.arg[1]) &&
                    is_at(k, 4, 0, 0, &cell.arg[1]) && is_at(k, 5, 0, 0, &cell.arg[2]) && w->cell == (int)cell.cell;
    return ok && (!w->masked ||
                  (is_at(k, 0, t, w->stride_keep, &first.arg[0]) && is_at(k, 2, t, w->stride_kept, &first.arg[2])));
}

static bool backward_is(const launch *k, const bptt_op *loop, size_t t)
{
    const layer_constants *w = &k->constants.layer;
    const bptt_op cell = bptt_op_at(&loop[1], t, 0), product = bptt_op_at(&loop[2], t, 0);
    const bptt_op last = bptt_op_at(&loop[loop->loop.body], t, 0);
    const bool ok = k->kernel == TUNED_BACKWARD && k->charge == BPTT_WINDOW_BACKWARD && k->operands == 5 &&
                    is_at(k, 1, t, w->stride_h, &cell.arg[0]) && is_at(k, 2, t, w->stride_dz, &cell.arg[2]) &&
                    is_at(k, 3, 0, 0, &product.arg[1]) && is_at(k, 2, t + 1, w->stride_dz, &last.arg[2]) &&
                    w->cell == (int)cell.cell;
    return ok && (!w->masked || (is_at(k, 0, t, w->stride_keep, &last.arg[0]) && is_at(k, 4, 0, 0, &product.arg[2])));
}

static void check_window(const bptt_op *loop, const bptt_run *r, const cl_limits *l, const launch *t)
{
    for (size_t step = 0; step < loop->loop.T; step++)
        ck_assert((loop->loop.kind == BPTT_LOOP_FORWARD ? forward_is : backward_is)(t, loop, step));
    ck_assert_uint_eq(t->constants.layer.T, loop->loop.T);
    ck_assert_uint_eq(t->constants.layer.B, r->B);
    ck_assert_uint_eq(t->constants.layer.H, r->model->config.hidden);
    ck_assert_int_eq(t->constants.layer.masked, r->config.keep != 0);
    ck_assert_uint_eq(t->constant_bytes, sizeof(layer_constants));
    ck_assert_uint_le(t->local_bytes, l->local_memory);
    ck_assert_uint_le(t->lanes[0] * t->lanes[1], l->largest_group);
    const size_t rows = tile_class_of(l)->window_rows, groups = t->groups[0];
    ck_assert_uint_eq(t->groups[1], 1);
    ck_assert_uint_ge(groups * rows, r->B);
    ck_assert_uint_lt(tile_class_of(l)->lanes_of_groups == 1 ? groups - 1 : (groups - 1) * rows, r->B);
}

START_TEST(every_layer_of_a_plan_is_a_window_and_nothing_else)
{
    static const char *const who[] = {"ref", "cpu"}; // a view of W' and a stored one
    static const size_t T[] = {1, 2, 7, 33};
    for (size_t i = 0; i < 2 * 4 * 4; i++) {
        const bool gradient = i / 8 % 2, keep = i / 16;
        const size_t L = 1 + i % 3, steps = T[i / 2 % 4];
        net n = net_of(who[i % 2], i % 3 ? BPTT_TANH : BPTT_RELU, 7 + i, L, 1 + i % 7, steps, gradient, keep);
        const size_t passes = 1 + (steps % n.r->S > 0); // a loop over the whole ones, and the rest
        for (size_t k = 0; k < DEVICE_KINDS; k++) {
            ck_assert_uint_eq(check_plan(&n.r->plan[EVALUATE], n.r, DEVICES[k], check_window), L * passes);
            ck_assert_uint_eq(check_plan(&n.r->plan[NEXT], n.r, DEVICES[k], check_window), L);
            if (!gradient) continue;
            ck_assert_uint_eq(check_plan(&n.r->plan[GRADIENT], n.r, DEVICES[k], check_window), 2 * L);
            ck_assert_uint_eq(check_plan(&n.r->plan[TRAIN], n.r, DEVICES[k], check_window), 2 * L);
        }
        net_close(&n);
    }
}
END_TEST

// In a loop of blocks the launch takes the loop's place: its operands move as those of the body do from block to block.
START_TEST(a_window_in_a_loop_of_blocks_moves_with_it)
{
    net n = net_of("ref", BPTT_TANH, 5, 1, 2, 96, false, true);
    const bptt_plan *p = &n.r->plan[EVALUATE];
    size_t at = 0;
    while (p->op[at].opcode != BPTT_LOOP || p->op[at].loop.kind != BPTT_LOOP_FORWARD) at++;
    launch t;
    ck_assert(windowed(&p->op[at], &processor, &t));
    const bptt_op third = bptt_op_at(&p->op[at + 1], 0, 2);
    const launch moved = launch_at(&t, 2, 0);
    ck_assert(same(&moved.arg[0], &third.arg[0]) && moved.arg[0].at == t.arg[0].at + 2 * 32 * 2 * t.arg[0].ld);
    ck_assert(same(&moved.arg[1], &t.arg[1]));
    net_close(&n);
}
END_TEST

// ---- refusals -------------------------------------------------------------------------------------------------------

enum { CHANGES = 9 };

static void change(bptt_mat *m, int which, bptt_buf *other)
{
    if (which == 0) m->rows += 1;
    if (which == 1) m->cols += 1;
    if (which == 2) m->type = BPTT_F64;
    if (which == 3) m->t = !m->t;
    if (which == 4) m->at += 1;
    if (which == 5) m->ld += 1;
    if (which == 6) m->move[0] += 1;
    if (which == 7) m->move[1] += 1;
    if (which == 8) m->buf = other;
}

enum { OP_CHANGES = 4 };

static void change_op(bptt_op *s, int which)
{
    if (which == 0) s->beta = 1 - s->beta;
    if (which == 1) s->beta = 2;
    if (which == 2) s->opcode = BPTT_COPY;
    if (which == 3) s->alpha = -1;
}

// The k-th operand of an op stands nowhere else in the body, nor is it where another one is a step later: another view
// of the same shape may be meant as well.
static bool by_itself(const bptt_op *s, size_t k)
{
    return (s->opcode == BPTT_SCALE_ROWS && k == 0) || (s->opcode == BPTT_GEMM && k == 1) ||
           (s->opcode == BPTT_CELL_FORWARD && (k == 1 || k == 2)) || (s->opcode == BPTT_CELL_BACKWARD && k == 0);
}

static bool stays(const bptt_op *s, size_t k)
{
    return s->opcode == BPTT_GEMM || s->opcode == BPTT_CELL_FORWARD ? k > 0 : 0;
}

static void check_op(bptt_op *loop, size_t i, bptt_buf *other)
{
    launch t;
    const bptt_op was = loop[i];
    for (size_t o = 0; bptt_opcode_roles[was.opcode][o]; o++)
        for (int c = 0; c < CHANGES; c++) {
            if (!was.arg[o].buf && c < 8) continue;
            const bool flipped = c == 3 && was.opcode == BPTT_GEMM && o == 1; // W may lie either way
            if (by_itself(&was, o) && (c == 4 || c == 5 || c >= 7)) continue;
            if (by_itself(&was, o) && c == 6 && !stays(&was, o)) continue;
            change(&loop[i].arg[o], c, other);
            ck_assert_msg(windowed(loop, &processor, &t) == flipped, "op %zu, operand %zu, change %d", i, o, c);
            loop[i] = was;
        }
    for (int c = 0; c < OP_CHANGES; c++) {
        change_op(&loop[i], c);
        ck_assert_msg(!windowed(loop, &processor, &t), "op %zu, change %d", i, c);
        loop[i] = was;
    }
}

static void check_changes(bptt_op *loop)
{
    launch t;
    net other = net_of("ref", BPTT_TANH, 3, 1, 1, 1, false, false);
    ck_assert(windowed(loop, &processor, &t));
    const size_t n = loop->loop.body;
    for (size_t i = 1; i <= n; i++) {
        check_op(loop, i, other.r->mem.logits.buf);
        for (size_t j = i + 1; j <= n; j++) {
            const bptt_op kept = loop[i];
            loop[i] = loop[j], loop[j] = kept;
            ck_assert(!windowed(loop, &processor, &t));
            loop[j] = loop[i], loop[i] = kept;
        }
    }
    const bptt_op was = *loop;
    for (int c = 0; c < 5; c++) {
        if (c == 0) loop->loop.kind = BPTT_LOOP_OUTPUT;
        if (c == 1) loop->loop.kind = BPTT_LOOP_BLOCKS;
        if (c == 2) loop->loop.kind = was.loop.kind == BPTT_LOOP_FORWARD ? BPTT_LOOP_BACKWARD : BPTT_LOOP_FORWARD;
        if (c == 3) loop->loop.T = 0;
        if (c == 4) loop->loop.body--;
        ck_assert_msg(!windowed(loop, &processor, &t), "the loop, change %d", c);
        *loop = was;
    }
    net_close(&other);
}

START_TEST(a_loop_with_anything_changed_is_refused)
{
    for (int keep = 0; keep < 2; keep++)
        for (bptt_loop_kind kind = BPTT_LOOP_FORWARD; kind <= BPTT_LOOP_BACKWARD; kind++) {
            net w = net_of("cpu", BPTT_TANH, 9, 1, 5, 4, true, keep);
            bptt_op *loop = loop_of(&w, kind);
            ck_assert_uint_eq(loop->loop.body, keep ? 3 : 2);
            check_changes(loop);
            free(loop);
            net_close(&w);
        }
}
END_TEST

START_TEST(matrices_that_overlap_are_refused)
{
    net w = net_of("cpu", BPTT_TANH, 9, 1, 5, 4, true, true);
    launch t;
    bptt_op *s = loop_of(&w, BPTT_LOOP_BACKWARD);
    const bptt_mat dz = s[1].arg[1], y = s[1].arg[0], dkept = s[2].arg[2], back = s[2].arg[1], keep = s[3].arg[0];
    ck_assert(windowed(s, &processor, &t));
    const size_t end = dz.at + 4 * dz.ld + 9; // of the last row: dz begins at the window's last step
    const size_t taken[] = {dz.at, end - 1, dz.at - 4 * 5 * dz.ld, y.at, y.at - 15 * y.ld, back.at, keep.at};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        s[2].arg[2].at = s[3].arg[1].at = taken[i]; // dkept
        ck_assert_msg(!windowed(s, &processor, &t), "case %zu", i);
    }
    s[2].arg[2] = s[3].arg[1] = dkept;
    ck_assert(windowed(s, &processor, &t));
    s[1].arg[0].move[0] = 0; // the states do not move
    ck_assert(!windowed(s, &processor, &t));
    free(s);
    s = loop_of(&w, BPTT_LOOP_FORWARD);
    const size_t extent = 4 * s[1].arg[1].ld + 9;
    for (size_t by = extent; by + 1 >= extent; by--) { // as close as the states may be, then closer
        bptt_mat *const h[] = {&s[1].arg[1], &s[2].arg[2], &s[3].arg[0], &s[3].arg[3]};
        for (size_t k = 0; k < 4; k++) {
            h[k]->move[0] = (ptrdiff_t)by;
            if (k) h[k]->at = h[0]->at + by;
        }
        ck_assert_int_eq(windowed(s, &processor, &t), by == extent);
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
        bptt_op *s = loop_of(&w, BPTT_LOOP_BACKWARD);
        cl_limits l = large_gpu;
        launch t;
        const size_t tiles = 2 * tile_class_of(&l)->window_rows * H[i] * sizeof(float);
        const size_t all = tiles + H[i] * H[i] * sizeof(float), base = 16u << 10; // below base: another class
        l.local_memory = all > base ? all : base;
        ck_assert(windowed(s, &l, &t) && t.constants.layer.resident && t.local_bytes == all);
        l.local_is_real = false;
        ck_assert(windowed(s, &l, &t) && !t.constants.layer.resident && t.local_bytes == tiles);
        l.local_is_real = true;
        l.local_memory = all - 1;
        if (all > base) ck_assert(windowed(s, &l, &t) && !t.constants.layer.resident && t.local_bytes == tiles);
        check_least_memory(s, small_gpu, 2 * tile_class_of(&small_gpu)->window_rows * H[i] * sizeof(float));
        free(s);
        net_close(&w);
    }
}
END_TEST

START_TEST(a_processor_takes_windows_whose_weights_stay_in_its_cache)
{
    for (size_t H = 512; H < 514; H++) {
        net w = net_of("ref", BPTT_TANH, H, 1, 1, 1, true, false);
        launch t;
        bptt_op *s = loop_of(&w, BPTT_LOOP_FORWARD);
        check_processor(s, H == 512);
        ck_assert(windowed(s, &large_gpu, &t));
        free(s);
        net_close(&w);
    }
}
END_TEST

// ---- grids ----------------------------------------------------------------------------------------------------------

static bptt_mat tight(bptt_buf *b, size_t at, size_t rows, size_t cols, bool t)
{
    return (bptt_mat){.buf = b, .at = at, .rows = rows, .cols = cols, .ld = t ? rows : cols, .type = BPTT_F32, .t = t};
}

static launch product(size_t N, size_t K, size_t M, bool a_t)
{
    bptt_buf *some = (bptt_buf *)&processor; // never looked into
    const bptt_op op = {.opcode = BPTT_GEMM, .alpha = -1, .beta = 1};
    launch l = launch_for(KERNEL_gemm, &op, GRID_ELEMENTS, N, M);
    l.arg[0] = tight(some, 0, N, K, a_t);
    l.arg[1] = tight(some, N * K, K, M, false);
    l.arg[2] = tight(some, N * K + K * M, N, M, false);
    return l;
}

static void check_grid(const launch *t, const cl_limits *l)
{
    ck_assert_uint_gt(t->lanes[0] * t->lanes[1], 0);
    ck_assert_uint_le(t->lanes[0] * t->lanes[1], l->largest_group);
    ck_assert(t->groups[0] > 0 && t->groups[1] > 0);
}

static const size_t SIZES[] = {1, 7, 33, 50, 65, 512, 4096};
enum { SIZES_N = sizeof SIZES / sizeof *SIZES };

START_TEST(groups_of_the_product_cover_it_once)
{
    for (size_t i = 0; i < SIZES_N * SIZES_N * DEVICE_KINDS * 2; i++) {
        const cl_limits *l = DEVICES[i / 2 % DEVICE_KINDS];
        const tile_class *c = tile_class_of(l);
        const size_t N = SIZES[i / 2 / DEVICE_KINDS % SIZES_N], M = SIZES[i / 2 / DEVICE_KINDS / SIZES_N];
        launch t = product(N, 65, M, i % 2);
        cl_set_grid(&t, c, l);
        check_grid(&t, l);
        ck_assert(t.kernel == TUNED_MULTIPLY && t.operands == 3 && t.charge == BPTT_GEMM && t.local_bytes == 0);
        ck_assert(t.constant_bytes == sizeof(op_constants) && t.constants.op.alpha == -1 && t.constants.op.beta == 1);
        const size_t rows = c->group_rows * c->lane_rows, cols = c->group_cols * c->lane_cols;
        const size_t down = (N + rows - 1) / rows, across = (M + cols - 1) / cols;
        ck_assert(t.lanes[0] == c->group_cols && t.lanes[1] == c->group_rows);
        if (c->group_rows * c->group_cols > 1) // the kernel has no loop over tiles
            ck_assert(t.groups[0] == down && t.groups[1] == across);
        else
            ck_assert(t.groups[0] <= across && t.groups[1] <= down);
    }
}
END_TEST

START_TEST(grids_fit_the_device_and_have_work_for_every_group)
{
    for (size_t i = 0; i < SIZES_N * SIZES_N * DEVICE_KINDS; i++) {
        const cl_limits *l = DEVICES[i % DEVICE_KINDS];
        const tile_class *c = tile_class_of(l);
        const size_t rows = SIZES[i / DEVICE_KINDS % SIZES_N], cols = SIZES[i / DEVICE_KINDS / SIZES_N];
        const bptt_op cell = {.opcode = BPTT_CELL_BACKWARD}, softmax = {.opcode = BPTT_SOFTMAX_XENT};
        launch t = launch_for(KERNEL_cell_backward, &cell, GRID_ELEMENTS, rows, cols);
        cl_set_grid(&t, c, l);
        check_grid(&t, l);
        ck_assert(t.kernel == KERNEL_cell_backward && t.operands == 3 && t.charge == BPTT_CELL_BACKWARD);
        ck_assert_uint_le((t.groups[0] - 1) * t.lanes[0], cols - 1);
        ck_assert_uint_le((t.groups[1] - 1) * t.lanes[1], rows - 1);
        ck_assert(t.lanes[0] < 2 * cols && t.lanes[1] < 2 * rows);
        if (c->group_rows * c->group_cols == 1) ck_assert(t.groups[0] * t.lanes[0] == 1 && t.lanes[1] == 1);
        t = launch_for(KERNEL_softmax_xent, &softmax, GRID_GROUPS, rows, 1);
        cl_set_grid(&t, c, l);
        check_grid(&t, l);
        ck_assert(t.operands == 4 && t.lanes[0] == c->lanes_of_groups && t.groups[1] * t.lanes[1] == 1);
        ck_assert_uint_le(t.groups[0], rows);
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
    tcase_add_test(c, every_layer_of_a_plan_is_a_window_and_nothing_else);
    tcase_add_test(c, a_window_in_a_loop_of_blocks_moves_with_it);
    tcase_add_test(c, a_loop_with_anything_changed_is_refused);
    tcase_add_test(c, matrices_that_overlap_are_refused);
    tcase_add_test(c, a_window_takes_no_more_local_memory_than_there_is);
    tcase_add_test(c, a_processor_takes_windows_whose_weights_stay_in_its_cache);
    tcase_add_test(c, groups_of_the_product_cover_it_once);
    tcase_add_test(c, grids_fit_the_device_and_have_work_for_every_group);
    tcase_add_test(c, a_device_gets_the_sizes_of_its_kind);
}

int main(void) { return run_suite("lower", add, 60); }
