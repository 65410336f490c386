// Lowering of gated layers for OpenCL devices: their loops become one kernel whose operands are those of the ops.
// Needs no device: plans are those of real runs.
#include "lower_rig.h"

static const cl_limits *const DEVICES[] = {&processor, &large_gpu, &small_gpu};
enum { DEVICE_KINDS = sizeof DEVICES / sizeof *DEVICES };

// Operands of both kernels.
enum { KEEP, STATES, KEPT, Z, W, U, MIXED, BIAS_OR_DZ, BIAS2_OR_DKEPT, OPERANDS };

static const bptt_cell CELLS[] = {BPTT_GRU, BPTT_LSTM, BPTT_MLSTM, BPTT_MINGRU, BPTT_GRU_BEFORE};
enum { CELLS_HERE = sizeof CELLS / sizeof *CELLS };

// ---- operands -------------------------------------------------------------------------------------------------------

static bool same(const bptt_mat *a, const bptt_mat *b)
{
    return a->buf == b->buf && (!a->buf || (a->at == b->at && a->rows == b->rows && a->cols == b->cols &&
                                            a->ld == b->ld && a->type == b->type && a->t == b->t));
}

// Operand i after t steps; cols: these columns from `first`, else all.
static bptt_mat operand(const launch *k, size_t i, size_t t, size_t first, size_t cols)
{
    const layer_constants *w = &k->constants.layer;
    const word stride[OPERANDS] = {
        [KEEP] = w->stride_keep, [STATES] = w->stride_h,      [KEPT] = w->stride_kept, [Z] = w->stride_z,
        [U] = w->stride_u,       [BIAS_OR_DZ] = w->stride_dz, [BIAS2_OR_DKEPT] = 0};
    bptt_mat m = k->arg[i];
    m.at += t * stride[i];
    return cols ? bptt_cols(m, first, cols) : m;
}

static void is_at(const launch *k, size_t i, size_t t, size_t first, size_t cols, const bptt_mat *m)
{
    const bptt_mat o = operand(k, i, t, first, cols);
    ck_assert_msg(same(&o, m), "operand %zu, step %zu", i, t);
}

// The operands of one op of a forward body at step t.
static void forward_op_is(const launch *k, const bptt_op *op, bool second, size_t t)
{
    const layer_constants *w = &k->constants.layer;
    const size_t from = w->masked ? KEPT : STATES, H = w->H;
    switch ((int)op->opcode) {
    case BPTT_SCALE_ROWS:
        is_at(k, KEEP, t, 0, 0, &op->arg[0]), is_at(k, STATES, t, 0, 0, &op->arg[1]);
        is_at(k, KEPT, t, 0, 0, &op->arg[2]);
        break;
    case BPTT_GEMM:
        is_at(k, second ? U : from, t, 0, H, &op->arg[0]), is_at(k, second ? MIXED : W, 0, 0, 0, &op->arg[1]);
        is_at(k, Z, t, second ? w->mixed_at : w->hidden_at, op->arg[1].cols, &op->arg[2]);
        break;
    case BPTT_MIX:
        is_at(k, Z, t, 0, 0, &op->arg[0]), is_at(k, from, t, 0, H, &op->arg[1]), is_at(k, U, t, 0, 0, &op->arg[2]);
        break;
    case BPTT_GATES_FORWARD:
        is_at(k, Z, t, 0, 0, &op->arg[0]), is_at(k, BIAS_OR_DZ, 0, 0, 0, &op->arg[1]);
        is_at(k, BIAS2_OR_DKEPT, 0, 0, 0, &op->arg[2]), is_at(k, from, t, 0, 0, &op->arg[3]);
        is_at(k, STATES, t + 1, 0, 0, &op->arg[4]);
        ck_assert_int_eq(w->cell, (int)op->cell);
        break;
    default: ck_abort_msg("an op that no layer has: %s", bptt_opcode_name[op->opcode]);
    }
}

