// A learned initial state: a tensor of each layer, which starts the sequences that keep marks. The references know
// nothing of it: runs of one sequence each, whose first state is written, and a complex step through the forward pass.
#include "lower/layer_loop.h"
#include "modp.h"
#include "model.h"
#include "ref_numbers.h"
#include "run.h"
#include "suite.h"
#include "trainers.h"

enum { V = 9, H = 7, B = 3, T = 6, MOST = 64, STATE = 2 * B * 2 * H };

static const bptt_cell CELL[] = {BPTT_TANH, BPTT_GRU, BPTT_LSTM, BPTT_MLSTM};
enum { CELLS = sizeof CELL / sizeof CELL[0] };

static bptt_model_config model_config_of(const char *backend, bptt_type type, bptt_cell cell, size_t L, int learned)
{
    bptt_model_config c = net_config(backend, type, V, H, L);
    c.cell = cell, c.optimizer = BPTT_SGD, c.learned_state = learned;
    return c;
}

static bool is_state(const bptt_tensor *t) { return strncmp(t->name, "rnn.h0_l", 8) == 0; }

// ---- gradients modulo p -------------------------------------------------------------------------

// Models modulo p with the same random weights, one of them with a learned state.
typedef struct pair {
    bptt_model *learned, *plain;
    uint64_t *h0; // [L][W], the initial state
    size_t L, W, n;
} pair;

static pair open_pair(bptt_cell cell, size_t L)
{
    const bptt_backend fp = bptt_ref_fp();
    const bptt_model_config c = model_config_of("ref", BPTT_F64, cell, L, 1),
                            without = model_config_of("ref", BPTT_F64, cell, L, 0);
    pair p = {.L = L};
    uint64_t random = 77, *w = must_alloc((size_t)25 * H * H, sizeof *w);
    CK_OK(bptt_model_open_on(&fp, &c, &p.learned, NULL));
    CK_OK(bptt_model_open_on(&fp, &without, &p.plain, NULL));
    p.W = p.plain->S * H, p.n = bptt_model_parameters(p.plain);
    p.h0 = must_alloc(L * p.W, sizeof *p.h0);
    for (size_t i = 0, k = 0, l = 0; i < bptt_model_tensors(p.learned); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(p.learned, i, &t, NULL));
        const bool state = is_state(&t);
        modp_draw(&random, w, t.rows * t.cols);
        CK_OK(bptt_model_write(p.learned, BPTT_WEIGHTS, i, w, BPTT_FP, NULL));
        if (state) ck_assert(t.rows == p.W && t.cols == 1 && t.rank == 1);
        if (state) memcpy(p.h0 + l++ * p.W, w, p.W * sizeof *w);
        if (!state) CK_OK(bptt_model_write(p.plain, BPTT_WEIGHTS, k++, w, BPTT_FP, NULL));
    }
    free(w);
    return p;
}

static void close_pair(pair *p)
{
    bptt_model_close(p->learned), bptt_model_close(p->plain);
    free(p->h0);
}

// The gradient: of the weights [n], then of h0 [L][W].
static uint64_t *gradient_of(const pair *p, bptt_model *m)
{
    uint64_t *x = must_alloc(p->n + p->L * p->W, sizeof *x);
    size_t at = 0, l = 0;
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(m, i, &t, NULL));
        uint64_t *const to = is_state(&t) ? x + p->n + l++ * p->W : x + at;
        CK_OK(bptt_model_read(m, BPTT_GRADIENT, i, to, BPTT_FP, NULL));
        if (!is_state(&t)) at += t.rows * t.cols;
    }
    return x;
}

// A window of B streams; weights are quarters, keeps 0 or 1.
typedef struct text {
    size_t B, T;
    int32_t token[MOST], target[MOST], length[MOST];
    float weight[MOST], keep[MOST];
    bptt_window w;
} text;

static void random_text(text *x, size_t streams, size_t steps, uint64_t seed)
{
    *x = (text){.B = streams, .T = steps};
    random_tokens(&seed, V, x->token, streams * steps), random_tokens(&seed, V, x->target, streams * steps);
    for (size_t i = 0; i < streams * steps; i++) {
        x->weight[i] = (float)random_below(&seed, 5) / 4;
        x->keep[i] = i < streams || random_below(&seed, 4) == 0 ? 0 : 1;
    }
    for (size_t b = 0; b < streams; b++) x->length[b] = (int32_t)random_below(&seed, steps + 1);
    x->weight[0] = 1, x->length[0] = (int32_t)steps;
    x->w = (bptt_window){
        .size = sizeof x->w, .token = x->token, .target = x->target, .weight = x->weight, .keep = x->keep};
}

