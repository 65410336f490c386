// Sequences of different lengths in one window. The references compute the same sequences without `length`: padded,
// where weights and keeps of 0 say what is padding, and chained, all in one stream, with a keep of 0 where one begins.
#include "model.h"
#include "modp.h"
#include "nets.h"
#include "ref_numbers.h"
#include "suite.h"

// ---- batches of sequences -----------------------------------------------------------------------

enum { MOST_B = 16, V = 11, I = 3, M = 4, H = 7 };

// Arrays as in a window. dense has elements of 8 bytes: double, or numbers modulo p.
typedef struct batch {
    size_t B, T;
    bptt_type as;
    bool dense_input, dense_output;
    int32_t length[MOST_B];
    int32_t *token, *target;
    uint64_t *dense;
    double *dense_target;
    float *weight, *keep;
} batch;

static batch empty_batch(size_t B, size_t T, const batch *kind)
{
    batch x = {.B = B, .T = T, .as = kind->as, .dense_input = kind->dense_input, .dense_output = kind->dense_output};
    const size_t N = B * T + 1;
    x.token = must_alloc(N, sizeof *x.token), x.target = must_alloc(N, sizeof *x.target);
    x.dense = must_alloc(N * I, sizeof *x.dense), x.dense_target = reals(N * M);
    x.weight = must_alloc(N, sizeof *x.weight), x.keep = must_alloc(N, sizeof *x.keep);
    return x;
}

static void free_batch(batch *x)
{
    free(x->token), free(x->target), free(x->dense), free(x->dense_target), free(x->weight), free(x->keep);
}

static batch random_batch(size_t B, size_t T, const int32_t *length, const batch *kind, uint64_t seed)
{
    batch x = empty_batch(B, T, kind);
    const size_t N = B * T;
    memcpy(x.length, length, B * sizeof *length);
    random_tokens(&seed, V, x.token, N), random_tokens(&seed, V, x.target, N);
    if (x.as == BPTT_FP)
        modp_draw(&seed, x.dense, N * I);
    else
        random_reals(&seed, 1, (double *)(void *)x.dense, N * I);
    random_reals(&seed, 1, x.dense_target, N * M);
    for (size_t i = 0; i < N; i++) {
        x.weight[i] = (float)random_below(&seed, 5) / 4;
        x.keep[i] = random_below(&seed, 6) ? 1 : (float)random_below(&seed, 3) / 2;
    }
    return x;
}

// Position i of x becomes position k of y.
static void move_position(const batch *x, size_t i, batch *y, size_t k)
{
    y->token[k] = x->token[i], y->target[k] = x->target[i], y->weight[k] = x->weight[i], y->keep[k] = x->keep[i];
    memcpy(y->dense + k * I, x->dense + i * I, I * sizeof *y->dense);
    memcpy(y->dense_target + k * M, x->dense_target + i * M, M * sizeof *y->dense_target);
}

static batch padded(const batch *x)
{
    batch y = empty_batch(x->B, x->T, x);
    for (size_t i = 0; i < x->B * x->T; i++) {
        const size_t t = i / x->B;
        move_position(x, i, &y, i);
        if (t >= (size_t)x->length[i % x->B]) y.weight[i] = 0;
        if (t == 0) y.keep[i] = 0;
    }
    return y;
}

static batch chained(const batch *x)
{
    size_t T = 0, k = 0;
    for (size_t b = 0; b < x->B; b++) T += (size_t)x->length[b];
    batch y = empty_batch(1, T, x);
    for (size_t b = 0; b < x->B; b++)
        for (size_t t = 0; t < (size_t)x->length[b]; t++, k++) {
            move_position(x, t * x->B + b, &y, k);
            if (t == 0) y.keep[k] = 0;
        }
    return y;
}

// The same sequences in another order: sequence b of y is order(b) of x.
static size_t order(const batch *x, size_t b) { return (b * 5 + 2) % x->B; } // B is no multiple of 5

