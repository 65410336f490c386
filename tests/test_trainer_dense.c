// The trainer of sequences of floats: streams, windows, burn-in, validation, scores. Losses are compared with
// a net in double, written here as plain loops over the whole streams, updates with windows put together by hand.
#include "sequences.h"
#include "suite.h"

// ---- the reference --------------------------------------------------------------------------------------------------

// An Elman net of tanh in double.
typedef struct plain_net {
    bptt_model_config c;
    double *w; // all tensors, one after the other
} plain_net;

static plain_net net_of(bptt_model *m)
{
    plain_net p = {.w = net_part(m, BPTT_WEIGHTS)};
    bptt_model_get_config(m, &p.c);
    return p;
}

// z = tanh(W x + U h + b), one layer; w: its tensors W [H][n], U [H][H], b [H]. Returns the tensors after them.
static const double *plain_layer(const double *w, size_t H, const double *x, size_t n, double *h)
{
    double *z = reals(H);
    for (size_t j = 0; j < H; j++) {
        z[j] = w[H * (n + H) + j];
        for (size_t k = 0; k < n; k++) z[j] += w[j * n + k] * x[k];
        for (size_t k = 0; k < H; k++) z[j] += w[H * n + j * H + k] * h[k];
    }
    for (size_t j = 0; j < H; j++) h[j] = tanh(z[j]);
    free(z);
    return w + H * (n + H + 1);
}

static double point_loss(bptt_loss loss, double x, double y)
{
    if (loss == BPTT_SQUARED) return (x - y) * (x - y);
    if (loss == BPTT_ABSOLUTE) return fabs(x - y);
    return -(y * log(1 / (1 + exp(-x))) + (1 - y) * log(1 - 1 / (1 + exp(-x))));
}

// Loss of each of n steps from zero state: each [n].
static void plain_losses(const plain_net *p, const float *x, const float *y, size_t n, double *each)
{
    const size_t H = p->c.hidden, L = p->c.layers, I = p->c.input, M = p->c.output;
    double *h = reals(L * H), *in = reals(I);
    for (size_t i = 0; i < n; i++) {
        const double *w = p->w;
        for (size_t k = 0; k < I; k++) in[k] = (double)x[i * I + k];
        for (size_t l = 0; l < L; l++) w = plain_layer(w, H, l ? h + (l - 1) * H : in, l ? H : I, h + l * H);
        each[i] = 0;
        for (size_t j = 0; j < M; j++) {
            double out = w[M * H + j] + (p->c.skip ? in[j] : 0);
            for (size_t k = 0; k < H; k++) out += w[j * H + k] * h[(L - 1) * H + k];
            each[i] += point_loss(p->c.loss, out, (double)y[i * M + j]) / (double)M;
        }
    }
    free(h), free(in);
}

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

// Roundings of a state after n steps; sizes of all terms are below 10.
static double bound_of(const plain_net *p, size_t n)
{
    return 10 * gamma_of((double)(n * p->c.layers * (p->c.hidden + p->c.input + 20)), U64);
}

static void near_loss(double got, double want, double bound, const char *what)
{
    CK_NEAR(near_all(&got, &want, &bound, 1), what);
}

// ---- streams, windows, burn-in --------------------------------------------------------------------------------------

START_TEST(a_sequence_is_cut_into_streams_and_windows_as_the_header_says)
{
    static const struct {
        size_t n, B, T;
        double valid;
        size_t n_train, len, windows;
    } row[] = {{104, 3, 5, 0.25, 78, 26, 5},   {103, 3, 5, 0.25, 77, 25, 5}, {100, 1, 100, 0, 100, 100, 1},
               {100, 4, 25, 0, 100, 25, 1},    {65, 7, 1, 0.5, 32, 4, 4},    {1, 1, 1, 0, 1, 1, 1},
               {1000, 33, 7, 0.05, 950, 28, 4}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        data d = data_of(row[i].n, INPUTS, TARGETS, 1);
        bptt_trainer_config c = dense_config("ref", BPTT_F32);
        c.batch = row[i].B, c.steps = row[i].T, c.valid = row[i].valid, c.iterations = 0, c.epochs = 1.5;
        bptt_trainer *t = open_dense(&c, &d);
        bptt_trainer_info info;
        bptt_trainer_get_info(t, &info);
        ck_assert_uint_eq(info.text, row[i].n);
        ck_assert_uint_eq(info.vocab, 0);
        ck_assert_uint_eq(info.n_train, row[i].n_train);
        ck_assert_uint_eq(info.n_valid, row[i].n - row[i].n_train);
        ck_assert_uint_eq(info.stream, row[i].len);
        ck_assert_uint_eq(info.windows, row[i].windows);
        ck_assert_uint_eq(info.iterations, (3 * row[i].windows + 1) / 2);
        ck_assert_uint_ge(info.memory, row[i].n * (INPUTS + TARGETS) * sizeof(float));
        bptt_trainer_close(t);
        data_free(&d);
    }
}
END_TEST

