// The trainer: division of a text into streams and windows, updates, and validation without side effects.
#include "suite.h"
#include "trainers.h"

// ---- streams and windows ------------------------------------------------------------------------

START_TEST(a_text_is_cut_into_streams_and_windows_as_the_header_says)
{
    static const struct {
        size_t n, B, T;
        double valid;
        size_t n_train, len, windows;
    } row[] = {
        {1115394, 32, 64, 0.05, 1059624, 33113, 517}, // the reference protocol's text
        {3258246, 100, 100, 0.1, 2932421, 29324, 293},
        {100, 3, 5, 0.25, 75, 24, 4}, // 74 / 3 = 24.7
        {100, 1, 99, 0, 100, 99, 1},  // exactly one window
        {101, 4, 25, 0, 101, 25, 1},
        {100, 7, 1, 0.5, 50, 7, 7},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        unsigned char *text = text_of(row[i].n, 3, 1);
        bptt_trainer_config c = config_of("ref", BPTT_F32);
        c.model.hidden = 1, c.model.layers = 1;
        c.batch = row[i].B, c.steps = row[i].T, c.valid = row[i].valid, c.iterations = 0, c.epochs = 1.5;
        bptt_trainer *t = NULL;
        bptt_trainer_info info;
        CK_OK(bptt_trainer_open(&c, text, row[i].n, &t, NULL));
        bptt_trainer_get_info(t, &info);
        ck_assert_uint_eq(info.text, row[i].n);
        ck_assert_uint_eq(info.vocab, 3);
        ck_assert_uint_eq(info.n_train, row[i].n_train);
        ck_assert_uint_eq(bptt_split(row[i].n, row[i].valid), row[i].n_train);
        ck_assert_uint_eq(info.n_valid, row[i].n - row[i].n_train);
        ck_assert_uint_eq(info.stream, row[i].len);
        ck_assert_uint_eq(info.windows, row[i].windows);
        ck_assert_uint_eq(info.iterations, (3 * row[i].windows + 1) / 2);
        ck_assert_uint_eq(info.iteration, 0);
        ck_assert_uint_eq(info.parameters, bptt_model_parameters(bptt_trainer_model(t)));
        bptt_trainer_close(t);
        free(text);
    }
}
END_TEST

// Window k of the reference: x[t,b] = text[b len + k T + t], y one later; tokens are ranks among the bytes of the text.
static void hand_window(const unsigned char *text, size_t n, size_t n_train, size_t B, size_t T, size_t k, int32_t *x,
                        int32_t *y)
{
    const size_t len = (n_train - 1) / B;
    bool seen[256] = {false};
    int32_t rank[256] = {0}, V = 0;
    for (size_t i = 0; i < n; i++) seen[text[i]] = true;
    for (size_t v = 0; v < 256; v++) rank[v] = V, V += seen[v];
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++) {
            x[t * B + b] = rank[text[b * len + k * T + t]];
            y[t * B + b] = rank[text[b * len + k * T + t + 1]];
        }
}

