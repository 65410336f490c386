// The cell, the unrolled nets of every cell and the optimizers against PyTorch in double: tests/data/oracles.json.
#include "backend.h"
#include "oracle_file.h"
#include "prng.h"
#include "suite.h"

#include "bptt_cells.h"

// Backends under test, and the tolerance to the oracle: max|d| / max|ref| of each tensor. In double a few hundred
// roundings of 1e-16. In float 6 steps of about 12 roundings of 6e-8 each, times the condition of small sums: 1e-5.
typedef struct judged {
    const char *backend;
    bptt_type type;
    unsigned threads;
    double tolerance;
} judged;
static const judged JUDGED[] = {
    {"ref", BPTT_F64, 1, 1e-12},
    {"ref", BPTT_F32, 1, 1e-5},
    {"cpu", BPTT_F32, 1, 1e-5},
    {"cpu", BPTT_F32, 2, 1e-5},
};
enum { JUDGES = sizeof JUDGED / sizeof JUDGED[0], V = 7, H = 4, B = 3, T = 6, L = 2, S = 2, MOST = 6 * H * V };

typedef struct fixture {
    const oracle_file *file;
    char net[32]; // "gru_L2"
    const judged *who;
    size_t layers, states; // L, S of the net
    bptt_model *m;
    bptt_run *r;
    int32_t token[T * B], target[T * B];
    bptt_window w;
} fixture;

// The oracle of tensor i: "params", "grads" or the weights after an update, "adam". *n: its numbers.
static const double *tensor_oracle(const fixture *f, const char *what, size_t i, size_t *n)
{
    bptt_tensor t;
    char name[64];
    ck_assert_int_eq(bptt_model_tensor(f->m, i, &t, NULL), BPTT_OK);
    snprintf(name, sizeof name, "%s.%s", what, t.name);
    *n = t.rows * t.cols;
    return oracle_get(f->file, f->net, name, *n);
}