static void backward_op_is(const launch *k, const bptt_op *op, bool second, size_t t)
{
    const layer_constants *w = &k->constants.layer;
    const size_t into = w->masked ? BIAS2_OR_DKEPT : BIAS_OR_DZ, later = w->masked ? 0 : t + 1, H = w->H;
    switch ((int)op->opcode) {
    case BPTT_FILL:
        is_at(k, BIAS2_OR_DKEPT, 0, 0, 0, &op->arg[0]);
        ck_assert(op->value == 0);
        break;
    case BPTT_GATES_BACKWARD:
        is_at(k, Z, t, 0, 0, &op->arg[0]), is_at(k, KEPT, t, 0, 0, &op->arg[1]);
        is_at(k, STATES, t, 0, 0, &op->arg[2]), is_at(k, BIAS_OR_DZ, t, 0, 0, &op->arg[3]);
        is_at(k, into, later, 0, 0, &op->arg[4]);
        ck_assert_int_eq(w->cell, (int)op->cell);
        break;
    case BPTT_GEMM:
        is_at(k, Z, t, second ? w->mixed_at : w->hidden_at, op->arg[1].rows, &op->arg[0]);
        is_at(k, second ? MIXED : W, 0, 0, 0, &op->arg[1]);
        is_at(k, second ? U : into, second ? t : later, 0, H, &op->arg[2]);
        break;
    case BPTT_MIX_BACKWARD:
        is_at(k, Z, t, 0, 0, &op->arg[0]), is_at(k, KEPT, t, 0, H, &op->arg[1]), is_at(k, U, t, 0, 0, &op->arg[2]);
        is_at(k, into, later, 0, H, &op->arg[3]);
        break;
    case BPTT_SCALE_ROWS:
        is_at(k, KEEP, t, 0, 0, &op->arg[0]), is_at(k, BIAS2_OR_DKEPT, 0, 0, 0, &op->arg[1]);
        is_at(k, BIAS_OR_DZ, t + 1, 0, 0, &op->arg[2]);
        break;
    default: ck_abort_msg("an op that no layer has: %s", bptt_opcode_name[op->opcode]);
    }
}

static void check_window(const bptt_op *loop, const bptt_run *r, const cl_limits *l, const launch *k)
{
    const layer_constants *w = &k->constants.layer;
    const bool back = loop->loop.kind == BPTT_LOOP_BACKWARD;
    ck_assert_uint_eq(k->kernel, back ? TUNED_GATES_BACKWARD : TUNED_GATES_FORWARD);
    ck_assert_uint_eq(k->charge, back ? BPTT_WINDOW_BACKWARD : BPTT_WINDOW_FORWARD);
    ck_assert_uint_eq(k->operands, OPERANDS);
    ck_assert_uint_eq(w->T, loop->loop.T);
    ck_assert_uint_eq(w->B, r->B);
    ck_assert_uint_eq(w->H, r->model->config.hidden);
    ck_assert_int_eq(w->masked, r->config.keep != 0);
    ck_assert_uint_eq(k->constant_bytes, sizeof(layer_constants));
    size_t products = 0;
    for (size_t t = 0; t < loop->loop.T; t++)
        for (size_t i = 1; i <= loop->loop.body; i++) {
            const bptt_op op = bptt_op_at(&loop[i], t, 0);
            const bptt_opcode beside = loop[back ? i + 1 : i - 1].opcode; // a second product stands beside MIX
            const bool second = op.opcode == BPTT_GEMM &&
                                (back ? i < loop->loop.body && beside == BPTT_MIX_BACKWARD : beside == BPTT_MIX);
            products += op.opcode == BPTT_GEMM;
            (back ? backward_op_is : forward_op_is)(k, &op, second, t);
        }
    const size_t weights = (k->arg[W].buf ? 1u : 0) + (k->arg[MIXED].buf ? 1u : 0);
    ck_assert_uint_eq(products, weights * loop->loop.T);
    const tile_class *c = tile_class_of(l);
    ck_assert_uint_le(k->local_bytes, l->local_memory);
    ck_assert_uint_le(k->lanes[0], l->largest_group);
    if (c->group_rows * c->group_cols > 1) {
        ck_assert_uint_eq(k->lanes[0] % c->window_rows, 0); // each row has as many lanes
        ck_assert_uint_eq(k->groups[0], (r->B + c->window_rows - 1) / c->window_rows);
    } else
        ck_assert(k->lanes[0] == 1 && k->local_bytes == 0 && k->groups[0] * c->window_rows >= r->B);
}