// By hand: the same model, the same windows, zeros at each epoch's start. 75 bytes, 24 a stream, 4 windows an epoch.
START_TEST(a_step_is_one_update_on_the_next_window)
{
    enum { N = 100, B = 3, T = 5, WINDOWS = 4 };
    unsigned char *text = text_of(N, 9, 3);
    bptt_trainer_config c = config_of("cpu", BPTT_F32);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, N, &t, NULL));
    c.model.vocab = 9;
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    CK_OK(bptt_model_open(&c.model, &m, NULL));
    CK_OK(bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = B, .steps = T, .gradient = 1},
                        &r, NULL));
    for (size_t k = 0; k < 2 * WINDOWS + 3; k++) {
        int32_t x[T * B], y[T * B];
        bptt_report ours, hand;
        hand_window(text, N, 75, B, T, k % WINDOWS, x, y);
        if (k % WINDOWS == 0) CK_OK(bptt_run_reset(r, NULL));
        CK_OK(bptt_run_train(r, &(bptt_window){.size = sizeof(bptt_window), .token = x, .target = y}, c.rate, &hand,
                             NULL));
        CK_OK(bptt_trainer_step(t, &ours, NULL));
        CK_TRUE(ours.loss == hand.loss && ours.grad_norm == hand.grad_norm && ours.weight == hand.weight,
                "step %zu: loss %.17g, by hand %.17g", k, ours.loss, hand.loss);
    }
    double *a = net_part(bptt_trainer_model(t), BPTT_WEIGHTS), *b = net_part(m, BPTT_WEIGHTS);
    ck_assert(same_bits(a, b, bptt_model_parameters(m)));
    const unsigned char *byte;
    size_t V;
    bptt_model_vocabulary(bptt_trainer_model(t), &byte, &V);
    ck_assert_uint_eq(V, 9);
    for (size_t v = 0; v < V; v++) ck_assert_uint_eq(byte[v], 240 - 7 * (8 - v));
    free(a), free(b), free(text);
    bptt_run_close(r);
    bptt_model_close(m);
    bptt_trainer_close(t);
}
END_TEST

START_TEST(the_text_is_copied)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    double loss[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        bptt_trainer *t = NULL;
        CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
        unsigned char kept[100];
        memcpy(kept, text, 100);
        if (i == 1) memset(text, 0xAA, 100);
        for (int k = 0; k < 5; k++) {
            bptt_report report;
            CK_OK(bptt_trainer_step(t, &report, NULL));
            loss[i] += report.loss;
        }
        memcpy(text, kept, 100);
        bptt_trainer_close(t);
    }
    ck_assert(loss[0] == loss[1]);
    free(text);
}
END_TEST

// ---- validation ---------------------------------------------------------------------------------

// One stream over the last quarter from zeros; long enough for several windows of the scorer.
START_TEST(validation_is_the_loss_of_one_stream_from_zeros)
{
    enum { N = 6000, TRAIN = 4500, T = N - TRAIN - 1 };
    unsigned char *text = text_of(N, 9, 3);
    bptt_trainer_config c = config_of("ref", BPTT_F64);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, N, &t, NULL));
    for (int k = 0; k < 5; k++) CK_OK(bptt_trainer_step(t, NULL, NULL));
    bptt_report ours, again, score, hand;
    CK_OK(bptt_trainer_validate(t, NULL, NULL, &ours, NULL));
    CK_OK(bptt_trainer_validate(t, NULL, NULL, &again, NULL));
    CK_OK(bptt_score(bptt_trainer_model(t), text + TRAIN, N - TRAIN, NULL, NULL, &score, NULL));
    int32_t *x = must_alloc(T, sizeof *x), *y = must_alloc(T, sizeof *y);
    for (size_t i = 0; i < T; i++) { // letters are 240, 233, ...: text_of
        x[i] = 8 - (240 - text[TRAIN + i]) / 7;
        y[i] = 8 - (240 - text[TRAIN + i + 1]) / 7;
    }
    bptt_run *r = NULL;
    CK_OK(bptt_run_open(bptt_trainer_model(t),
                        &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 1, .steps = T}, &r, NULL));
    CK_OK(bptt_run_evaluate(r, &(bptt_window){.size = sizeof(bptt_window), .token = x, .target = y}, &hand, NULL));
    CK_NEAR(near_scaled(&ours.loss, &hand.loss, 1, 1e-12), "validation loss");
    ck_assert(ours.loss == again.loss && score.loss == ours.loss);
    ck_assert(ours.weight == T && score.weight == T);
    bptt_run_close(r);
    free(x), free(y), free(text);
    bptt_trainer_close(t);
}
END_TEST

static int stop_at_once(void *user) { return ++*(int *)user; }

