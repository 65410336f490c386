// A cell with three gates and two states, registered by one row in one file (toy_cell.h): on every backend its results
// are those of the forward pass in double here, and its gradients are the derivatives of that pass.
#include "host_backend.h"
#include "identity.h"
#include "host_memory.h"
#include "lower/lower_plan.h"
#include "model.h"
#include "nets.h"
#include "ref_numbers.h"
#include "run.h"
#include "suite.h"
#include "toy_opencl.h"

#include <complex.h>
#undef I // a size of this library
#include <unistd.h>

#define TOY ((bptt_cell)2)
enum { G = 3, V = 5, H = 4, L = 2, B = 3, T = 6 };

enum { REF_F64, REF_F32, CPU, HOST_KERNELS, OPENCL, BACKENDS };
static const char *const NAME[BACKENDS] = {"ref f64", "ref", "cpu", "host kernels", "opencl"};

// False: the build has no such backend.
static bool backend_of(int i, bptt_backend *b)
{
    if (i == OPENCL) return toy_opencl(b);
    *b = i == REF_F64 ? bptt_ref_f64() : i == REF_F32 ? bptt_ref_f32() : i == CPU ? bptt_cpu() : bptt_host_kernels();
    return true;
}

// ---- the forward pass in complex double -----------------------------------------------------------------------------

typedef struct toy_net {
    size_t tensors, size[12];
    double complex w[12][G * H * (V > H ? V : H)];
    double complex state[L][B][2 * H]; // carried: h, then c
    double h_at[L][T + 1][B][2 * H];   // real parts, block 0 the state before
    int biases;
} toy_net;

// The pre-activation of PyTorch's row `row` of layer l.
static double complex z_of(const toy_net *n, size_t l, size_t row, const double complex *x, size_t in,
                           const double complex *h)
{
    const size_t per = (size_t)n->biases + 2;
    double complex z = n->w[l * per + 2][row];
    if (n->biases == 2) z += n->w[l * per + 3][row];
    for (size_t k = 0; k < in; k++) z += n->w[l * per][row * in + k] * x[k];
    for (size_t k = 0; k < H; k++) z += n->w[l * per + 1][row * H + k] * h[k];
    return z;
}

// One layer's step of one stream: x [in], state (h, c) in place. In the file the gates are g, a, b.
static void toy_step(const toy_net *n, size_t l, const double complex *x, size_t in, double keep, double complex *state)
{
    double complex next[2 * H], kept[2 * H];
    for (size_t k = 0; k < 2 * H; k++) kept[k] = keep * state[k];
    for (size_t j = 0; j < H; j++) {
        const double complex g = ctanh(z_of(n, l, j, x, in, kept)), a = ctanh(z_of(n, l, H + j, x, in, kept));
        const double complex b = ctanh(z_of(n, l, 2 * H + j, x, in, kept));
        const double complex c = b * kept[H + j] + a * g;
        next[H + j] = c;
        next[j] = a * kept[j] + g * c;
    }
    memcpy(state, next, sizeof next);
}

static double complex loss_of_row(const toy_net *n, const double complex *h, size_t target)
{
    double complex sum = 0, logit[V];
    for (size_t v = 0; v < V; v++) {
        logit[v] = n->w[n->tensors - 1][v];
        for (size_t k = 0; k < H; k++) logit[v] += n->w[n->tensors - 2][v * H + k] * h[k];
        sum += cexp(logit[v]);
    }
    return clog(sum) - logit[target];
}

// The weighted mean loss of a window from n->state, which is carried on.
static double complex toy_loss(toy_net *n, const bptt_window *w)
{
    double complex sum = 0;
    double weight = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t b = 0; b < B; b++) {
            const size_t i = t * B + b;
            double complex x[V] = {0};
            x[w->token[i]] = 1;
            for (size_t l = 0; l < L; l++) {
                for (size_t k = 0; k < 2 * H && t == 0; k++) n->h_at[l][0][b][k] = creal(n->state[l][b][k]);
                toy_step(n, l, l ? n->state[l - 1][b] : x, l ? H : V, w->keep ? (double)w->keep[i] : 1, n->state[l][b]);
                for (size_t k = 0; k < 2 * H; k++) n->h_at[l][t + 1][b][k] = creal(n->state[l][b][k]);
            }
            const double k = w->weight ? (double)w->weight[i] : 1;
            sum += k * loss_of_row(n, n->state[L - 1][b], (size_t)w->target[i]);
            weight += k;
        }
    return sum / weight;
}

// ---- the same by a backend ------------------------------------------------------------------------------------------

typedef struct fixture {
    net n;
    toy_net toy;
    double h0[L][B][2 * H];
} fixture;

