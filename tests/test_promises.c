// Guarantees besides the mathematics: the same bytes every time and for any number of threads; independent runs;
// evaluations, refusals and failures without side effects; files that restore the saved state.
#include "nets.h"
#include "suite.h"

#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static const struct {
    const char *backend;
    bptt_type type;
} WHO[] = {{"ref", BPTT_F64}, {"ref", BPTT_F32}, {"cpu", BPTT_F32}};
enum { WHOS = sizeof WHO / sizeof WHO[0] };

// ---- the same bytes -----------------------------------------------------------------------------

// Weights, moments, losses and state after some training; wide enough that threads share the work.
typedef struct history {
    double *w, *m, *v, *h, loss[6];
    size_t n, state;
} history;

static history train(const char *backend, unsigned threads, size_t H, size_t L, size_t B)
{
    bptt_model_config c = net_config(backend, BPTT_F32, 65, H, L);
    c.compute.threads = threads;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = 7, .gradient = 1, .keep = 1});
    for (uint64_t k = 0; k < 6; k++) {
        bptt_report report;
        net_random_window(&n, k);
        if (k & 1) n.w.keep = n.keep, n.w.weight = n.weight;
        CK_OK(bptt_run_train(n.r, &n.w, 1e-2, &report, NULL));
        n.w.keep = n.w.weight = NULL;
    }
    history h = {.w = net_part(n.m, BPTT_WEIGHTS),
                 .m = net_part(n.m, BPTT_MOMENT1),
                 .v = net_part(n.m, BPTT_MOMENT2),
                 .h = net_state(n.r, L * B * H),
                 .n = bptt_model_parameters(n.m),
                 .state = L * B * H};
    for (size_t k = 0; k < 6; k++) { // and losses, without any updates
        bptt_report report;
        net_random_window(&n, k);
        CK_OK(bptt_run_evaluate(n.r, &n.w, &report, NULL));
        h.loss[k] = report.loss;
    }
    net_close(&n);
    return h;
}

static void same_history(const history *a, const history *b)
{
    ck_assert(same_bits(a->w, b->w, a->n));
    ck_assert(same_bits(a->m, b->m, a->n));
    ck_assert(same_bits(a->v, b->v, a->n));
    ck_assert(same_bits(a->h, b->h, a->state));
    ck_assert(same_bits(a->loss, b->loss, 6));
}

static void history_free(history *h) { free(h->w), free(h->m), free(h->v), free(h->h); }

START_TEST(a_rerun_gives_the_same_bytes)
{
    static const char *const backend[] = {"ref", "cpu"};
    for (int i = 0; i < 2; i++) {
        history a = train(backend[i], 2, 33, 2, 7), b = train(backend[i], 2, 33, 2, 7);
        same_history(&a, &b);
        history_free(&a), history_free(&b);
    }
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    static const struct {
        size_t H, L, B;
    } shape[] = {{200, 1, 33}, {65, 3, 50}, {128, 2, 1}, {7, 1, 128}};
    for (size_t i = 0; i < 4; i++) {
        history one = train("cpu", 1, shape[i].H, shape[i].L, shape[i].B);
        for (unsigned threads = 2; threads <= 5; threads++) {
            history many = train("cpu", threads, shape[i].H, shape[i].L, shape[i].B);
            same_history(&one, &many);
            history_free(&many);
        }
        history_free(&one);
    }
}
END_TEST

static void *train_aside(void *h)
{
    *(history *)h = train("cpu", 2, 200, 2, 65);
    return NULL;
}

START_TEST(models_in_different_threads_share_nothing)
{
    history alone, here, aside;
    (void)train_aside(&alone);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, train_aside, &aside), 0);
        (void)train_aside(&here);
        pthread_join(thread, NULL);
        same_history(&alone, &here);
        same_history(&alone, &aside);
        history_free(&here), history_free(&aside);
    }
    history_free(&alone);
}
END_TEST

