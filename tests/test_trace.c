// A traced update: training is unchanged, the file holds the computed numbers, and `verify trace` detects wrong ones.
#include "suite.h"
#include "trace.h"
#include "trace_edit.h"
#include "trace_window.h"
#include "trainer_on.h"
#include "verify.h"

#include <sys/stat.h>

static char folder[64], path[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/bptt-trace-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/" TRACE_FILE, folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); // nothing else was left in it
}

typedef struct kind {
    const char *backend;
    bptt_type type;
    bptt_cell cell;
    size_t H, L;
    int biases;
    bptt_documents documents;
} kind;

static const kind KINDS[] = {
    {"cpu", BPTT_F32, BPTT_TANH, 33, 1, 1, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_TANH, 7, 3, 2, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_RELU, 9, 2, 1, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F32, BPTT_TANH, 7, 4, 1, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_TANH, 7, 2, 2, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_RELU, 5, 3, 1, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_TANH, 9, 3, 1, BPTT_DOCUMENTS_LINE},
    {"ref", BPTT_F64, BPTT_TANH, 7, 2, 2, BPTT_DOCUMENTS_BLANK},
    {"cpu", BPTT_F32, BPTT_GRU, 7, 2, 1, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_GRU, 5, 1, 2, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_LSTM, 9, 2, 1, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_LSTM, 7, 3, 2, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_MLSTM, 7, 2, 1, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_MLSTM, 5, 1, 2, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_MINGRU, 7, 2, 2, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_MINGRU, 5, 3, 1, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_GRU_BEFORE, 7, 2, 2, BPTT_DOCUMENTS_NONE},
    {"ref", BPTT_F64, BPTT_GRU_BEFORE, 5, 2, 1, BPTT_DOCUMENTS_NONE},
    {"cpu", BPTT_F32, BPTT_LSTM, 9, 2, 1, BPTT_DOCUMENTS_LINE},
    {"ref", BPTT_F64, BPTT_GRU, 7, 2, 2, BPTT_DOCUMENTS_BLANK},
    {"cpu", BPTT_F32, BPTT_MLSTM, 7, 2, 1, BPTT_DOCUMENTS_LINE},
    {"ref", BPTT_F64, BPTT_MINGRU, 5, 2, 1, BPTT_DOCUMENTS_LINE},
    {"cpu", BPTT_F32, BPTT_GRU_BEFORE, 7, 2, 2, BPTT_DOCUMENTS_LINE},
};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0], TEXT = 400, MIXED_KIND = 12 };

static bptt_trainer *open_kind(const kind *k)
{
    bptt_trainer_config c = config_of(k->backend, k->type);
    c.model.cell = k->cell, c.model.biases = k->biases, c.model.hidden = k->H, c.model.layers = k->L;
    c.model.documents = k->documents;
    unsigned char *text = k->documents ? lines_of(TEXT, 6, 11) : text_of(TEXT, 6, 11);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, TEXT, &t, NULL));
    free(text);
    return t;
}

static void keep(bptt_trainer *t)
{
    bptt_error kept = {0};
    CK_OK(bptt_trainer_trace(t, folder, NULL, &kept, NULL));
    CK_TRUE(kept.code == BPTT_OK, "%s", kept.words);
}

// ---- training ----------------------------------------------------------------------------------------

// The first update, one in the middle, and the first of the second epoch: 19 windows each.
START_TEST(training_that_keeps_an_update_ends_in_the_same_bytes)
{
    static const int at[] = {0, 6, 19};
    make_folder();
    for (size_t i = 0; i < KIND_COUNT; i++)
        for (size_t k = 0; k < 3; k++) {
            bptt_trainer *plain = open_kind(&KINDS[i]), *tracing = open_kind(&KINDS[i]);
            for (int n = 0; n < 23; n++) {
                bptt_report a, b;
                bptt_error kept = {0};
                CK_OK(bptt_trainer_step(plain, &a, NULL));
                if (n == at[k])
                    CK_OK(bptt_trainer_trace(tracing, folder, &b, &kept, NULL));
                else
                    CK_OK(bptt_trainer_step(tracing, &b, NULL));
                ck_assert_int_eq(kept.code, BPTT_OK);
                CK_TRUE(a.loss == b.loss && a.grad_norm == b.grad_norm, "kind %zu, update %d", i, n);
            }
            CK_TRUE(same_files(saved(plain), saved(tracing)), "kind %zu, kept %d", i, at[k]);
            bptt_trainer_close(plain);
            bptt_trainer_close(tracing);
        }
    remove_folder();
}
END_TEST