// Adds weight times the gradient of steps first .. first + n - 1 of stream b alone, from a state that is written: h0.
static uint64_t add_segment(const pair *p, const text *x, size_t b, size_t first, size_t n, uint64_t *sum)
{
    text one = {.B = 1, .T = n};
    uint64_t weight = 0, *dh0 = must_alloc(p->L * p->W, sizeof *dh0);
    for (size_t t = 0; t < n; t++) {
        const size_t i = (first + t) * x->B + b;
        one.token[t] = x->token[i], one.target[t] = x->target[i], one.weight[t] = x->weight[i];
        weight = modp_add(weight, modp_mul((uint64_t)(x->weight[i] * 4), modp_fraction(UINT64_C(1) << 22)));
    }
    bptt_run *r = run_on(p->plain, (bptt_run_config){.batch = 1, .steps = n, .gradient = 1});
    CK_OK(bptt_run_write_state(r, p->h0, BPTT_FP, NULL));
    CK_OK(bptt_run_gradient(
        r, &(bptt_window){.size = sizeof(bptt_window), .token = one.token, .target = one.target, .weight = one.weight},
        NULL, NULL));
    CK_OK(bptt_run_read(r, BPTT_GRAD_STATE, dh0, BPTT_FP, NULL));
    uint64_t *g = gradient_of(p, p->plain);
    memcpy(g + p->n, dh0, p->L * p->W * sizeof *g);
    for (size_t i = 0; i < p->n + p->L * p->W; i++) sum[i] = modp_add(sum[i], modp_mul(weight, g[i]));
    free(g), free(dh0);
    bptt_run_close(r);
    return weight;
}

// Each stretch between starts, computed alone.
static uint64_t add_stream(const pair *p, const text *x, size_t b, size_t steps, uint64_t *sum)
{
    uint64_t weight = 0;
    for (size_t first = 0, n; first < steps; first += n) {
        n = 1;
        while (first + n < steps && x->keep[(first + n) * x->B + b] != 0) n++;
        weight = modp_add(weight, add_segment(p, x, b, first, n, sum));
    }
    return weight;
}

static void modulo_p(bptt_cell cell, size_t L, size_t streams, size_t steps, int lengths)
{
    pair p = open_pair(cell, L);
    const size_t n = p.n + L * p.W;
    uint64_t *sum = must_alloc(n, sizeof *sum), weight = 0;
    text x;
    random_text(&x, streams, steps, 10 * steps + streams);
    if (lengths) x.w.length = x.length;
    bptt_run *r = run_on(
        p.learned,
        (bptt_run_config){.batch = streams, .steps = steps, .gradient = 1, .keep = !lengths, .lengths = lengths});
    CK_OK(bptt_run_gradient(r, &x.w, NULL, NULL));
    uint64_t *got = gradient_of(&p, p.learned);
    for (size_t b = 0; b < streams; b++)
        weight = modp_add(weight, add_stream(&p, &x, b, lengths ? (size_t)x.length[b] : steps, sum));
    ck_assert(weight != 0);
    for (size_t i = 0; i < n; i++)
        CK_TRUE(modp_mul(got[i], weight) == sum[i], "%s, L %zu, lengths %d: element %zu of %s",
                bptt_cell_table[cell].word, L, lengths, i, i < p.n ? "the weights" : "h0");
    free(sum), free(got);
    bptt_run_close(r);
    close_pair(&p);
}

START_TEST(gradients_are_those_of_each_sequence_alone_from_that_state_modulo_p)
{
    static const size_t SHAPE[][2] = {{3, 9}, {1, 5}, {7, 1}, {5, 12}};
    for (size_t k = 0; k < CELLS; k++)
        for (size_t i = 0; i < 16; i++)
            modulo_p(CELL[k], 1 + i / 8, SHAPE[i / 2 % 4][0], SHAPE[i / 2 % 4][1], (int)i % 2);
}
END_TEST

// ---- keeps between 0 and 1 ----------------------------------------------------------------------