START_TEST(every_gated_layer_of_a_plan_is_a_window_and_nothing_else)
{
    static const char *const who[] = {"ref", "cpu"}; // a view of W' and a stored one
    static const size_t T[] = {1, 2, 33};
    for (size_t i = 0; i < CELLS_HERE * 2 * 2 * 3; i++) {
        const bool gradient = i / CELLS_HERE % 2, keep = i / CELLS_HERE / 2 % 2;
        const size_t L = 1 + i % 3, steps = T[i / CELLS_HERE / 4];
        net n = net_of(who[i % 2], CELLS[i % CELLS_HERE], 1 + i, L, 1 + i % 7, steps, gradient, keep);
        const size_t passes = 1 + (steps % n.r->S > 0); // a loop over the whole ones, and the rest
        for (size_t k = 0; k < DEVICE_KINDS; k++) {
            ck_assert_uint_eq(check_plan(&n.r->plan[EVALUATE], n.r, DEVICES[k], check_window), L * passes);
            ck_assert_uint_eq(check_plan(&n.r->plan[NEXT], n.r, DEVICES[k], check_window), L);
            if (gradient) ck_assert_uint_eq(check_plan(&n.r->plan[TRAIN], n.r, DEVICES[k], check_window), 2 * L);
        }
        net_close(&n);
    }
}
END_TEST

// ---- refusals -------------------------------------------------------------------------------------------------------

enum { SHAPES = 4, CHANGES = 9 }; // changes below SHAPES are refused for every operand

static void change(bptt_mat *m, int which, bptt_buf *other)
{
    if (which == 0) m->rows += 1;
    if (which == 1) m->cols += 1;
    if (which == 2) m->type = BPTT_F64;
    if (which == 3) m->ld = 1;
    if (which == 4) m->at += 1;
    if (which == 5) m->ld += 1;
    if (which == 6) m->move[0] += 1;
    if (which == 7) m->move[1] += 1;
    if (which == 8) m->buf = other;
}

// Operand k of an op stands nowhere else in the body of this loop: another view of its shape may be meant as well.
static bool by_itself(const bptt_op *s, size_t k, bptt_cell cell)
{
    switch ((int)s->opcode) {
    case BPTT_SCALE_ROWS: return k == 0;
    case BPTT_GEMM: return k == 1;
    case BPTT_GATES_FORWARD: return k == 1 || k == 2 || (k == 0 && cell == BPTT_MINGRU);
    case BPTT_GATES_BACKWARD:
        return k == 2 || (k == 0 && cell == BPTT_MINGRU) || (k == 1 && !*bptt_cell_row_of(cell)->mixed);
    default: return false;
    }
}

static bool stays(const bptt_op *s, size_t k)
{
    return (s->opcode == BPTT_GEMM && k == 1) || (s->opcode == BPTT_GATES_FORWARD && (k == 1 || k == 2));
}

