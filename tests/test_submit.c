// Submit and collect: submitted windows give the results of synchronous calls; a window that is not finite stops all
// that were submitted after it; calls that are refused while windows are in flight.
#include "model.h"
#include "nets.h"
#include "suite.h"

static const struct {
    const char *backend;
    bptt_type type;
} WHO[] = {{"ref", BPTT_F64}, {"ref", BPTT_F32}, {"cpu", BPTT_F32}};
enum { WHOS = sizeof WHO / sizeof WHO[0], B = 7, T = 5, H = 33, L = 2, STATE = L * B * H };

static void open_net(net *n, size_t who, int optimizer, size_t input)
{
    bptt_model_config c = net_config(WHO[who].backend, WHO[who].type, 9, H, L);
    c.optimizer = (bptt_optimizer)optimizer, c.momentum = 0.5, c.input = input, c.compute.threads = 2;
    net_open(n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1, .keep = 1});
}

// Window k; every third with weights and keeps.
static void take_window(net *n, uint64_t k)
{
    net_random_window(n, 100 + k);
    if (k % 3 == 1) n->w.weight = n->weight, n->w.keep = n->keep;
}

static bool same_report(const bptt_report *a, const bptt_report *b)
{
    return a->loss == b->loss && a->weight == b->weight && a->grad_norm == b->grad_norm;
}

// Weights, moments, count of updates and carried state.
static bool same_nets(net *a, net *b)
{
    snapshot s = snapshot_of(a->m);
    double *h = net_state(a->r, STATE), *g = net_state(b->r, STATE);
    const bool same = snapshot_holds(&s, b->m, true) && same_bits(h, g, STATE);
    free(h), free(g);
    return same;
}

START_TEST(windows_submitted_ahead_give_what_steps_give)
{
    enum { WINDOWS = 7 };
    for (size_t who = first_row(); who < end_row(WHOS); who++)
        for (int o = BPTT_SGD; o <= BPTT_ADAM; o++) {
            net step, ahead;
            open_net(&step, who, o, 0), open_net(&ahead, who, o, 0);
            bptt_report want[WINDOWS], got[WINDOWS];
            for (size_t k = 0; k < WINDOWS; k++) {
                take_window(&step, k);
                CK_OK(bptt_run_train(step.r, &step.w, 0.01 + 0.001 * (double)k, &want[k], NULL));
            }
            for (size_t k = 0; k < WINDOWS; k++) { // each window in the memory of the one before it
                take_window(&ahead, k);
                CK_OK(bptt_run_submit(ahead.r, &ahead.w, 0.01 + 0.001 * (double)k, NULL));
                ck_assert_uint_eq(bptt_model_updates(ahead.m), k + 1);
                if (k > 0) CK_OK(bptt_run_collect(ahead.r, &got[k - 1], NULL));
            }
            CK_OK(bptt_run_collect(ahead.r, &got[WINDOWS - 1], NULL));
            for (size_t k = 0; k < WINDOWS; k++)
                CK_TRUE(same_report(&want[k], &got[k]), "%s: window %zu: loss %.17g, ahead %.17g", WHO[who].backend, k,
                        want[k].loss, got[k].loss);
            ck_assert(same_nets(&step, &ahead));
            net_close(&step), net_close(&ahead);
        }
}
END_TEST