START_TEST(validation_changes_nothing)
{
    unsigned char *text = text_of(400, 9, 3);
    bptt_trainer_config c = config_of("cpu", BPTT_F32);
    bptt_trainer *t = NULL, *quiet = NULL;
    CK_OK(bptt_trainer_open(&c, text, 400, &t, NULL));
    CK_OK(bptt_trainer_open(&c, text, 400, &quiet, NULL));
    for (int k = 0; k < 11; k++) {
        int calls = 0;
        bptt_report report = {.loss = 5};
        CK_OK(bptt_trainer_step(t, NULL, NULL));
        CK_OK(bptt_trainer_step(quiet, NULL, NULL));
        ck_assert_int_eq(bptt_trainer_validate(t, stop_at_once, &calls, &report, NULL), BPTT_CANCELLED);
        ck_assert(calls == 1 && report.loss == 5);
        CK_OK(bptt_trainer_validate(t, NULL, NULL, NULL, NULL));
    }
    ck_assert(same_files(saved(t), saved(quiet)));
    free(text);
    bptt_trainer_close(t);
    bptt_trainer_close(quiet);
}
END_TEST

START_TEST(a_validation_is_due_after_every_so_many_updates)
{
    unsigned char *text = text_of(100, 9, 3);
    static const struct {
        uint64_t every;
        double valid;
    } row[] = {{4, 0.25}, {0, 0.25}, {4, 0}};
    for (int i = 0; i < 3; i++) {
        bptt_trainer_config c = config_of("ref", BPTT_F32);
        c.valid_every = row[i].every, c.valid = row[i].valid;
        bptt_trainer *t = NULL;
        CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
        for (int k = 0; k < 13; k++) {
            ck_assert_int_eq(bptt_trainer_validation_due(t) != 0, i == 0 && k > 0 && k % 4 == 0);
            CK_OK(bptt_trainer_step(t, NULL, NULL));
        }
        if (i == 2) ck_assert_int_eq(bptt_trainer_validate(t, NULL, NULL, NULL, NULL), BPTT_BAD_INPUT);
        bptt_trainer_close(t);
    }
    free(text);
}
END_TEST

START_TEST(the_lowest_noted_loss_is_the_best)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    const double loss[] = {3, 3.5, 2, 2, (double)NAN, 1.5}, best[] = {3, 3, 2, 2, 2, 1.5};
    const uint64_t at[] = {1, 1, 3, 3, 3, 6};
    for (int k = 0; k < 6; k++) {
        int is_best = -1;
        bptt_trainer_info info;
        CK_OK(bptt_trainer_step(t, NULL, NULL));
        bptt_trainer_record_validation(t, loss[k], &is_best);
        bptt_trainer_get_info(t, &info);
        ck_assert_int_eq(is_best, at[k] == (uint64_t)k + 1);
        ck_assert(info.best_loss == best[k] && info.best_iteration == at[k]);
    }
    free(text);
    bptt_trainer_close(t);
}
END_TEST

START_TEST(a_loss_that_is_no_number_is_never_the_best)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    int best = -1;
    CK_OK(bptt_trainer_step(t, NULL, NULL));
    bptt_trainer_record_validation(t, (double)NAN, &best);
    ck_assert_int_eq(best, 0);
    bptt_trainer_record_validation(t, 9, &best);
    ck_assert_int_eq(best, 1);
    free(text);
    bptt_trainer_close(t);
}
END_TEST

// ---- refusals -----------------------------------------------------------------------------------