static void check_op(bptt_op *loop, size_t i, bptt_buf *other, bptt_cell cell)
{
    launch t;
    const bptt_op was = loop[i];
    for (size_t o = 0; bptt_opcode_roles[was.opcode][o]; o++)
        for (int c = 0; c < CHANGES; c++) {
            const bool alone = by_itself(&was, o, cell), row = was.arg[o].rows == 1 || was.arg[o].cols == 1;
            if (!was.arg[o].buf || (c == 3 && row)) continue;
            if (alone && c >= SHAPES && !(c == 6 && stays(&was, o))) continue;
            change(&loop[i].arg[o], c, other);
            ck_assert_msg(!windowed(loop, &processor, &t), "cell %d, op %zu, operand %zu, change %d", (int)cell, i, o,
                          c);
            loop[i] = was;
        }
    for (int c = 0; c < 6; c++) {
        bptt_op *s = &loop[i];
        if (c == 0) s->beta = 1 - s->beta;
        if (c == 1) s->beta = 2;
        if (c == 2) s->opcode = BPTT_COPY;
        if (c == 3) s->alpha = -1;
        if (c == 4) s->cell = BPTT_TANH;
        if (c == 5) s->value = 1;
        const bool matters = c < 4 || (c == 4 && was.cell != BPTT_TANH) || (c == 5 && was.opcode == BPTT_FILL);
        ck_assert_msg(windowed(loop, &processor, &t) == !matters, "cell %d, op %zu, change %d", (int)cell, i, c);
        *s = was;
    }
}

static void check_changes(bptt_op *loop, bptt_cell cell)
{
    launch t;
    net other = net_of("ref", BPTT_TANH, 3, 1, 1, 1, false, false);
    ck_assert(windowed(loop, &processor, &t));
    const size_t n = loop->loop.body;
    for (size_t i = 1; i <= n; i++) {
        check_op(loop, i, other.r->mem.logits.buf, cell);
        for (size_t j = i + 1; j <= n; j++) {
            const bptt_op kept = loop[i];
            loop[i] = loop[j], loop[j] = kept;
            ck_assert_msg(!windowed(loop, &processor, &t), "cell %d, ops %zu and %zu", (int)cell, i, j);
            loop[j] = loop[i], loop[i] = kept;
        }
    }
    const bptt_op was = *loop;
    for (int c = 0; c < 5; c++) {
        if (c == 0) loop->loop.kind = BPTT_LOOP_OUTPUT;
        if (c == 1) loop->loop.kind = was.loop.kind == BPTT_LOOP_FORWARD ? BPTT_LOOP_BACKWARD : BPTT_LOOP_FORWARD;
        if (c == 2) loop->loop.T = 0;
        if (c == 3) loop->loop.body--;
        if (c == 4) loop->loop.body = 0;
        ck_assert_msg(!windowed(loop, &processor, &t), "cell %d, the loop, change %d", (int)cell, c);
        *loop = was;
    }
    net_close(&other);
}

START_TEST(a_gated_loop_with_anything_changed_is_refused)
{
    for (size_t c = 0; c < CELLS_HERE; c++)
        for (int keep = 0; keep < 2; keep++)
            for (bptt_loop_kind kind = BPTT_LOOP_FORWARD; kind <= BPTT_LOOP_BACKWARD; kind++) {
                net w = net_of("cpu", CELLS[c], 9, 1, 5, 4, true, keep);
                bptt_op *loop = loop_of(&w, kind);
                check_changes(loop, CELLS[c]);
                free(loop);
                net_close(&w);
            }
}
END_TEST

// minGRU with a product of h before its gates.
START_TEST(a_product_that_the_cell_does_not_have_is_refused)
{
    net w = net_of("cpu", BPTT_MINGRU, 9, 2, 5, 4, true, false);
    bptt_op *s = loop_of(&w, BPTT_LOOP_FORWARD), longer[3];
    launch t;
    ck_assert(windowed(s, &processor, &t) && s->loop.body == 1);
    longer[0] = s[0], longer[2] = s[1];
    longer[0].loop.body = 2;
    longer[1] = (bptt_op){.opcode = BPTT_GEMM, .alpha = 1, .beta = 1};
    longer[1].arg[0] = bptt_cols(s[1].arg[3], 0, 9), longer[1].arg[2] = s[1].arg[0];
    longer[1].arg[1] = model_layer(w.m, BPTT_WEIGHTS, 1, WEIGHT_IH); // [9][18], as such a product would need
    ck_assert(!windowed(longer, &processor, &t));
    free(s);
    net_close(&w);
}
END_TEST

