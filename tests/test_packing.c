// Sequences of different lengths in few streams: the placement, what a run with lengths refuses, and the time that it
// saves.
#include "nets.h"
#include "packing.h"
#include "suite.h"

#include <time.h>

// ---- placement ----------------------------------------------------------------------------------

// First-fit decreasing as its definition says it: the longest sequence that is left (of equal ones the first) goes into
// the first stream with room, behind what is there. Returns the number of streams.
static size_t place_by_hand(size_t B, size_t T, const int32_t *length, size_t *stream, size_t *start)
{
    size_t *used = must_alloc(B, sizeof *used), streams = 0;
    bool *done = must_alloc(B, sizeof *done);
    for (size_t k = 0; k < B; k++) {
        size_t longest = B, i = 0;
        for (size_t b = 0; b < B; b++)
            if (!done[b] && (longest == B || length[b] > length[longest])) longest = b;
        done[longest] = true;
        if (length[longest] == 0) continue;
        while (used[i] + (size_t)length[longest] > T) i++;
        stream[longest] = i, start[longest] = used[i];
        used[i] += (size_t)length[longest];
        if (i + 1 > streams) streams = i + 1;
    }
    free(used), free(done);
    return streams;
}

START_TEST(sequences_are_placed_by_first_fit_decreasing)
{
    static const size_t SIZE[][2] = {{1, 1}, {1, 9}, {2, 1}, {7, 9}, {8, 33}, {33, 7}, {65, 100}, {100, 65}};
    uint64_t random = 8;
    for (size_t k = 0; k < sizeof SIZE / sizeof SIZE[0]; k++)
        for (size_t shortest = 0; shortest < 4; shortest++) {
            const size_t B = SIZE[k][0], T = SIZE[k][1];
            const bptt_model_config m = net_config("ref", BPTT_F32, 3, 2, 1);
            const bptt_run_config c = {.batch = B, .steps = T};
            packing p;
            int32_t *length = must_alloc(B, sizeof *length);
            size_t *stream = must_alloc(B, sizeof *stream), *start = must_alloc(B, sizeof *start);
            CK_OK(packing_open(&p, &m, &c, BPTT_F32, NULL));
            for (int again = 0; again < 2; again++) {
                for (size_t b = 0; b < B; b++) length[b] = (int32_t)random_below(&random, T + 1) >> shortest;
                const size_t streams = place_by_hand(B, T, length, stream, start);
                ck_assert_uint_eq(packing_place(&p, length), streams);
                for (size_t b = 0; b < B; b++) {
                    if (length[b] == 0) continue;
                    CK_TRUE((size_t)p.stream[b] == stream[b] && (size_t)p.start[b] == start[b],
                            "sequence %zu of %zu is at %d of stream %d, not %zu of %zu", b, B, (int)p.start[b],
                            (int)p.stream[b], start[b], stream[b]);
                }
            }
            ck_assert_uint_eq(packing_place(&p, NULL), B);
            packing_close(&p);
            free(length), free(stream), free(start);
        }
}
END_TEST

// ---- the interface ------------------------------------------------------------------------------

enum { B = 7, T = 5 };

static net net_of_lengths(int gradient)
{
    const bptt_model_config c = net_config("ref", BPTT_F64, 9, 7, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = gradient, .lengths = 1});
    return n;
}

START_TEST(a_run_with_lengths_refuses_what_it_cannot_do)
{
    net n = net_of_lengths(1);
    double state[2 * (T + 1) * B * 7];
    float logp[9 * B];
    REFUSED(bptt_run_read_state(n.r, state, BPTT_F64, e), BPTT_BAD_INPUT, "opened with lengths");
    REFUSED(bptt_run_write_state(n.r, state, BPTT_F64, e), BPTT_BAD_INPUT, "no state is carried");
    REFUSED(bptt_run_next(n.r, n.token, logp, e), BPTT_BAD_INPUT, "without lengths");
    REFUSED(bptt_run_read(n.r, BPTT_STATES, state, BPTT_F64, e), BPTT_BAD_INPUT, "opened with lengths");
    REFUSED(bptt_run_read(n.r, BPTT_GRAD_STATE, state, BPTT_F64, e), BPTT_BAD_INPUT, "opened with lengths");
    REFUSED(bptt_run_read(n.r, BPTT_GRAD_INPUT, state, BPTT_F64, e), BPTT_BAD_INPUT, "does not store");
    CK_OK(bptt_run_reset(n.r, NULL));
    CK_OK(bptt_run_reset_stream(n.r, 1, NULL));
    bptt_run *r = NULL;
    bptt_run_config c = n.rc;
    c.last_gradient = 1;
    REFUSED(bptt_run_open(n.m, &c, &r, e), BPTT_BAD_CONFIG, "last_gradient does not go with lengths");
    c = n.rc, c.lengths = 2;
    REFUSED(bptt_run_open(n.m, &c, &r, e), BPTT_BAD_CONFIG, "`lengths` is 2, but must be 0 or 1");
    c = n.rc, c.reserved = 1;
    REFUSED(bptt_run_open(n.m, &c, &r, e), BPTT_BAD_CONFIG, "`reserved` of the run is 1");
    ck_assert_ptr_null(r);
    net_close(&n);
}
END_TEST

