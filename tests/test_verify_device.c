// `bptt verify device`: its claims hold on all backends of the tests, every planted bug is detected, and its
// assumptions hold: the whole-number cell, the bound, and that no model can have that cell.
#include "device_exact.h"
#include "f32.h"
#include "nets.h"
#include "part_holds.h"
#include "suite.h"

// ---- every claim holds --------------------------------------------------------------------------

static void all_hold(const char *backend, size_t least)
{
    const part_lines lines = part_holds(verify_device, "device", backend);
    CK_TRUE(lines.n >= least && lines.exact == lines.n, "%zu lines, %zu exact", lines.n, lines.exact);
}

START_TEST(every_claim_holds_on_every_backend_that_is_present) { all_hold(placed_on(), placed_on() ? 2 : 4); }
END_TEST
START_TEST(every_claim_holds_on_a_backend_that_is_named) { all_hold("ref", 2); }
END_TEST
START_TEST(a_backend_that_is_not_there_is_an_error_and_not_a_claim) { part_refuses_a_backend(verify_device, "device"); }
END_TEST

// ---- planted ------------------------------------------------------------------------------------

static void as_it_is(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_ref_f32().op[s->opcode](d, s, slots);
}

static bptt_mat row(bptt_mat m, size_t i) { return bptt_rows(m, i, 1); }

typedef void planted(bptt_device *d, bptt_op *s, const bptt_slots *slots);

static void transposed(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GEMM && s->arg[1].rows == s->arg[1].cols) s->arg[1] = bptt_flip(s->arg[1]);
    as_it_is(d, s, slots);
}

static void product_overwrites(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GEMM) s->beta = 0;
    as_it_is(d, s, slots);
}

static void product_adds(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GEMM) s->beta = 1;
    as_it_is(d, s, slots);
}

static void sign_lost(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    s->alpha = 1;
    as_it_is(d, s, slots);
}

static void packed(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GEMM) s->arg[0].ld = s->arg[0].t ? s->arg[0].rows : s->arg[0].cols;
    as_it_is(d, s, slots);
}

static void recurrence_dropped(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GEMM && s->arg[0].move[0] < 0) return;
    as_it_is(d, s, slots);
}

// dz by the state before the step instead of the one after it.
static void state_before(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    const size_t early = s->arg[0].rows * s->arg[0].ld;
    if (s->opcode == BPTT_CELL_BACKWARD && s->arg[0].at >= early) s->arg[0].at -= early;
    as_it_is(d, s, slots);
}

static void second_bias_lost(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_CELL_FORWARD) s->arg[2].buf = NULL;
    as_it_is(d, s, slots);
}

static void scatter_overwrites(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    const bptt_mat id = s->arg[0], dz = s->arg[1];
    as_it_is(d, s, slots);
    for (size_t i = 0; s->opcode == BPTT_SCATTER && i < dz.rows; i++) {
        int32_t v = 0;
        CK_OK(d->backend.read(d, &v, BPTT_I32, row(id, i), NULL));
        as_it_is(d, &(bptt_op){.opcode = BPTT_COPY, .arg = {row(dz, i), row(s->arg[2], (size_t)v)}}, slots);
    }
}

// Row i is computed with the index of row n - 1 - i: time runs backwards.
static void backwards(bptt_device *d, bptt_op *s, const bptt_slots *slots, size_t rows, size_t others)
{
    for (size_t i = 0; i < rows; i++) {
        bptt_op one = *s;
        one.arg[0] = row(s->arg[0], rows - 1 - i);
        for (size_t k = 1; k <= 3; k++)
            if (others >> k & 1) one.arg[k] = row(s->arg[k], i);
        as_it_is(d, &one, slots);
    }
}

static void tokens_backwards(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GATHER)
        backwards(d, s, slots, s->arg[2].rows, 1 << 2);
    else
        as_it_is(d, s, slots);
}

static void targets_backwards(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_SOFTMAX_XENT)
        backwards(d, s, slots, s->arg[2].rows, 1 << 1 | 1 << 2 | 1 << 3);
    else
        as_it_is(d, s, slots);
}

static void mask_ignored(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_SCALE_ROWS && !s->beta)
        *s = (bptt_op){.opcode = BPTT_COPY, .alpha = 1, .arg = {s->arg[1], s->arg[2]}};
    as_it_is(d, s, slots);
}

static void row_forgotten(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_COLSUM && s->arg[0].rows > 1) s->arg[0] = bptt_rows(s->arg[0], 0, s->arg[0].rows - 1);
    as_it_is(d, s, slots);
}

