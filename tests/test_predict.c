// Predictions of windows and of single steps, for tokens and dense input, against a plain net in double (plain_rnn.h)
// and against the loss that evaluate finds; and the reset of one stream.
#include "nets.h"
#include "plain_rnn.h"
#include "suite.h"

static const struct {
    size_t V, I, H, L, B, T;
} SHAPE[] = {{9, 0, 7, 1, 1, 1},   {65, 0, 33, 2, 3, 5}, {7, 0, 5, 3, 33, 5}, {9, 1, 7, 2, 1, 5},
             {33, 7, 50, 1, 3, 5}, {5, 7, 7, 2, 33, 5},  {5, 1, 3, 1, 3, 1},  {9, 0, 7, 2, 3, 40}};
enum { SHAPES = sizeof SHAPE / sizeof SHAPE[0] };

// Opens the k-th shape on the i-th backend; gradient and keep as the bits of variant say.
static void open_shape(net *n, size_t i, size_t k, unsigned variant)
{
    bptt_model_config c = net_config(NET_BACKEND[i].backend, NET_BACKEND[i].type, SHAPE[k].V, SHAPE[k].H, SHAPE[k].L);
    c.input = SHAPE[k].I, c.compute.threads = NET_BACKEND[i].threads, c.cell = variant & 1 ? BPTT_RELU : BPTT_TANH;
    const bptt_run_config rc = {
        .batch = SHAPE[k].B, .steps = SHAPE[k].T, .gradient = variant & 1, .keep = (int)(variant >> 1)};
    net_open(n, &c, &rc);
    CK_OK(bptt_run_write_state(n->r, n->h0, BPTT_F64, NULL));
}

#define EACH_NET(i, k, variant) \
    for (size_t i = first_row(); i < end_row(NET_BACKENDS); i++) \
        for (size_t k = 0; k < SHAPES; k++) \
            for (unsigned variant = 0; variant < 4; variant++)

// Roundings between a net in this type and the plain one, to a size of 1: sums of H + I + V terms, T steps, L layers.
static double roundings(const net *n)
{
    const double terms = (double)(n->c.hidden + n->c.input + n->c.vocab + 20);
    return 2 * (double)(n->rc.steps * n->c.layers) * terms * (n->c.type == BPTT_F64 ? U64 : U32);
}

// got are log-probabilities in float of a net that computes in its own type.
static void near_logp(const net *n, const float *got, const double *want, size_t count, const char *what)
{
    double *x = reals(count), *bound = reals(count);
    char says[160];
    for (size_t i = 0; i < count; i++)
        x[i] = (double)got[i], bound[i] = U32 * fabs(want[i]) + roundings(n) * (1 + fabs(want[i]));
    snprintf(says, sizeof says, "%s %d %s: V %zu I %zu H %zu L %zu B %zu T %zu, gradient %d, keep %d",
             n->c.compute.backend, (int)n->c.type, what, n->c.vocab, n->c.input, n->c.hidden, n->c.layers, n->rc.batch,
             n->rc.steps, n->rc.gradient, n->rc.keep);
    CK_NEAR(near_all(x, want, bound, count), says);
    free(x), free(bound);
}

// Runs the window through the plain net from its last states.
static void plain_go_on(plain_rnn *p, const bptt_window *w)
{
    for (size_t l = 0; l < p->L; l++)
        memcpy(plain_state(p, l, 0, 0), plain_state(p, l, p->T, 0), p->B * p->H * sizeof *p->h);
    plain_forward(p, w);
}

static void check_state(const net *n, const plain_rnn *p)
{
    double *got = net_state(n->r, p->L * p->B * p->H);
    for (size_t l = 0; l < p->L; l++)
        CK_NEAR(near_scaled(got + l * p->B * p->H, plain_state(p, l, p->T, 0), p->B * p->H, roundings(n)), "state");
    free(got);
}

static plain_rnn plain_start(const net *n)
{
    plain_rnn p = plain_of(n->m, n->rc.batch, n->rc.steps);
    for (size_t l = 0; l < p.L; l++)
        memcpy(plain_state(&p, l, p.T, 0), n->h0 + l * p.B * p.H, p.B * p.H * sizeof *n->h0);
    return p;
}

// ---- windows ------------------------------------------------------------------------------------

