// Dense targets: loss, gradients, predictions, skip, burn-in and weights of models with the losses of dense targets,
// against loops in double written from the formulas of bptt.h; exactly on small whole numbers.
#include "plain_near.h"
#include "suite.h"

static const struct {
    size_t V, I, M, H, L, B, T, burn_in;
    int biases;
} SHAPE[] = {
    {0, 5, 3, 7, 1, 3, 6, 2, 1},       {0, 33, 33, 33, 1, 7, 5, 0, 2}, {0, 7, 1, 7, 3, 1, 9, 8, 1},
    {0, 65, 50, 50, 2, 5, 4, 1, 1},    {9, 0, 4, 5, 2, 3, 4, 1, 2},    {0, 1, 1, 1, 1, 1, 1, 0, 1},
    {0, 2, 7, 3, 1, 33, 40, 33, 1},  // other passes of a forward-only run in the burn-in than after it
    {7, 0, 300, 3, 1, 90, 10, 3, 1}, // more outputs than the decoder takes at a time
    {0, 301, 300, 3, 1, 90, 10, 3, 1},
};
enum { SHAPES = sizeof SHAPE / sizeof SHAPE[0], LOSSES = 3 };

// ---- the reference --------------------------------------------------------------------------------------------------

// l(x, y), its slope, and the sizes of the terms that they are made of; size: of the terms of x.
typedef struct point {
    double value, slope, value_size, slope_size;
} point;

static point point_of(bptt_loss loss, double x, double y, double size)
{
    const double d = x - y, p = 1 / (1 + exp(-x)), all = size + fabs(y);
    if (loss == BPTT_SQUARED) return (point){d * d, 2 * d, 4 * (fabs(d) + all) * all, 2 * all};
    if (loss == BPTT_ABSOLUTE) return (point){fabs(d), d > 0 ? 1 : d < 0 ? -1 : 0, all, 1};
    return (point){fmax(x, 0) - x * y + log(1 + exp(-fabs(x))), p - y, all * (1 + fabs(y)) + 1, size + p + y};
}

// p: a plain net without its decoder; the decoder and the loss are here.
typedef struct reference {
    plain_rnn p, s; // s: sizes of the terms
    size_t M;
    double *x, *x_size, *slope, *slope_size; // [T][B][M]: outputs; gradient of the loss with respect to them
    double loss, loss_size, weight;
} reference;

static void reference_open(reference *f, const net *n)
{
    *f = (reference){
        .p = plain_of(n->m, n->rc.batch, n->rc.steps), .s = plain_of(n->m, n->rc.batch, n->rc.steps), .M = n->c.output};
    const size_t all = f->p.T * f->p.B * f->M;
    f->x = reals(all), f->x_size = reals(all), f->slope = reals(all), f->slope_size = reals(all);
}

static void reference_close(reference *f)
{
    plain_free(&f->p), plain_free(&f->s);
    free(f->x), free(f->x_size), free(f->slope), free(f->slope_size);
}

static void forward(reference *f, const net *n, const double *h0)
{
    const plain_rnn *p = &f->p;
    const double *W = p->w[p->tensors - 2], *b = p->w[p->tensors - 1];
    for (size_t l = 0; l < p->L; l++) memcpy(plain_state(p, l, 0, 0), h0 + l * p->B * p->H, p->B * p->H * sizeof *h0);
    for (size_t t = 0; t < p->T; t++)
        for (size_t row = 0; row < p->B; row++) {
            const double *h = plain_state(p, p->L - 1, t + 1, row);
            for (size_t l = 0; l < p->L; l++) plain_forward_cell(&f->p, &n->w, l, t, row);
            for (size_t j = 0; j < f->M; j++) {
                const size_t i = (t * p->B + row) * f->M + j;
                const double around = n->c.skip ? ((const double *)n->w.dense)[(t * p->B + row) * p->I + j] : 0;
                f->x[i] = b[j] + around, f->x_size[i] = fabs(b[j]) + fabs(around);
                for (size_t k = 0; k < p->H; k++)
                    f->x[i] += W[j * p->H + k] * h[k], f->x_size[i] += fabs(W[j * p->H + k] * h[k]);
            }
        }
    memcpy(f->s.h, p->h, p->L * (p->T + 1) * p->B * p->H * sizeof *p->h);
}

static double weight_at(const net *n, size_t i)
{
    return i / n->rc.batch < n->rc.burn_in ? 0 : n->w.weight ? (double)n->w.weight[i] : 1;
}

