// The driver of cuDNN (bench/peers/cudnn_rnn.c) and its contestant, on a fake cuDNN in host C: the mapping of weights,
// accumulated and overwritten outputs, eager and graph mode, every failure. Results of real cuDNN need a GPU.
#include "fake_runtime.h"

#include "suite.h"

typedef struct fixture {
    problem p;
    outcome want, got;
    void *own;
} fixture;

static void set_up(fixture *f, layers_cell cell, bptt_precision precision, size_t L)
{
    static const size_t gates[] = {1, 1, 3, 4};
    uint64_t random = 4;
    memset(&fake, 0, sizeof fake);
    *f = (fixture){
        .p = {.cell = cell, .precision = precision, .H = 5, .L = L, .B = 3, .T = 4, .G = gates[cell], .threads = 1}};
    problem *p = &f->p;
    p->window = 4 * 3 * 5, p->weights = L * 2 * p->G * (25 + 5);
    float **const x[] = {&p->x, &p->dy, &p->w};
    for (size_t k = 0; k < 3; k++) {
        const size_t n = k < 2 ? p->window : p->weights;
        *x[k] = must_alloc(n, sizeof(float));
        for (size_t i = 0; i < n; i++) (*x[k])[i] = (float)random_real(&random) * 0.5f;
    }
    outcome *const o[] = {&f->want, &f->got};
    for (size_t k = 0; k < 2; k++) *o[k] = (outcome){reals(p->window), reals(p->window), reals(p->weights)};
    ck_assert_int_eq(layers_reference(p, &f->want, NULL), BPTT_OK);
}

static void tear_down(fixture *f)
{
    layers_cudnn.close(f->own);
    CK_TRUE(fake.alive == 0, "%zu things of cuDNN's are left", fake.alive);
    free(f->p.x), free(f->p.dy), free(f->p.w);
    outcome *const o[] = {&f->want, &f->got};
    for (size_t k = 0; k < 2; k++) free(o[k]->y), free(o[k]->dx), free(o[k]->dw);
}

static bptt_status open_as(fixture *f, const char *a, const char *b, const char *c, bptt_error *e)
{
    char device[100];
    contestant_name n = {.whole = "cudnn"};
    snprintf(n.word[0], sizeof n.word[0], "cudnn");
    snprintf(n.word[1], sizeof n.word[1], "%s", a);
    snprintf(n.word[2], sizeof n.word[2], "%s", b);
    snprintf(n.word[3], sizeof n.word[3], "%s", c);
    return layers_cudnn.open(&f->p, &n, &f->own, device, e);
}

static bptt_status go(fixture *f, layers_timed what, size_t times, bptt_error *e)
{
    double seconds = -1;
    const size_t before = fake.launches;
    const bptt_status s = layers_cudnn.go(f->own, what, times, &seconds, e);
    if (!s) CK_TRUE(fabs(seconds - 1e-3 * (double)(fake.launches - before)) < 1e-3 * 4.5, "%g s", seconds);
    return s;
}

START_TEST(every_cell_in_every_precision_comes_out_as_it_went_in)
{
    static const double rounding[] = {0x1p-23, 0x1p-23, 0x1p-6, 0x1p-9}; // of inputs, weights and results
    static const char *const as[] = {"eager", "graph"};
    for (layers_cell cell = LAYERS_TANH; cell < LAYERS_CELLS; cell++)
        for (int precision = 0; precision < 4; precision++)
            for (size_t how = 0; how < 4; how++) {
                fixture f;
                bptt_error e = {0};
                set_up(&f, cell, (bptt_precision)precision, 1 + how % 3);
                CK_TRUE(!open_as(&f, how & 1 ? "dynamic" : "standard", as[how >> 1], how & 1 ? "packed" : "", &e), "%s",
                        e.words);
                CK_TRUE(!go(&f, BOTH, 2, &e) && !layers_cudnn.read(f.own, &f.got, &e), "%s", e.words);
                char says[80];
                snprintf(says, sizeof says, "%s %s %s", layers_cell_word[cell], layers_precision_word[precision],
                         as[how >> 1]);
                CK_NEAR(near_scaled(f.got.y, f.want.y, f.p.window, rounding[precision]), says);
                // relu's slope jumps where a state is nearly 0: what is rounded may fall on the other side
                const bool smooth = cell != LAYERS_RELU || precision <= BPTT_PRECISION_TF32;
                if (smooth) CK_NEAR(near_scaled(f.got.dx, f.want.dx, f.p.window, rounding[precision]), says);
                if (smooth) CK_NEAR(near_scaled(f.got.dw, f.want.dw, f.p.weights, rounding[precision]), says);
                tear_down(&f);
            }
}
END_TEST