static void set_up(fixture *f, const oracle_file *file, bptt_cell cell, size_t layers, const judged *who,
                   bptt_optimizer rule)
{
    bptt_model_config c;
    size_t n = 0;
    bptt_error e = {0};
    snprintf(f->net, sizeof f->net, "%s_L%u", bptt_cell_row_of(cell)->word, (unsigned)layers);
    f->file = file, f->who = who, f->layers = layers, f->states = bptt_cell_row_of(cell)->states;
    bptt_model_defaults(&c);
    c.cell = cell, c.vocab = V, c.hidden = H, c.layers = layers, c.optimizer = rule;
    c.biases = (int)oracle_size(f->file, f->net, "biases");
    c.clip = oracle_get(f->file, f->net, "clip", 1)[0];
    c.compute.backend = who->backend, c.type = who->type, c.compute.threads = who->threads;
    move_to_place(&c);
    CK_TRUE(bptt_model_open(&c, &f->m, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(bptt_run_open(f->m,
                          &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = B, .steps = T, .gradient = 1},
                          &f->r, &e) == BPTT_OK,
            "%s", e.words);
    for (size_t i = 0; i < bptt_model_tensors(f->m); i++) {
        const double *x = tensor_oracle(f, "params", i, &n);
        ck_assert_int_eq(bptt_model_write(f->m, BPTT_WEIGHTS, i, x, BPTT_F64, &e), BPTT_OK);
    }
    const double *state = oracle_get(f->file, f->net, "state", layers * B * f->states * H);
    ck_assert_int_eq(bptt_run_write_state(f->r, state, BPTT_F64, &e), BPTT_OK);
    const double *x = oracle_get(f->file, f->net, "token", T * B), *y = oracle_get(f->file, f->net, "target", T * B);
    for (size_t i = 0; i < T * B; i++) f->token[i] = (int32_t)x[i], f->target[i] = (int32_t)y[i];
    f->w = (bptt_window){.size = sizeof(bptt_window), .token = f->token, .target = f->target};
}

static void tear_down(fixture *f)
{
    bptt_run_close(f->r);
    bptt_model_close(f->m);
}

// Near the oracle's `want` [n].
static void check(const fixture *f, const double *got, const double *want, const char *name, size_t n)
{
    char what[120];
    snprintf(what, sizeof what, "%s %d threads %u: %s %s", f->who->backend, (int)f->who->type, f->who->threads, f->net,
             name);
    CK_NEAR(near_scaled(got, want, n, f->who->tolerance), what);
}

static void check_named(const fixture *f, const double *got, const char *name, size_t n)
{
    check(f, got, oracle_get(f->file, f->net, name, n), name, n);
}

static void each(void (*one)(const oracle_file *file, bptt_cell cell, size_t layers, const judged *who))
{
    oracle_file file;
    oracle_open(&file);
    for (size_t cell = 0; cell < bptt_cells; cell++)
        for (size_t layers = 1; layers <= L; layers++)
            for (size_t i = first_row(); i < end_row(JUDGES); i++) one(&file, (bptt_cell)cell, layers, &JUDGED[i]);
    oracle_close(&file);
}

static void check_gradients(fixture *f)
{
    double x[MOST];
    size_t n = 0;
    for (size_t i = 0; i < bptt_model_tensors(f->m); i++) {
        const double *want = tensor_oracle(f, "grads", i, &n);
        ck_assert_int_eq(bptt_model_read(f->m, BPTT_GRADIENT, i, x, BPTT_F64, NULL), BPTT_OK);
        check(f, x, want, "gradient", n);
    }
}

static void gradient_case(const oracle_file *file, bptt_cell cell, size_t layers, const judged *who)
{
    fixture f;
    set_up(&f, file, cell, layers, who, BPTT_ADAM);
    bptt_report report;
    ck_assert_int_eq(bptt_run_gradient(f.r, &f.w, &report, NULL), BPTT_OK);
    check_named(&f, &report.loss, "loss", 1);
    check_named(&f, &report.grad_norm, "norm", 1);
    CK_TRUE(report.weight == T * B, "the weights of a window of ones add up to %g", report.weight);
    check_gradients(&f);
    const size_t block = B * f.states * H;
    double before[L * B * S * H], last[L * B * S * H], all[L * (T + 1) * B * S * H];
    ck_assert_int_eq(bptt_run_read(f.r, BPTT_GRAD_STATE, before, BPTT_F64, NULL), BPTT_OK);
    check_named(&f, before, "grad_state", layers * block);
    ck_assert_int_eq(bptt_run_read_state(f.r, last, BPTT_F64, NULL), BPTT_OK);
    check_named(&f, last, "last", layers * block);
    ck_assert_int_eq(bptt_run_read(f.r, BPTT_STATES, all, BPTT_F64, NULL), BPTT_OK);
    for (size_t l = 0; l < layers; l++)
        CK_NEAR(near_all(all + (l * (T + 1) + T) * block, last + l * block, NULL, block), "the last block of states");
    tear_down(&f);
}

START_TEST(loss_states_and_all_gradients_of_the_nets_are_pytorchs) { each(gradient_case); }
END_TEST

// One character at a time, through bptt_run_next: log-probabilities, which come as floats.
static void next_case(const oracle_file *file, bptt_cell cell, size_t layers, const judged *who)
{
    fixture f;
    set_up(&f, file, cell, layers, who, BPTT_ADAM);
    const double *logits = oracle_get(f.file, f.net, "logits", T * B * V);
    double want[T * B * V], got[T * B * V];
    for (size_t i = 0; i < T * B; i++) {
        double sum = 0;
        for (size_t v = 0; v < V; v++) sum += exp(logits[i * V + v]);
        for (size_t v = 0; v < V; v++) want[i * V + v] = logits[i * V + v] - log(sum);
    }
    for (size_t t = 0; t < T; t++) {
        float logp[B * V];
        ck_assert_int_eq(bptt_run_next(f.r, f.token + t * B, logp, NULL), BPTT_OK);
        for (size_t i = 0; i < B * V; i++) got[t * B * V + i] = (double)logp[i];
    }
    CK_NEAR(near_scaled(got, want, T * B * V, fmax(who->tolerance, U32)), f.net);
    tear_down(&f);
}

START_TEST(log_probabilities_one_step_at_a_time_are_pytorchs) { each(next_case); }
END_TEST

// Bounds of weights after the first update: the oracle's tolerance, the rounding of the weight w0, and the effect of
// the clipped gradient's tolerance on RMSProp's and Adam's g / (a |g| + epsilon), a >= sqrt(0.05), where g is small.
static void update_bounds(const judged *who, const double *w0, const double *want, const double *g, size_t n,
                          double *bound)
{
    double change = 0, most = 0;
    for (size_t k = 0; k < n; k++) change = fmax(change, fabs(want[k] - w0[k])), most = fmax(most, fabs(g[k]) / 2);
    for (size_t k = 0; k < n; k++) {
        const double divisor = sqrt(0.05) * fabs(g[k]) / 2 + 1e-8, slope = g[k] == 0 ? 0 : 1e-8 / (divisor * divisor);
        bound[k] = 2 * who->tolerance * change + 2 * (who->type == BPTT_F64 ? U64 : U32) * fabs(w0[k]);
        bound[k] += fmin(2e-3 * slope * who->tolerance * most, change);
    }
}

// Compares the change of a weight.
static void update_case(const oracle_file *file, bptt_cell cell, size_t layers, const judged *who)
{
    static const char *const word[] = {"sgd", "rmsprop", "adam"};
    for (bptt_optimizer rule = layers == 1 ? BPTT_SGD : BPTT_ADAM; rule <= BPTT_ADAM; rule++) {
        fixture f;
        set_up(&f, file, cell, layers, who, rule);
        ck_assert_int_eq(bptt_run_train(f.r, &f.w, 2e-3, NULL, NULL), BPTT_OK);
        check_gradients(&f); // as they were before clipping
        for (size_t i = 0; i < bptt_model_tensors(f.m); i++) {
            double x[MOST], bound[MOST];
            size_t n = 0;
            const double *w0 = tensor_oracle(&f, "params", i, &n), *want = tensor_oracle(&f, word[rule], i, &n);
            update_bounds(who, w0, want, tensor_oracle(&f, "grads", i, &n), n, bound);
            ck_assert_int_eq(bptt_model_read(f.m, BPTT_WEIGHTS, i, x, BPTT_F64, NULL), BPTT_OK);
            CK_NEAR(near_all(x, want, bound, n), f.net);
        }
        tear_down(&f);
    }
}

START_TEST(one_clipped_step_of_each_optimizer_is_pytorchs) { each(update_case); }
END_TEST

// ---- the cell -----------------------------------------------------------------------------------

enum { CI = 4, CH = 5, CB = 3, CELL_MOST = CH * (CI + CH) };

static void narrow(const double *x, size_t n, bptt_type type, void *out)
{
    for (size_t i = 0; i < n; i++)
        if (type == BPTT_F64)
            ((double *)out)[i] = x[i];
        else
            ((float *)out)[i] = (float)x[i];
}

static void widen(const void *x, size_t n, bptt_type type, double *out)
{
    for (size_t i = 0; i < n; i++) out[i] = type == BPTT_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

static void cell_case(const oracle_file *f, bptt_type type, double tolerance)
{
    double W[CELL_MOST], b[CH], x[CB * CI], h[CB * CH], g[CB * CH], next[CB * CH], concat[CB * (CI + CH)];
    double out[4][CELL_MOST] = {{0}}, wide[CELL_MOST];
    narrow(oracle_get(f, "cell", "in.W", CELL_MOST), CELL_MOST, type, W);
    narrow(oracle_get(f, "cell", "in.b", CH), CH, type, b);
    narrow(oracle_get(f, "cell", "in.x", CB * CI), CB * CI, type, x);
    narrow(oracle_get(f, "cell", "in.h", CB * CH), CB * CH, type, h);
    narrow(oracle_get(f, "cell", "cotangent.h_new", CB * CH), CB * CH, type, g);
    const bptt_elman e = {.type = type, .cell = BPTT_TANH, .B = CB, .I = CI, .H = CH, .W = W, .b = b};
    ck_assert_int_eq(bptt_elman_forward(&e, x, h, concat, NULL, next, NULL), BPTT_OK);
    widen(next, CB * CH, type, wide);
    CK_NEAR(near_scaled(wide, oracle_get(f, "cell", "out.h_new", CB * CH), CB * CH, tolerance), "the cell's output");
    const bptt_elman_cotangent s = {.next = g};
    ck_assert_int_eq(bptt_elman_vjp(&e, concat, next, &s, out[0], out[1], out[2], out[3], NULL), BPTT_OK);
    static const char *const name[] = {"grad.x", "grad.h", "grad.W", "grad.b"};
    static const size_t n[] = {CB * CI, CB * CH, CELL_MOST, CH};
    for (size_t i = 0; i < 4; i++) {
        widen(out[i], n[i], type, wide);
        CK_NEAR(near_scaled(wide, oracle_get(f, "cell", name[i], n[i]), n[i], tolerance), name[i]);
    }
}

START_TEST(the_seeds_cell_and_its_reverse_are_pytorchs)
{
    oracle_file f;
    oracle_open(&f);
    cell_case(&f, BPTT_F64, 1e-12);
    cell_case(&f, BPTT_F32, 1e-5);
    oracle_close(&f);
}
END_TEST

// ---- the generator ------------------------------------------------------------------------------

START_TEST(splitmix64_gives_the_published_words_and_the_first_weights)
{
    oracle_file f;
    oracle_open(&f);
    for (uint64_t seed = 0; seed < 4; seed++) {
        char net[16];
        snprintf(net, sizeof net, "prng.%d", (int)seed);
        const double *words = oracle_get(&f, net, "u64_hex", 8), *uniform = oracle_get(&f, net, "uniform24", 4);
        uint64_t ours = seed, reference = seed, reals24 = seed;
        for (size_t i = 0; i < 4; i++) {
            const uint64_t want = (uint64_t)words[2 * i] << 32 | (uint64_t)words[2 * i + 1];
            ck_assert_uint_eq(splitmix_next(&ours), want);
            ck_assert_uint_eq(random_word(&reference), want);
            const double u = splitmix_uniform24(&reals24);
            CK_NEAR(near_all(&u, uniform + i, NULL, 1), "uniform24");
        }
        bptt_model_config c;
        bptt_model_defaults(&c);
        c.vocab = 65, c.hidden = 256, c.seed = seed, c.compute.backend = "ref"; // 1/sqrt(H) = 1/16
        bptt_model *m = NULL;
        ck_assert_int_eq(bptt_model_open(&c, &m, NULL), BPTT_OK);
        double *w = reals((size_t)65 * 256);
        ck_assert_int_eq(bptt_model_read(m, BPTT_WEIGHTS, 0, w, BPTT_F64, NULL), BPTT_OK);
        CK_NEAR(near_all(w, oracle_get(&f, net, "weights_k_1_16", 4), NULL, 4), "first weights");
        free(w);
        bptt_model_close(m);
    }
    oracle_close(&f);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, loss_states_and_all_gradients_of_the_nets_are_pytorchs);
    tcase_add_test(c, log_probabilities_one_step_at_a_time_are_pytorchs);
    tcase_add_test(c, one_clipped_step_of_each_optimizer_is_pytorchs);
    tcase_add_test(c, the_seeds_cell_and_its_reverse_are_pytorchs);
    tcase_add_test(c, splitmix64_gives_the_published_words_and_the_first_weights);
}

int main(void) { return run_suite("oracles", add, 30); }