static void bias_gradient_adds(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_COLSUM) s->beta = 1;
    as_it_is(d, s, slots);
}

static void state_not_carried(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_COPY && !s->arg[0].t && s->arg[0].rows > 1) return;
    as_it_is(d, s, slots);
}

static void one_element(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    as_it_is(d, s, slots);
    const bptt_mat c = s->arg[2];
    if (s->opcode != BPTT_GEMM || c.rows < 20 || c.cols < 5) return;
    const bptt_mat last = bptt_cols(row(c, c.rows - 1), c.cols - 1, 1);
    double x = 0;
    CK_OK(d->backend.read(d, &x, BPTT_F64, last, NULL));
    x += 1;
    CK_OK(d->backend.write(d, last, &x, BPTT_F64, NULL));
}

// One column more than it was given.
static void strays(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    as_it_is(d, s, slots);
    if (s->opcode != BPTT_FILL) return;
    s->arg[0].cols++;
    as_it_is(d, s, slots);
}

static void slope_of_dy(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_CELL_BACKWARD) s->arg[0] = s->arg[1];
    as_it_is(d, s, slots);
}

// A state that is no number: the window is refused, and that is a finding, not an error.
static void not_a_number(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    as_it_is(d, s, slots);
    if (s->opcode != BPTT_CELL_FORWARD) return;
    as_it_is(d, &(bptt_op){.opcode = BPTT_FILL, .value = (double)NAN, .arg = {row(s->arg[3], 0)}}, slots);
}

static void nothing(bptt_device *d, bptt_op *s, const bptt_slots *slots) { as_it_is(d, s, slots); }

enum { NETS = 1, STEPS = 2, BOTH = 3 };
static const struct {
    const char *what;
    planted *bug;
    unsigned seen; // by nets, by steps
} BUG[] = {
    {"nothing", nothing, 0},
    {"W transposed", transposed, NETS},
    {"a product overwrites", product_overwrites, BOTH},
    {"a product adds", product_adds, BOTH},
    {"alpha = -1 lost", sign_lost, STEPS},
    {"rows read as if they were packed", packed, STEPS},
    {"no recurrence in reverse", recurrence_dropped, NETS},
    {"the slope of the state before", state_before, NETS},
    {"the slope of dy", slope_of_dy, BOTH},
    {"NaN", not_a_number, BOTH},
    {"second bias lost", second_bias_lost, BOTH},
    {"scatter overwrites", scatter_overwrites, BOTH},
    {"tokens in reverse order", tokens_backwards, BOTH},
    {"targets in reverse order", targets_backwards, NETS},
    {"mask ignored", mask_ignored, BOTH},
    {"a row forgotten in colsum", row_forgotten, BOTH},
    {"db added to what was there", bias_gradient_adds, BOTH},
    {"the state is not carried", state_not_carried, BOTH},
    {"one wrong element", one_element, BOTH},
    {"fill writes a column more", strays, BOTH},
};
enum { BUGS = sizeof BUG / sizeof BUG[0] };

static planted *bug; // a test program is one thread
static void bent(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_op own = *s;
    bug(d, &own, slots);
}

START_TEST(every_bug_in_a_backend_is_noticed)
{
    static const whole_shape sizes[] = {{5, 0, 7, 2, 3, 6, 2, true, true, false, 0, 0, BPTT_SOFTMAX},
                                        {7, 3, 33, 1, 5, 4, 1, true, false, false, 0, 0, BPTT_SOFTMAX}};
    bptt_backend b = bptt_ref_f32();
    for (size_t i = 0; i < BPTT_OPCODES; i++) b.op[i] = bent;
    const whole_place p = {.name = "planted", .table = &b};
    whole_found nets = {0}, steps = {0};
    bptt_error e = {0};
    bug = BUG[_i].bug;
    for (size_t i = 0; i < 2; i++) {
        whole_net n;
        CK_TRUE(whole_make(&n, &sizes[i], 5 + i, &e) == BPTT_OK, "%s", e.words);
        CK_TRUE(whole_run(&p, &n, &nets, &e) == BPTT_OK, "%s", e.words);
        whole_free(&n);
    }
    for (size_t i = 0; i < 4; i++) CK_TRUE(whole_steps(&p, i, &steps, &e) == BPTT_OK, "%s", e.words);
    printf("  %-34s nets: %zu of %zu, steps: %zu of %zu\n", BUG[_i].what, nets.unlike, nets.numbers, steps.unlike,
           steps.numbers);
    const unsigned seen = (nets.unlike ? NETS : 0) | (steps.unlike ? STEPS : 0);
    CK_TRUE(seen == BUG[_i].seen, "%s: seen by %#x of 1 nets, 2 steps; should be by %#x; %s; %s", BUG[_i].what, seen,
            BUG[_i].seen, nets.first, steps.first);
    CK_TRUE(nets.numbers > 5000 || strcmp(nets.first, "") != 0, "too little was compared");
    CK_TRUE(steps.numbers > 5000, "too little was compared");
}
END_TEST