START_TEST(parts_apart_give_what_they_give_together)
{
    static const char *const as[] = {"eager", "graph"};
    for (size_t how = 0; how < 2; how++) {
        fixture f;
        bptt_error e = {0};
        set_up(&f, LAYERS_GRU, BPTT_PRECISION_FP32, 2);
        CK_TRUE(!open_as(&f, "small", as[how], "", &e), "%s", e.words);
        CK_TRUE(!go(&f, FORWARD, 3, &e) && !go(&f, DATA, 2, &e) && !go(&f, WEIGHTS, 2, &e), "%s", e.words);
        CK_TRUE(!layers_cudnn.read(f.own, &f.got, &e), "%s", e.words);
        CK_NEAR(near_scaled(f.got.y, f.want.y, f.p.window, 0x1p-23), "y");
        CK_NEAR(near_scaled(f.got.dx, f.want.dx, f.p.window, 0x1p-23), "dx");
        CK_NEAR(near_scaled(f.got.dw, f.want.dw, f.p.weights, 0x1p-23), "dw");
        tear_down(&f);
    }
}
END_TEST

START_TEST(precisions_are_the_types_and_the_mathematics_they_name)
{
    static const unsigned type[] = {NN_FLOAT, NN_FLOAT, NN_BFLOAT16, NN_HALF};
    static const unsigned math[] = {NN_FMA_MATH, NN_DEFAULT_MATH, NN_TENSOR_OP_MATH, NN_TENSOR_OP_MATH};
    for (int precision = 0; precision < 4; precision++) {
        fixture f;
        set_up(&f, LAYERS_LSTM, (bptt_precision)precision, 1);
        ck_assert_int_eq(open_as(&f, "standard", "eager", precision & 1 ? "packed" : "", NULL), BPTT_OK);
        ck_assert_int_eq(go(&f, FORWARD, 1, NULL), BPTT_OK);
        const struct cudnnRNNStruct *r = fake_seen.rnn;
        ck_assert(r->type == type[precision] && r->math == math[precision] && r->cell == NN_LSTM);
        ck_assert(r->algorithm == NN_STANDARD && fake_seen.io->type == type[precision]);
        ck_assert(r->flags == (precision & 1 ? NN_PADDED_IO_DISABLED : NN_PADDED_IO_ENABLED));
        ck_assert(fake_seen.io->layout == (precision & 1 ? NN_SEQ_MAJOR_PACKED : NN_SEQ_MAJOR_UNPACKED));
        tear_down(&f);
    }
}
END_TEST

START_TEST(bf16_that_is_refused_on_tensor_cores_runs_by_default_and_says_so)
{
    for (int refused = 0; refused < 2; refused++) {
        fixture f;
        char device[100];
        const contestant_name n = {.whole = "cudnn:standard", .word = {"cudnn", "standard"}};
        set_up(&f, LAYERS_TANH, BPTT_PRECISION_BF16, 1);
        fake.no_bf16_tensor_op = refused;
        ck_assert_int_eq(layers_cudnn.open(&f.p, &n, &f.own, device, NULL), BPTT_OK);
        ck_assert_int_eq(go(&f, BOTH, 1, NULL), BPTT_OK);
        ck_assert_uint_eq(fake_seen.rnn->math, refused ? NN_DEFAULT_MATH : NN_TENSOR_OP_MATH);
        ck_assert_int_eq(strstr(device, ", NN_DEFAULT_MATH") != NULL, refused);
        tear_down(&f);
    }
}
END_TEST

