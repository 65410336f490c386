// Rows of bptt_layers: the reference for GRU and LSTM, 16-bit numbers, quartiles, errors, the race.
#include "layers.h"
#include "narrow.h"
#include "near.h"
#include "product_f64.h"
#include "suite.h"

// ---- the reference for gru and lstm -------------------------------------------------------------

static float *floats(uint64_t *random, size_t n)
{
    float *x = must_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)random_real(random);
    return x;
}

static problem problem_for(layers_cell cell, size_t H, size_t L, size_t B, size_t T)
{
    uint64_t random = 6;
    const size_t G = cell == LAYERS_LSTM ? 4 : cell == LAYERS_GRU ? 3 : 1;
    problem p = {.cell = cell, .H = H, .L = L, .B = B, .T = T, .G = G, .window = T * B * H, .threads = 1};
    p.weights = L * (2 * G * H * H + 2 * G * H);
    p.x = floats(&random, p.window), p.dy = floats(&random, p.window), p.w = floats(&random, p.weights);
    return p;
}

static void problem_free(problem *p) { free(p->x), free(p->dy), free(p->w); }
static outcome outcome_for(const problem *p)
{
    return (outcome){reals(p->window), reals(p->window), reals(p->weights)};
}
static void outcome_free(outcome *o) { free(o->y), free(o->dx), free(o->dw); }

static double sigma(double x) { return 1 / (1 + exp(-x)); }

// One unit, as PyTorch's manual writes nn.GRU and nn.LSTM.
START_TEST(one_unit_of_gru_and_lstm_is_the_formula_of_the_manual)
{
    problem p = problem_for(LAYERS_GRU, 1, 1, 1, 5);
    outcome o = outcome_for(&p);
    gates_reference(&p, &o);
    const float *w = p.w; // W_ir W_iz W_in, W_hr W_hz W_hn, b_ir b_iz b_in, b_hr b_hz b_hn
    double h = 0, c = 0, want[5];
#define GATE(k, G) ((double)w[k] * (double)p.x[t] + (double)w[2 * G + k] + (double)w[G + k] * h + (double)w[3 * G + k])
    for (size_t t = 0; t < 5; t++) {
        const double r = sigma(GATE(0, 3)), z = sigma(GATE(1, 3));
        const double n = tanh((double)w[2] * (double)p.x[t] + (double)w[8] + r * ((double)w[5] * h + (double)w[11]));
        want[t] = h = (1 - z) * n + z * h;
    }
    CK_NEAR(near_scaled(o.y, want, 5, 1e-14), "gru");
    problem_free(&p), outcome_free(&o);
    p = problem_for(LAYERS_LSTM, 1, 1, 1, 5), o = outcome_for(&p);
    gates_reference(&p, &o);
    w = p.w, h = 0;
    for (size_t t = 0; t < 5; t++) {
        const double i = sigma(GATE(0, 4)), f = sigma(GATE(1, 4)), g = tanh(GATE(2, 4)), out = sigma(GATE(3, 4));
        c = f * c + i * g;
        want[t] = h = out * tanh(c);
    }
    CK_NEAR(near_scaled(o.y, want, 5, 1e-14), "lstm");
    problem_free(&p), outcome_free(&o);
}
END_TEST

static double weighed(const problem *p, outcome *o)
{
    double sum = 0;
    gates_reference(p, o);
    for (size_t i = 0; i < p->window; i++) sum += (double)p->dy[i] * o->y[i];
    return sum;
}

// (f(x + h) - f(x - h)) / 2h with two steps, so that the error goes with h^4.
static double slope(const problem *p, outcome *o, float *at)
{
    double d[2];
    const float kept = *at;
    for (int i = 0; i < 2; i++) {
        const float h = i ? 0x1p-9f : 0x1p-8f, up = kept + h, down = kept - h;
        *at = up;
        const double above = weighed(p, o);
        *at = down;
        d[i] = (above - weighed(p, o)) / ((double)up - (double)down);
        *at = kept;
    }
    return (4 * d[1] - d[0]) / 3;
}

