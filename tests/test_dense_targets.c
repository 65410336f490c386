// Models with dense targets: configurations and windows that do not fit are refused in words; model files hold the
// outputs, the loss and skip, and files of other programs name them.
#include "nets.h"
#include "st_file.h"

static bptt_model_config dense_config(size_t I, size_t M, bptt_loss loss, int skip)
{
    bptt_model_config c = net_config("ref", BPTT_F64, 0, 7, 2);
    c.input = I, c.output = M, c.loss = loss, c.skip = skip;
    return c;
}

// ---- configurations -------------------------------------------------------------------------------------------------

START_TEST(configurations_that_do_not_fit_are_refused_in_words)
{
    static const struct {
        size_t V, I, M;
        int loss, skip;
        const char *says;
    } bad[] = {
        {0, 0, 3, BPTT_SQUARED, 0, "`vocab` is 0"},
        {0, 5, 0, BPTT_SOFTMAX, 0, "`vocab` is 0"},
        {1, 5, 3, BPTT_SQUARED, 0, "`vocab` is 1"},
        {9, 5, 3, BPTT_SOFTMAX, 0, "`output` is 3, so targets are dense, but `loss` is softmax"},
        {9, 5, 0, BPTT_BINARY, 0, "`loss` is 3, which is for dense targets"},
        {9, 5, 65537, BPTT_SQUARED, 0, "`output` is 65537, but must be 0, or 1 to 65536"},
        {9, 5, 3, 4, 0, "`loss` is 4, but must be 0 to 3"},
        {9, 5, 3, BPTT_SQUARED, 2, "`skip` is 2, but must be 0 or 1"},
        {9, 5, 6, BPTT_SQUARED, 1, "`input` (5) must be at least `output` (6)"},
        {9, 0, 6, BPTT_SQUARED, 1, "`input` (0) must be at least `output` (6)"},
        {9, 5, 0, BPTT_SOFTMAX, 1, "and `output` above 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bptt_model_config c = dense_config(bad[i].I, bad[i].M, (bptt_loss)bad[i].loss, bad[i].skip);
        bptt_model *m = NULL;
        bptt_error e = {0};
        c.vocab = bad[i].V;
        CK_TRUE(bptt_model_open(&c, &m, &e) == BPTT_BAD_CONFIG && !m, "case %zu was taken", i);
        CK_TRUE(strstr(e.words, bad[i].says), "case %zu: %s", i, e.words);
    }
    bptt_trainer_config t;
    bptt_trainer *trainer = NULL;
    bptt_error e = {0};
    bptt_trainer_defaults(&t);
    t.model.output = 3, t.model.loss = BPTT_SQUARED;
    ck_assert_int_eq(bptt_trainer_open(&t, "abcabcabc", 9, &trainer, &e), BPTT_BAD_CONFIG);
    CK_TRUE(strstr(e.words, "`output` is 3, but this trainer reads text"), "%s", e.words);
}
END_TEST

START_TEST(a_burn_in_leaves_a_step)
{
    const bptt_model_config c = dense_config(5, 3, BPTT_SQUARED, 0);
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_run_config rc;
    bptt_error e = {0};
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_run_defaults(&rc);
    ck_assert_uint_eq(rc.burn_in, 0);
    rc.steps = 4, rc.burn_in = 4;
    ck_assert_int_eq(bptt_run_open(m, &rc, &r, &e), BPTT_BAD_CONFIG);
    CK_TRUE(strstr(e.words, "`burn_in` is 4, but must be below `steps` (4)"), "%s", e.words);
    rc.burn_in = 3;
    CK_OK(bptt_run_open(m, &rc, &r, NULL));
    bptt_run_close(r), bptt_model_close(m);
}
END_TEST

// Token targets have a burn-in too: as weights of 0 in the first steps.
START_TEST(a_burn_in_of_token_targets_is_weights_of_0)
{
    for (int weighted = 0; weighted < 2; weighted++) {
        bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 2);
        net n, other;
        net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 5, .gradient = 1, .burn_in = 2});
        net_open(&other, &c, &(bptt_run_config){.batch = 3, .steps = 5, .gradient = 1});
        for (size_t i = 0; i < 15; i++) other.weight[i] = i < 6 ? 0 : weighted ? n.weight[i] : 1;
        n.w.weight = weighted ? n.weight : NULL, other.w.weight = other.weight;
        bptt_report a, b;
        for (int k = 0; k < 2; k++) {
            CK_OK(bptt_run_train(n.r, &n.w, 0.01, &a, NULL));
            CK_OK(bptt_run_train(other.r, &other.w, 0.01, &b, NULL));
            ck_assert(a.loss == b.loss && a.weight == b.weight && a.grad_norm == b.grad_norm && a.loss > 0);
        }
        snapshot s = snapshot_of(n.m);
        ck_assert(snapshot_holds(&s, other.m, true));
        net_close(&n), net_close(&other);
    }
}
END_TEST