// Windows in a row, with and without keep: none of one stays for the next. Target and weight do not matter.
START_TEST(predictions_of_a_window_are_the_plain_nets)
{
    EACH_NET(i, k, variant)
    {
        net n;
        open_shape(&n, i, k, variant);
        plain_rnn p = plain_start(&n);
        const size_t count = p.T * p.B * p.V;
        float *logp = must_alloc(count + 1, sizeof *logp);
        for (int turn = 0; turn < 4; turn++) {
            const int32_t *const target = n.w.target;
            n.w.keep = turn % 2 == 0 && n.rc.keep ? n.keep : NULL;
            plain_go_on(&p, &n.w);
            if (turn > 1) n.w.target = NULL;
            if (turn == 1) n.w.weight = n.weight;
            logp[count] = 7;
            CK_OK(bptt_run_predict(n.r, &n.w, logp, NULL));
            n.w.target = target, n.w.weight = NULL;
            near_logp(&n, logp, p.logp, count, "prediction");
            ck_assert(logp[count] == 7);
            check_state(&n, &p);
        }
        n.w.keep = n.rc.keep ? n.keep : NULL; // keeps of an evaluation do not outlast a prediction either
        plain_go_on(&p, &n.w);
        CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
        n.w.keep = NULL;
        plain_go_on(&p, &n.w);
        CK_OK(bptt_run_predict(n.r, &n.w, logp, NULL));
        near_logp(&n, logp, p.logp, count, "prediction after an evaluation");
        bptt_report report;
        plain_go_on(&p, &n.w);
        CK_OK(bptt_run_evaluate(n.r, &n.w, &report, NULL));
        CK_NEAR(near_scaled(&report.loss, &p.loss, 1, roundings(&n)), "loss");
        check_state(&n, &p);
        free(logp);
        plain_free(&p);
        net_close(&n);
    }
}
END_TEST

START_TEST(predictions_of_the_targets_add_up_to_the_loss)
{
    EACH_NET(i, k, variant)
    {
        net n;
        open_shape(&n, i, k, variant);
        const size_t N = n.rc.steps * n.rc.batch, V = n.c.vocab, state = n.c.layers * n.rc.batch * n.c.hidden;
        float *logp = must_alloc(N * V, sizeof *logp);
        n.w.weight = n.weight, n.weight[0] = 1;
        if (n.rc.keep) n.w.keep = n.keep;
        bptt_report report;
        CK_OK(bptt_run_predict(n.r, &n.w, logp, NULL));
        double *predicted = net_state(n.r, state), loss = 0;
        CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
        CK_OK(bptt_run_evaluate(n.r, &n.w, &report, NULL));
        double *evaluated = net_state(n.r, state);
        for (size_t t = 0; t < N; t++)
            loss -= (double)n.weight[t] * (double)logp[t * V + (size_t)n.target[t]] / report.weight;
        CK_NEAR(near_scaled(&loss, &report.loss, 1, 100 * U32), "loss");
        CK_NEAR(near_scaled(predicted, evaluated, state, roundings(&n)), "state");
        if (strcmp(n.c.compute.backend, "ref") == 0) ck_assert(same_bits(predicted, evaluated, state));
        free(logp), free(predicted), free(evaluated);
        net_close(&n);
    }
}
END_TEST

// ---- single steps -------------------------------------------------------------------------------

START_TEST(a_window_is_predicted_as_its_steps_one_by_one)
{
    EACH_NET(i, k, variant)
    {
        net n;
        open_shape(&n, i, k, variant);
        const size_t B = n.rc.batch, T = n.rc.steps, V = n.c.vocab, I = n.c.input;
        float *whole = must_alloc(T * B * V, sizeof *whole), *step = must_alloc(B * V, sizeof *step);
        float *narrow = must_alloc(T * B * (I + 1), sizeof *narrow);
        for (size_t j = 0; j < T * B * I; j++) narrow[j] = (float)n.dense[j], n.dense[j] = (double)narrow[j];
        if (n.rc.keep) n.w.keep = n.keep; // before the steps, which are all kept
        CK_OK(bptt_run_predict(n.r, &n.w, whole, NULL));
        n.w.keep = NULL;
        CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
        CK_OK(bptt_run_predict(n.r, &n.w, whole, NULL));
        for (int wide = 0; wide < 2; wide++) {
            CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
            for (size_t t = 0; t < T; t++) {
                const void *const x = wide ? (void *)(n.dense + t * B * I) : (void *)(narrow + t * B * I);
                if (I)
                    CK_OK(bptt_run_next_dense(n.r, x, wide ? BPTT_F64 : BPTT_F32, step, NULL));
                else
                    CK_OK(bptt_run_next(n.r, n.token + t * B, step, NULL));
                CK_TRUE(memcmp(step, whole + t * B * V, B * V * sizeof *step) == 0, "step %zu differs", t);
            }
        }
        free(whole), free(step), free(narrow);
        net_close(&n);
    }
}
END_TEST