START_TEST(gradients_of_gru_and_lstm_are_slopes_of_their_forward_pass)
{
    for (layers_cell cell = LAYERS_GRU; cell <= LAYERS_LSTM; cell++) {
        problem p = problem_for(cell, 3, 2, 2, 4);
        outcome o = outcome_for(&p), spare = outcome_for(&p);
        double *dx = reals(p.window), *dw = reals(p.weights);
        gates_reference(&p, &o);
        for (size_t i = 0; i < p.window; i++) dx[i] = slope(&p, &spare, &p.x[i]);
        for (size_t i = 0; i < p.weights; i++) dw[i] = slope(&p, &spare, &p.w[i]);
        CK_NEAR(near_scaled(o.dx, dx, p.window, 1e-7), layers_cell_word[cell]);
        CK_NEAR(near_scaled(o.dw, dw, p.weights, 1e-7), layers_cell_word[cell]);
        free(dx), free(dw);
        outcome_free(&o), outcome_free(&spare), problem_free(&p);
    }
}
END_TEST

START_TEST(products_on_all_cores_are_plain_sums)
{
    static const size_t size[][3] = {{1, 1, 1}, {5, 7, 65}, {130, 33, 64}, {257, 100, 200}};
    for (size_t i = 0; i < 4 * 16; i++) {
        const size_t N = size[i % 4][0], K = size[i % 4][1], M = size[i % 4][2], how = i / 4;
        uint64_t random = i;
        double *a = reals(N * K), *b = reals(K * M), *c = reals(N * M), *want = reals(N * M);
        random_reals(&random, 1, a, N * K), random_reals(&random, 1, b, K * M), random_reals(&random, 1, c, N * M);
        const matrix_f64 A = how & 1 ? (matrix_f64){a, 1, N} : (matrix_f64){a, K, 1};
        const matrix_f64 B = how & 2 ? (matrix_f64){b, 1, K} : (matrix_f64){b, M, 1};
        for (size_t r = 0; r < N; r++)
            for (size_t j = 0; j < M; j++) {
                double sum = 0;
                for (size_t k = 0; k < K; k++) sum += A.at[r * A.row + k * A.col] * B.at[k * B.row + j * B.col];
                want[r * M + j] = (how & 4 ? c[r * M + j] : 0) + (how & 8 ? -sum : sum);
            }
        product_f64(N, K, M, A, B, how & 8, how & 4, (matrix_f64){c, M, 1});
        CK_NEAR(near_scaled(c, want, N * M, 1e-13), "product");
        free(a), free(b), free(c), free(want);
    }
}
END_TEST

// ---- 16 bits ------------------------------------------------------------------------------------

// Every 16-bit float survives a round trip; values between two round to the nearer, ties to even.
static void narrows(uint16_t (*to)(float), float (*from)(uint16_t), uint16_t infinite)
{
    for (uint32_t b = 0; b < infinite; b++) {
        const float x = from((uint16_t)b);
        const double next =
            b + 1 == infinite ? 2 * (double)x - (double)from((uint16_t)(b - 1)) : (double)from((uint16_t)(b + 1));
        const float middle = (float)(((double)x + next) / 2), below = nextafterf(middle, 0);
        const uint16_t even = (uint16_t)(b + (b & 1));
        CK_TRUE(to(x) == b && to(-x) == (b | 0x8000), "%#x does not come back", b);
        CK_TRUE(to(middle) == even && to(-middle) == (even | 0x8000), "halfway above %#x", b);
        CK_TRUE(to(below) == b && to(nextafterf(middle, INFINITY)) == b + 1, "beside the middle above %#x", b);
    }
    CK_TRUE(to(INFINITY) == infinite && to(-INFINITY) == (infinite | 0x8000), "infinity");
    CK_TRUE(isnan(from(to(NAN))) && isinf(from(infinite)) && from((uint16_t)(infinite | 0x8000)) < 0, "not numbers");
}