START_TEST(texts_and_options_that_cannot_be_are_refused)
{
    unsigned char *text = text_of(100, 9, 3), same[100] = {0};
    bptt_trainer *t = NULL;
    bptt_error e = {0};
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    c.steps = 25; // 24 bytes a stream
    ck_assert_int_eq(bptt_trainer_open(&c, text, 100, &t, &e), BPTT_BAD_INPUT);
    c.steps = 24;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    bptt_trainer_close(t);
    t = NULL;
    ck_assert_int_eq(bptt_trainer_open(&c, text, 0, &t, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_trainer_open(&c, text, 1, &t, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_trainer_open(&c, NULL, 100, &t, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_trainer_open(&c, same, 100, &t, NULL), BPTT_BAD_INPUT);
    c.steps = 5;
    bptt_trainer_config bad[9] = {c, c, c, c, c, c, c, c, c};
    bad[0].rate = 0, bad[1].rate = (double)NAN, bad[2].valid = 1, bad[3].valid = (double)NAN, bad[4].valid = -0.1;
    bad[5].iterations = 0, bad[5].epochs = 0, bad[6].batch = 0, bad[7].steps = 0, bad[8].model.hidden = 0;
    for (int i = 0; i < 9; i++)
        CK_TRUE(bptt_trainer_open(&bad[i], text, 100, &t, NULL) == BPTT_BAD_CONFIG && !t, "case %d", i);
    free(text);
}
END_TEST

START_TEST(numbers_that_would_put_nan_into_the_weights_are_refused)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer *t = NULL;
    for (bptt_optimizer o = BPTT_RMSPROP; o <= BPTT_ADAM; o++) {
        bptt_trainer_config c = config_of("ref", BPTT_F32);
        c.model.optimizer = o;
        const double epsilon[] = {0, 1e-60, 0x1.fffffcp-127}; // zero as a float; zero where subnormals are
        for (int k = 0; k < 3; k++) {
            c.model.epsilon = epsilon[k];
            ck_assert_int_eq(bptt_trainer_open(&c, text, 100, &t, NULL), BPTT_BAD_CONFIG);
        }
        c.model.epsilon = 0x1p-126;
        CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
        bptt_trainer_close(t);
        t = NULL;
    }
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    c.rate = 1e300; // infinite as a float
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    const file before = saved(t);
    ck_assert_int_eq(bptt_trainer_step(t, NULL, NULL), BPTT_BAD_INPUT);
    const file after = saved(t);
    ck_assert(before.n == after.n && memcmp(before.bytes, after.bytes, before.n) == 0);
    bptt_trainer_close(t);
    free(before.bytes);
    free(after.bytes);
    free(text);
}
END_TEST

START_TEST(epochs_beyond_any_count_of_updates_are_refused)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer *t = NULL;
    const double epochs[] = {9e14, 1e300, (double)INFINITY, (double)NAN, 0, -1};
    for (size_t k = 0; k < sizeof epochs / sizeof epochs[0]; k++) {
        bptt_trainer_config c = config_of("ref", BPTT_F32);
        c.iterations = 0, c.epochs = epochs[k], c.batch = 1, c.steps = 1;
        ck_assert_int_eq(bptt_trainer_open(&c, text, 100, &t, NULL), BPTT_BAD_CONFIG);
    }
    free(text);
}
END_TEST

START_TEST(a_byte_that_the_model_never_saw_is_refused_by_name)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    bptt_trainer *t = NULL;
    bptt_error e = {0};
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    text[63] = 0x03;
    ck_assert_int_eq(bptt_score(bptt_trainer_model(t), text, 100, NULL, NULL, NULL, &e), BPTT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.words, "03"));
    ck_assert_ptr_nonnull(strstr(e.words, "63"));
    bptt_trainer_close(NULL);
    ck_assert_int_eq(bptt_score(bptt_trainer_model(t), text, 1, NULL, NULL, NULL, NULL), BPTT_BAD_INPUT);
    free(text);
    bptt_trainer_close(t);
}
END_TEST

// ---- in two halves -------------------------------------------------------------------------------

static uint64_t iteration_of(const bptt_trainer *t)
{
    bptt_trainer_info info;
    bptt_trainer_get_info(t, &info);
    return info.iteration;
}