// Moves what the body calls m to `at`, everywhere it stands.
static void move_to(bptt_op *loop, bptt_mat m, size_t at)
{
    for (size_t i = 1; i <= loop->loop.body; i++)
        for (size_t o = 0; o < BPTT_OPERANDS; o++) {
            bptt_mat *x = &loop[i].arg[o];
            if (x->buf == m.buf && x->at >= m.at && x->at < m.at + m.cols) x->at += at - m.at;
        }
}

START_TEST(written_matrices_that_overlap_are_refused)
{
    for (bptt_loop_kind kind = BPTT_LOOP_FORWARD; kind <= BPTT_LOOP_BACKWARD; kind++) {
        net w = net_of("cpu", BPTT_MLSTM, 9, 1, 5, 4, true, true);
        bptt_op *s = loop_of(&w, kind);
        const size_t bytes = (1 + s->loop.body) * sizeof *s;
        bptt_op *was = must_alloc(1, bytes);
        memcpy(was, s, bytes);
        launch t, moved;
        size_t pairs = 0;
        ck_assert(windowed(s, &processor, &t));
        const size_t written[] = {Z, U, kind == BPTT_LOOP_FORWARD ? KEPT : BIAS2_OR_DKEPT};
        for (size_t i = 0; i < 3; i++)
            for (size_t o = 0; o < OPERANDS; o++) {
                if (o == written[i] || t.arg[o].buf != t.arg[written[i]].buf) continue;
                if (operand(&t, written[i], 3, 0, 0).at - t.arg[written[i]].at + t.arg[o].at > SIZE_MAX / 2) continue;
                pairs++; // not where a step would lie before the buffer
                move_to(s, operand(&t, written[i], 0, 0, 0), t.arg[o].at);
                ck_assert_msg(!windowed(s, &processor, &moved), "kind %d, %zu over %zu", (int)kind, written[i], o);
                memcpy(s, was, bytes);
            }
        ck_assert(windowed(s, &processor, &moved) && pairs >= 9);
        free(s), free(was);
        net_close(&w);
    }
}
END_TEST

// ---- where it fits --------------------------------------------------------------------------------------------------

START_TEST(a_gated_window_takes_no_more_local_memory_than_there_is)
{
    static const struct {
        bptt_cell cell;
        size_t deep[2]; // blocks of the longest left operand, forward and backward
    } CASE[] = {{BPTT_LSTM, {1, 4}}, {BPTT_GRU, {1, 3}}, {BPTT_MLSTM, {1, 4}}};
    for (size_t i = 0; i < 3; i++)
        for (int back = 0; back < 2; back++) {
            net w = net_of("cpu", CASE[i].cell, 65, 1, 5, 3, true, false);
            bptt_op *s = loop_of(&w, back ? BPTT_LOOP_BACKWARD : BPTT_LOOP_FORWARD);
            const size_t rows = tile_class_of(&small_gpu)->window_rows;
            check_least_memory(s, small_gpu, rows * CASE[i].deep[back] * 65 * sizeof(float));
            free(s);
            net_close(&w);
        }
}
END_TEST

START_TEST(a_processor_takes_gated_windows_up_to_512_units_and_any_without_weights)
{
    for (size_t H = 512; H < 514; H++)
        for (int products = 0; products < 2; products++) {
            net w = net_of("ref", products ? BPTT_LSTM : BPTT_MINGRU, H, 1, 1, 1, true, false);
            bptt_op *s = loop_of(&w, BPTT_LOOP_BACKWARD);
            check_processor(s, H == 512 || !products);
            free(s);
            net_close(&w);
        }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_gated_layer_of_a_plan_is_a_window_and_nothing_else);
    tcase_add_test(c, a_gated_loop_with_anything_changed_is_refused);
    tcase_add_test(c, a_product_that_the_cell_does_not_have_is_refused);
    tcase_add_test(c, written_matrices_that_overlap_are_refused);
    tcase_add_test(c, a_processor_takes_gated_windows_up_to_512_units_and_any_without_weights);
    tcase_add_test(c, a_gated_window_takes_no_more_local_memory_than_there_is);
}

int main(void) { return run_suite("lower_gates", add, 60); }