// With one bias the states are kept by keep(t) too.
static bool open_on(net *n, int backend, int biases)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.cell = TOY, c.vocab = V, c.hidden = H, c.layers = L, c.biases = biases;
    c.init = BPTT_INIT_UNIFORM, c.seed = 7, c.compute.threads = 1;
    bptt_backend b;
    if (!backend_of(backend, &b)) return false;
    c.type = b.real;
    bptt_error e = {0};
    *n = (net){.c = c,
               .rc = {.size = sizeof(bptt_run_config), .batch = B, .steps = T, .gradient = 1, .keep = biases == 1}};
    const bptt_status s = bptt_model_open_on(&b, &c, &n->m, &e);
    if (s == BPTT_NO_BACKEND && backend == OPENCL && !getenv("BPTT_NEED_OPENCL")) return false;
    ck_assert_msg(s == BPTT_OK, "%s: %s", NAME[backend], e.words);
    CK_OK(bptt_run_open(n->m, &n->rc, &n->r, NULL));
    n->token = must_alloc(T * B, sizeof *n->token), n->target = must_alloc(T * B, sizeof *n->target);
    n->weight = must_alloc(T * B, sizeof *n->weight), n->keep = must_alloc(T * B, sizeof *n->keep);
    net_random_window(n, 3);
    n->w.weight = n->weight, n->w.keep = n->rc.keep ? n->keep : NULL;
    return true;
}

static void close_net(net *n)
{
    bptt_run_close(n->r);
    bptt_model_close(n->m);
    free(n->token), free(n->target), free(n->weight), free(n->keep);
}

static void toy_from(toy_net *t, const net *n, const double h0[L][B][2 * H])
{
    memset(t, 0, sizeof *t);
    t->biases = n->c.biases;
    t->tensors = bptt_model_tensors(n->m);
    for (size_t i = 0; i < t->tensors; i++) {
        bptt_tensor info;
        CK_OK(bptt_model_tensor(n->m, i, &info, NULL));
        t->size[i] = info.rows * info.cols;
        double x[G * H * (V > H ? V : H)];
        CK_OK(bptt_model_read(n->m, BPTT_WEIGHTS, i, x, BPTT_F64, NULL));
        for (size_t k = 0; k < t->size[i]; k++) t->w[i][k] = x[k];
    }
    for (size_t l = 0; l < L; l++)
        for (size_t b = 0; b < B; b++)
            for (size_t k = 0; k < 2 * H; k++) t->state[l][b][k] = h0[l][b][k];
}

static void random_state(double h0[L][B][2 * H])
{
    uint64_t seed = 11;
    random_reals(&seed, 0.5, &h0[0][0][0], L * B * 2 * H);
}

// Roundings of a sum of this many terms through all steps; a double for ref f64.
static double bound(int backend) { return 8.0 * T * L * (V + H + 8) * (backend == 0 ? 0x1p-53 : 0x1p-24); }

static void check_gradient(const net *n, size_t i, const double h0[L][B][2 * H], int backend)
{
    static toy_net moved;
    double got[G * H * (V > H ? V : H)], want[G * H * (V > H ? V : H)];
    CK_OK(bptt_model_read(n->m, BPTT_GRADIENT, i, got, BPTT_F64, NULL));
    toy_from(&moved, n, h0);
    const size_t size = moved.size[i];
    for (size_t k = 0; k < size; k++) {
        toy_from(&moved, n, h0);
        moved.w[i][k] += 1e-30 * _Complex_I;
        want[k] = cimag(toy_loss(&moved, &n->w)) / 1e-30;
    }
    CK_NEAR(near_scaled(got, want, size, bound(backend)), "gradient");
}

START_TEST(every_backend_computes_the_toy_cell_and_its_gradient)
{
    static toy_net toy;
    for (int biases = 1; biases <= 2; biases++) {
        net n;
        double h0[L][B][2 * H], got[L][T + 1][B][2 * H], dh0[L][B][2 * H], want[L][B][2 * H];
        random_state(h0);
        if (!open_on(&n, _i, biases)) {
            puts("not tested: opencl: no device");
            return;
        }
        toy_from(&toy, &n, (const double(*)[B][2 * H]) h0);
        CK_OK(bptt_run_write_state(n.r, h0, BPTT_F64, NULL));
        bptt_report report;
        CK_OK(bptt_run_gradient(n.r, &n.w, &report, NULL));
        const double loss = creal(toy_loss(&toy, &n.w));
        CK_NEAR(near_scaled(&report.loss, &loss, 1, bound(_i)), "loss");
        CK_OK(bptt_run_read(n.r, BPTT_STATES, got, BPTT_F64, NULL));
        CK_NEAR(near_scaled(&got[0][0][0][0], &toy.h_at[0][0][0][0], sizeof got / sizeof(double), bound(_i)), "states");
        for (size_t i = 0; i < toy.tensors; i++) check_gradient(&n, i, (const double(*)[B][2 * H]) h0, _i);
        CK_OK(bptt_run_read(n.r, BPTT_GRAD_STATE, dh0, BPTT_F64, NULL));
        for (size_t k = 0; k < L * B * 2 * H; k++) {
            toy_from(&toy, &n, (const double(*)[B][2 * H]) h0);
            (&toy.state[0][0][0])[k] += 1e-30 * _Complex_I;
            (&want[0][0][0])[k] = cimag(toy_loss(&toy, &n.w)) / 1e-30;
        }
        CK_NEAR(near_scaled(&dh0[0][0][0], &want[0][0][0], L * B * 2 * H, bound(_i)), "gradient of the first state");
        close_net(&n);
    }
}
END_TEST