// Two in flight, over the ends of epochs (4 windows): the reports come in order, and the file is that of single steps.
START_TEST(updates_submitted_ahead_are_the_updates_of_single_steps)
{
    enum { STEPS = 11 };
    static const char *const backend[] = {"ref", "cpu"};
    unsigned char *text = text_of(100, 9, 3);
    for (int i = 0; i < 2; i++) {
        bptt_trainer_config c = config_of(backend[i], BPTT_F32);
        bptt_trainer *step = NULL, *ahead = NULL;
        bptt_report want[STEPS], got;
        CK_OK(bptt_trainer_open(&c, text, 100, &step, NULL));
        CK_OK(bptt_trainer_open(&c, text, 100, &ahead, NULL));
        for (size_t k = 0; k < STEPS; k++) CK_OK(bptt_trainer_step(step, &want[k], NULL));
        for (size_t k = 0; k <= STEPS; k++) {
            if (k < STEPS) CK_OK(bptt_trainer_submit(ahead, NULL));
            ck_assert_uint_eq(iteration_of(ahead), k < STEPS ? k + 1 : STEPS);
            ck_assert_int_eq(bptt_trainer_validation_due(ahead) != 0, k < STEPS && (k + 1) % 4 == 0);
            if (k == 0) continue;
            CK_OK(bptt_trainer_collect(ahead, &got, NULL));
            CK_TRUE(got.loss == want[k - 1].loss && got.grad_norm == want[k - 1].grad_norm,
                    "%s: update %zu: loss %.17g, by steps %.17g", backend[i], k, got.loss, want[k - 1].loss);
        }
        ck_assert(same_files(saved(step), saved(ahead)));
        bptt_trainer_close(step);
        bptt_trainer_close(ahead);
    }
    free(text);
}
END_TEST

START_TEST(a_trainer_with_updates_in_flight_refuses_what_needs_their_end)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("cpu", BPTT_F32);
    bptt_trainer *t = NULL, *expected = NULL;
    bptt_error e = {0};
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    CK_OK(bptt_trainer_open(&c, text, 100, &expected, NULL));
    ck_assert_int_eq(bptt_trainer_collect(t, NULL, NULL), BPTT_BAD_INPUT);
    ck_assert_uint_eq(iteration_of(t), 0);
    for (uint64_t k = 0; k < 4; k++) CK_OK(bptt_trainer_step(expected, NULL, NULL));
    for (uint64_t k = 0; k < 2; k++) CK_OK(bptt_trainer_step(t, NULL, NULL));
    for (uint64_t k = 0; k < 2; k++) CK_OK(bptt_trainer_submit(t, NULL)); // the next one would begin an epoch
    ck_assert_int_eq(bptt_trainer_submit(t, &e), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_trainer_step(t, NULL, &e), BPTT_BAD_INPUT);
    CK_TRUE(strstr(e.words, "bptt_trainer_collect") != NULL, "%s", e.words);
    ck_assert_int_eq(bptt_trainer_validate(t, NULL, NULL, NULL, NULL), BPTT_BAD_INPUT);
    char path[32];
    temporary(path);
    ck_assert_int_eq(bptt_trainer_save(t, path, NULL), BPTT_BAD_INPUT);
    const file untouched = slurp(path);
    unlink(path);
    ck_assert_uint_eq(untouched.n, 0);
    free(untouched.bytes);
    ck_assert_uint_eq(iteration_of(t), 4);
    for (int k = 0; k < 2; k++) CK_OK(bptt_trainer_collect(t, NULL, NULL));
    ck_assert(same_files(saved(t), saved(expected)));
    bptt_trainer_close(t);
    bptt_trainer_close(expected);
    free(text);
}
END_TEST