START_TEST(lengths_out_of_range_are_refused_before_anything_is_computed)
{
    net n = net_of_lengths(1);
    int32_t length[B] = {1, 2, 3, 4, 5, 0, 0};
    float logp[T * B * 9];
    bptt_report got;
    n.w.length = length;
    CK_OK(bptt_run_train(n.r, &n.w, 0.1, &got, NULL));
    ck_assert(got.weight == 15 && bptt_model_updates(n.m) == 1);
    for (int k = 0; k < 2; k++) {
        length[3] = k ? T + 1 : -1;
        const char *why = k ? "length 6 of sequence 3 is not in 0..5" : "length -1 of sequence 3 is not in 0..5";
        REFUSED(bptt_run_evaluate(n.r, &n.w, NULL, e), BPTT_BAD_INPUT, why);
        REFUSED(bptt_run_gradient(n.r, &n.w, NULL, e), BPTT_BAD_INPUT, why);
        REFUSED(bptt_run_submit(n.r, &n.w, 0.1, e), BPTT_BAD_INPUT, why);
        REFUSED(bptt_run_predict(n.r, &n.w, logp, e), BPTT_BAD_INPUT, why);
    }
    length[3] = 4;
    n.token[3 * B + 3] = 9;
    REFUSED(bptt_run_evaluate(n.r, &n.w, NULL, e), BPTT_BAD_INPUT, "token 9 at step 3, row 3");
    length[3] = 3;
    CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
    ck_assert_uint_eq(bptt_model_updates(n.m), 1);
    bptt_run *plain = run_on(n.m, (bptt_run_config){.batch = B, .steps = T, .keep = 1});
    REFUSED(bptt_run_evaluate(plain, &n.w, NULL, e), BPTT_BAD_INPUT, "the run was opened without lengths");
    bptt_run_close(plain);
    memset(length, 0, sizeof length);
    CK_OK(bptt_run_gradient(n.r, &n.w, &got, NULL));
    ck_assert(got.weight == 0 && got.loss == 0 && got.grad_norm == 0);
    net_close(&n);
}
END_TEST

// A state that doubles in each step behind the end of the sequences would overflow, and 0 times its loss is NaN.
START_TEST(what_lies_behind_the_sequences_does_not_grow)
{
    enum { STEPS = 1300 };
    bptt_model_config c = net_config("ref", BPTT_F64, 11, 7, 1);
    double w[11 * 7];
    int32_t length[] = {1, 1};
    bptt_report report;
    net n;
    c.cell = BPTT_RELU;
    net_open(&n, &c, &(bptt_run_config){.batch = 2, .steps = STEPS, .gradient = 1, .lengths = 1});
    for (size_t k = 0; k < sizeof w / sizeof w[0]; k++) w[k] = 2;
    for (size_t i = 0; i < bptt_model_tensors(n.m); i++)
        CK_OK(bptt_model_write(n.m, BPTT_WEIGHTS, i, w, BPTT_F64, NULL));
    n.w.length = length;
    CK_OK(bptt_run_gradient(n.r, &n.w, &report, NULL));
    ck_assert(isfinite(report.grad_norm) && report.weight == 2);
    net_close(&n);
}
END_TEST

// ---- time ---------------------------------------------------------------------------------------

// Time of this process's one thread: other processes do not count.
static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Windows of no padding and of 90 % of it, in turns: medians of five.
START_TEST(nine_tenths_of_padding_save_most_of_the_time)
{
    enum { MANY = 64, STEPS = 60, TIMES = 5 };
    bptt_model_config c = net_config("cpu", BPTT_F32, 65, 128, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = MANY, .steps = STEPS, .gradient = 1, .lengths = 1});
    int32_t length[2][MANY] = {{0}};
    double time[2][TIMES], steps = STEPS;
    for (size_t b = 0; b < MANY; b++) {
        length[0][b] = STEPS;
        length[1][b] = b == 0 ? STEPS : (int32_t)(b * 7 % 10 + 1); // one of all steps, others of 1 to 10
        if (b > 0) steps += length[1][b];
    }
    ck_assert(steps <= 0.11 * MANY * STEPS);
    for (int k = 0; k < 2 * TIMES + 2; k++) {
        n.w.length = length[k % 2];
        const double start = seconds();
        CK_OK(bptt_run_train(n.r, &n.w, 1e-3, NULL, NULL));
        if (k >= 2) time[k % 2][k / 2 - 1] = seconds() - start;
    }
    for (int k = 0; k < 2; k++) qsort(time[k], TIMES, sizeof time[k][0], compare);
    const double part = time[1][TIMES / 2] / time[0][TIMES / 2];
    printf("%.0f %% padding: %.1f %% of the time of none\n", 100 - 100 * steps / (MANY * STEPS), 100 * part);
    CK_TRUE(part < 0.3, "90 %% of padding take %.2f of the time of none", part);
    net_close(&n);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, sequences_are_placed_by_first_fit_decreasing);
    tcase_add_test(c, a_run_with_lengths_refuses_what_it_cannot_do);
    tcase_add_test(c, lengths_out_of_range_are_refused_before_anything_is_computed);
    tcase_add_test(c, what_lies_behind_the_sequences_does_not_grow);
    tcase_add_test(c, nine_tenths_of_padding_save_most_of_the_time);
}

int main(void) { return run_suite("packing", add, 60); }