START_TEST(sixteen_bits_round_to_the_nearest_and_come_back)
{
    narrows(to_f16, from_f16, 0x7C00);
    CK_TRUE(from_f16(0x3C00) == 1 && from_f16(1) == 0x1p-24f && from_f16(0x7BFF) == 65504, "values of fp16");
    CK_TRUE(from_bf16(0x3F80) == 1 && from_bf16(0x4049) == 3.140625f && to_bf16(1.00390625f) == 0x3F80, "of bf16");
    for (uint32_t b = 0; b < 0x7F80; b++) CK_TRUE(to_bf16(from_bf16((uint16_t)b)) == b, "%#x does not come back", b);
    for (uint32_t b = 0x80; b < 0x7F7F; b++) {
        const float middle = of_bits(b << 16 | 0x8000);
        CK_TRUE(to_bf16(middle) == b + (b & 1) && to_bf16(of_bits(b << 16 | 0x7FFF)) == b, "around %#x", b);
        CK_TRUE(to_bf16(of_bits(b << 16 | 0x8001)) == b + 1, "above %#x", b);
    }
    CK_TRUE(isnan(from_bf16(to_bf16(NAN))) && to_bf16(INFINITY) == 0x7F80, "not numbers");
}
END_TEST

// ---- numbers of a row ---------------------------------------------------------------------------

START_TEST(quartiles_errors_and_hashes_are_what_they_say)
{
    double x[] = {4, 1, 3, 2}, one[] = {7};
    const quartiles q = quartiles_of(x, 4), single = quartiles_of(one, 1);
    CK_TRUE(q.q1 == 1.75 && q.median == 2.5 && q.q3 == 3.25, "of 1 2 3 4: %g %g %g", q.q1, q.median, q.q3);
    CK_TRUE(single.q1 == 7 && single.median == 7 && single.q3 == 7, "of one");
    const double want[] = {1, -4, 2}, got[] = {1, -3, 2}, gone[] = {1, (double)NAN, 2};
    CK_TRUE(worst_of(got, want, 3) == 0.25 && worst_of(want, want, 3) == 0, "error");
    CK_TRUE(isnan(worst_of(gone, want, 3)), "a NaN must not look close");
    problem p = problem_for(LAYERS_TANH, 2, 1, 1, 1); // tensors of 4, 4, 2, 2
    double reference[12] = {1, 1, 1, 1, 100, 100, 100, 100, 1, 1, 1, 1}, result[12];
    memcpy(result, reference, sizeof result);
    result[11] = 1.5;
    CK_TRUE(worst_tensor(&p, result, reference) == 0.5, "each tensor has its own scale");
    double y[2] = {0}, dx[2] = {0};
    const outcome a = {y, dx, reference}, b = {y, dx, result};
    CK_TRUE(hash_of(&p, &a) != hash_of(&p, &b) && hash_of(&p, &a) == hash_of(&p, &a), "hash");
    problem_free(&p);
}
END_TEST

// By hand for H = 512, B = 64, T = 100, fp32: a step is two nodes, 2*64*512*512 / 60e12 s, 150 cycles.
START_TEST(the_model_of_a_step_is_its_formula)
{
    problem p = problem_for(LAYERS_TANH, 1, 1, 1, 1);
    problem_free(&p);
    p.H = 512, p.B = 64, p.T = 100;
    const double product = 2.0 * 64 * 512 * 512 / 60e12, step = 2 * 1.014e-6 + product + 150 / 1.755e9;
    double want = 100 * step + 1.014e-6 + 100 * product, got = v0_seconds(&p, false);
    CK_NEAR(near_scaled(&got, &want, 1, 1e-12), "forward");
    want = 2 * 100 * step + 4 * (1.014e-6 + 100 * product), got = v0_seconds(&p, true);
    CK_NEAR(near_scaled(&got, &want, 1, 1e-12), "both");
}
END_TEST

// ---- the race --------------------------------------------------------------------------------------

// Contestants that compute nothing: their calls, a letter each, and the part that each refuses.
typedef struct made_up {
    char calls[4000];
    const char *refuses[2]; // "": none; by number of contestant: open, forward, both
    size_t opened;
} made_up;
static made_up made;

static void call(char letter)
{
    const size_t n = strlen(made.calls);
    ck_assert_uint_lt(n + 1, sizeof made.calls);
    made.calls[n] = letter;
}

static bptt_status made_open(const problem *p, const contestant_name *n, void **own, char device[100], bptt_error *e)
{
    (void)p, (void)n, (void)device;
    const size_t i = made.opened++;
    call('o');
    if (strcmp(made.refuses[i], "open") == 0) return bptt_fail(e, BPTT_BAD_CONFIG, "no open");
    *own = &made.refuses[i];
    return BPTT_OK;
}