// ---- runs and evaluation ------------------------------------------------------------------------

START_TEST(runs_of_one_model_do_not_disturb_each_other)
{
    for (size_t i = first_row(); i < end_row(WHOS); i++) {
        double alone[2][3], together[2][3];
        for (int mixed = 0; mixed < 2; mixed++) {
            bptt_model_config c = net_config(WHO[i].backend, WHO[i].type, 33, 50, 2);
            net n;
            net_open(&n, &c, &(bptt_run_config){.batch = 7, .steps = 5, .gradient = 1});
            bptt_run *other = NULL;
            CK_OK(bptt_run_open(n.m, &n.rc, &other, NULL));
            for (size_t k = 0; k < 6; k++) {
                const size_t who = mixed ? k % 2 : k / 3, turn = mixed ? k / 2 : k % 3;
                bptt_report report;
                net_random_window(&n, 10 * who + turn);
                CK_OK(bptt_run_gradient(who ? other : n.r, &n.w, &report, NULL));
                (mixed ? together : alone)[who][turn] = report.loss + report.grad_norm;
            }
            bptt_run_close(other);
            net_close(&n);
        }
        ck_assert(same_bits(alone[0], together[0], 6));
    }
}
END_TEST

START_TEST(evaluation_and_sampling_touch_neither_model_nor_other_runs)
{
    for (size_t i = first_row(); i < end_row(WHOS); i++) {
        bptt_model_config c = net_config(WHO[i].backend, WHO[i].type, 33, 50, 2);
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = 7, .steps = 5, .gradient = 1});
        bptt_run *evaluator = run_on(n.m, (bptt_run_config){.batch = 1, .steps = 35});
        CK_OK(bptt_run_train(n.r, &n.w, 1e-2, NULL, NULL));
        snapshot before = snapshot_of(n.m);
        double *state = net_state(n.r, 2 * 7 * 50);
        float logp[33];
        CK_OK(bptt_run_evaluate(evaluator, &n.w, NULL, NULL));
        CK_OK(bptt_run_next(evaluator, n.token, logp, NULL));
        CK_OK(bptt_run_reset(evaluator, NULL));
        double *after = net_state(n.r, 2 * 7 * 50);
        ck_assert(same_bits(state, after, 2 * 7 * 50));
        CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL)); // the training run itself: only its state moves on
        ck_assert(snapshot_holds(&before, n.m, true));
        before = snapshot_of(n.m);
        CK_OK(bptt_run_gradient(n.r, &n.w, NULL, NULL)); // a gradient is no update
        ck_assert(snapshot_holds(&before, n.m, false));
        free(state), free(after);
        bptt_run_close(evaluator);
        net_close(&n);
    }
}
END_TEST

// 70 steps: more than a forward-only run takes at a time.
START_TEST(a_forward_only_run_finds_the_loss_that_a_gradient_run_finds)
{
    for (size_t i = first_row(); i < end_row(WHOS); i++)
        for (size_t L = 1; L <= 3; L++) {
            bptt_model_config c = net_config(WHO[i].backend, WHO[i].type, 33, 50, L);
            net n;
            net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 70, .gradient = 1, .keep = 1});
            bptt_run *evaluator = run_on(n.m, (bptt_run_config){.batch = 3, .steps = 70, .keep = 1});
            n.w.keep = n.keep, n.w.weight = n.weight;
            bptt_report a, b;
            CK_OK(bptt_run_gradient(n.r, &n.w, &a, NULL));
            CK_OK(bptt_run_evaluate(evaluator, &n.w, &b, NULL));
            double *h = net_state(n.r, L * 3 * 50), *g = net_state(evaluator, L * 3 * 50);
            const double u = WHO[i].type == BPTT_F64 ? U64 : U32;
            CK_NEAR(near_scaled(&b.loss, &a.loss, 1, 100 * u), "loss");
            CK_NEAR(near_scaled(g, h, L * 3 * 50, 70 * 83 * u), "state");
            if (strcmp(c.compute.backend, "ref") == 0) ck_assert(a.loss == b.loss && same_bits(g, h, L * 3 * 50));
            ck_assert(b.grad_norm == 0 && a.weight == b.weight);
            free(h), free(g);
            bptt_run_close(evaluator);
            net_close(&n);
        }
}
END_TEST