// A window of NaN, then one that would be finite (the state is reset between the two): neither changes anything.
// Afterwards training continues as in a model that never saw them.
START_TEST(after_a_window_that_is_not_finite_nothing_in_flight_changes_anything)
{
    for (size_t who = first_row(); who < end_row(WHOS); who++)
        for (int o = BPTT_SGD; o <= BPTT_ADAM; o++)
            for (int good_first = 0; good_first < 2; good_first++) {
                net n, expected;
                bptt_report r = {.loss = 7};
                bptt_error e = {0};
                open_net(&n, who, o, 2), open_net(&expected, who, o, 2);
                for (int i = 0; i < 2; i++) CK_OK(bptt_run_train(i ? n.r : expected.r, &n.w, 0.01, NULL, NULL));
                if (good_first) CK_OK(bptt_run_train(expected.r, &n.w, 0.01, NULL, NULL));
                if (good_first) CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
                const double kept = n.dense[3];
                n.dense[3] = (double)NAN;
                CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
                n.dense[3] = kept;
                if (good_first) CK_OK(bptt_run_collect(n.r, NULL, NULL));
                CK_OK(bptt_run_reset(n.r, NULL));
                CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
                const uint64_t made = bptt_model_updates(expected.m);
                ck_assert_uint_eq(bptt_model_updates(n.m), made + 2);
                ck_assert_int_eq(bptt_run_collect(n.r, &r, &e), BPTT_NOT_FINITE);
                CK_TRUE(r.loss == 7 && strstr(e.words, "the loss is not finite"), "%s", e.words);
                ck_assert_uint_eq(bptt_model_updates(n.m), made + 1);
                CK_OK(bptt_run_reset(n.r, NULL));
                CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL)); // there is still one in flight: this one is refused too
                for (int i = 0; i < 2; i++) {
                    ck_assert_int_eq(bptt_run_collect(n.r, &r, &e), BPTT_NOT_FINITE);
                    CK_TRUE(r.loss == 7 && strstr(e.words, "an earlier window was not finite"), "%s", e.words);
                }
                snapshot s = snapshot_of(expected.m);
                ck_assert(snapshot_holds(&s, n.m, false));
                for (int i = 0; i < 2; i++) {
                    CK_OK(bptt_run_reset(i ? n.r : expected.r, NULL));
                    for (int k = 0; k < 3; k++) CK_OK(bptt_run_train(i ? n.r : expected.r, &n.w, 0.01, NULL, NULL));
                }
                ck_assert(same_nets(&n, &expected));
                net_close(&n), net_close(&expected);
            }
}
END_TEST

START_TEST(while_windows_are_submitted_the_run_takes_nothing_else)
{
    for (size_t who = first_row(); who < end_row(WHOS); who++) {
        net n, expected;
        float logp[B * 9];
        bptt_report r;
        open_net(&n, who, BPTT_ADAM, 0), open_net(&expected, who, BPTT_ADAM, 0);
        bptt_error e = {0};
        ck_assert_int_eq(bptt_run_collect(n.r, &r, &e), BPTT_BAD_INPUT);
        ck_assert(e.code == BPTT_BAD_INPUT && strstr(e.words, "none to collect"));
        for (int ahead = 1; ahead <= BPTT_SUBMITTED; ahead++) {
            CK_OK(bptt_run_train(expected.r, &n.w, 0.01, NULL, NULL));
            CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
            ck_assert_int_eq(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL), BPTT_BAD_INPUT);
            ck_assert_int_eq(bptt_run_gradient(n.r, &n.w, NULL, NULL), BPTT_BAD_INPUT);
            ck_assert_int_eq(bptt_run_evaluate(n.r, &n.w, NULL, NULL), BPTT_BAD_INPUT);
            ck_assert_int_eq(bptt_run_next(n.r, n.token, logp, &e), BPTT_BAD_INPUT);
            CK_TRUE(strstr(e.words, "bptt_run_collect") != NULL, "%s", e.words);
        }
        ck_assert_int_eq(bptt_run_submit(n.r, &n.w, 0.01, &e), BPTT_BAD_INPUT);
        CK_TRUE(strstr(e.words, "in flight already") != NULL, "%s", e.words);
        CK_OK(bptt_run_collect(n.r, NULL, NULL));
        const int32_t kept = n.target[2];
        n.target[2] = 9;
        ck_assert_int_eq(bptt_run_submit(n.r, &n.w, 0.01, NULL), BPTT_BAD_INPUT);
        n.target[2] = kept;
        ck_assert_int_eq(bptt_run_submit(n.r, &n.w, (double)NAN, NULL), BPTT_BAD_INPUT);
        ck_assert(same_nets(&n, &expected)); // reads wait for what is in flight
        CK_OK(bptt_run_collect(n.r, NULL, NULL));
        ck_assert_int_eq(bptt_run_collect(n.r, NULL, NULL), BPTT_BAD_INPUT);
        ck_assert(same_nets(&n, &expected));
        net_close(&n), net_close(&expected);
    }
}
END_TEST