// ---- planted in the ops of gated cells ----------------------------------------------------------

// Runs an op and restores an operand, as if it were not written.
static void without_writing(bptt_device *d, const bptt_op *s, const bptt_slots *slots, bptt_mat kept)
{
    double *const x = must_alloc(kept.rows * kept.cols, sizeof *x);
    CK_OK(d->backend.read(d, x, BPTT_F64, kept, NULL));
    as_it_is(d, s, slots);
    CK_OK(d->backend.write(d, kept, x, BPTT_F64, NULL));
    free(x);
}

static void fill_zero(bptt_device *d, bptt_mat x, const bptt_slots *slots)
{
    as_it_is(d, &(bptt_op){.opcode = BPTT_FILL, .arg = {x}}, slots);
}

static void gates_second_bias_lost(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GATES_FORWARD) s->arg[2].buf = NULL;
    as_it_is(d, s, slots);
}

static void gates_biases_change_places(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    const bptt_mat b = s->arg[1], b2 = s->arg[2];
    if (s->opcode == BPTT_GATES_FORWARD && b.buf && b2.buf) s->arg[1] = b2, s->arg[2] = b;
    as_it_is(d, s, slots);
}

static void gates_not_saved(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GATES_FORWARD)
        without_writing(d, s, slots, s->arg[0]);
    else
        as_it_is(d, s, slots);
}

static void gradient_of_c_lost(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    const size_t H = s->arg[3].cols / 2;
    if (s->opcode == BPTT_GATES_BACKWARD && bptt_cell_row_of(s->cell)->states == 2)
        fill_zero(d, bptt_cols(s->arg[3], H, H), slots);
    as_it_is(d, s, slots);
}

static void gates_overwrite_gradient(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GATES_BACKWARD) fill_zero(d, s->arg[4], slots);
    as_it_is(d, s, slots);
}

static void gates_of_states_before(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_GATES_BACKWARD) s->arg[2] = s->arg[1];
    as_it_is(d, s, slots);
}

static void second_product_of_h(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    as_it_is(d, s, slots);
    if (s->opcode == BPTT_MIX) as_it_is(d, &(bptt_op){.opcode = BPTT_COPY, .arg = {s->arg[1], s->arg[2]}}, slots);
}

static void mix_without_path_to_h(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_MIX_BACKWARD)
        without_writing(d, s, slots, s->arg[3]);
    else
        as_it_is(d, s, slots);
}

static void mix_leaves_dz(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    if (s->opcode == BPTT_MIX_BACKWARD)
        without_writing(d, s, slots, s->arg[0]);
    else
        as_it_is(d, s, slots);
}

// keep does not reach the states after h.
static void keep_of_h_alone(bptt_device *d, bptt_op *s, const bptt_slots *slots)
{
    const bool wide = s->opcode == BPTT_SCALE_ROWS && !s->beta && s->arg[1].cols % 2 == 0;
    const size_t H = s->arg[1].cols / 2;
    as_it_is(d, s, slots);
    if (wide)
        as_it_is(d, &(bptt_op){.opcode = BPTT_COPY, .arg = {bptt_cols(s->arg[1], H, H), bptt_cols(s->arg[2], H, H)}},
                 slots);
}