// With a rate of almost 0 no weight changes, so the losses of an epoch are those of the streams from zero state.
START_TEST(losses_of_an_epoch_are_those_of_the_streams_in_plain_loops)
{
    enum { B = 3, T = 5, LEN = 26, WINDOWS = 5 };
    data d = data_of(STEPS, INPUTS, TARGETS, 2);
    for (int loss = BPTT_SQUARED; loss <= BPTT_BINARY; loss++)
        for (size_t burn_in = 0; burn_in < T; burn_in += 2) {
            bptt_trainer_config c = dense_config("ref", BPTT_F64);
            c.model.loss = (bptt_loss)loss, c.model.skip = loss == BPTT_ABSOLUTE, c.model.optimizer = BPTT_SGD;
            c.rate = 1e-300, c.burn_in = burn_in;
            bptt_trainer *t = open_dense(&c, &d);
            plain_net p = net_of(bptt_trainer_model(t));
            double each[B][LEN];
            for (size_t b = 0; b < B; b++)
                plain_losses(&p, d.x + b * LEN * INPUTS, d.y + b * LEN * TARGETS, LEN, each[b]);
            for (size_t k = 0; k < 2 * WINDOWS; k++) {
                bptt_report r;
                double sum = 0;
                const size_t at = k % WINDOWS * T, first = k % WINDOWS == 0 ? burn_in : 0;
                for (size_t b = 0; b < B; b++)
                    for (size_t i = first; i < T; i++) sum += each[b][at + i];
                CK_OK(bptt_trainer_step(t, &r, NULL));
                ck_assert(r.weight == (double)(B * (T - first)));
                near_loss(r.loss, sum / r.weight, bound_of(&p, LEN), "loss of a window");
            }
            bptt_trainer_close(t);
            free(p.w);
        }
    data_free(&d);
}
END_TEST

// The same windows by hand, with the run alone.
START_TEST(a_step_is_one_update_on_the_next_window)
{
    enum { B = 3, T = 5, LEN = 26, WINDOWS = 5, BURN_IN = 3 };
    data d = data_of(STEPS, INPUTS, TARGETS, 3);
    bptt_trainer_config c = dense_config("cpu", BPTT_F32);
    c.model.cell = BPTT_LSTM, c.burn_in = BURN_IN;
    bptt_trainer *t = open_dense(&c, &d);
    bptt_model *m = NULL;
    c.model.vocab = 0;
    CK_OK(bptt_model_open(&c.model, &m, NULL));
    bptt_run *r = run_on(m, (bptt_run_config){.batch = B, .steps = T, .gradient = 1});
    for (size_t k = 0; k < 2 * WINDOWS + 3; k++) {
        float x[T][B][INPUTS], y[T][B][TARGETS], weight[T][B];
        bptt_report ours, hand;
        for (size_t b = 0; b < B; b++)
            for (size_t i = 0; i < T; i++) {
                const size_t at = b * LEN + k % WINDOWS * T + i;
                for (size_t j = 0; j < INPUTS; j++) x[i][b][j] = d.x[at * INPUTS + j];
                for (size_t j = 0; j < TARGETS; j++) y[i][b][j] = d.y[at * TARGETS + j];
                weight[i][b] = k % WINDOWS == 0 && i < BURN_IN ? 0 : 1;
            }
        const bptt_window w = {.size = sizeof w, .dense = x, .dense_target = y, .weight = &weight[0][0]};
        if (k % WINDOWS == 0) CK_OK(bptt_run_reset(r, NULL));
        CK_OK(bptt_run_train(r, &w, c.rate, &hand, NULL));
        if (k == 0) // the data were copied
            for (size_t i = 0; i < 2 * STEPS; i++) d.y[i] += 1;
        CK_OK(bptt_trainer_step(t, &ours, NULL));
        if (k == 0)
            for (size_t i = 0; i < 2 * STEPS; i++) d.y[i] -= 1;
        CK_TRUE(ours.loss == hand.loss && ours.grad_norm == hand.grad_norm && ours.weight == hand.weight,
                "step %zu: loss %.17g, by hand %.17g", k, ours.loss, hand.loss);
    }
    double *a = net_part(bptt_trainer_model(t), BPTT_WEIGHTS), *b = net_part(m, BPTT_WEIGHTS);
    ck_assert(same_bits(a, b, bptt_model_parameters(m)));
    free(a), free(b);
    bptt_run_close(r), bptt_model_close(m), bptt_trainer_close(t);
    data_free(&d);
}
END_TEST