static batch permuted(const batch *x)
{
    batch y = empty_batch(x->B, x->T, x);
    for (size_t b = 0; b < x->B; b++) y.length[b] = x->length[order(x, b)];
    for (size_t i = 0; i < x->B * x->T; i++) move_position(x, i / x->B * x->B + order(x, i % x->B), &y, i);
    return y;
}

static bptt_window window_of(const batch *x, bool lengths)
{
    return (bptt_window){.size = sizeof(bptt_window),
                         .token = x->dense_input ? NULL : x->token,
                         .dense = x->dense_input ? x->dense : NULL,
                         .dense_type = x->as,
                         .target = x->dense_output ? NULL : x->target,
                         .dense_target = x->dense_output ? x->dense_target : NULL,
                         .dense_target_type = BPTT_F64,
                         .weight = x->weight,
                         .keep = x->keep,
                         .length = lengths ? x->length : NULL};
}

// ---- results ------------------------------------------------------------------------------------

// Numbers of 8 bytes, of the batch's type.
typedef struct result {
    size_t n, inputs;
    uint64_t *gradient, *dx; // of all parameters; [T][B][I] of dense inputs
    bptt_report report;
} result;

static double *as_reals(uint64_t *x) { return (double *)(void *)x; }

static result gradient_of(bptt_model *m, const batch *x, bool lengths, size_t burn_in)
{
    result y = {.n = bptt_model_parameters(m), .inputs = x->dense_input ? x->T * x->B * I : 0};
    bptt_run *r = run_on(m, (bptt_run_config){.batch = x->B,
                                              .steps = x->T,
                                              .gradient = 1,
                                              .keep = !lengths,
                                              .lengths = lengths,
                                              .burn_in = burn_in,
                                              .input_gradient = x->dense_input});
    const bptt_window w = window_of(x, lengths);
    CK_OK(bptt_run_gradient(r, &w, &y.report, NULL));
    y.gradient = must_alloc(y.n, sizeof *y.gradient), y.dx = must_alloc(y.inputs, sizeof *y.dx);
    memset(y.dx, 0xA5, y.inputs * sizeof *y.dx); // all of it is written
    size_t at = 0;
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(m, i, &t, NULL));
        CK_OK(bptt_model_read(m, BPTT_GRADIENT, i, y.gradient + at, x->as, NULL));
        at += t.rows * t.cols;
    }
    if (y.inputs) CK_OK(bptt_run_read(r, BPTT_GRAD_INPUT, y.dx, x->as, NULL));
    bptt_run_close(r);
    return y;
}

static void free_result(result *y) { free(y->gradient), free(y->dx); }

static void same_numbers(const uint64_t *got, const uint64_t *want, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        CK_TRUE(got[i] == want[i], "%s: element %zu is %llx, not %llx", what, i, (unsigned long long)got[i],
                (unsigned long long)want[i]);
}

// The gradient of all inputs of x in the order of y, a permutation.
static void same_inputs_permuted(const batch *x, const result *of_x, const result *of_y)
{
    for (size_t i = 0; i < of_x->inputs / I; i++)
        same_numbers(of_y->dx + i * I, of_x->dx + (i / x->B * x->B + order(x, i % x->B)) * I, I, "permuted dx");
}

// ---- the nets -----------------------------------------------------------------------------------

static const struct {
    size_t B, T;
    int32_t length[MOST_B];
} SHAPE[] = {{7, 9, {4, 0, 9, 1, 3, 8, 2}},
             {1, 5, {3}},
             {3, 1, {1, 0, 1}},
             {13, 33, {0, 33, 2, 1, 5, 0, 0, 31, 1, 1, 3, 7, 16}},
             {4, 6, {6, 6, 6, 6}},
             {9, 10, {1, 1, 1, 1, 1, 1, 1, 1, 1}}};
enum { SHAPES = sizeof SHAPE / sizeof SHAPE[0] };

static const bptt_cell CELL[] = {BPTT_TANH, BPTT_GRU, BPTT_LSTM, BPTT_MLSTM};
enum { CELLS = sizeof CELL / sizeof CELL[0] };

