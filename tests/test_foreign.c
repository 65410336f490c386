// Files with just PyTorch's tensors: cell and input kind come from the metadata, else from the caller's configuration
// and the shapes of the tensors, and the caller is told.
#include "nets.h"
#include "plain_rnn.h"
#include "st_file.h"

enum { V = 5, H = 7, B = 3, T = 4, MOST_INPUT = 9 };

// The tensors of a file of one layer, and their numbers.
typedef struct foreign {
    st_tensor tensor[5];
    double ih[H * MOST_INPUT], hh[H * H], b[H], out[V * H], c[V];
} foreign;

static void foreign_fill(foreign *f, size_t I)
{
    uint64_t random = 3;
    *f = (foreign){.tensor = {{.name = "rnn.weight_ih_l0", .dtype = ST_F64, .rank = 2, .shape = {H, I}},
                              {.name = "rnn.weight_hh_l0", .dtype = ST_F64, .rank = 2, .shape = {H, H}},
                              {.name = "rnn.bias_ih_l0", .dtype = ST_F64, .rank = 1, .shape = {H}},
                              {.name = "decoder.weight", .dtype = ST_F64, .rank = 2, .shape = {V, H}},
                              {.name = "decoder.bias", .dtype = ST_F64, .rank = 1, .shape = {V}}}};
    random_reals(&random, 1, f->ih, H * I);
    random_reals(&random, 0.5, f->hh, sizeof f->hh / sizeof *f->hh);
    random_reals(&random, 1, f->b, H);
    random_reals(&random, 1, f->out, sizeof f->out / sizeof *f->out);
    random_reals(&random, 1, f->c, V);
}

// The file with these metadata; a NULL is left out.
static void foreign_write(foreign *f, size_t I, const char *cell, const char *input)
{
    st_pair pair[3] = {{"format", "pt"}};
    size_t pairs = 1;
    if (cell) pair[pairs++] = (st_pair){"cell", cell};
    if (input) pair[pairs++] = (st_pair){"input", input};
    st_writer *w = NULL;
    foreign_fill(f, I);
    unlink(path);
    CK_OK(st_write_open(path, f->tensor, 5, pair, pairs, &w, NULL));
    CK_OK(st_write(w, f->ih, H * I * sizeof(double), NULL));
    CK_OK(st_write(w, f->hh, sizeof f->hh, NULL));
    CK_OK(st_write(w, f->b, sizeof f->b, NULL));
    CK_OK(st_write(w, f->out, sizeof f->out, NULL));
    CK_OK(st_write(w, f->c, sizeof f->c, NULL));
    CK_OK(st_write_commit(w, NULL));
}

static bptt_model_config asked(bptt_cell cell)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.compute.backend = "ref", c.type = BPTT_F64, c.cell = cell;
    return c;
}

// The loss of m is that of the numbers in f under this cell; dense: of dense input.
static void loss_is(bptt_model *m, const foreign *f, size_t I, bptt_cell cell, bool dense)
{
    const double *const w[5] = {f->ih, f->hh, f->b, f->out, f->c};
    int32_t token[T * B], target[T * B];
    double x[T * B * MOST_INPUT];
    uint64_t random = 8;
    random_tokens(&random, V, token, T * B);
    random_tokens(&random, V, target, T * B);
    random_reals(&random, 1, x, T * B * I);
    const bptt_window window = {.size = sizeof window,
                                .token = dense ? NULL : token,
                                .dense = dense ? x : NULL,
                                .dense_type = BPTT_F64,
                                .target = target};
    plain_rnn p = plain_of(m, B, T);
    ck_assert_uint_eq(p.tensors, 5);
    p.cell = cell, p.I = I;
    for (size_t i = 0; i < 5; i++) memcpy(p.w[i], w[i], p.size[i] * sizeof(double));
    plain_forward(&p, &window);
    bptt_run *r = run_on(m, (bptt_run_config){.batch = B, .steps = T});
    bptt_report report;
    CK_OK(bptt_run_evaluate(r, &window, &report, NULL));
    CK_NEAR(near_scaled(&report.loss, &p.loss, 1, 1e-13), "loss");
    plain_free(&p);
    bptt_run_close(r);
}

START_TEST(a_file_that_names_its_cell_has_it)
{
    make_folder();
    static const char *const word[] = {"tanh", "relu"};
    foreign f;
    for (int named = 0; named < 2; named++)
        for (int other = 0; other < 2; other++) {
            const bptt_model_config c = asked((bptt_cell)other);
            bptt_model *m = NULL;
            foreign_write(&f, V, word[named], NULL);
            CK_OK(bptt_model_load(path, &c, &m, NULL));
            ck_assert_int_eq(bptt_model_cell_assumed(m), 0);
            loss_is(m, &f, V, (bptt_cell)named, false);
            bptt_model_close(m);
        }
    remove_folder();
}
END_TEST