static bptt_status made_restart(void *own, bptt_error *e)
{
    (void)own, (void)e;
    return BPTT_OK;
}

static bptt_status made_go(void *own, layers_timed what, size_t times, double *seconds, bptt_error *e)
{
    static const char *const word[TIMED] = {"forward", "both", "data", "weights"};
    call(*word[what]);
    if (strcmp(*(const char **)own, word[what]) == 0) return bptt_fail(e, BPTT_BAD_CONFIG, "no %s", word[what]);
    *seconds = (what == FORWARD ? 0.5 : 2) * (double)times;
    return BPTT_OK;
}

static bptt_status made_read(void *own, const outcome *to, bptt_error *e)
{
    (void)own, (void)to, (void)e;
    return BPTT_OK;
}

static void made_close(void *own)
{
    call('c');
    ck_assert_ptr_nonnull(own);
}

static size_t run_race(contestant c[2], const char *first, const char *second, bool one_by_one)
{
    static const contestant_kind kind = {.name = "made up",
                                         .clock = "none",
                                         .timed = 1u << FORWARD | 1u << BOTH,
                                         .open = made_open,
                                         .restart = made_restart,
                                         .go = made_go,
                                         .read = made_read,
                                         .close = made_close};
    const race_rules rules = {.rounds = 2, .seconds = 4, .one_by_one = one_by_one, .json = true};
    problem p = problem_for(LAYERS_TANH, 1, 1, 1, 1);
    outcome o = outcome_for(&p);
    made = (made_up){.refuses = {first, second}};
    memset(c, 0, 2 * sizeof *c);
    c[0].kind = c[1].kind = &kind;
    const size_t ran = race(&rules, c, 2, &p, NULL, &o);
    problem_free(&p), outcome_free(&o);
    return ran;
}

START_TEST(a_contestant_without_a_backward_pass_keeps_its_forward_times)
{
    contestant c[2];
    ck_assert_uint_eq(run_race(c, "both", "", false), 2);
    ck_assert_str_eq(c[0].row.why, "no both");
    ck_assert(c[0].row.times[FORWARD] == 8 && c[0].row.times[BOTH] == 0);
    ck_assert(c[1].row.times[FORWARD] == 8 && c[1].row.times[BOTH] == 2 && !*c[1].row.why);
    for (size_t i = 0; i < 2; i++) ck_assert(c[i].row.ms[FORWARD][0] == 500 && c[i].row.ms[FORWARD][1] == 500);
    ck_assert(c[1].row.ms[BOTH][1] == 2000);
    ck_assert_uint_eq(run_race(c, "forward", "open", false), 0);
    ck_assert_str_eq(c[0].row.why, "no forward");
    ck_assert_str_eq(c[1].row.why, "no open");
    ck_assert(c[0].row.times[FORWARD] == 0 && strcmp(made.calls, "ofco") == 0);
}
END_TEST

START_TEST(one_by_one_a_contestant_is_closed_before_the_next_opens)
{
    contestant c[2];
    ck_assert_uint_eq(run_race(c, "", "", true), 2);
    ck_assert_str_eq(made.calls, "offbbbbfbfbcoffbbbbfbfbc");
    ck_assert_uint_eq(run_race(c, "", "", false), 2);
    ck_assert_str_eq(made.calls, "offbbbboffbbbbfbfbfbfbcc");
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, one_unit_of_gru_and_lstm_is_the_formula_of_the_manual);
    tcase_add_test(c, gradients_of_gru_and_lstm_are_slopes_of_their_forward_pass);
    tcase_add_test(c, products_on_all_cores_are_plain_sums);
    tcase_add_test(c, sixteen_bits_round_to_the_nearest_and_come_back);
    tcase_add_test(c, quartiles_errors_and_hashes_are_what_they_say);
    tcase_add_test(c, the_model_of_a_step_is_its_formula);
    tcase_add_test(c, a_contestant_without_a_backward_pass_keeps_its_forward_times);
    tcase_add_test(c, one_by_one_a_contestant_is_closed_before_the_next_opens);
}

int main(void) { return run_suite("layers row", add, 60); }