static bptt_model_config config_of(const char *backend, bptt_type type, bptt_cell cell, size_t L, const batch *kind)
{
    bptt_model_config c = net_config(backend, type, V, H, L);
    c.cell = cell, c.optimizer = BPTT_SGD;
    if (kind->dense_input) c.input = I;
    if (kind->dense_output) c.output = M, c.loss = BPTT_SQUARED;
    return c;
}

static void modulo_p(bptt_cell cell, size_t L, size_t which, const batch *kind)
{
    bptt_model_config c = config_of("ref", BPTT_F64, cell, L, kind);
    const bptt_backend fp = bptt_ref_fp();
    bptt_model *m = NULL;
    uint64_t random = 40 + which, *w = must_alloc((size_t)5 * H * 5 * H, sizeof *w);
    CK_OK(bptt_model_open_on(&fp, &c, &m, NULL));
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(m, i, &t, NULL));
        modp_draw(&random, w, t.rows * t.cols);
        CK_OK(bptt_model_write(m, BPTT_WEIGHTS, i, w, BPTT_FP, NULL));
    }
    batch x = random_batch(SHAPE[which].B, SHAPE[which].T, SHAPE[which].length, kind, 30 + which);
    batch pad = padded(&x), chain = chained(&x), other = permuted(&x);
    result got = gradient_of(m, &x, true, 0), of_pad = gradient_of(m, &pad, false, 0);
    result of_chain = gradient_of(m, &chain, false, 0), of_other = gradient_of(m, &other, true, 0);
    CK_TRUE(got.report.weight == of_pad.report.weight, "a weight of %g, not %g", got.report.weight,
            of_pad.report.weight);
    same_numbers(got.gradient, of_pad.gradient, got.n, "padded");
    same_numbers(got.gradient, of_chain.gradient, got.n, "chained");
    same_numbers(of_other.gradient, got.gradient, got.n, "permuted");
    same_numbers(got.dx, of_pad.dx, got.inputs, "dx");
    same_inputs_permuted(&x, &got, &of_other);
    free_result(&got), free_result(&of_pad), free_result(&of_chain), free_result(&of_other);
    free_batch(&x), free_batch(&pad), free_batch(&chain), free_batch(&other);
    free(w);
    bptt_model_close(m);
}

START_TEST(packed_padded_chained_and_permuted_sequences_have_one_gradient_modulo_p)
{
    for (size_t k = 0; k < CELLS; k++)
        for (size_t i = 0; i < 2 * SHAPES; i++)
            for (int dense = 0; dense < 2; dense++)
                modulo_p(CELL[k], 1 + i % 2, i / 2,
                         &(batch){.as = BPTT_FP, .dense_input = dense, .dense_output = dense});
}
END_TEST

// ---- reals --------------------------------------------------------------------------------------

// Roundings on the longest path of a net of T steps: products of at most V terms, and some 20 operations of a cell, in
// each layer and step, forward and back.
static double path(size_t L, size_t T, double u) { return gamma_of(2.0 * (double)(L * T) * (V + 2 * H + 20), u); }

static void near_reals(size_t who, bptt_cell cell, size_t L, size_t which)
{
    const batch kind = {.as = BPTT_F64, .dense_input = which % 2, .dense_output = which % 3 == 1};
    const bptt_model_config c = config_of(NET_BACKEND[who].backend, NET_BACKEND[who].type, cell, L, &kind);
    bptt_model *m = NULL;
    CK_OK(bptt_model_open(&c, &m, NULL));
    batch x = random_batch(SHAPE[which].B, SHAPE[which].T, SHAPE[which].length, &kind, 50 + which);
    const size_t burn_in = x.T > 4;
    batch pad = padded(&x);
    result got = gradient_of(m, &x, true, burn_in), want = gradient_of(m, &pad, false, burn_in);
    const double tolerance = path(L, x.T, c.type == BPTT_F64 ? U64 : U32);
    CK_NEAR(near_scaled(as_reals(got.gradient), as_reals(want.gradient), got.n, tolerance), "the gradient");
    CK_NEAR(near_scaled(as_reals(got.dx), as_reals(want.dx), got.inputs, tolerance), "dx");
    CK_NEAR(near_scaled(&got.report.loss, &want.report.loss, 1, tolerance), "the loss");
    ck_assert(got.report.weight == want.report.weight);
    bptt_run *ahead = run_on(m, (bptt_run_config){.batch = x.B, .steps = x.T, .lengths = 1, .burn_in = burn_in});
    bptt_report report;
    const bptt_window w = window_of(&x, true);
    for (int k = 0; k < 2; k++) { // the second one starts anew
        CK_OK(bptt_run_evaluate(ahead, &w, &report, NULL));
        CK_NEAR(near_scaled(&report.loss, &want.report.loss, 1, tolerance), "the loss, forward only");
    }
    bptt_run_close(ahead);
    free_result(&got), free_result(&want);
    free_batch(&x), free_batch(&pad);
    bptt_model_close(m);
}