// Another run of the model sees the result of all submitted updates, and may not submit its own in between.
START_TEST(one_run_of_a_model_is_ahead_at_a_time)
{
    for (size_t who = first_row(); who < end_row(WHOS); who++) {
        net n, expected;
        bptt_run *other = NULL, *expected_run = NULL;
        bptt_report a, b;
        bptt_error e = {0};
        open_net(&n, who, BPTT_ADAM, 0), open_net(&expected, who, BPTT_ADAM, 0);
        CK_OK(bptt_run_open(n.m, &n.rc, &other, NULL));
        CK_OK(bptt_run_open(expected.m, &n.rc, &expected_run, NULL));
        for (int k = 0; k < 2; k++) CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
        for (int k = 0; k < 2; k++) CK_OK(bptt_run_train(expected.r, &n.w, 0.01, NULL, NULL));
        ck_assert_int_eq(bptt_run_submit(other, &n.w, 0.01, &e), BPTT_BAD_INPUT);
        CK_TRUE(strstr(e.words, "another run") != NULL, "%s", e.words);
        ck_assert_int_eq(bptt_run_train(other, &n.w, 0.01, NULL, NULL), BPTT_BAD_INPUT);
        CK_OK(bptt_run_evaluate(other, &n.w, &a, NULL));
        CK_OK(bptt_run_evaluate(expected_run, &n.w, &b, NULL));
        ck_assert(same_report(&a, &b));
        for (int k = 0; k < 2; k++) CK_OK(bptt_run_collect(n.r, NULL, NULL));
        CK_OK(bptt_run_submit(other, &n.w, 0.01, NULL)); // now it is the other's turn
        CK_OK(bptt_run_train(expected_run, &n.w, 0.01, NULL, NULL));
        ck_assert_int_eq(bptt_run_submit(n.r, &n.w, 0.01, NULL), BPTT_BAD_INPUT);
        bptt_run_close(other); // with its window in flight, which counts
        ck_assert_uint_eq(bptt_model_updates(n.m), 3);
        CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
        CK_OK(bptt_run_train(expected.r, &n.w, 0.01, NULL, NULL));
        ck_assert(same_nets(&n, &expected));
        bptt_run_close(expected_run);
        net_close(&n), net_close(&expected);
    }
}
END_TEST

static bptt_status run_fails(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    (void)d, (void)handle, (void)slots;
    return bptt_fail(e, BPTT_DEVICE, "the device is gone");
}

static bptt_status collect_fails(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e)
{
    (void)d, (void)handle, (void)output;
    return bptt_fail(e, BPTT_DEVICE, "the device is gone");
}

// A window that cannot be queued is not submitted; a window that cannot be collected is no update, and is not in
// flight.
START_TEST(a_device_that_fails_leaves_no_window_in_flight)
{
    net n;
    bptt_error e = {0};
    bptt_report r = {.loss = 7};
    bptt_run *other = NULL;
    open_net(&n, 2, BPTT_ADAM, 0);
    CK_OK(bptt_run_open(n.m, &n.rc, &other, NULL));
    bptt_backend *b = &n.m->device->backend, whole = *b;
    CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
    b->run = run_fails;
    ck_assert_int_eq(bptt_run_submit(n.r, &n.w, 0.01, &e), BPTT_DEVICE);
    CK_TRUE(strstr(e.words, "is gone") != NULL, "%s", e.words);
    b->run = whole.run;
    ck_assert_uint_eq(bptt_model_updates(n.m), 1);
    ck_assert_int_eq(bptt_run_collect(n.r, &r, NULL), BPTT_BAD_INPUT);
    for (int k = 0; k < 2; k++) CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
    b->collect = collect_fails;
    for (uint64_t k = 2; k > 0; k--) {
        ck_assert_int_eq(bptt_run_collect(n.r, &r, &e), BPTT_DEVICE);
        ck_assert_uint_eq(bptt_model_updates(n.m), k);
    }
    ck_assert(r.loss == 7);
    ck_assert_int_eq(bptt_run_collect(n.r, &r, NULL), BPTT_BAD_INPUT);
    b->collect = whole.collect;
    CK_OK(bptt_run_submit(other, &n.w, 0.01, NULL));
    CK_OK(bptt_run_collect(other, NULL, NULL));
    bptt_run_close(other);
    net_close(&n);
}
END_TEST

START_TEST(a_run_without_gradient_has_nothing_to_submit)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 1);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4});
    ck_assert_int_eq(bptt_run_submit(n.r, &n.w, 0.01, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL), BPTT_BAD_INPUT);
    CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
    net_close(&n);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, windows_submitted_ahead_give_what_steps_give);
    tcase_add_test(c, after_a_window_that_is_not_finite_nothing_in_flight_changes_anything);
    tcase_add_test(c, while_windows_are_submitted_the_run_takes_nothing_else);
    tcase_add_test(c, one_run_of_a_model_is_ahead_at_a_time);
    tcase_add_test(c, a_device_that_fails_leaves_no_window_in_flight);
    tcase_add_test(c, a_run_without_gradient_has_nothing_to_submit);
}

int main(void) { return run_suite("submit", add, 60); }