// ---- windows --------------------------------------------------------------------------------------------------------

static void window_refused(net *n, const bptt_window *w, const char *says)
{
    bptt_error e = {0};
    ck_assert_int_eq(bptt_run_evaluate(n->r, w, NULL, &e), BPTT_BAD_INPUT);
    CK_TRUE(strstr(e.words, says), "%s", e.words);
    e = (bptt_error){0};
    ck_assert_int_eq(bptt_run_submit(n->r, w, 0.1, &e), BPTT_BAD_INPUT);
    CK_TRUE(strstr(e.words, says), "%s", e.words);
}

START_TEST(windows_that_do_not_fit_are_refused_in_words)
{
    const bptt_model_config c = dense_config(5, 3, BPTT_BINARY, 0), tokens = net_config("ref", BPTT_F32, 9, 7, 1);
    const bptt_run_config rc = {.batch = 2, .steps = 4, .gradient = 1};
    net n;
    net_open(&n, &c, &rc);
    bptt_window w = n.w;
    w.dense_target = NULL;
    window_refused(&n, &w, "`dense_target` is NULL, but the targets of the model are dense, of width 3");
    w = n.w, w.target = n.target;
    window_refused(&n, &w, "`target` must be NULL");
    w = n.w, w.dense_target_type = (bptt_type)9;
    window_refused(&n, &w, "`dense_target_type` is 9");
    w = n.w, w.reserved = 1;
    window_refused(&n, &w, "`reserved` of the window is 1, but must be 0");
    static const double outside[] = {-0x1p-20, 1 + 0x1p-20, (double)NAN, -INFINITY};
    for (size_t i = 0; i < 4; i++) {
        const double kept = n.dense_target[16]; // step 2, row 1, output 1
        n.dense_target[16] = outside[i];
        window_refused(&n, &n.w, "at step 2, row 1, output 1 is not from 0 to 1");
        n.dense_target[16] = kept;
    }
    n.dense_target[0] = 0, n.dense_target[1] = 1;
    CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
    bptt_error e = {0};
    ck_assert_int_eq(bptt_score(n.m, "ab", 2, NULL, NULL, NULL, &e), BPTT_BAD_INPUT);
    net_close(&n);
    net_open(&n, &tokens, &rc);
    const float y[1] = {0};
    w = n.w, w.dense_target = y;
    window_refused(&n, &w, "the targets of the model are tokens, so `dense_target` must be NULL");
    net_close(&n);
}
END_TEST

START_TEST(targets_that_are_not_numbers_are_not_finite_and_change_nothing)
{
    for (int loss = BPTT_SQUARED; loss < BPTT_BINARY; loss++) {
        bptt_model_config c = dense_config(5, 3, (bptt_loss)loss, 0);
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = 2, .steps = 4, .gradient = 1});
        snapshot s = snapshot_of(n.m);
        n.dense_target[7] = (double)NAN;
        ck_assert_int_eq(bptt_run_train(n.r, &n.w, 0.1, NULL, NULL), BPTT_NOT_FINITE);
        ck_assert(snapshot_holds(&s, n.m, false));
        net_close(&n);
    }
}
END_TEST