START_TEST(an_update_that_cannot_be_kept_is_made_all_the_same)
{
    bptt_trainer *plain = open_kind(&KINDS[1]), *tracing = open_kind(&KINDS[1]);
    bptt_error kept = {0};
    make_folder();
    FILE *f = fopen(path, "w"); // a file where the folder should be
    ck_assert_ptr_nonnull(f);
    fclose(f);
    CK_OK(bptt_trainer_step(plain, NULL, NULL));
    CK_OK(bptt_trainer_trace(tracing, path, NULL, &kept, NULL));
    ck_assert_int_eq(kept.code, BPTT_IO);
    ck_assert_ptr_nonnull(strstr(kept.words, path));
    ck_assert(same_files(saved(plain), saved(tracing)));
    bptt_trainer_close(plain);
    bptt_trainer_close(tracing);
    remove_folder();
}
END_TEST

// ---- contents of the file -----------------------------------------------------------------------------

START_TEST(the_file_holds_the_weights_before_and_the_state_after)
{
    make_folder();
    for (size_t i = 0; i < KIND_COUNT; i++) {
        bptt_trainer *t = open_kind(&KINDS[i]);
        const bptt_cell_row *cell = bptt_cell_row_of(KINDS[i].cell);
        const size_t H = KINDS[i].H, L = KINDS[i].L, T = 5, B = 3, W = cell->states * H;
        double *before = reals(cell->blocks * H * 6), *after = reals(L * B * W);
        bptt_tensor first;
        trace_window *w = NULL;
        for (int n = 0; n < 4; n++) CK_OK(bptt_trainer_step(t, NULL, NULL));
        CK_OK(bptt_model_tensor(bptt_trainer_model(t), 0, &first, NULL));
        ck_assert_uint_le(first.rows * first.cols, cell->blocks * H * 6);
        CK_OK(bptt_model_read(bptt_trainer_model(t), BPTT_WEIGHTS, 0, before, BPTT_F64, NULL));
        keep(t);
        CK_OK(bptt_run_read_state(t->run, after, BPTT_F64, NULL));
        CK_OK(trace_open(folder, &w, NULL));
        ck_assert_uint_eq(w->update, 5);
        ck_assert(w->L == L && w->H == H && w->T == T && w->B == B && w->model.cell == KINDS[i].cell);
        CK_NEAR(near_all(w->weight[0].of[WEIGHT_IH], before, NULL, first.rows * first.cols), "weights");
        for (size_t l = 0; l < L; l++)
            CK_NEAR(near_all(trace_state(w, l, T, 0), after + l * B * W, NULL, B * W), "state");
        for (size_t n = 0; n < T * B; n++) {
            ck_assert(w->keep[n] == (t->keep ? (double)t->keep[n] : 1));
            ck_assert_uint_eq(w->token[n], (size_t)t->token[n]);
            ck_assert_uint_eq(w->target[n], (size_t)t->target[n]);
        }
        trace_close(w);
        free(before), free(after);
        bptt_trainer_close(t);
    }
    remove_folder();
}
END_TEST

// ---- the certificate ----------------------------------------------------------------------------------

typedef struct heard {
    size_t lines, failed, bounded;
    bool wrong[8]; // line i does not hold
    char text[6000];
} heard;

// Traces of gated cells have one line more, after DZ_LINE.
enum { STATES_LINE, DZ_LINE, WEIGHTS_LINE, BIASES_LINE, DECODER_LINE, LOSSES_LINE, LINES };
enum { DSTATES_LINE = DZ_LINE + 1 };

static void hear(void *user, const verify_line *line)
{
    heard *h = user;
    const size_t n = strlen(h->text);
    ck_assert_str_eq(line->part, "trace");
    h->wrong[h->lines++] = !line->holds;
    h->failed += !line->holds;
    h->bounded += line->kind == EVIDENCE_BOUNDED;
    snprintf(h->text + n, sizeof h->text - n, "%s%s: %s\n", line->holds ? "" : "NOT ", line->claim, line->found);
}

static heard certified(bptt_cell cell)
{
    heard h = {0};
    size_t failures = 0;
    bptt_error e = {0};
    const verify_options o = {.trace = folder, .line = hear, .user = &h};
    CK_TRUE(verify_trace(&o, &failures, &e) == BPTT_OK, "%s", e.words);
    ck_assert_uint_eq(failures, h.failed);
    ck_assert_uint_eq(h.lines, LINES + bptt_cell_is_gated(cell));
    ck_assert_uint_eq(h.bounded, h.lines);
    return h;
}