// A weight becomes NaN between two updates in flight; the first of them is valid.
START_TEST(the_count_of_updates_falls_back_to_those_that_were_made)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("cpu", BPTT_F32);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    bptt_model *m = bptt_trainer_model(t);
    double *b = reals(9), *bad = reals(9);
    const size_t last = bptt_model_tensors(m) - 1;
    for (int k = 0; k < 3; k++) CK_OK(bptt_trainer_step(t, NULL, NULL));
    CK_OK(bptt_trainer_submit(t, NULL));
    CK_OK(bptt_model_read(m, BPTT_WEIGHTS, last, b, BPTT_F64, NULL));
    bad[4] = (double)NAN;
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, last, bad, BPTT_F64, NULL));
    CK_OK(bptt_trainer_submit(t, NULL));
    CK_OK(bptt_trainer_collect(t, NULL, NULL));
    ck_assert_uint_eq(iteration_of(t), 5);
    CK_OK(bptt_trainer_submit(t, NULL));
    ck_assert_uint_eq(iteration_of(t), 6);
    ck_assert_int_eq(bptt_trainer_collect(t, NULL, NULL), BPTT_NOT_FINITE);
    ck_assert_uint_eq(iteration_of(t), 5);
    ck_assert_int_eq(bptt_trainer_collect(t, NULL, NULL), BPTT_NOT_FINITE);
    ck_assert_uint_eq(iteration_of(t), 4);
    ck_assert_uint_eq(bptt_model_updates(m), 4);
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, last, b, BPTT_F64, NULL));
    CK_OK(bptt_trainer_step(t, NULL, NULL)); // the first of an epoch: from zeros
    ck_assert_uint_eq(iteration_of(t), 5);
    free(b), free(bad), free(text);
    bptt_trainer_close(t);
}
END_TEST

// H of a text of 2 MB and of 10 kB.
START_TEST(default_sizes_give_every_cell_the_recurrent_weights_of_an_elman_network)
{
    static const size_t H[][2] = {
        [BPTT_TANH] = {256, 64},  [BPTT_RELU] = {256, 64},   [BPTT_GRU] = {160, 48},       [BPTT_LSTM] = {128, 32},
        [BPTT_MLSTM] = {128, 32}, [BPTT_MINGRU] = {256, 64}, [BPTT_GRU_BEFORE] = {160, 48}};
    for (size_t i = 0; i < 2 * sizeof H / sizeof *H; i++) {
        bptt_trainer_config c;
        bptt_trainer_defaults(&c);
        c.model.cell = (bptt_cell)(i / 2);
        bptt_trainer_sizes_for_text(&c, i % 2 ? 10000 : 2000000);
        CK_TRUE(c.model.hidden == H[i / 2][i % 2] && c.model.layers == (i % 2 ? 1 : 2), "cell %zu: %zu units", i / 2,
                c.model.hidden);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_text_is_cut_into_streams_and_windows_as_the_header_says);
    tcase_add_test(c, a_step_is_one_update_on_the_next_window);
    tcase_add_test(c, the_text_is_copied);
    tcase_add_test(c, validation_is_the_loss_of_one_stream_from_zeros);
    tcase_add_test(c, validation_changes_nothing);
    tcase_add_test(c, a_validation_is_due_after_every_so_many_updates);
    tcase_add_test(c, the_lowest_noted_loss_is_the_best);
    tcase_add_test(c, a_loss_that_is_no_number_is_never_the_best);
    tcase_add_test(c, texts_and_options_that_cannot_be_are_refused);
    tcase_add_test(c, numbers_that_would_put_nan_into_the_weights_are_refused);
    tcase_add_test(c, epochs_beyond_any_count_of_updates_are_refused);
    tcase_add_test(c, a_byte_that_the_model_never_saw_is_refused_by_name);
    tcase_add_test(c, updates_submitted_ahead_are_the_updates_of_single_steps);
    tcase_add_test(c, a_trainer_with_updates_in_flight_refuses_what_needs_their_end);
    tcase_add_test(c, the_count_of_updates_falls_back_to_those_that_were_made);
    tcase_add_test(c, default_sizes_give_every_cell_the_recurrent_weights_of_an_elman_network);
}

int main(void) { return run_suite("trainer", add, 60); }