START_TEST(packed_and_padded_sequences_have_one_gradient_but_for_rounding)
{
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++)
        for (size_t k = 0; k < CELLS; k++)
            for (size_t i = 0; i < 2; i++) near_reals(who, CELL[k], 1 + i, (i ? 4 + k : 3 * k) % SHAPES);
}
END_TEST

// All weights -1, 0 or 1, inputs and targets whole, weights of positions whole with a sum of 64, M 4: every number is a
// small multiple of 1/128, so that no order of summation rounds.
static bptt_model *whole_model(const bptt_model_config *c, const batch *x)
{
    bptt_model *m = NULL;
    uint64_t random = 3;
    double w[H * H];
    CK_OK(bptt_model_open(c, &m, NULL));
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(m, i, &t, NULL));
        for (size_t k = 0; k < t.rows * t.cols; k++)
            w[k] = random_below(&random, 4) ? 0 : 1 - 2 * (double)random_below(&random, 2);
        CK_OK(bptt_model_write(m, BPTT_WEIGHTS, i, w, BPTT_F64, NULL));
    }
    float rest = 64, *first = NULL;
    for (size_t i = 0; i < x->B * x->T; i++) {
        for (size_t k = 0; k < I; k++) as_reals(x->dense)[i * I + k] = (double)random_below(&random, 7) - 3;
        for (size_t k = 0; k < M; k++) x->dense_target[i * M + k] = (double)random_below(&random, 7) - 3;
        x->weight[i] = 1, x->keep[i] = (float)(random_below(&random, 8) > 0);
        if (i / x->B >= (size_t)x->length[i % x->B]) continue;
        if (!first) first = &x->weight[i];
        rest -= 1;
    }
    *first += rest;
    return m;
}

START_TEST(whole_numbers_give_the_same_bits_packed_padded_and_chained)
{
    const batch kind = {.as = BPTT_F64, .dense_input = true, .dense_output = true};
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++)
        for (size_t L = 1; L <= 2; L++) {
            const bptt_model_config c = config_of(NET_BACKEND[who].backend, NET_BACKEND[who].type, BPTT_RELU, L, &kind);
            batch x = random_batch(SHAPE[0].B, SHAPE[0].T, SHAPE[0].length, &kind, 60);
            bptt_model *m = whole_model(&c, &x);
            batch pad = padded(&x), chain = chained(&x);
            result got = gradient_of(m, &x, true, 0), of_pad = gradient_of(m, &pad, false, 0);
            result of_chain = gradient_of(m, &chain, false, 0);
            CK_NEAR(near_all(as_reals(got.gradient), as_reals(of_pad.gradient), NULL, got.n), "padded");
            CK_NEAR(near_all(as_reals(got.gradient), as_reals(of_chain.gradient), NULL, got.n), "chained");
            CK_NEAR(near_all(as_reals(got.dx), as_reals(of_pad.dx), NULL, got.inputs), "dx");
            ck_assert(got.report.loss == of_pad.report.loss && got.report.loss > 0 && got.report.weight == 64);
            free_result(&got), free_result(&of_pad), free_result(&of_chain);
            free_batch(&x), free_batch(&pad), free_batch(&chain);
            bptt_model_close(m);
        }
}
END_TEST