static const struct {
    const char *what;
    planted *bug;
    unsigned seen;
    const char *cells; // words of the cells that nets must see it in; the others are not concerned
} GATED_BUG[] = {
    {"nothing", nothing, 0, ""},
    {"second bias lost", gates_second_bias_lost, BOTH, "gru lstm "},
    {"biases of the wrong blocks", gates_biases_change_places, BOTH, "gru "},
    {"gates not saved", gates_not_saved, BOTH, "gru lstm mingru "}, // the others: equal modulo 5
    {"the gradient of c lost", gradient_of_c_lost, BOTH, "lstm mlstm "},
    {"the gradient of the states overwritten", gates_overwrite_gradient, BOTH, "gru lstm mlstm mingru gru-before "},
    {"the states before instead of after", gates_of_states_before, BOTH, "lstm mlstm "},
    {"the second product of h", second_product_of_h, BOTH, "mlstm gru-before "},
    {"mix_backward without the path to h", mix_without_path_to_h, BOTH, "gru-before "},
    {"mix_backward leaves dz", mix_leaves_dz, BOTH, "mlstm gru-before "},
    {"keep of h alone", keep_of_h_alone, BOTH, "lstm mlstm "},
};
enum { GATED_BUGS = sizeof GATED_BUG / sizeof GATED_BUG[0] };

