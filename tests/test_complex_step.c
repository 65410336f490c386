// The gradient of the unrolled net against the complex step: the same plans run over complex numbers (ref_c128.c), one
// parameter moved by i 1e-30, and the imaginary part of the loss over 1e-30 is that parameter's derivative, without
// cancellation. What is judged is the reverse pass; what judges is the forward pass alone.
#include "near.h"
#include "run.h"
#include "suite.h"

bptt_backend bptt_ref_c128(void);

static const double STEP = 1e-30;

typedef struct shape_of_net {
    bptt_cell cell;
    size_t V, I, H, L, B, T;
    int biases;
    bool masked;
} shape_of_net;

// One shape over complex numbers, and the same over double, which gives the gradient.
typedef struct fixture {
    shape_of_net s;
    bptt_model *real, *complex_;
    bptt_run *r, *c;
    double *h0, *dense; // [L][B][H]; [T][B][I]
    int32_t *token, *target;
    float *weight, *keep;
} fixture;

static void open_models(fixture *f)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.cell = f->s.cell, c.vocab = f->s.V, c.input = f->s.I, c.hidden = f->s.H, c.layers = f->s.L;
    c.biases = f->s.biases, c.init = BPTT_INIT_UNIFORM, c.seed = 3, c.backend = "ref", c.type = BPTT_F64;
    bptt_error e = {0};
    const bptt_backend b = bptt_ref_c128();
    CK_TRUE(bptt_model_open(&c, &f->real, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(bptt_model_open_on(&b, &c, &f->complex_, &e) == BPTT_OK, "%s", e.words);
    bptt_run_config rc = {
        .batch = f->s.B, .steps = f->s.T, .keep = f->s.masked, .gradient = 1, .input_gradient = f->s.I > 0};
    CK_TRUE(bptt_run_open(f->real, &rc, &f->r, &e) == BPTT_OK, "%s", e.words);
    rc.gradient = rc.input_gradient = 0;
    CK_TRUE(bptt_run_open(f->complex_, &rc, &f->c, &e) == BPTT_OK, "%s", e.words);
}

static void set_up(fixture *f, const shape_of_net *s)
{
    *f = (fixture){.s = *s};
    open_models(f);
    const size_t N = s->T * s->B;
    uint64_t random = 77;
    f->h0 = reals(s->L * N * s->H);
    f->dense = reals(N * s->I);
    f->token = must_alloc(N, sizeof *f->token), f->target = must_alloc(N, sizeof *f->target);
    f->weight = must_alloc(N, sizeof *f->weight), f->keep = must_alloc(N, sizeof *f->keep);
    random_reals(&random, 1, f->h0, s->L * s->B * s->H);
    random_reals(&random, 1, f->dense, N * s->I);
    random_tokens(&random, s->V, f->token, N);
    random_tokens(&random, s->V, f->target, N);
    for (size_t i = 0; i < N; i++) {
        f->weight[i] = (float)fabs(random_real(&random));
        f->keep[i] = i % 3 == 1 ? 0 : i % 3 == 2 ? 0.5f : 1; // a new document, a state that is halved
    }
}

static void tear_down(fixture *f)
{
    bptt_run_close(f->r), bptt_run_close(f->c);
    bptt_model_close(f->real), bptt_model_close(f->complex_);
    free(f->h0), free(f->dense), free(f->token), free(f->target), free(f->weight), free(f->keep);
}

static bptt_window window_of(const fixture *f, const void *dense, bptt_type type)
{
    return (bptt_window){.token = f->s.I ? NULL : f->token,
                         .dense = f->s.I ? dense : NULL,
                         .dense_type = type,
                         .target = f->target,
                         .weight = f->s.masked ? f->weight : NULL,
                         .keep = f->s.masked ? f->keep : NULL};
}

// x as complex numbers, number k (n: none) moved by i STEP.
static double *moved(const double *x, size_t n, size_t k)
{
    double *z = reals(2 * n);
    for (size_t i = 0; i < n; i++) z[2 * i] = x[i];
    if (k < n) z[2 * k + 1] = STEP;
    return z;
}

// d loss / d (what was moved), from the complex run: its state and weights are as the caller left them.
static double derivative(fixture *f, const double *dense, size_t k)
{
    double *z = moved(dense, f->s.T * f->s.B * f->s.I, k);
    const bptt_window w = window_of(f, z, BPTT_C128);
    bptt_report report;
    bptt_error e = {0};
    CK_TRUE(bptt_run_evaluate(f->c, &w, &report, &e) == BPTT_OK, "%s", e.words);
    double stat[2 * BPTT_OUTPUTS];
    bptt_device *d = f->complex_->device;
    ck_assert_int_eq(d->backend.read(d, stat, BPTT_C128, f->c->mem.stat, NULL), BPTT_OK);
    free(z);
    return stat[1] / STEP / report.weight;
}

static void set_state(fixture *f, size_t k)
{
    double *z = moved(f->h0, f->s.L * f->s.B * f->s.H, k);
    ck_assert_int_eq(bptt_run_write_state(f->c, z, BPTT_C128, NULL), BPTT_OK);
    free(z);
}

static void judge(const double *got, const double *want, size_t n, const fixture *f, const char *name)
{
    char what[120];
    snprintf(what, sizeof what, "%s of %s V %zu I %zu H %zu L %zu B %zu T %zu", name, f->s.cell ? "relu" : "tanh",
             f->s.V, f->s.I, f->s.H, f->s.L, f->s.B, f->s.T);
    CK_NEAR(near_scaled(got, want, n, 1e-12), what);
}

// Every element of every tensor, one after the other.
static void judge_parameters(fixture *f)
{
    const size_t none = SIZE_MAX;
    for (size_t i = 0; i < bptt_model_tensors(f->real); i++) {
        bptt_tensor t;
        ck_assert_int_eq(bptt_model_tensor(f->real, i, &t, NULL), BPTT_OK);
        const size_t n = t.rows * t.cols;
        double *w = reals(n), *got = reals(n), *want = reals(n);
        ck_assert_int_eq(bptt_model_read(f->real, BPTT_WEIGHTS, i, w, BPTT_F64, NULL), BPTT_OK);
        ck_assert_int_eq(bptt_model_read(f->real, BPTT_GRADIENT, i, got, BPTT_F64, NULL), BPTT_OK);
        for (size_t k = 0; k <= n; k++) { // the last: put back as it was
            double *z = moved(w, n, k);
            ck_assert_int_eq(bptt_model_write(f->complex_, BPTT_WEIGHTS, i, z, BPTT_C128, NULL), BPTT_OK);
            free(z);
            set_state(f, none);
            if (k < n) want[k] = derivative(f, f->dense, none);
        }
        judge(got, want, n, f, t.name);
        free(w), free(got), free(want);
    }
}

static void judge_state_and_input(fixture *f)
{
    const size_t none = SIZE_MAX, n = f->s.L * f->s.B * f->s.H, m = f->s.T * f->s.B * f->s.I;
    double *got = reals(n + m), *want = reals(n + m);
    ck_assert_int_eq(bptt_run_read(f->r, BPTT_GRAD_STATE, got, BPTT_F64, NULL), BPTT_OK);
    for (size_t k = 0; k < n; k++) {
        set_state(f, k);
        want[k] = derivative(f, f->dense, none);
    }
    judge(got, want, n, f, "first state");
    if (f->s.I) ck_assert_int_eq(bptt_run_read(f->r, BPTT_GRAD_INPUT, got, BPTT_F64, NULL), BPTT_OK);
    for (size_t k = 0; k < m; k++) {
        set_state(f, none);
        want[k] = derivative(f, f->dense, k);
    }
    if (f->s.I) judge(got, want, m, f, "dense input");
    free(got), free(want);
}

static void judge_net(const shape_of_net *s)
{
    fixture f;
    set_up(&f, s);
    ck_assert_int_eq(bptt_run_write_state(f.r, f.h0, BPTT_F64, NULL), BPTT_OK);
    const bptt_window w = window_of(&f, f.dense, BPTT_F64);
    bptt_error e = {0};
    CK_TRUE(bptt_run_gradient(f.r, &w, NULL, &e) == BPTT_OK, "%s", e.words);
    judge_parameters(&f);
    judge_state_and_input(&f);
    tear_down(&f);
}

// T = 1 and B = 1, one to three layers, tokens and dense input, both biases, weights and keeps.
static const shape_of_net SHAPE[] = {
    {BPTT_TANH, 5, 0, 4, 1, 3, 5, 1, false}, {BPTT_TANH, 5, 0, 4, 2, 1, 4, 2, false},
    {BPTT_TANH, 4, 0, 3, 3, 2, 4, 1, true},  {BPTT_TANH, 3, 5, 4, 1, 2, 4, 1, false},
    {BPTT_TANH, 3, 2, 3, 3, 2, 3, 2, true},  {BPTT_TANH, 7, 0, 1, 1, 1, 1, 1, false},
    {BPTT_TANH, 2, 1, 5, 2, 3, 1, 1, true},  {BPTT_TANH, 6, 0, 7, 1, 1, 9, 1, true},
};
enum { SHAPES = 8 };

START_TEST(every_derivative_of_tanh_nets_is_the_complex_steps)
{
    for (size_t i = 0; i < SHAPES; i++) judge_net(&SHAPE[i]);
}
END_TEST

// A kink would need a preactivation within 1e-30 of 0.
START_TEST(every_derivative_of_relu_nets_is_the_complex_steps)
{
    for (size_t i = 0; i < SHAPES; i++) {
        shape_of_net s = SHAPE[i];
        s.cell = BPTT_RELU;
        judge_net(&s);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_derivative_of_tanh_nets_is_the_complex_steps);
    tcase_add_test(c, every_derivative_of_relu_nets_is_the_complex_steps);
}

int main(void) { return run_suite("complex step", add, 60); }