// A net on `ref` in double with a random h0, keeps of 0, 1/2, 1 and between, and a random state before the window,
// state [L][B][W].
static net fractions_net(bptt_cell cell, size_t L, double *state)
{
    const bptt_model_config c = model_config_of("ref", BPTT_F64, cell, L, 1);
    net n;
    uint64_t random = 5;
    double h0[2 * H];
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1, .keep = 1});
    for (size_t i = 0; i < bptt_model_tensors(n.m); i++) {
        random_reals(&random, 1, h0, 2 * H);
        if (is_state(&n.m->tensor[i].info)) CK_OK(bptt_model_write(n.m, BPTT_WEIGHTS, i, h0, BPTT_F64, NULL));
    }
    for (size_t i = 0; i < T * B; i += 4) n.keep[i] = 0.3f;
    n.w.keep = n.keep, n.w.weight = n.weight;
    random_reals(&random, 1, state, STATE);
    CK_OK(bptt_run_write_state(n.r, state, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, NULL, NULL));
    return n;
}

// The i-th tensor of m becomes that of `from`; its elements with imaginary parts of 0 stay in z.
static void copy_tensor(bptt_model *from, bptt_model *m, size_t i, double *z)
{
    const size_t n = from->tensor[i].info.rows * from->tensor[i].info.cols;
    double *x = reals(n);
    CK_OK(bptt_model_read(from, BPTT_WEIGHTS, i, x, BPTT_F64, NULL));
    for (size_t j = 0; j < n; j++) z[2 * j] = x[j], z[2 * j + 1] = 0;
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, i, z, BPTT_C128, NULL));
    free(x);
}

START_TEST(gradients_with_keeps_between_0_and_1_are_complex_steps)
{
    const double step = 0x1p-100;
    const bptt_backend complex_numbers = bptt_ref_c128();
    for (size_t k = 0; k < 2 * CELLS; k++) {
        double state[STATE], stat[2 * BPTT_OUTPUTS], z[50 * H * H], got[25 * H * H], want[25 * H * H];
        net n = fractions_net(CELL[k / 2], 1 + k % 2, state);
        bptt_model *m = NULL;
        bptt_report report;
        CK_OK(bptt_model_open_on(&complex_numbers, &n.c, &m, NULL));
        bptt_run *r = run_on(m, (bptt_run_config){.batch = B, .steps = T, .keep = 1});
        for (size_t i = 0; i < bptt_model_tensors(m); i++) copy_tensor(n.m, m, i, z);
        for (size_t i = 0; i < bptt_model_tensors(m); i++) {
            const size_t all = n.m->tensor[i].info.rows * n.m->tensor[i].info.cols;
            CK_OK(bptt_model_read(n.m, BPTT_GRADIENT, i, got, BPTT_F64, NULL));
            copy_tensor(n.m, m, i, z);
            for (size_t j = 0; j < all; j++) {
                z[2 * j + 1] = step;
                CK_OK(bptt_model_write(m, BPTT_WEIGHTS, i, z, BPTT_C128, NULL));
                z[2 * j + 1] = 0;
                CK_OK(bptt_run_write_state(r, state, BPTT_F64, NULL));
                CK_OK(bptt_run_evaluate(r, &n.w, &report, NULL));
                CK_OK(m->device->backend.read(m->device, stat, BPTT_C128, r->mem.stat, NULL));
                want[j] = stat[1] / step / report.weight;
            }
            copy_tensor(n.m, m, i, z);
            CK_NEAR(near_scaled(got, want, all, 1e-13), n.m->tensor[i].info.name);
        }
        bptt_run_close(r);
        bptt_model_close(m);
        net_close(&n);
    }
}
END_TEST

// ---- every backend ------------------------------------------------------------------------------

// The model of a net: weights as drawn; h0 of every layer is x [W].
static void write_h0(bptt_model *m, const double *x)
{
    for (size_t i = 0; i < bptt_model_tensors(m); i++)
        if (is_state(&m->tensor[i].info)) CK_OK(bptt_model_write(m, BPTT_WEIGHTS, i, x, BPTT_F64, NULL));
}