static void lose(reference *f, const net *n)
{
    const size_t N = f->p.T * f->p.B;
    f->weight = f->loss = f->loss_size = 0;
    for (size_t i = 0; i < N; i++) f->weight += weight_at(n, i);
    for (size_t i = 0; i < N * f->M; i++) {
        const point at = point_of(n->c.loss, f->x[i], n->dense_target[i], f->x_size[i]);
        const double share = f->weight > 0 ? weight_at(n, i / f->M) / f->weight / (double)f->M : 0;
        f->loss += share * at.value, f->loss_size += share * at.value_size;
        f->slope[i] = share * at.slope, f->slope_size[i] = share * at.slope_size;
    }
}

// Gradients from d [T][B][M], that of the outputs; with p->sizes d and all terms are sizes.
static void backward(const reference *f, plain_rnn *p, const net *n, const double *d)
{
    const size_t H = p->H, M = f->M, N = p->T * p->B;
    const double *W = p->w[p->tensors - 2];
    double *dy = reals(N * H);
    for (size_t i = 0; i < N * M; i++)
        for (size_t k = 0; k < H; k++) dy[i / M * H + k] += d[i] * plain_factor(p, W[i % M * H + k]);
    p->dy = dy;
    plain_backward(p, &n->w);
    p->dy = NULL;
    for (size_t i = 0; i < N * M; i++) {
        const double *h = plain_state(p, p->L - 1, i / M / p->B + 1, i / M % p->B);
        p->dw[p->tensors - 1][i % M] += d[i];
        for (size_t k = 0; k < H; k++) p->dw[p->tensors - 2][i % M * H + k] += d[i] * plain_factor(p, h[k]);
        if (n->c.skip) p->dx[i / M * p->I + i % M] += d[i];
    }
    free(dy);
}

static void differentiate(reference *f, const net *n)
{
    lose(f, n);
    backward(f, &f->p, n, f->slope);
    f->s.sizes = true;
    backward(f, &f->s, n, f->slope_size);
    f->s.sizes = false;
}

// ---- comparisons ----------------------------------------------------------------------------------------------------

static void open_shape(net *n, size_t i, const char *backend, bptt_type type, unsigned threads, unsigned variant)
{
    bptt_model_config c = net_config(backend, type, SHAPE[i].V, SHAPE[i].H, SHAPE[i].L);
    c.input = SHAPE[i].I, c.output = SHAPE[i].M, c.biases = SHAPE[i].biases, c.compute.threads = threads;
    c.loss = (bptt_loss)(1 + variant % LOSSES), c.skip = variant & 1 && c.input >= c.output;
    net_open(n, &c,
             &(bptt_run_config){.batch = SHAPE[i].B,
                                .steps = SHAPE[i].T,
                                .gradient = 1,
                                .keep = 1,
                                .input_gradient = SHAPE[i].I > 0,
                                .burn_in = SHAPE[i].burn_in});
    // many inputs saturate tanh, where 1 - y y has few digits
    for (size_t k = 0; c.input > 100 && k < n->rc.steps * n->rc.batch * c.input; k++) n->dense[k] /= 16;
}

// Moves targets away from outputs, where the slope of the absolute loss jumps; they stay in 0..1.
static void step_aside(net *n, const reference *f)
{
    for (size_t i = 0; i < f->p.T * f->p.B * f->M; i++)
        if (fabs(f->x[i] - n->dense_target[i]) < 0.01)
            n->dense_target[i] = (double)(float)(n->dense_target[i] + (n->dense_target[i] < 0.5 ? 0.25 : -0.25));
}