// ---- validation and scores ------------------------------------------------------------------------------------------

static double power_of(const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)y[i] * (double)y[i];
    return sum / (double)n;
}

// Validation parts shorter and longer than a window of the run that validates (256), and burn-ins on both sides of it.
START_TEST(validation_and_score_are_the_mean_over_the_steps_after_the_burn_in)
{
    static const size_t row[][2] = {{STEPS, 0}, {STEPS, 4}, {1200, 0}, {1200, 299}, {1024, 255}, {1028, 256}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const size_t n = row[i][0], burn_in = row[i][1], n_train = (size_t)floor(0.75 * (double)n);
        data d = data_of(n, INPUTS, TARGETS, 4);
        bptt_trainer_config c = dense_config("ref", BPTT_F64);
        c.burn_in = burn_in, c.steps = burn_in + 1, c.batch = 1, c.model.skip = i % 2;
        bptt_trainer *t = open_dense(&c, &d);
        bptt_trainer_info info;
        bptt_report v, s, after;
        CK_OK(bptt_trainer_step(t, NULL, NULL));
        bptt_trainer_get_info(t, &info);
        plain_net p = net_of(bptt_trainer_model(t));
        double *each = reals(n);
        plain_losses(&p, d.x + n_train * INPUTS, d.y + n_train * TARGETS, n - n_train, each);
        CK_OK(bptt_trainer_validate(t, NULL, NULL, &v, NULL));
        ck_assert(v.weight == (double)(n - n_train - burn_in));
        near_loss(v.loss, mean_of(each + burn_in, n - n_train - burn_in), bound_of(&p, n), "validation");
        near_loss(info.valid_power, power_of(d.y + (n_train + burn_in) * TARGETS, (n - n_train - burn_in) * TARGETS),
                  gamma_of(4 * (double)n, U64), "power");
        plain_losses(&p, d.x, d.y, n, each);
        CK_OK(bptt_score_dense(bptt_trainer_model(t), d.x, d.y, n, burn_in, NULL, NULL, &s, NULL));
        ck_assert(s.weight == (double)(n - burn_in));
        near_loss(s.loss, mean_of(each + burn_in, n - burn_in), bound_of(&p, n), "score");
        CK_OK(bptt_trainer_validate(t, NULL, NULL, &after, NULL));
        ck_assert(after.loss == v.loss);
        bptt_trainer_close(t);
        free(p.w), free(each);
        data_free(&d);
    }
}
END_TEST

static int stop_at_second(void *user, size_t done, size_t total)
{
    size_t *const seen = user;
    ck_assert_uint_le(done, total);
    return ++*seen == 2;
}

START_TEST(a_score_stops_on_request)
{
    data d = data_of(1000, INPUTS, TARGETS, 5);
    bptt_trainer_config c = dense_config("ref", BPTT_F32);
    bptt_trainer *t = open_dense(&c, &d);
    size_t calls = 0;
    bptt_report r = {.loss = 7};
    ck_assert_int_eq(bptt_score_dense(bptt_trainer_model(t), d.x, d.y, d.n, 0, stop_at_second, &calls, &r, NULL),
                     BPTT_CANCELLED);
    ck_assert(calls == 2 && r.loss == 7);
    bptt_trainer_close(t);
    data_free(&d);
}
END_TEST

// ---- bad input ------------------------------------------------------------------------------------------------------