// After 0 updates and after 30, when units begin to saturate.
START_TEST(every_kind_of_run_has_a_certificate)
{
    make_folder();
    for (size_t i = 0; i < KIND_COUNT; i++)
        for (int updates = 0; updates <= 30; updates += 30) {
            bptt_trainer *t = open_kind(&KINDS[i]);
            for (int n = 0; n < updates; n++) CK_OK(bptt_trainer_step(t, NULL, NULL));
            keep(t);
            const heard h = certified(KINDS[i].cell);
            CK_TRUE(h.failed == 0, "kind %zu after %d: %s", i, updates, h.text);
            trace_window *w = NULL;
            finding f;
            CK_OK(trace_open(folder, &w, NULL));
            CK_OK(certify_states(w, &f, NULL));
            const double most = placed_on() || KINDS[i].type == BPTT_F32 ? 1e-6 : 1e-13;
            CK_TRUE(f.error > 0 && f.error < most && f.slack < 1e-13, "%g, %g", f.error, f.slack);
            ck_assert_uint_eq(f.n, w->L * w->T * w->B * (w->W + (w->mixed ? w->H : 0)));
            trace_close(w);
            bptt_trainer_close(t);
        }
    remove_folder();
}
END_TEST

// ---- mistakes planted in a file -----------------------------------------------------------------------

typedef void mistake(contents *c);

static void a_state(contents *c) { floats_of(c, "trace.states")[(0 * 6 + 3) * 3 * 33 + 40] += 1e-4f; }
static void a_state_is_nan(contents *c) { floats_of(c, "trace.states")[3 * 3 * 33 + 40] = NAN; }
static void a_dz(contents *c) { floats_of(c, "trace.dz")[2 * 3 * 33 + 5] *= 1.001f; }
static void a_loss(contents *c) { ((double *)c->data[index_of(c, "trace.losses")])[7] += 1e-3; }
static void a_gradient(contents *c) { floats_of(c, "train.gradient.rnn.weight_hh_l0")[100] *= 1.01f; }
static void an_input_gradient(contents *c) { floats_of(c, "train.gradient.rnn.weight_ih_l0")[8] += 1e-4f; }
static void a_bias_gradient(contents *c) { floats_of(c, "train.gradient.rnn.bias_ih_l0")[3] *= 1.0001f; }
static void a_decoder_gradient(contents *c) { floats_of(c, "train.gradient.decoder.bias")[2] *= 1.001f; }
static void a_token(contents *c)
{
    int64_t *const id = c->data[index_of(c, "trace.token")];
    id[4] = (id[4] + 1) % 6;
}
static void a_target(contents *c)
{
    int64_t *const id = c->data[index_of(c, "trace.target")];
    id[4] = (id[4] + 1) % 6;
}
static void a_reset(contents *c) { floats_of(c, "trace.keep")[4] = 0; }
static void a_transposed_matrix(contents *c)
{
    float *const w = floats_of(c, "rnn.weight_hh_l0");
    for (size_t i = 0; i < 33; i++)
        for (size_t j = 0; j < i; j++) {
            const float carried = w[i * 33 + j];
            w[i * 33 + j] = w[j * 33 + i], w[j * 33 + i] = carried;
        }
}

// MIXED_KIND: mlstm, 7 units, two layers; 5 steps of 3 rows.
static void a_state_c(contents *c) { floats_of(c, "trace.states")[(2 * 3 + 1) * 14 + 9] += 1e-4f; }
static void a_gate(contents *c) { floats_of(c, "trace.dz")[(2 * 3 + 1) * 42 + 16] *= 1.001f; }
static void a_last_block(contents *c) { floats_of(c, "trace.dz")[(2 * 3 + 1) * 42 + 37] *= 1.001f; }
static void a_gradient_of_c(contents *c) { floats_of(c, "trace.dstates")[(3 * 3 + 1) * 14 + 9] *= 1.001f; }
static void a_first_gradient(contents *c) { floats_of(c, "trace.dstates")[3] *= 1.001f; }
static void a_product(contents *c) { floats_of(c, "trace.mixed")[(2 * 3 + 1) * 7 + 4] += 1e-4f; }
static void a_second_gradient(contents *c) { floats_of(c, "train.gradient.rnn.weight_mixed_l1")[30] += 1e-4f; }
static void a_second_bias(contents *c) { floats_of(c, "train.gradient.rnn.bias_hn_l1")[3] += 1e-4f; }
static void other_order(contents *c)
{
    float *const w = floats_of(c, "rnn.weight_ih_l1");
    for (size_t i = 0; i < 49; i++) {
        const float was = w[49 + i];
        w[49 + i] = w[98 + i], w[98 + i] = was;
    }
}
static void another_cell(contents *c) { strcpy(text_at(c, "cell"), "relu"); }