START_TEST(a_file_that_does_not_name_its_cell_has_the_callers_and_says_so)
{
    make_folder();
    foreign f;
    bptt_model *m = NULL;
    foreign_write(&f, V, NULL, NULL);
    for (int cell = 0; cell < 2; cell++) {
        const bptt_model_config c = asked((bptt_cell)cell);
        CK_OK(bptt_model_load(path, &c, &m, NULL));
        ck_assert_int_eq(bptt_model_cell_assumed(m), 1);
        loss_is(m, &f, V, (bptt_cell)cell, false);
        bptt_model_close(m), m = NULL;
    }
    bptt_model_config c, got;
    CK_OK(bptt_model_load(path, NULL, &m, NULL));
    bptt_model_get_config(m, &got);
    ck_assert(got.cell == BPTT_TANH && bptt_model_cell_assumed(m) == 1);
    bptt_model_close(m), m = NULL;
    bptt_error e = {0};
    c = asked((bptt_cell)7);
    ck_assert_int_eq(bptt_model_load(path, &c, &m, &e), BPTT_BAD_CONFIG);
    CK_TRUE(strstr(e.words, "`cell` is 7") && !m, "%s", e.words);
    remove_folder();
}
END_TEST

START_TEST(an_unknown_cell_is_refused_with_the_known_ones)
{
    make_folder();
    foreign f;
    static const char *const word[] = {"", "Relu", "rnn_relu", "GRU"};
    for (size_t i = 0; i < 4; i++) {
        bptt_model *m = NULL;
        bptt_error e = {0};
        foreign_write(&f, V, word[i], NULL);
        ck_assert_int_eq(bptt_model_load(path, NULL, &m, &e), BPTT_BAD_FILE);
        CK_TRUE(!m && strstr(e.words, word[i]) && strstr(e.words, "tanh, relu, gru, lstm"), "%s", e.words);
    }
    remove_folder();
}
END_TEST

START_TEST(our_own_files_name_their_cell)
{
    make_folder();
    for (int cell = 0; cell < 2; cell++) {
        bptt_model_config c = asked((bptt_cell)cell), got;
        c.vocab = V, c.hidden = H;
        bptt_model *m = NULL, *back = NULL;
        CK_OK(bptt_model_open(&c, &m, NULL));
        ck_assert_int_eq(bptt_model_cell_assumed(m), 0);
        unlink(path);
        CK_OK(bptt_model_save(m, path, NULL));
        c.cell = (bptt_cell)!cell;
        CK_OK(bptt_model_load(path, &c, &back, NULL));
        bptt_model_get_config(back, &got);
        ck_assert(got.cell == (bptt_cell)cell && bptt_model_cell_assumed(back) == 0);
        bptt_model_close(m), bptt_model_close(back);
    }
    remove_folder();
}
END_TEST

// Without the key, as many columns as tokens are tokens.
START_TEST(a_file_that_names_its_input_has_it)
{
    static const struct {
        size_t I;
        const char *input;
        bool dense;
    } taken[] = {{V, NULL, false}, {V, "0", false}, {V, "5", true}, {3, NULL, true}, {3, "3", true}, {9, "9", true}};
    make_folder();
    foreign f;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        const bptt_model_config c = asked(BPTT_TANH);
        bptt_model_config got;
        bptt_model *m = NULL;
        foreign_write(&f, taken[i].I, "tanh", taken[i].input);
        CK_OK(bptt_model_load(path, &c, &m, NULL));
        bptt_model_get_config(m, &got);
        CK_TRUE(got.input == (taken[i].dense ? taken[i].I : 0), "case %zu: input %zu", i, got.input);
        loss_is(m, &f, taken[i].I, BPTT_TANH, taken[i].dense);
        bptt_model_close(m);
    }
    remove_folder();
}
END_TEST

START_TEST(an_input_that_the_tensors_have_not_is_refused)
{
    static const struct {
        size_t I;
        const char *input;
    } bad[] = {{3, "0"},  {3, "5"},     {V, "3"},
               {V, "x"},  {V, ""},      {V, "-1"},
               {3, "3 "}, {3, "65537"}, {3, "18446744073709551619"}};
    make_folder();
    foreign f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bptt_model *m = NULL;
        bptt_error e = {0};
        foreign_write(&f, bad[i].I, "tanh", bad[i].input);
        ck_assert_int_eq(bptt_model_load(path, NULL, &m, &e), BPTT_BAD_FILE);
        CK_TRUE(!m && strstr(e.words, "\"input\""), "case %zu: %s", i, e.words);
    }
    remove_folder();
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_file_that_names_its_cell_has_it);
    tcase_add_test(c, a_file_that_does_not_name_its_cell_has_the_callers_and_says_so);
    tcase_add_test(c, an_unknown_cell_is_refused_with_the_known_ones);
    tcase_add_test(c, our_own_files_name_their_cell);
    tcase_add_test(c, a_file_that_names_its_input_has_it);
    tcase_add_test(c, an_input_that_the_tensors_have_not_is_refused);
}

int main(void) { return run_suite("foreign", add, 30); }