// Text cannot be scored or written by a model that predicts no characters.
START_TEST(a_model_with_tokens_and_dense_targets_scores_no_text)
{
    bptt_model_config c = dense_config(0, 3, BPTT_SQUARED, 0);
    bptt_model *m = NULL;
    bptt_error e = {0};
    c.vocab = 2;
    CK_OK(bptt_model_open(&c, &m, NULL));
    CK_OK(bptt_model_set_vocabulary(m, (const unsigned char *)"ab", 2, NULL));
    ck_assert_int_eq(bptt_score(m, "abab", 4, NULL, NULL, NULL, &e), BPTT_BAD_INPUT);
    CK_TRUE(strstr(e.words, "dense targets"), "%s", e.words);
    bptt_model_close(m);
}
END_TEST

// ---- files ----------------------------------------------------------------------------------------------------------

START_TEST(a_model_file_holds_outputs_loss_and_skip)
{
    static const struct {
        size_t V, I, M;
        bptt_loss loss;
        int skip;
    } net_[] = {{0, 5, 3, BPTT_SQUARED, 1}, {9, 0, 4, BPTT_ABSOLUTE, 0}, {9, 5, 5, BPTT_BINARY, 1}, {9, 0, 0, 0, 0}};
    make_folder();
    for (size_t i = 0; i < 4; i++) {
        bptt_model_config c = dense_config(net_[i].I, net_[i].M, net_[i].loss, net_[i].skip), got;
        bptt_model *m = NULL, *back = NULL;
        c.vocab = net_[i].V;
        CK_OK(bptt_model_open(&c, &m, NULL));
        unlink(path);
        CK_OK(bptt_model_save(m, path, NULL));
        CK_OK(bptt_model_load(path, &c, &back, NULL));
        bptt_model_get_config(back, &got);
        ck_assert(got.vocab == c.vocab && got.input == c.input && got.output == c.output);
        ck_assert(got.loss == c.loss && got.skip == c.skip);
        bptt_tensor t;
        CK_OK(bptt_model_tensor(back, bptt_model_tensors(back) - 2, &t, NULL));
        ck_assert(strcmp(t.name, "decoder.weight") == 0 && t.rows == (c.output ? c.output : c.vocab) && t.cols == 7);
        double *a = net_part(m, BPTT_WEIGHTS), *b = net_part(back, BPTT_WEIGHTS);
        ck_assert(same_bits(a, b, bptt_model_parameters(m)));
        free(a), free(b);
        st_reader *r = NULL; // a file of a model with token targets is as it was before there were dense ones
        CK_OK(st_read_open(path, 0, &r, NULL));
        const bool named = st_metadata(r, "output") || st_metadata(r, "loss") || st_metadata(r, "skip");
        ck_assert(named == (c.output > 0));
        st_read_close(r);
        bptt_model_close(m), bptt_model_close(back);
    }
    remove_folder();
}
END_TEST

enum { H = 7, M = 5 };