// The log-probabilities of the next characters, predicted one by one, add up to the loss of the window.
START_TEST(sampling_and_scoring_see_the_same_probabilities)
{
    for (size_t i = first_row(); i < end_row(WHOS); i++) {
        enum { B = 5, T = 40, V = 33 };
        bptt_model_config c = net_config(WHO[i].backend, WHO[i].type, V, 50, 2);
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T});
        bptt_report report;
        CK_OK(bptt_run_evaluate(n.r, &n.w, &report, NULL));
        CK_OK(bptt_run_reset(n.r, NULL));
        double loss = 0, mass = 0;
        for (size_t t = 0; t < T; t++) {
            float logp[B * V];
            CK_OK(bptt_run_next(n.r, n.token + t * B, logp, NULL));
            for (size_t b = 0; b < B; b++) loss -= (double)logp[b * V + (size_t)n.target[t * B + b]] / (T * B);
            for (size_t k = 0; k < B * V; k++) mass += exp((double)logp[k]) / (T * B);
        }
        const double one = 1;
        CK_NEAR(near_scaled(&loss, &report.loss, 1, 100 * U32), "loss");
        CK_NEAR(near_scaled(&mass, &one, 1, 100 * U32), "probabilities add up to one");
        net_close(&n);
    }
}
END_TEST

// ---- numbers that are not finite ----------------------------------------------------------------

static void poison(net *n, size_t tensor, double value)
{
    bptt_tensor t;
    CK_OK(bptt_model_tensor(n->m, tensor, &t, NULL));
    double *w = reals(t.rows * t.cols);
    CK_OK(bptt_model_read(n->m, BPTT_WEIGHTS, tensor, w, BPTT_F64, NULL));
    w[0] = value;
    CK_OK(bptt_model_write(n->m, BPTT_WEIGHTS, tensor, w, BPTT_F64, NULL));
    free(w);
}

START_TEST(a_loss_that_is_not_finite_leaves_weights_and_moments_alone)
{
    for (size_t i = first_row(); i < end_row(WHOS); i++)
        for (int o = BPTT_SGD; o <= BPTT_ADAM; o++)
            for (size_t tensor = 0; tensor < 5; tensor++) {
                bptt_model_config c = net_config(WHO[i].backend, WHO[i].type, 5, 33, 1);
                c.optimizer = (bptt_optimizer)o, c.momentum = 0.5;
                net n;
                net_open(&n, &c, &(bptt_run_config){.batch = 7, .steps = 5, .gradient = 1});
                n.token[0] = 0; // so that the first row of W_ih is used
                CK_OK(bptt_run_train(n.r, &n.w, 1e-2, NULL, NULL));
                poison(&n, tensor, (double)NAN);
                snapshot before = snapshot_of(n.m);
                bptt_report report = {.loss = 7};
                bptt_error e = {0};
                ck_assert_int_eq(bptt_run_train(n.r, &n.w, 1e-2, &report, &e), BPTT_NOT_FINITE);
                ck_assert(e.code == BPTT_NOT_FINITE && e.words[0] && report.loss == 7);
                ck_assert_int_eq(bptt_run_gradient(n.r, &n.w, NULL, NULL), BPTT_NOT_FINITE);
                ck_assert_int_eq(bptt_run_evaluate(n.r, &n.w, NULL, NULL), BPTT_NOT_FINITE);
                ck_assert(snapshot_holds(&before, n.m, false));
                poison(&n, tensor, 0.25); // and all is well again from zeros
                CK_OK(bptt_run_reset(n.r, NULL));
                CK_OK(bptt_run_train(n.r, &n.w, 1e-2, NULL, NULL));
                net_close(&n);
            }
}
END_TEST