START_TEST(what_cannot_be_predicted_is_refused_with_nothing_changed)
{
    for (size_t I = 0; I <= 7; I += 7) {
        bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 1);
        c.input = I;
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
        CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
        double *before = net_state(n.r, 21);
        float logp[4 * 3 * 9] = {7}, bad_weight[12] = {-1};
        int32_t wrong[12] = {9};
        bptt_window w[6] = {n.w, n.w, n.w, n.w, n.w, n.w};
        static const char *const words[2][6] = {
            {"`token` is NULL", "`dense` must be NULL", "token 9", "target 9", "weight -1", "without keep"},
            {"`dense` is NULL", "`token` must be NULL", "`dense_type` is 2, but must be", "target 9", "weight -1",
             "without keep"}};
        w[0].token = NULL, w[0].dense = NULL;
        w[1].token = n.token, w[1].dense = I ? (void *)n.dense : (void *)n.keep;
        w[2].token = I ? NULL : wrong, w[2].dense_type = BPTT_I32;
        w[3].target = wrong, w[4].weight = bad_weight, w[5].keep = n.keep;
        for (size_t k = 0; k < 6; k++) {
            bptt_error e = {0};
            ck_assert_int_eq(bptt_run_predict(n.r, &w[k], logp, &e), BPTT_BAD_INPUT);
            CK_TRUE(strstr(e.words, words[I > 0][k]), "case %zu: %s", k, e.words);
        }
        ck_assert_int_eq(bptt_run_predict(n.r, NULL, logp, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_predict(n.r, &n.w, NULL, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_next(n.r, I ? n.token : NULL, logp, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_next_dense(n.r, I ? NULL : n.keep, BPTT_F32, logp, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_next_dense(n.r, n.keep, BPTT_I32, logp, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_next_dense(n.r, n.keep, BPTT_F32, NULL, NULL), BPTT_BAD_INPUT);
        CK_OK(bptt_run_submit(n.r, &n.w, 0, NULL)); // while a window is on its way
        ck_assert_int_eq(bptt_run_predict(n.r, &n.w, logp, NULL), BPTT_BAD_INPUT);
        ck_assert_int_eq(bptt_run_next_dense(n.r, n.dense, BPTT_F64, logp, NULL), BPTT_BAD_INPUT);
        CK_OK(bptt_run_collect(n.r, NULL, NULL));
        CK_OK(bptt_run_write_state(n.r, before, BPTT_F64, NULL));
        ck_assert(logp[0] == 7);
        before[20] = (double)NAN;
        CK_OK(bptt_run_write_state(n.r, before, BPTT_F64, NULL));
        ck_assert_int_eq(bptt_run_predict(n.r, &n.w, logp, NULL), BPTT_NOT_FINITE);
        free(before);
        net_close(&n);
    }
}
END_TEST

// ---- one stream of many -------------------------------------------------------------------------

START_TEST(a_stream_that_is_reset_is_zero_and_the_others_are_as_they_were)
{
    static const size_t batch[] = {1, 3, 33};
    for (size_t i = first_row(); i < end_row(NET_BACKENDS); i++)
        for (size_t k = 0; k < 3; k++)
            for (size_t L = 1; L <= 3; L++)
                for (int gradient = 0; gradient < 2; gradient++) {
                    const size_t B = batch[k], H = 7, state = L * B * H;
                    const bptt_model_config c = net_config(NET_BACKEND[i].backend, NET_BACKEND[i].type, 9, H, L);
                    net n;
                    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = 2, .gradient = gradient});
                    CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
                    CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
                    double *want = net_state(n.r, state);
                    for (size_t b = B; b-- > 0; b -= b % 3) { // not in order, and not all
                        CK_OK(bptt_run_reset_stream(n.r, b, NULL));
                        for (size_t l = 0; l < L; l++) memset(want + (l * B + b) * H, 0, H * sizeof *want);
                        double *got = net_state(n.r, state);
                        CK_TRUE(same_bits(got, want, state), "%s: stream %zu of %zu, %zu layers", c.compute.backend, b,
                                B, L);
                        free(got);
                    }
                    bptt_error e = {0};
                    ck_assert_int_eq(bptt_run_reset_stream(n.r, B, &e), BPTT_BAD_INPUT);
                    ck_assert(strstr(e.words, "does not exist"));
                    ck_assert_int_eq(bptt_run_reset_stream(n.r, SIZE_MAX, NULL), BPTT_BAD_INPUT);
                    double *got = net_state(n.r, state);
                    ck_assert(same_bits(got, want, state));
                    free(got), free(want);
                    net_close(&n);
                }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, predictions_of_a_window_are_the_plain_nets);
    tcase_add_test(c, predictions_of_the_targets_add_up_to_the_loss);
    tcase_add_test(c, a_window_is_predicted_as_its_steps_one_by_one);
    tcase_add_test(c, what_cannot_be_predicted_is_refused_with_nothing_changed);
    tcase_add_test(c, a_stream_that_is_reset_is_zero_and_the_others_are_as_they_were);
}

int main(void) { return run_suite("predict", add, 60); }