// ---- padding, predictions, training -------------------------------------------------------------

// A net with a batch of shape 0.
typedef struct subject {
    bptt_model *m;
    bptt_run *r;
    batch x;
    bptt_window w;
} subject;

static subject open_subject(size_t who, const batch *kind, int gradient, size_t which)
{
    subject s = {0};
    const bptt_model_config c = config_of(NET_BACKEND[who].backend, NET_BACKEND[who].type, BPTT_LSTM, 2, kind);
    CK_OK(bptt_model_open(&c, &s.m, NULL));
    s.x = random_batch(SHAPE[which].B, SHAPE[which].T, SHAPE[which].length, kind, 70);
    s.r = run_on(s.m, (bptt_run_config){.batch = s.x.B,
                                        .steps = s.x.T,
                                        .gradient = gradient,
                                        .lengths = 1,
                                        .input_gradient = gradient && kind->dense_input});
    return s;
}

static void close_subject(subject *s)
{
    bptt_run_close(s->r);
    bptt_model_close(s->m);
    free_batch(&s->x);
}

// The window of a subject where it lies now: its lengths are in it.
static void set_window(subject *s) { s->w = window_of(&s->x, true); }

static const batch TOKENS = {.as = BPTT_F64}, DENSE = {.as = BPTT_F64, .dense_input = true, .dense_output = true};

START_TEST(padding_is_not_read)
{
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++)
        for (int dense = 0; dense < 2; dense++) {
            subject s = open_subject(who, dense ? &DENSE : &TOKENS, 1, 0);
            set_window(&s);
            bptt_report want, got;
            CK_OK(bptt_run_gradient(s.r, &s.w, &want, NULL));
            snapshot before = snapshot_of(s.m);
            for (size_t i = 0; i < s.x.B * s.x.T; i++) {
                if (i / s.x.B >= (size_t)s.x.length[i % s.x.B]) {
                    s.x.token[i] = -5, s.x.target[i] = V, s.x.weight[i] = s.x.keep[i] = (float)NAN;
                    for (size_t k = 0; k < I; k++) as_reals(s.x.dense)[i * I + k] = (double)NAN;
                    for (size_t k = 0; k < M; k++) s.x.dense_target[i * M + k] = (double)NAN;
                }
                if (i < s.x.B) s.x.keep[i] = (float)NAN; // nor is keep of a first step
            }
            CK_OK(bptt_run_gradient(s.r, &s.w, &got, NULL));
            ck_assert(got.loss == want.loss && got.weight == want.weight && got.grad_norm == want.grad_norm);
            ck_assert(snapshot_holds(&before, s.m, true));
            close_subject(&s);
        }
}
END_TEST

START_TEST(a_prediction_is_that_of_its_sequence_alone)
{
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++)
        for (size_t which = 0; which < SHAPES; which++) {
            subject s = open_subject(who, &TOKENS, (int)which % 2, which);
            set_window(&s);
            const size_t B = s.x.B, N = B * s.x.T;
            float *got = must_alloc(N * V, sizeof *got), alone[V];
            double bound = path(2, s.x.T, U32), x[V], y[V];
            bptt_run *one = run_on(s.m, (bptt_run_config){.batch = 1, .steps = 1, .keep = 1});
            for (size_t i = 0; i < N * V; i++) got[i] = 7;
            s.w.keep = s.w.weight = NULL, s.w.target = NULL;
            CK_OK(bptt_run_predict(s.r, &s.w, got, NULL));
            for (size_t b = 0; b < B; b++) {
                CK_OK(bptt_run_reset(one, NULL));
                for (size_t t = 0; t < s.x.T; t++) {
                    const size_t i = t * B + b;
                    const bool in = t < (size_t)s.x.length[b];
                    if (in) CK_OK(bptt_run_next(one, s.x.token + i, alone, NULL));
                    for (size_t v = 0; v < V; v++) x[v] = (double)got[i * V + v], y[v] = in ? (double)alone[v] : 0;
                    CK_NEAR(near_scaled(x, y, V, bound), "a prediction");
                }
            }
            free(got);
            bptt_run_close(one);
            close_subject(&s);
        }
}
END_TEST