START_TEST(every_bug_in_a_gated_cell_is_noticed)
{
    static const whole_shape sizes[] = {{5, 0, 7, 2, 3, 6, 2, true, true, false, 0, 0, BPTT_SOFTMAX},
                                        {7, 3, 13, 1, 5, 4, 2, false, false, true, 0, 0, BPTT_SOFTMAX}};
    bptt_backend b = bptt_ref_f32();
    for (size_t i = 0; i < BPTT_OPCODES; i++) b.op[i] = bent;
    const whole_place p = {.name = "planted", .table = &b};
    whole_found steps = {0};
    bptt_error e = {0};
    bug = GATED_BUG[_i].bug;
    for (size_t cell = BPTT_PLAIN_CELLS; cell < bptt_cells; cell++) {
        whole_found nets = {0};
        char word[40];
        snprintf(word, sizeof word, "%s ", bptt_cell_table[cell].word);
        for (size_t i = 0; i < 2; i++) {
            whole_shape of_cell = sizes[i];
            whole_net n;
            of_cell.gated = (bptt_cell)cell;
            CK_TRUE(whole_make(&n, &of_cell, 5 + i, &e) == BPTT_OK, "%s", e.words);
            CK_TRUE(whole_run(&p, &n, &nets, &e) == BPTT_OK, "%s", e.words);
            whole_free(&n);
        }
        const char *const named = strstr(GATED_BUG[_i].cells, word);
        const bool listed = named && (named == GATED_BUG[_i].cells || named[-1] == ' ');
        CK_TRUE((nets.unlike > 0) == listed, "%s in %s: %zu of %zu, first %s", GATED_BUG[_i].what, word, nets.unlike,
                nets.numbers, nets.first);
        CK_TRUE(nets.numbers > 3000, "too little was compared");
    }
    for (size_t i = 0; i < 4; i++) CK_TRUE(whole_steps(&p, i, &steps, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE((steps.unlike > 0) == ((GATED_BUG[_i].seen & STEPS) != 0), "%s: steps: %zu of %zu", GATED_BUG[_i].what,
            steps.unlike, steps.numbers);
}
END_TEST

START_TEST(every_gated_cell_of_the_table_has_formulas_in_whole_numbers)
{
    for (size_t cell = BPTT_PLAIN_CELLS; cell < bptt_cells; cell++) {
        const whole_cell *const c = whole_cell_of((bptt_cell)cell);
        CK_TRUE(c != NULL, "%s has none", bptt_cell_table[cell].word);
        ck_assert_ptr_eq(whole_cell_of((bptt_cell)(BPTT_WHOLE + cell)), c);
        ck_assert_uint_eq(c->blocks, bptt_cell_table[cell].blocks);
        ck_assert_uint_eq(c->states, bptt_cell_table[cell].states);
    }
    ck_assert_str_eq(whole_cell_of(BPTT_WHOLE)->word, "");
}
END_TEST

// ---- assumptions --------------------------------------------------------------------------------

START_TEST(the_cell_of_whole_numbers_is_exact_wherever_float_is)
{
    size_t wrong = 0;
    for (int32_t z = -(1 << 24); z <= 1 << 24; z++) wrong += f32_whole((float)z) != (float)whole_value(z);
    CK_TRUE(wrong == 0, "%zu whole numbers", wrong);
    for (int32_t y = -2; y <= 2; y++) {
        const float s = f32_whole((float)(y * y));
        CK_TRUE(s == (float)whole_slope(y), "the slope at %d is %g", (int)y, (double)s);
    }
    ck_assert(isnan(f32_whole((float)NAN)));
}
END_TEST

START_TEST(no_model_has_the_cell_of_whole_numbers)
{
    bptt_model_config c;
    bptt_model *m = NULL;
    bptt_model_defaults(&c);
    c.vocab = 2, c.hidden = 1, c.cell = BPTT_WHOLE;
    ck_assert_int_eq(bptt_model_open(&c, &m, NULL), BPTT_BAD_CONFIG);
    ck_assert_ptr_null(m);
}
END_TEST

// Full weights over so many steps grow beyond exact floats.
START_TEST(a_net_that_adds_up_too_much_is_refused)
{
    static const whole_shape sizes = {5, 0, 33, 1, 3, 30, 1, false, false, true, 0, 0, BPTT_SOFTMAX};
    whole_net n;
    bptt_error e = {0};
    ck_assert_int_eq(whole_make(&n, &sizes, 1, &e), BPTT_BAD_CONFIG);
    ck_assert_uint_eq(n.refused, WHOLE_TRIES);
    CK_TRUE(strstr(e.words, "H 33") != NULL, "%s", e.words);
    whole_free(&n);
}
END_TEST

// One unit, two steps, by hand: W_ih of the tokens 1 and 0 is 3 and 1, W_hh = -1, b = 1, h(0) = 2.
//   z(0) = 3 + 1 - 2 = 2, h(1) = 2;  z(1) = 1 + 1 - 2 = 0, h(2) = 0
// W_out = (1, 0), unit 2 * 1024: logits 2 * 2 and 1, then 0 and 1; targets 1 and 0.
//   loss 3 + 1;  dlogit (1, -1), (-1, 1);  dh = 1, -1;  dz(1) = -1 * 0 = 0, dz(0) = 1 * -1 = -1;  dh(0) = 1
START_TEST(the_reference_agrees_with_values_computed_by_hand)
{
    static const whole_shape sizes = {2, 0, 1, 1, 1, 2, 1, false, false, false, 0, 0, BPTT_SOFTMAX};
    whole_net n;
    CK_OK(whole_make(&n, &sizes, 3, NULL));
    const int64_t w_ih[] = {1, 3}, out[] = {1, 0}, bias[] = {0, 1};
    memcpy(n.w[0], w_ih, sizeof w_ih), memcpy(n.w[3], out, sizeof out), memcpy(n.w[4], bias, sizeof bias);
    n.w[1][0] = -1, n.w[2][0] = 1, n.h0[0] = 2;
    whole_window *const w = &n.win[0];
    w->token[0] = 1, w->token[1] = 0, w->target[0] = 1, w->target[1] = 0;
    whole_compute_reference(&n);
    const int64_t h[] = {2, 2, 0}, dz[] = {-1, 0}, g[] = {0, -1, -2, -1, 2, -2, 0, 0};
    CK_TRUE(memcmp(w->h, h, sizeof h) == 0, "states %d %d %d", (int)w->h[0], (int)w->h[1], (int)w->h[2]);
    CK_TRUE(memcmp(w->dz, dz, sizeof dz) == 0, "dz %d %d", (int)w->dz[0], (int)w->dz[1]);
    CK_TRUE(w->loss == 4 && w->dh0[0] == 1, "loss %d, dh0 %d", (int)w->loss, (int)w->dh0[0]);
    size_t at = 0;
    for (size_t i = 0; i < n.tensors; i++)
        for (size_t k = 0; k < n.size[i]; k++, at++)
            CK_TRUE(w->g[i][k] == g[at], "tensor %zu [%zu] is %d, not %d", i, k, (int)w->g[i][k], (int)g[at]);
    whole_free(&n);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_claim_holds_on_every_backend_that_is_present);
    if (placed_on()) return; // the rest is the same everywhere
    tcase_add_test(c, every_claim_holds_on_a_backend_that_is_named);
    tcase_add_test(c, a_backend_that_is_not_there_is_an_error_and_not_a_claim);
    tcase_add_loop_test(c, every_bug_in_a_backend_is_noticed, 0, BUGS);
    tcase_add_loop_test(c, every_bug_in_a_gated_cell_is_noticed, 0, GATED_BUGS);
    tcase_add_test(c, every_gated_cell_of_the_table_has_formulas_in_whole_numbers);
    tcase_add_test(c, the_cell_of_whole_numbers_is_exact_wherever_float_is);
    tcase_add_test(c, no_model_has_the_cell_of_whole_numbers);
    tcase_add_test(c, a_net_that_adds_up_too_much_is_refused);
    tcase_add_test(c, the_reference_agrees_with_values_computed_by_hand);
}

int main(void) { return run_suite("verify device", add, 120); }