// A finite loss with a gradient whose norm overflows: a huge input to a weight of zero, under relu.
START_TEST(a_gradient_that_is_not_finite_leaves_weights_and_moments_alone)
{
    for (size_t i = 2 * first_row(); i < 2 * end_row(WHOS); i++) {
        const bptt_type type = WHO[i / 2].type;
        bptt_model_config c = net_config(WHO[i / 2].backend, type, 5, 7, 1);
        c.input = 1, c.cell = BPTT_RELU, c.clip = i % 2 ? 5 : 0; // a bound over an infinite norm is 0
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 2, .gradient = 1});
        CK_OK(bptt_run_train(n.r, &n.w, 1e-2, NULL, NULL)); // moments that a gradient of 0 would shrink
        double zeros[7] = {0};
        CK_OK(bptt_model_write(n.m, BPTT_WEIGHTS, 0, zeros, BPTT_F64, NULL));
        for (size_t k = 0; k < 6; k++) n.dense[k] = type == BPTT_F64 ? 1e300 : 3e38;
        snapshot before = snapshot_of(n.m);
        bptt_error e = {0};
        bptt_report report;
        CK_OK(bptt_run_evaluate(n.r, &n.w, &report, NULL));
        ck_assert(isfinite(report.loss));
        bptt_status s = bptt_run_train(n.r, &n.w, 1e-2, NULL, &e);
        if (type == BPTT_F64) { // float gradients of 1e38 have norms below 1e308
            ck_assert_int_eq(s, BPTT_NOT_FINITE);
            ck_assert(snapshot_holds(&before, n.m, false));
        } else {
            ck_assert(s == BPTT_OK || s == BPTT_NOT_FINITE);
            double *w = net_part(n.m, BPTT_WEIGHTS);
            for (size_t k = 0; k < bptt_model_parameters(n.m); k++) ck_assert(isfinite(w[k]));
            free(w);
            (void)snapshot_holds(&before, n.m, false);
        }
        net_close(&n);
    }
}
END_TEST

// ---- refusals -----------------------------------------------------------------------------------