// Window k: some need all streams, some a few.
static void take_window(subject *s, size_t k)
{
    for (size_t b = 0; b < s->x.B; b++) s->x.length[b] = (int32_t)((5 * b + 11 * k) % 34 >> k);
    for (size_t i = 0; i < s->x.B * s->x.T * I; i++) as_reals(s->x.dense)[i] = (double)(i % (k + 2));
}

// Windows that need different numbers of streams, in flight at the same time.
START_TEST(windows_submitted_ahead_give_what_steps_give)
{
    enum { WINDOWS = 6 };
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++) {
        subject step = open_subject(who, &DENSE, 1, 3), ahead = open_subject(who, &DENSE, 1, 3);
        bptt_report want[WINDOWS], got[WINDOWS];
        for (size_t k = 0; k < WINDOWS; k++) {
            take_window(&step, k);
            set_window(&step);
            CK_OK(bptt_run_train(step.r, &step.w, 0.01, &want[k], NULL));
        }
        for (size_t k = 0; k < WINDOWS; k++) { // each window in the memory of the one before it
            take_window(&ahead, k);
            set_window(&ahead);
            CK_OK(bptt_run_submit(ahead.r, &ahead.w, 0.01, NULL));
            if (k > 0) CK_OK(bptt_run_collect(ahead.r, &got[k - 1], NULL));
        }
        CK_OK(bptt_run_collect(ahead.r, &got[WINDOWS - 1], NULL));
        for (size_t k = 0; k < WINDOWS; k++)
            ck_assert(want[k].loss == got[k].loss && want[k].weight == got[k].weight && want[k].loss > 0);
        snapshot s = snapshot_of(step.m);
        ck_assert(snapshot_holds(&s, ahead.m, true));
        double *dx = reals(step.x.B * step.x.T * I), *other = reals(step.x.B * step.x.T * I);
        CK_OK(bptt_run_read(step.r, BPTT_GRAD_INPUT, dx, BPTT_F64, NULL));
        CK_OK(bptt_run_read(ahead.r, BPTT_GRAD_INPUT, other, BPTT_F64, NULL));
        ck_assert(same_bits(dx, other, step.x.B * step.x.T * I));
        free(dx), free(other);
        close_subject(&step), close_subject(&ahead);
    }
}
END_TEST

START_TEST(a_window_that_is_not_finite_leaves_nothing_for_the_next)
{
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++) {
        subject s = open_subject(who, &DENSE, 1, 0);
        set_window(&s);
        bptt_report want, got;
        CK_OK(bptt_run_gradient(s.r, &s.w, &want, NULL));
        const double kept = as_reals(s.x.dense)[2 * I]; // of the sequence of T steps
        as_reals(s.x.dense)[2 * I] = (double)NAN;
        ck_assert_int_eq(bptt_run_gradient(s.r, &s.w, &got, NULL), BPTT_NOT_FINITE);
        as_reals(s.x.dense)[2 * I] = kept;
        CK_OK(bptt_run_gradient(s.r, &s.w, &got, NULL));
        ck_assert(got.loss == want.loss && got.grad_norm == want.grad_norm);
        close_subject(&s);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, packed_padded_chained_and_permuted_sequences_have_one_gradient_modulo_p);
    tcase_add_test(c, packed_and_padded_sequences_have_one_gradient_but_for_rounding);
    tcase_add_test(c, whole_numbers_give_the_same_bits_packed_padded_and_chained);
    tcase_add_test(c, padding_is_not_read);
    tcase_add_test(c, a_prediction_is_that_of_its_sequence_alone);
    tcase_add_test(c, windows_submitted_ahead_give_what_steps_give);
    tcase_add_test(c, a_window_that_is_not_finite_leaves_nothing_for_the_next);
}

int main(void) { return run_suite("lengths", add, 60); }