// A learned state gives the numbers of a plain model whose state before the window was written.
START_TEST(a_start_has_the_loss_states_and_predictions_of_a_state_that_was_written)
{
    uint64_t random = 6;
    double h0[2 * H], written[2 * STATE];
    random_reals(&random, 1, h0, 2 * H);
    for (size_t i = 2 * CELLS * first_row(); i < 2 * CELLS * end_row(NET_BACKENDS); i++) {
        const size_t who = i / 2 / CELLS;
        const bptt_model_config c =
            model_config_of(NET_BACKEND[who].backend, NET_BACKEND[who].type, CELL[i / 2 % CELLS], 2, 1);
        const bptt_run_config rc = {.batch = B, .steps = T, .gradient = i % 2, .keep = 1};
        bptt_model_config without = c;
        without.learned_state = 0;
        net a, b;
        bptt_report got, want;
        net_open(&a, &c, &rc), net_open(&b, &without, &rc);
        const size_t W = a.m->S * H;
        const double bound = gamma_of(2.0 * 2 * T * (V + 2 * H + 20), c.type == BPTT_F64 ? U64 : U32);
        for (size_t k = 0; k < 2 * B * W; k++) written[k] = h0[k % W];
        for (size_t k = 0; k < T * B; k++) a.keep[k] = k >= B;
        write_h0(a.m, h0);
        CK_OK(bptt_run_write_state(b.r, written, BPTT_F64, NULL));
        a.w.keep = a.keep;
        CK_OK(bptt_run_evaluate(b.r, &b.w, &want, NULL));
        for (int k = 0; k < 2; k++) CK_OK(bptt_run_evaluate(a.r, &a.w, &got, NULL)); // the second one starts anew
        CK_NEAR(near_scaled(&got.loss, &want.loss, 1, bound), "the loss");
        double *x = net_state(a.r, 2 * B * W), *y = net_state(b.r, 2 * B * W);
        CK_NEAR(near_scaled(x, y, 2 * B * W, bound), "the states");
        free(x), free(y);
        float logp[2][B * V]; // after a reset, without keep, the first state is h0 too
        CK_OK(bptt_run_reset(a.r, NULL));
        CK_OK(bptt_run_write_state(b.r, written, BPTT_F64, NULL));
        CK_OK(bptt_run_reset_stream(b.r, 1, NULL));
        CK_OK(bptt_run_reset_stream(a.r, 2, NULL));
        CK_OK(bptt_run_next(a.r, a.token, logp[0], NULL));
        CK_OK(bptt_run_next(b.r, a.token, logp[1], NULL));
        for (size_t k = 0; k < B * V; k++)
            CK_TRUE(k / V == 1 || fabs((double)(logp[0][k] - logp[1][k])) <= 10 * bound + 1e-6 * (c.type == BPTT_F64),
                    "prediction %zu: %g, not %g", k, (double)logp[0][k], (double)logp[1][k]);
        ck_assert(memcmp(logp[0] + V, logp[1] + V, V * sizeof(float)) != 0); // stream 1 of b was set to zero
        net_close(&a), net_close(&b);
    }
}
END_TEST

START_TEST(the_initial_state_starts_as_zeros_and_draws_nothing)
{
    for (int init = 0; init < 2; init++) {
        bptt_model_config c = model_config_of("ref", BPTT_F64, BPTT_LSTM, 2, 1), without = c;
        c.init = without.init = (bptt_init)init, without.learned_state = 0;
        bptt_model *a = NULL, *b = NULL;
        CK_OK(bptt_model_open(&c, &a, NULL));
        CK_OK(bptt_model_open(&without, &b, NULL));
        ck_assert_uint_eq(bptt_model_tensors(a), bptt_model_tensors(b) + 2);
        for (size_t i = 0, k = 0; i < bptt_model_tensors(a); i++) {
            const bptt_tensor *t = &a->tensor[i].info;
            double *x = reals(t->rows * t->cols), *y = reals(t->rows * t->cols);
            CK_OK(bptt_model_read(a, BPTT_WEIGHTS, i, x, BPTT_F64, NULL));
            if (!is_state(t)) CK_OK(bptt_model_read(b, BPTT_WEIGHTS, k++, y, BPTT_F64, NULL));
            ck_assert(same_bits(x, y, t->rows * t->cols));
            free(x), free(y);
        }
        bptt_model_close(a), bptt_model_close(b);
    }
}
END_TEST

START_TEST(runs_need_keep_and_their_loops_are_not_taken_for_those_of_kernels)
{
    bptt_error e = {0};
    for (int learned = 0; learned < 2; learned++) {
        const bptt_model_config c = model_config_of("ref", BPTT_F32, BPTT_TANH, 2, learned);
        net n;
        size_t loops = 0, taken = 0;
        layer_loop l;
        net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1, .keep = 1});
        const bptt_plan *p = &n.r->plan[TRAIN];
        for (size_t i = 0; i < p->ops; i++) {
            if (p->op[i].opcode != BPTT_LOOP || p->op[i].loop.kind > BPTT_LOOP_BACKWARD) continue;
            loops++, taken += layer_loop_of(&p->op[i], &l);
        }
        ck_assert(loops == 4 && taken == (learned ? 0 : 4));
        bptt_run *r = NULL;
        const bptt_run_config plain = {.size = sizeof plain, .batch = B, .steps = T};
        const bptt_status s = bptt_run_open(n.m, &plain, &r, &e);
        ck_assert(s == (learned ? BPTT_BAD_CONFIG : BPTT_OK));
        if (learned) CK_TRUE(strstr(e.words, "need keep = 1, or lengths"), "%s", e.words);
        bptt_run_close(r);
        net_close(&n);
    }
}
END_TEST