START_TEST(bad_windows_are_refused_with_nothing_changed)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 1);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
    CK_OK(bptt_run_train(n.r, &n.w, 1e-2, NULL, NULL));
    snapshot before = snapshot_of(n.m);
    double *state = net_state(n.r, 21);
    int32_t low[12] = {0}, high[12] = {0};
    low[5] = -1, high[11] = 9;
    float negative[12] = {0}, nan[12] = {0}, infinite[12] = {0};
    negative[11] = -1, nan[3] = (float)NAN, infinite[4] = INFINITY;
    bptt_window bad[] = {
        {.token = low, .target = n.target},
        {.token = high, .target = n.target},
        {.token = n.token, .target = low},
        {.token = n.token, .target = high},
        {.target = n.target},
        {.token = n.token},
        {.token = n.token, .target = n.target, .weight = negative},
        {.token = n.token, .target = n.target, .weight = nan},
        {.token = n.token, .target = n.target, .weight = infinite},
        {.token = n.token, .target = n.target, .keep = n.keep}, // opened without keep
        {.dense = state, .dense_type = BPTT_F64, .target = n.target},
    };
    static const char *const wrong[] = {"token -1",        "token 9",          "target -1",   "target 9",
                                        "`token` is NULL", "`target` is NULL", "weight -1",   "weight nan",
                                        "weight inf",      "without keep",     "takes tokens"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bptt_error e = {0};
        bad[i].size = sizeof bad[i];
        ck_assert_int_eq(bptt_run_train(n.r, &bad[i], 1e-2, NULL, &e), BPTT_BAD_INPUT);
        ck_assert(e.code == BPTT_BAD_INPUT && strstr(e.words, wrong[i]));
        ck_assert_int_eq(bptt_run_gradient(n.r, &bad[i], NULL, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_evaluate(n.r, &bad[i], NULL, NULL), BPTT_BAD_INPUT);
    }
    float logp[27];
    ck_assert_int_eq(bptt_run_train(n.r, NULL, 1e-2, NULL, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_train(n.r, &n.w, (double)NAN, NULL, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_next(n.r, NULL, logp, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_next(n.r, low + 4, logp, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_next(n.r, n.token, NULL, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_read_state(n.r, NULL, BPTT_F64, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_write_state(n.r, NULL, BPTT_F64, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_read(n.r, BPTT_GRAD_INPUT, logp, BPTT_F32, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_model_read(n.m, BPTT_WEIGHTS, 5, logp, BPTT_F32, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_model_read(n.m, BPTT_WEIGHTS, 0, NULL, BPTT_F32, NULL), BPTT_BAD_INPUT);
    bptt_error e = {0};
    ck_assert_int_eq(bptt_model_write(n.m, BPTT_WEIGHTS, 0, logp, BPTT_I32, &e), BPTT_BAD_INPUT);
    ck_assert_str_eq(e.words, "`as` is 2, but must be BPTT_F32 or BPTT_F64");
    ck_assert_int_eq(bptt_run_read(n.r, BPTT_STATES, logp, BPTT_F16, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_read_state(n.r, logp, (bptt_type)9, NULL), BPTT_BAD_INPUT);
    double *after = net_state(n.r, 21);
    ck_assert(same_bits(state, after, 21));
    ck_assert(snapshot_holds(&before, n.m, true));
    free(state), free(after);
    net_close(&n);
}
END_TEST

START_TEST(bad_models_are_refused)
{
    bptt_model_config good = net_config("cpu", BPTT_F32, 9, 7, 1), bad[24];
    for (size_t i = 0; i < 24; i++) bad[i] = good;
    bad[0].vocab = 0, bad[1].vocab = 1, bad[2].vocab = 65537, bad[3].hidden = 0, bad[4].hidden = 65537;
    bad[5].layers = 0, bad[6].layers = 65, bad[7].input = 65537, bad[8].biases = 0, bad[9].biases = 3;
    bad[10].cell = (bptt_cell)7, bad[11].init = (bptt_init)9, bad[12].optimizer = (bptt_optimizer)3;
    bad[13].clip = (double)NAN, bad[14].clip = -1, bad[15].beta1 = 1, bad[16].beta2 = (double)NAN;
    bad[17].momentum = -0.1, bad[18].epsilon = (double)INFINITY, bad[19].decay = 1;
    bad[20].clip_mode = (bptt_clip)2, bad[21].hidden = SIZE_MAX, bad[22].type = BPTT_I32;
    bad[23].compute.backend = "abacus";
    for (size_t i = 0; i < 24; i++) {
        bptt_model *m = NULL;
        bptt_error e = {0};
        const bptt_status want = i == 23 ? BPTT_NO_BACKEND : BPTT_BAD_CONFIG, s = bptt_model_open(&bad[i], &m, &e);
        CK_TRUE(s == want && !m && e.code == want && e.words[0], "case %zu: %d %s", i, (int)s, e.words);
    }
}
END_TEST

START_TEST(bad_runs_are_refused)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 65536, 7, 1);
    bptt_model *m = NULL;
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_run_config bad[] = {{.batch = 0, .steps = 1},
                             {.batch = 1, .steps = 0},
                             {.batch = SIZE_MAX, .steps = 2},
                             {.batch = 2, .steps = SIZE_MAX},
                             {.batch = 1, .steps = 1, .input_gradient = 1}};
    for (size_t i = 0; i < 5; i++) {
        bptt_run *r = NULL;
        bptt_error e = {0};
        bad[i].size = sizeof bad[i];
        CK_TRUE(bptt_run_open(m, &bad[i], &r, &e) == BPTT_BAD_CONFIG && !r && !strstr(e.words, "size"), "case %zu", i);
    }
    bptt_run *r = NULL; // 2^31 rows of 65536 logits: more than there is
    ck_assert_int_eq(
        bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = INT32_MAX, .steps = 1}, &r, NULL),
        BPTT_NO_MEMORY);
    ck_assert_ptr_null(r);
    bptt_model_close(m);
    bptt_model_close(NULL);
    bptt_run_close(NULL);
}
END_TEST

// ---- files --------------------------------------------------------------------------------------

START_TEST(a_saved_model_comes_back_bit_for_bit)
{
    for (size_t i = first_row(); i < end_row(WHOS); i++)
        for (int biases = 1; biases <= 2; biases++) {
            bptt_model_config c = net_config(WHO[i].backend, WHO[i].type, 9, 7, 2), back;
            c.biases = biases, c.cell = biases == 1 ? BPTT_TANH : BPTT_RELU, c.input = biases == 1 ? 0 : 4, c.seed = 12;
            net n;
            net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
            CK_OK(bptt_run_train(n.r, &n.w, 1e-2, NULL, NULL));
            CK_OK(bptt_model_set_vocabulary(n.m,
                                            (const unsigned char *)"\x00z\xff"
                                                                   "abcdef",
                                            9, NULL));
            char path[] = "/tmp/bptt-test-XXXXXX";
            const int fd = mkstemp(path);
            ck_assert_int_ge(fd, 0);
            close(fd);
            CK_OK(bptt_model_save(n.m, path, NULL));
            bptt_model *m = NULL;
            CK_OK(bptt_model_load(path, &c, &m, NULL));
            unlink(path);
            bptt_model_get_config(m, &back);
            ck_assert(back.vocab == 9 && back.hidden == 7 && back.layers == 2 && back.biases == biases);
            ck_assert(back.cell == c.cell && back.input == c.input && back.seed == 12 && back.type == c.type);
            double *a = net_part(n.m, BPTT_WEIGHTS), *b = net_part(m, BPTT_WEIGHTS);
            ck_assert_uint_eq(bptt_model_parameters(m), bptt_model_parameters(n.m));
            ck_assert(same_bits(a, b, bptt_model_parameters(m)));
            const unsigned char *bytes;
            size_t v;
            bptt_model_vocabulary(m, &bytes, &v);
            ck_assert(v == 9 && memcmp(bytes,
                                       "\x00z\xff"
                                       "abcdef",
                                       9) == 0);
            free(a), free(b);
            bptt_model_close(m);
            net_close(&n);
        }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_rerun_gives_the_same_bytes);
    tcase_add_test(c, any_number_of_threads_gives_the_same_bytes);
    tcase_add_test(c, models_in_different_threads_share_nothing);
    tcase_add_test(c, runs_of_one_model_do_not_disturb_each_other);
    tcase_add_test(c, evaluation_and_sampling_touch_neither_model_nor_other_runs);
    tcase_add_test(c, a_forward_only_run_finds_the_loss_that_a_gradient_run_finds);
    tcase_add_test(c, sampling_and_scoring_see_the_same_probabilities);
    tcase_add_test(c, a_loss_that_is_not_finite_leaves_weights_and_moments_alone);
    tcase_add_test(c, a_gradient_that_is_not_finite_leaves_weights_and_moments_alone);
    tcase_add_test(c, bad_windows_are_refused_with_nothing_changed);
    tcase_add_test(c, bad_models_are_refused);
    tcase_add_test(c, bad_runs_are_refused);
    tcase_add_test(c, a_saved_model_comes_back_bit_for_bit);
}

int main(void) { return run_suite("promises", add, 60); }