static void check_window(net *n, bptt_run *ahead)
{
    reference f;
    bptt_report report, again;
    reference_open(&f, n);
    forward(&f, n, n->h0);
    step_aside(n, &f);
    differentiate(&f, n);
    CK_OK(bptt_run_write_state(n->r, n->h0, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(n->r, &n->w, &report, NULL));
    near_sum(n, &report.loss, &f.loss, &f.loss_size, 1, "loss");
    CK_NEAR(near_scaled(&report.weight, &f.weight, 1, 1e-12), "weight");
    check_gradient(n, &f.p, &f.s);
    CK_OK(bptt_run_write_state(n->r, n->h0, BPTT_F64, NULL));
    CK_OK(bptt_run_evaluate(n->r, &n->w, &again, NULL));
    ck_assert(again.loss == report.loss && again.weight == report.weight && again.grad_norm == 0);
    CK_OK(bptt_run_write_state(ahead, n->h0, BPTT_F64, NULL)); // forward only
    CK_OK(bptt_run_evaluate(ahead, &n->w, &again, NULL));
    near_sum(n, &again.loss, &f.loss, &f.loss_size, 1, "loss without gradient");
    ck_assert(again.weight == report.weight);
    reference_close(&f);
}

static void windows(const char *backend, bptt_type type, unsigned threads)
{
    for (size_t i = 0; i < SHAPES; i++)
        for (unsigned variant = 0; variant < 2 * LOSSES; variant++) {
            net n;
            open_shape(&n, i, backend, type, threads, variant);
            bptt_run *ahead = run_on(
                n.m, (bptt_run_config){.batch = n.rc.batch, .steps = n.rc.steps, .keep = 1, .burn_in = n.rc.burn_in});
            check_window(&n, ahead);
            n.w.weight = n.weight, n.w.keep = n.keep;
            check_window(&n, ahead);
            n.w.weight = n.w.keep = NULL; // the same runs once more: ones are back, but for the burn-in
            check_window(&n, ahead);
            bptt_run_close(ahead);
            net_close(&n);
        }
}

START_TEST(windows_are_the_formulas)
{
    windows(NET_BACKEND[_i].backend, NET_BACKEND[_i].type, NET_BACKEND[_i].threads);
}
END_TEST

// A window with weights of 0 only has loss 0 and gradient 0.
START_TEST(no_weight_means_no_loss_and_no_gradient)
{
    for (unsigned variant = 0; variant < 2 * LOSSES; variant++) {
        net n;
        open_shape(&n, 0, "cpu", BPTT_F32, 1, variant);
        bptt_report report;
        for (size_t i = n.rc.burn_in * n.rc.batch; i < n.rc.steps * n.rc.batch; i++) n.weight[i] = 0;
        n.w.weight = n.weight; // weights within the burn-in are above 0
        CK_OK(bptt_run_gradient(n.r, &n.w, &report, NULL));
        ck_assert(report.loss == 0 && report.weight == 0 && report.grad_norm == 0);
        net_close(&n);
    }
}
END_TEST

// ---- predictions ----------------------------------------------------------------------------------------------------

static void near_outputs(const net *n, const reference *f, const float *got, size_t first, size_t count,
                         const char *what)
{
    double *x = reals(count), *size = reals(count);
    for (size_t i = 0; i < count; i++) x[i] = (double)got[i], size[i] = f->x_size[first + i] * 1.5;
    net single = *n; // predictions are floats
    single.c.type = BPTT_F32;
    near_sum(&single, x, f->x + first, size, count, what);
    free(x), free(size);
}

START_TEST(predictions_are_the_outputs)
{
    for (size_t b = first_row(); b < end_row(NET_BACKENDS); b++)
        for (size_t i = 0; i < SHAPES; i++)
            for (unsigned variant = 0; variant < 2; variant++) {
                net n;
                reference f;
                open_shape(&n, i, NET_BACKEND[b].backend, NET_BACKEND[b].type, NET_BACKEND[b].threads, variant);
                reference_open(&f, &n);
                forward(&f, &n, n.h0);
                const size_t N = f.p.T * f.p.B;
                float *x = must_alloc(N * f.M + 1, sizeof *x);
                x[N * f.M] = 7;
                n.w.dense_target = NULL;
                CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
                CK_OK(bptt_run_predict(n.r, &n.w, x, NULL));
                near_outputs(&n, &f, x, 0, N * f.M, "prediction");
                CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
                for (size_t t = 0; t < f.p.T; t++) {
                    CK_OK(n.c.input ? bptt_run_next_dense(n.r, n.dense + t * f.p.B * f.p.I, BPTT_F64, x, NULL)
                                    : bptt_run_next(n.r, n.token + t * f.p.B, x, NULL));
                    near_outputs(&n, &f, x, t * f.p.B * f.M, f.p.B * f.M, "next");
                }
                ck_assert(x[N * f.M] == 7);
                free(x);
                reference_close(&f);
                net_close(&n);
            }
}
END_TEST

// ---- whole numbers --------------------------------------------------------------------------------------------------

// Small whole weights of a relu net.
static void whole_weights(net *n)
{
    uint64_t random = 5;
    for (size_t i = 0; i < bptt_model_tensors(n->m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(n->m, i, &t, NULL));
        double *w = reals(t.rows * t.cols);
        for (size_t k = 0; k < t.rows * t.cols; k++) w[k] = (double)random_below(&random, 3) - 1;
        CK_OK(bptt_model_write(n->m, BPTT_WEIGHTS, i, w, BPTT_F64, NULL));
        free(w);
    }
    for (size_t i = 0; i < n->c.layers * n->rc.batch * n->c.hidden; i++) n->h0[i] = (double)random_below(&random, 3);
    for (size_t i = 0; i < n->rc.steps * n->rc.batch * n->c.input; i++)
        n->dense[i] = (double)random_below(&random, 5) - 2;
}

static void same_gradient(net *n, const reference *f)
{
    for (size_t i = 0; i < f->p.tensors; i++) {
        double *g = reals(f->p.size[i]);
        CK_OK(bptt_model_read(n->m, BPTT_GRADIENT, i, g, BPTT_F64, NULL));
        CK_NEAR(near_all(g, f->p.dw[i], NULL, f->p.size[i]), "a gradient of whole numbers");
        free(g);
    }
    double *dx = reals(f->p.T * f->p.B * f->p.I);
    CK_OK(bptt_run_read(n->r, BPTT_GRAD_INPUT, dx, BPTT_F64, NULL));
    CK_NEAR(near_all(dx, f->p.dx, NULL, f->p.T * f->p.B * f->p.I), "the gradient of whole inputs");
    free(dx);
}

// M, and the sum of weights, are powers of 2, so no operation rounds. Every third target equals its output.
START_TEST(whole_numbers_are_exact)
{
    for (size_t b = first_row(); b < end_row(NET_BACKENDS); b++)
        for (unsigned variant = 0; variant < 4; variant++) {
            bptt_model_config c = net_config(NET_BACKEND[b].backend, NET_BACKEND[b].type, 0, 3, 1);
            c.cell = BPTT_RELU, c.input = 5, c.output = 4, c.loss = variant & 1 ? BPTT_ABSOLUTE : BPTT_SQUARED;
            c.skip = (int)(variant >> 1);
            const bptt_run_config rc = {.batch = 2, .steps = 5, .gradient = 1, .input_gradient = 1, .burn_in = 1};
            net n;
            reference f;
            bptt_report report;
            size_t equal = 0;
            net_open(&n, &c, &rc);
            whole_weights(&n);
            reference_open(&f, &n);
            forward(&f, &n, n.h0);
            for (size_t i = 0; i < 40; i++) n.dense_target[i] = f.x[i] + (double)(i % 3) * (i % 2 ? 1 : -2);
            differentiate(&f, &n);
            for (size_t i = 0; i < 40; i++) equal += f.slope[i] == 0 && i >= 8;
            ck_assert_uint_gt(equal, 5);
            CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
            CK_OK(bptt_run_gradient(n.r, &n.w, &report, NULL));
            ck_assert(report.loss == f.loss && report.loss > 0 && report.weight == 8);
            same_gradient(&n, &f);
            reference_close(&f);
            net_close(&n);
        }
}
END_TEST

// ---- training -------------------------------------------------------------------------------------------------------

// Windows in flight keep their own weights and targets: the weights of training window by window.
START_TEST(windows_in_flight_are_those_trained_one_by_one)
{
    net a, b;
    open_shape(&a, 0, "cpu", BPTT_F32, 1, 1);
    open_shape(&b, 0, "cpu", BPTT_F32, 1, 1);
    bptt_report one[4], two;
    for (uint64_t k = 0; k < 4; k++) {
        net_random_window(&a, 90 + k);
        a.w.weight = k % 2 ? a.weight : NULL;
        CK_OK(bptt_run_train(a.r, &a.w, 0.01, &one[k], NULL));
    }
    for (uint64_t k = 0; k < 4; k++) {
        net_random_window(&b, 90 + k);
        b.w.weight = k % 2 ? b.weight : NULL;
        CK_OK(bptt_run_submit(b.r, &b.w, 0.01, NULL));
        if (k > 0) CK_OK(bptt_run_collect(b.r, &two, NULL));
        if (k > 0) ck_assert(two.loss == one[k - 1].loss && two.grad_norm == one[k - 1].grad_norm);
    }
    CK_OK(bptt_run_collect(b.r, &two, NULL));
    snapshot s = snapshot_of(a.m);
    ck_assert(snapshot_holds(&s, b.m, true));
    net_close(&a), net_close(&b);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, windows_are_the_formulas, (int)first_row(), (int)end_row(NET_BACKENDS));
    tcase_add_test(c, no_weight_means_no_loss_and_no_gradient);
    tcase_add_test(c, predictions_are_the_outputs);
    tcase_add_test(c, whole_numbers_are_exact);
    tcase_add_test(c, windows_in_flight_are_those_trained_one_by_one);
}

int main(void) { return run_suite("losses", add, 120); }