START_TEST(forward_and_backward_may_use_two_algorithms_with_one_set_of_weights)
{
    static const char *const as[] = {"eager", "graph"};
    for (size_t how = 0; how < 2; how++) {
        fixture f;
        bptt_error e = {0};
        set_up(&f, LAYERS_LSTM, BPTT_PRECISION_FP32, 2);
        CK_TRUE(!open_as(&f, "small+standard", as[how], "", &e) && !go(&f, FORWARD, 1, &e), "%s", e.words);
        ck_assert_uint_eq(fake_seen.rnn->algorithm, NN_PERSIST_STATIC_SMALL_H);
        CK_TRUE(!go(&f, DATA, 1, &e), "%s", e.words);
        ck_assert_uint_eq(fake_seen.rnn->algorithm, NN_STANDARD);
        CK_TRUE(!go(&f, BOTH, 1, &e) && !layers_cudnn.read(f.own, &f.got, &e), "%s", e.words);
        ck_assert_uint_eq(fake_seen.rnn->algorithm, NN_STANDARD);
        CK_NEAR(near_scaled(f.got.dw, f.want.dw, f.p.weights, 0x1p-23), "dw");
        ck_assert_int_eq(open_as(&f, "small+fast", "", "", &e), BPTT_BAD_CONFIG);
        tear_down(&f);
    }
}
END_TEST

START_TEST(what_cudnn_has_not_is_a_sentence)
{
    fixture f;
    bptt_error e = {0};
    set_up(&f, LAYERS_TANH, BPTT_PRECISION_BF16, 1);
    ck_assert_int_eq(open_as(&f, "static", "graph", "", &e), BPTT_BAD_CONFIG);
    ck_assert_str_eq(e.words, "cudnnSetRNNDescriptor_v8: NOT_SUPPORTED");
    ck_assert_int_eq(open_as(&f, "fastest", "", "", &e), BPTT_BAD_CONFIG);
    ck_assert_int_eq(open_as(&f, "small", "quick", "", &e), BPTT_BAD_CONFIG);
    ck_assert_ptr_null(f.own);
    tear_down(&f);
}
END_TEST

START_TEST(a_capture_that_fails_is_told_and_eager_runs_go_on)
{
    fixture f, g;
    bptt_error e = {0};
    set_up(&g, LAYERS_TANH, BPTT_PRECISION_FP32, 1);
    set_up(&f, LAYERS_TANH, BPTT_PRECISION_FP32, 1);
    ck_assert_int_eq(open_as(&f, "standard", "graph", "", NULL), BPTT_OK);
    ck_assert_int_eq(open_as(&g, "standard", "eager", "", NULL), BPTT_OK);
    fake.no_capture = true;
    ck_assert_int_eq(go(&f, BOTH, 1, &e), BPTT_DEVICE);
    ck_assert_str_eq(e.words, "capture into a CUDA graph: an error");
    ck_assert_int_eq(go(&g, BOTH, 1, &e), BPTT_OK);
    layers_cudnn.close(f.own);
    f.own = NULL;
    tear_down(&g);
    tear_down(&f);
}
END_TEST

// The first call fails, then the second, ... until none does: each is told, and nothing is left.
START_TEST(whatever_fails_is_told_and_leaves_nothing)
{
    for (size_t how = 0; how < 2; how++)
        for (size_t k = 1, done = 0; !done; k++) {
            fixture f;
            bptt_error e = {0};
            set_up(&f, LAYERS_LSTM, BPTT_PRECISION_FP16, 1);
            fake.fail_at = k;
            bptt_status s = open_as(&f, how ? "dynamic" : "dynamic+small", how ? "graph" : "eager", "", &e);
            CK_TRUE(!s || !f.own, "call %zu: open failed and gave something", k);
            if (!s) s = go(&f, BOTH, 1, &e);
            if (!s) s = layers_cudnn.read(f.own, &f.got, &e);
            done = fake.calls < k;
            CK_TRUE(done == !s && (done || *e.words), "call %zu of %zu: status %d, \"%s\"", k, fake.calls, s, e.words);
            CK_TRUE(k < 500, "it never ends");
            tear_down(&f);
        }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_cell_in_every_precision_comes_out_as_it_went_in);
    tcase_add_test(c, parts_apart_give_what_they_give_together);
    tcase_add_test(c, precisions_are_the_types_and_the_mathematics_they_name);
    tcase_add_test(c, bf16_that_is_refused_on_tensor_cores_runs_by_default_and_says_so);
    tcase_add_test(c, forward_and_backward_may_use_two_algorithms_with_one_set_of_weights);
    tcase_add_test(c, what_cudnn_has_not_is_a_sentence);
    tcase_add_test(c, a_capture_that_fails_is_told_and_eager_runs_go_on);
    tcase_add_test(c, whatever_fails_is_told_and_leaves_nothing);
}

int main(void) { return run_suite("cudnn driver", add, 120); }