START_TEST(bad_configurations_and_data_are_refused_in_words)
{
    data d = data_of(STEPS, INPUTS, TARGETS, 8);
    bptt_trainer *t = NULL;
    bptt_trainer_config c = dense_config("ref", BPTT_F32);
    const bptt_trainer_config good = c;
#define TRY(change, status, part) \
    do { \
        change; \
        REFUSED(bptt_trainer_open_dense(&c, d.x, d.y, d.n, &t, e), status, part); \
        c = good; \
    } while (0)
    TRY(c.model.input = 0, BPTT_BAD_CONFIG, "`input` is 0");
    TRY(c.model.output = 0, BPTT_BAD_CONFIG, "`output` is 0");
    TRY(c.model.loss = BPTT_SOFTMAX, BPTT_BAD_CONFIG, "`loss` is softmax");
    TRY(c.model.documents = BPTT_DOCUMENTS_LINE, BPTT_BAD_CONFIG, "`documents` is for models of text");
    TRY(c.model.skip = 2, BPTT_BAD_CONFIG, "`skip` is 2");
    TRY(c.burn_in = 5, BPTT_BAD_CONFIG, "`burn_in` is 5, but must be below `steps` (5)");
    TRY((c.burn_in = 26, c.steps = 27, c.batch = 1), BPTT_BAD_INPUT, "26 steps, but must be longer than `burn_in`");
    TRY(c.valid = 1, BPTT_BAD_CONFIG, "`valid` is 1");
    TRY(c.batch = 79, BPTT_BAD_INPUT, "78 steps is too short for batch 79 x steps 5; with `batch` 78, `steps` can");
    TRY(c.steps = 27, BPTT_BAD_INPUT, "with `batch` 3, `steps` can be at most 26");
    TRY(c.valid = 0.999, BPTT_BAD_INPUT, "the training part has 0 steps, but needs at least 1");
    const float old = d.x[5 * INPUTS + 2], bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        TRY(d.x[5 * INPUTS + 2] = bad[i], BPTT_BAD_INPUT, "at step 5, column 2, counted from 0, but must be a finite");
        d.x[5 * INPUTS + 2] = old;
        const float target = d.y[102 * TARGETS + 1];
        TRY(d.y[102 * TARGETS + 1] = bad[i], BPTT_BAD_INPUT, "`y` is ");
        d.y[102 * TARGETS + 1] = target;
    }
    d.y[7 * TARGETS] = 1.5f;
    TRY(c.model.loss = BPTT_BINARY, BPTT_BAD_INPUT, "`y` is 1.5 at step 7, column 0");
    REFUSED(bptt_trainer_open_dense(&c, d.x, d.y, 0, &t, e), BPTT_BAD_INPUT, "number of steps is 0");
    REFUSED(bptt_trainer_open_dense(&c, NULL, d.y, 9, &t, e), BPTT_BAD_INPUT, "`x`");
    REFUSED(bptt_trainer_open_dense(NULL, d.x, d.y, 9, &t, e), BPTT_BAD_INPUT, "a configuration");
    REFUSED(bptt_trainer_open_dense(&c, d.x, d.y, SIZE_MAX / 8, &t, e), BPTT_NO_MEMORY, "too long");
    REFUSED(bptt_trainer_open_dense(&c, d.x, d.y, SIZE_MAX / 64, &t, e), BPTT_NO_MEMORY, "the sequence needs about");
    REFUSED(bptt_trainer_open(&c, "abcabcabc", 9, &t, e), BPTT_BAD_CONFIG, "use bptt_trainer_open_dense");
    c = config_of("ref", BPTT_F32), c.burn_in = 1;
    REFUSED(bptt_trainer_open(&c, "abcabcabc", 9, &t, e), BPTT_BAD_CONFIG, "`burn_in` is 1, but this trainer reads");
    ck_assert_ptr_null(t);
    data_free(&d);
}
END_TEST