// A file of PyTorch's tensors with these metadata; NULL: without the key.
static void put_foreign(size_t I, const char *const value[4])
{
    static const char *const key[] = {"input", "output", "loss", "skip"};
    const st_tensor t[] = {{.name = "rnn.weight_ih_l0", .dtype = ST_F64, .rank = 2, .shape = {H, I}},
                           {.name = "rnn.weight_hh_l0", .dtype = ST_F64, .rank = 2, .shape = {H, H}},
                           {.name = "rnn.bias_ih_l0", .dtype = ST_F64, .rank = 1, .shape = {H}},
                           {.name = "decoder.weight", .dtype = ST_F64, .rank = 2, .shape = {M, H}},
                           {.name = "decoder.bias", .dtype = ST_F64, .rank = 1, .shape = {M}}};
    const size_t n[] = {H * I, H * H, H, M * H, M};
    st_pair pair[5] = {{"cell", "tanh"}};
    size_t pairs = 1;
    st_writer *w = NULL;
    double *x = reals(H * 9);
    for (size_t i = 0; i < 4; i++)
        if (value[i]) pair[pairs++] = (st_pair){key[i], value[i]};
    unlink(path);
    CK_OK(st_write_open(path, t, 5, pair, pairs, &w, NULL));
    for (size_t i = 0; i < 5; i++) CK_OK(st_write(w, x, n[i] * sizeof *x, NULL));
    CK_OK(st_write_commit(w, NULL));
    free(x);
}

START_TEST(files_of_other_programs_name_their_outputs)
{
    static const struct {
        size_t I;
        const char *value[4]; // input, output, loss, skip
        bptt_status status;
        size_t vocab, input, output;
        bptt_loss loss;
        int skip;
    } row[] = {
        {M, {NULL, NULL, NULL, NULL}, BPTT_OK, M, 0, 0, BPTT_SOFTMAX, 0},
        {M, {NULL, "0", NULL, NULL}, BPTT_OK, M, 0, 0, BPTT_SOFTMAX, 0},
        {M, {NULL, "5", NULL, NULL}, BPTT_OK, 0, M, M, BPTT_SQUARED, 0},
        {9, {NULL, "5", "binary", "1"}, BPTT_OK, 0, 9, M, BPTT_BINARY, 1},
        {9, {"9", "5", "absolute", "0"}, BPTT_OK, 0, 9, M, BPTT_ABSOLUTE, 0},
        {9, {"0", "5", NULL, NULL}, BPTT_OK, 9, 0, M, BPTT_SQUARED, 0},
        {9, {NULL, "4", NULL, NULL}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
        {9, {NULL, "x", NULL, NULL}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
        {9, {"5", "5", NULL, NULL}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
        {9, {NULL, "5", "softmax", NULL}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
        {9, {NULL, "5", "hinge", NULL}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
        {3, {NULL, "5", NULL, "1"}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
        {9, {NULL, "5", NULL, "2"}, BPTT_BAD_FILE, 0, 0, 0, 0, 0},
    };
    bptt_model_config c = dense_config(0, 0, BPTT_SOFTMAX, 0), got;
    make_folder();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        bptt_model *m = NULL;
        bptt_error e = {0};
        put_foreign(row[i].I, row[i].value);
        CK_TRUE(bptt_model_load(path, &c, &m, &e) == row[i].status, "row %zu: %s", i, e.words);
        if (!m) continue;
        bptt_model_get_config(m, &got);
        CK_TRUE(got.vocab == row[i].vocab && got.input == row[i].input && got.output == row[i].output &&
                    got.loss == row[i].loss && got.skip == row[i].skip,
                "row %zu: vocab %zu input %zu output %zu loss %d skip %d", i, got.vocab, got.input, got.output,
                (int)got.loss, got.skip);
        bptt_model_close(m);
    }
    remove_folder();
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, configurations_that_do_not_fit_are_refused_in_words);
    tcase_add_test(c, a_burn_in_leaves_a_step);
    tcase_add_test(c, a_burn_in_of_token_targets_is_weights_of_0);
    tcase_add_test(c, windows_that_do_not_fit_are_refused_in_words);
    tcase_add_test(c, targets_that_are_not_numbers_are_not_finite_and_change_nothing);
    tcase_add_test(c, a_model_with_tokens_and_dense_targets_scores_no_text);
    tcase_add_test(c, a_model_file_holds_outputs_loss_and_skip);
    tcase_add_test(c, files_of_other_programs_name_their_outputs);
}

int main(void) { return run_suite("dense targets", add, 30); }