// Forward only, S steps at a time and one by one: the loss and the carried state are those of the run with a gradient.
START_TEST(a_forward_only_run_carries_both_states)
{
    net n;
    if (!open_on(&n, _i, 1)) return;
    bptt_run *only;
    bptt_run_config rc = n.rc;
    rc.gradient = 0;
    CK_OK(bptt_run_open(n.m, &rc, &only, NULL));
    double h0[L][B][2 * H], one[L][B][2 * H], two[L][B][2 * H], loss[2];
    random_state(h0);
    bptt_report report;
    CK_OK(bptt_run_write_state(n.r, h0, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, &report, NULL));
    loss[0] = report.loss;
    CK_OK(bptt_run_read_state(n.r, one, BPTT_F64, NULL));
    CK_OK(bptt_run_write_state(only, h0, BPTT_F64, NULL));
    CK_OK(bptt_run_evaluate(only, &n.w, &report, NULL));
    loss[1] = report.loss;
    CK_OK(bptt_run_read_state(only, two, BPTT_F64, NULL));
    ck_assert(loss[0] == loss[1]);
    ck_assert_mem_eq(one, two, sizeof one);
    bptt_run_close(only);
    close_net(&n);
}
END_TEST

START_TEST(the_identity_over_dual_numbers_holds_for_it)
{
    static const net_case cases[] = {{TOY, 5, 0, 4, 1, 2, 7, 2, true, false, 0, TOKENS},
                                     {TOY, 5, 3, 4, 2, 3, 5, 1, false, false, 0, TOKENS},
                                     {TOY, 7, 0, 3, 3, 1, 9, 1, true, true, 3, TOKENS}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool holds[NET_CLAIMS];
        net_tables tables = {bptt_ref_fp(), bptt_ref_dual()};
        tables.fp.transposed_copies = tables.dual.transposed_copies = cases[i].flipped;
        bptt_error e = {0};
        ck_assert_msg(identity_net(&tables, &cases[i], holds, &e) == BPTT_OK, "%s", e.words);
        for (int k = 0; k < NET_CLAIMS; k++) // verify has no second text of this cell's formulas
            ck_assert_msg(holds[k] == (k != NET_CELLS), "case %zu, claim %d", i, k);
    }
}
END_TEST

START_TEST(a_file_of_the_cell_is_read_back)
{
    net n;
    char path[] = "/tmp/bptt-toy-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(open_on(&n, 1, 2));
    CK_OK(bptt_model_save(n.m, path, NULL));
    bptt_model *again;
    bptt_model_config c = n.c;
    CK_OK(bptt_model_load(path, &c, &again, NULL));
    bptt_model_get_config(again, &c);
    ck_assert_int_eq(c.cell, TOY);
    float x[G * H * V], y[G * H * V];
    for (size_t i = 0; i < bptt_model_tensors(n.m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(again, i, &t, NULL));
        if (i < 2) ck_assert_uint_eq(t.rows, G * H);
        CK_OK(bptt_model_read(n.m, BPTT_WEIGHTS, i, x, BPTT_F32, NULL));
        CK_OK(bptt_model_read(again, BPTT_WEIGHTS, i, y, BPTT_F32, NULL));
        ck_assert_mem_eq(x, y, t.rows * t.cols * sizeof *x);
    }
    bptt_model_close(again);
    close_net(&n);
    unlink(path);
}
END_TEST

// Lowering for GPUs: the products between the two layers are split along time, forward and backward.
START_TEST(products_between_gated_layers_are_split_along_time)
{
    bptt_backend b = bptt_ref_f32();
    b.pad = lower_pad, b.overlaps = true;
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.cell = TOY, c.vocab = V, c.hidden = H, c.layers = L;
    bptt_model *m;
    bptt_run *r;
    CK_OK(bptt_model_open_on(&b, &c, &m, NULL));
    CK_OK(bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 2, .steps = 32, .gradient = 1},
                        &r, NULL));
    size_t products[2];
    bptt_buf scratch = {0};
    for (int split = 0; split < 2; split++) {
        launch_list out = {0};
        lower_plan(&r->plan[TRAIN], &(lower_rules){.pieces = split, .scratch = &scratch}, &out);
        ck_assert(!out.failed);
        products[split] = 0;
        for (size_t i = 0; i < out.n; i++) products[split] += out.at[i].kernel == LAUNCH_PRODUCT;
        launch_list_free(&out);
    }
    ck_assert_uint_eq(products[1] - products[0], 2 * (8 - 1)); // both in 8 pieces of 4 steps
    bptt_run_close(r);
    bptt_model_close(m);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, products_between_gated_layers_are_split_along_time);
    tcase_add_loop_test(c, every_backend_computes_the_toy_cell_and_its_gradient, 0, BACKENDS);
    tcase_add_loop_test(c, a_forward_only_run_carries_both_states, 0, BACKENDS);
    tcase_add_test(c, the_identity_over_dual_numbers_holds_for_it);
    tcase_add_test(c, a_file_of_the_cell_is_read_back);
}

int main(void) { return run_suite("toy cell", add, 60); }