// Each mistake, and a line that must not hold because of it.
START_TEST(mistakes_are_seen_where_they_are)
{
    static const struct {
        const char *name;
        mistake *make;
        size_t line, kind;
    } row[] = {
        {"a state off by 1e-4", a_state, STATES_LINE, 0},
        {"a state that is NaN", a_state_is_nan, STATES_LINE, 0},
        {"W_hh transposed", a_transposed_matrix, STATES_LINE, 0},
        {"W_hh transposed, backward", a_transposed_matrix, DZ_LINE, 0},
        {"another cell", another_cell, STATES_LINE, 0},
        {"a reset", a_reset, STATES_LINE, 0},
        {"a reset, backward", a_reset, DZ_LINE, 0},
        {"a reset in dW", a_reset, WEIGHTS_LINE, 0},
        {"a token", a_token, STATES_LINE, 0},
        {"a token in dW", a_token, WEIGHTS_LINE, 0},
        {"a target", a_target, LOSSES_LINE, 0},
        {"a target in dz", a_target, DZ_LINE, 0},
        {"a dz off by 1e-3 of itself", a_dz, DZ_LINE, 0},
        {"a loss", a_loss, LOSSES_LINE, 0},
        {"an element of dW_hh off by a hundredth", a_gradient, WEIGHTS_LINE, 0},
        {"an element of dW_ih", an_input_gradient, WEIGHTS_LINE, 0},
        {"an element of db", a_bias_gradient, BIASES_LINE, 0},
        {"the decoder's db", a_decoder_gradient, DECODER_LINE, 0},
        {"a c off by 1e-4", a_state_c, STATES_LINE, MIXED_KIND},
        {"a second product's operand", a_product, STATES_LINE, MIXED_KIND},
        {"two blocks of W_ih change places", other_order, STATES_LINE, MIXED_KIND},
        {"a dz of a gate", a_gate, DZ_LINE, MIXED_KIND},
        {"a dz of the last block", a_last_block, DZ_LINE, MIXED_KIND},
        {"a gradient of c, in dz", a_gradient_of_c, DZ_LINE, MIXED_KIND},
        {"a gradient of c", a_gradient_of_c, DSTATES_LINE, MIXED_KIND},
        {"a gradient of the first state", a_first_gradient, DSTATES_LINE, MIXED_KIND},
        {"a reset of a gated cell", a_reset, STATES_LINE, MIXED_KIND},
        {"a reset of a gated cell, in dz", a_reset, DZ_LINE, MIXED_KIND},
        {"a reset of a gated cell, backward", a_reset, DSTATES_LINE, MIXED_KIND},
        {"a reset of a gated cell, in dW", a_reset, WEIGHTS_LINE + 1, MIXED_KIND},
        {"an element of dW_mixed", a_second_gradient, WEIGHTS_LINE + 1, MIXED_KIND},
        {"an element of db_hn", a_second_bias, BIASES_LINE + 1, MIXED_KIND},
    };
    make_folder();
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_trainer *t = open_kind(&KINDS[row[i].kind]);
        for (int n = 0; n < 20; n++) CK_OK(bptt_trainer_step(t, NULL, NULL));
        keep(t);
        bptt_trainer_close(t);
        contents *c = read_trace(path);
        row[i].make(c);
        write_trace(path, c);
        const heard h = certified(KINDS[row[i].kind].cell);
        CK_TRUE(h.wrong[row[i].line], "%s is not seen: %s", row[i].name, h.text);
    }
    remove_folder();
}
END_TEST

// Untouched, so that it is the mistakes that are seen and not the writing.
START_TEST(a_file_that_was_only_written_again_holds)
{
    bptt_trainer *t = open_kind(&KINDS[0]);
    make_folder();
    keep(t);
    bptt_trainer_close(t);
    write_trace(path, read_trace(path));
    const heard h = certified(BPTT_TANH);
    CK_TRUE(h.failed == 0, "%s", h.text);
    remove_folder();
}
END_TEST