// ---- texts --------------------------------------------------------------------------------------

START_TEST(a_trainer_learns_the_state_saves_it_and_resumes)
{
    for (int documents = 0; documents < 2; documents++) {
        unsigned char *words = lines_of(400, 9, 3);
        bptt_trainer_config c = config_of("ref", BPTT_F32);
        c.model.learned_state = 1, c.model.cell = documents ? BPTT_LSTM : BPTT_GRU,
        c.model.documents = (bptt_documents)documents;
        c.steps = 30, c.valid = 0.2;
        bptt_trainer *t = NULL, *again = NULL;
        char path[32];
        temporary(path);
        CK_OK(bptt_trainer_open(&c, words, 400, &t, NULL));
        double *h0 = reals(2 * H), before = 0, *g = reals(2 * H);
        for (int k = 0; k < 7; k++) { // three windows an epoch: 0, 3 and 6 begin with h0
            if (k == 3) CK_OK(bptt_trainer_save(t, path, NULL));
            CK_OK(bptt_trainer_step(t, NULL, NULL));
            const bptt_model *m = bptt_trainer_model(t);
            double most = 0, moved = 0;
            for (size_t i = 0; i < bptt_model_tensors(m); i++) {
                if (!is_state(&m->tensor[i].info)) continue;
                CK_OK(bptt_model_read(bptt_trainer_model(t), BPTT_GRADIENT, i, g, BPTT_F64, NULL));
                CK_OK(bptt_model_read(bptt_trainer_model(t), BPTT_WEIGHTS, i, h0, BPTT_F64, NULL));
                for (size_t j = 0; j < 2 * H; j++) most = fmax(most, fabs(g[j])), moved += fabs(h0[j]);
            }
            CK_TRUE((most > 0) == (documents || k % 3 == 0), "window %d: a gradient of %g", k, most);
            ck_assert(moved != before);
            before = moved;
        }
        file f = slurp(path); // for PyTorch, a complete bias_hh
        const char *const header = (const char *)f.bytes + 8;
        ck_assert(strstr(header, "\"rnn.bias_hh_l1\"") && strstr(header, "\"rnn.h0_l1\""));
        free(f.bytes);
        CK_OK(bptt_trainer_resume(path, &c, words, 400, &again, NULL));
        for (int k = 3; k < 7; k++) CK_OK(bptt_trainer_step(again, NULL, NULL));
        ck_assert(same_files(saved(t), saved(again)));
        // a score begins with h0, as a reset does
        bptt_report score;
        float logp[9];
        bptt_model *m = bptt_trainer_model(t);
        bptt_run *r = run_on(m, (bptt_run_config){.batch = 1, .steps = 1, .keep = 1});
        const unsigned char *bytes, two[] = {words[1], words[2]};
        size_t n;
        bptt_model_vocabulary(m, &bytes, &n);
        const int32_t from = (int32_t)((const unsigned char *)memchr(bytes, two[0], n) - bytes);
        CK_OK(bptt_score(m, two, 2, NULL, NULL, &score, NULL));
        CK_OK(bptt_run_next(r, &from, logp, NULL));
        const double want = -(double)logp[(const unsigned char *)memchr(bytes, two[1], n) - bytes];
        CK_TRUE(fabs(score.loss - want) <= 1e-6 * want, "a score of %g, not %g", score.loss, want);
        bptt_run_close(r);
        bptt_trainer_close(t), bptt_trainer_close(again);
        free(h0), free(g), free(words), unlink(path);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, gradients_are_those_of_each_sequence_alone_from_that_state_modulo_p);
    tcase_add_test(c, gradients_with_keeps_between_0_and_1_are_complex_steps);
    tcase_add_test(c, a_start_has_the_loss_states_and_predictions_of_a_state_that_was_written);
    tcase_add_test(c, the_initial_state_starts_as_zeros_and_draws_nothing);
    tcase_add_test(c, runs_need_keep_and_their_loops_are_not_taken_for_those_of_kernels);
    tcase_add_test(c, a_trainer_learns_the_state_saves_it_and_resumes);
}

int main(void) { return run_suite("learned", add, 60); }