START_TEST(what_a_sequence_has_not_is_refused)
{
    data d = data_of(STEPS, INPUTS, TARGETS, 9);
    bptt_trainer_config c = dense_config("ref", BPTT_F32);
    c.valid = 0;
    bptt_trainer *t = open_dense(&c, &d);
    bptt_model *text_model = NULL, *m = bptt_trainer_model(t);
    bptt_error kept = {0};
    bptt_trainer_info info;
    REFUSED(bptt_trainer_validate(t, NULL, NULL, NULL, e), BPTT_BAD_INPUT, "the sequence has no validation part: 104");
    REFUSED(bptt_trainer_trace(t, "/tmp", NULL, &kept, e), BPTT_BAD_INPUT, "a trace holds tokens");
    bptt_trainer_get_info(t, &info);
    ck_assert(info.iteration == 0 && info.valid_power == 0 && !bptt_trainer_validation_due(t));
    REFUSED(bptt_score_dense(m, d.x, d.y, STEPS, STEPS, NULL, NULL, NULL, e), BPTT_BAD_INPUT, "below the 104 steps");
    REFUSED(bptt_score_dense(m, d.x, NULL, STEPS, 0, NULL, NULL, NULL, e), BPTT_BAD_INPUT, "a sequence of at least 1");
    d.x[7] = NAN;
    REFUSED(bptt_score_dense(m, d.x, d.y, STEPS, 0, NULL, NULL, NULL, e), BPTT_NOT_FINITE, "not finite");
    c = config_of("ref", BPTT_F32), c.model.vocab = 9;
    CK_OK(bptt_model_open(&c.model, &text_model, NULL));
    REFUSED(bptt_score_dense(text_model, d.x, d.y, STEPS, 0, NULL, NULL, NULL, e), BPTT_BAD_INPUT, "a model of text");
    bptt_model_close(text_model);
    bptt_trainer_close(t);
    data_free(&d);
}
END_TEST

// ---- sizes ----------------------------------------------------------------------------------------------------------

START_TEST(default_sizes_fit_any_sequence)
{
    for (size_t n = 1; n < 3000000; n = n * 3 / 2 + 1)
        for (size_t burn_in = 0; burn_in < n / 3; burn_in = 4 * burn_in + 100) {
            data d = data_of(n < 3000 ? n : 1, 1, 1, 1);
            bptt_trainer_config c;
            bptt_trainer_defaults(&c);
            c.model.compute.backend = "ref", c.burn_in = burn_in, c.model.input = c.model.output = 1;
            c.model.loss = BPTT_SQUARED, c.valid = n > 1 ? 0.05 : 0;
            bptt_trainer_sizes_for_dense(&c, n);
            ck_assert(c.steps > burn_in && c.batch >= 1 && c.model.hidden == 32 && c.model.layers == 1);
            ck_assert_uint_ge(bptt_split(n, c.valid) / c.batch / c.steps, burn_in ? 1 : n > 4 ? 4 : n > 1);
            if (n < 3000 && burn_in < n / 20) bptt_trainer_close(open_dense(&c, &d));
            data_free(&d);
        }
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    bptt_trainer_sizes_for_dense(&c, 441000);
    ck_assert(c.batch == 32 && c.steps == 512 && c.valid_every == 500 && c.epochs == 80);
}
END_TEST

// A caller whose bptt.h ends before burn_in has burn_in 0, and is not written behind its end.
START_TEST(callers_without_burn_in_have_none)
{
    data d = data_of(STEPS, INPUTS, TARGETS, 10);
    const size_t size = offsetof(bptt_trainer_config, burn_in);
    bptt_trainer_config c = dense_config("ref", BPTT_F32), got, older = c;
    older.size = size, older.burn_in = 4;
    bptt_trainer *t = open_dense(&older, &d);
    bptt_trainer_get_config(t, &got);
    ck_assert(got.size == sizeof got && got.burn_in == 0);
    bptt_trainer_sizes_for_dense(&older, STEPS);
    bptt_trainer_get_config_sized(t, &older, size, sizeof older.model);
    ck_assert(older.size == size && older.burn_in == 4 && older.steps == 5);
    bptt_trainer_close(t);
    data_free(&d);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_sequence_is_cut_into_streams_and_windows_as_the_header_says);
    tcase_add_test(c, losses_of_an_epoch_are_those_of_the_streams_in_plain_loops);
    tcase_add_test(c, a_step_is_one_update_on_the_next_window);
    tcase_add_test(c, validation_and_score_are_the_mean_over_the_steps_after_the_burn_in);
    tcase_add_test(c, a_score_stops_on_request);
    tcase_add_test(c, bad_configurations_and_data_are_refused_in_words);
    tcase_add_test(c, what_a_sequence_has_not_is_refused);
    tcase_add_test(c, default_sizes_fit_any_sequence);
    tcase_add_test(c, callers_without_burn_in_have_none);
}

int main(void) { return run_suite("trainer_dense", add, 20); }