// ---- files that are no traces -------------------------------------------------------------------------

static void refused(bptt_status code, const char *words)
{
    heard h = {0};
    size_t failures = 0;
    bptt_error e = {0};
    const verify_options o = {.trace = folder, .line = hear, .user = &h};
    const bptt_status s = verify_trace(&o, &failures, &e);
    CK_TRUE(s == code, "status %d: %s", (int)s, e.words);
    ck_assert_int_eq(e.code, code);
    CK_TRUE(strstr(e.words, words) != NULL, "'%s' does not say '%s'", e.words, words);
    ck_assert_uint_eq(h.lines + failures, 0);
}

static void newer(contents *c) { strcpy(text_at(c, "trace"), "3"); }
static void huge(contents *c) { strcpy(text_at(c, "trace.steps"), "2147483647"); }
static void no_rows(contents *c) { strcpy(text_at(c, "trace.batch"), "0"); }
static void other_shape(contents *c) { strcpy(text_at(c, "hidden"), "34"); }
static void no_precision(contents *c) { strcpy(text_at(c, "trace.precision"), "fp7"); }
static void far_token(contents *c) { *(int64_t *)c->data[index_of(c, "trace.token")] = 6; }
static void negative_target(contents *c) { *(int64_t *)c->data[index_of(c, "trace.target")] = -1; }
static void half_a_reset(contents *c) { floats_of(c, "trace.keep")[4] = 0.5f; }
static void no_dz(contents *c) { strcpy(c->t[index_of(c, "trace.dz")].name, "trace.dy"); }
static void whole_losses(contents *c) { c->t[index_of(c, "trace.losses")].dtype = ST_I64; }

START_TEST(a_file_that_says_what_cannot_be_is_refused)
{
    static const struct {
        mistake *make;
        const char *words;
    } row[] = {
        {newer, "version 3"},
        {huge, "another shape"},
        {no_rows, "trace.batch is 0"},
        {other_shape, "shape"},
        {no_precision, "fp7"},
        {far_token, "holds 6, not in 0..5"},
        {half_a_reset, "0.5, not 0 or 1"},
        {negative_target, "holds -1"},
        {no_dz, "no tensor trace.dz"},
        {whole_losses, "holds I64"},
    };
    make_folder();
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_trainer *t = open_kind(&KINDS[0]);
        keep(t);
        bptt_trainer_close(t);
        contents *c = read_trace(path);
        row[i].make(c);
        write_trace(path, c);
        refused(BPTT_BAD_FILE, row[i].words);
    }
    remove_folder();
}
END_TEST

START_TEST(damaged_foreign_and_missing_files_are_refused)
{
    bptt_trainer *t = open_kind(&KINDS[0]);
    make_folder();
    refused(BPTT_NO_INPUT, folder);
    CK_OK(bptt_trainer_save(t, path, NULL));
    refused(BPTT_BAD_FILE, "is no trace; bptt train --trace makes one");
    keep(t);
    file f = slurp(path);
    f.bytes[f.n - 100] ^= 1; // of a tensor
    FILE *out = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(f.bytes, 1, f.n, out), f.n);
    fclose(out);
    refused(BPTT_BAD_FILE, "checksum");
    ck_assert_int_eq(truncate(path, (off_t)f.n - 10), 0);
    refused(BPTT_BAD_FILE, path);
    const verify_options none = {.line = hear};
    size_t failures = 0;
    ck_assert_int_eq(verify_trace(&none, &failures, NULL), BPTT_BAD_INPUT);
    free(f.bytes);
    bptt_trainer_close(t);
    remove_folder();
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, training_that_keeps_an_update_ends_in_the_same_bytes);
    tcase_add_test(c, an_update_that_cannot_be_kept_is_made_all_the_same);
    tcase_add_test(c, the_file_holds_the_weights_before_and_the_state_after);
    tcase_add_test(c, every_kind_of_run_has_a_certificate);
    tcase_add_test(c, mistakes_are_seen_where_they_are);
    tcase_add_test(c, a_file_that_was_only_written_again_holds);
    tcase_add_test(c, a_file_that_says_what_cannot_be_is_refused);
    tcase_add_test(c, damaged_foreign_and_missing_files_are_refused);
}

int main(void) { return run_suite("trace", add, 120); }
