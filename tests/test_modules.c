// Backend modules: loading, refusals and their messages; device descriptions; profiles.
#include "backends.h"
#include "host_memory.h"
#include "machine.h"
#include "model.h"
#include "modules.h"
#include "nets.h"
#include "suite.h"

#include <stdio.h>

// ---- modules ------------------------------------------------------------------------------------------------------

static bptt_status load(const char *path, bptt_backend *b, bptt_error *e)
{
    *e = (bptt_error){0};
    return module_load_file(path, "opencl", b, e);
}

START_TEST(a_module_gives_a_backend_that_computes)
{
    bptt_backend b;
    bptt_error e;
    bptt_status s = load(FAKE_GOOD, &b, &e);
    CK_TRUE(s == BPTT_OK, "%s", e.words);
    ck_assert_str_eq(b.name, "opencl");
    double loss[2];
    for (int i = 0; i < 2; i++) {
        const bptt_backend ref = bptt_ref_f32();
        const bptt_model_config c = net_config(NULL, BPTT_F32, 33, 50, 2);
        int32_t token[7] = {1, 2, 3, 4, 5, 6, 7};
        bptt_model *m = NULL;
        bptt_run *r = NULL;
        bptt_report report = {0};
        CK_OK(bptt_model_open_on(i ? &b : &ref, &c, &m, NULL));
        CK_OK(bptt_run_open(
            m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 1, .steps = 7, .gradient = 1}, &r, NULL));
        for (int k = 0; k < 5; k++)
            CK_OK(bptt_run_train(r, &(bptt_window){.size = sizeof(bptt_window), .token = token, .target = token}, 0.01,
                                 &report, NULL));
        loss[i] = report.loss;
        bptt_run_close(r);
        bptt_model_close(m);
    }
    ck_assert(loss[0] == loss[1]);
}
END_TEST

START_TEST(a_module_that_cannot_be_used_is_refused_in_words)
{
    static const struct {
        const char *path, *says;
    } row[] = {
        {FAKE_LATER, "it was built for version"},
        {FAKE_EMPTY, "has no bptt_module, so it is not a module of bptt"},
        {FAKE_OTHER, "is the module of backend abacus, not of opencl"},
        {TEST_ROOT "/README.md", "cannot be loaded"},
        {"/nosuch/bptt-opencl.so", "cannot be loaded"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_backend b = {.name = "untouched"};
        bptt_error e;
        ck_assert_int_eq(load(row[i].path, &b, &e), BPTT_NO_BACKEND);
        CK_TRUE(strstr(e.words, row[i].says) && strstr(e.words, "opencl"), "case %zu: %s", i, e.words);
        ck_assert_str_eq(b.name, "untouched");
    }
    bptt_backend b;
    bptt_error e = {0};
    ck_assert_int_eq(module_load("nosuch", &b, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "backend nosuch is not installed: there is no bptt-nosuch.so in /"), "%s", e.words);
    CK_TRUE(strstr(e.words, "/bptt"), "%s", e.words);
}
END_TEST

// ---- device descriptions ------------------------------------------------------------------------------------------

START_TEST(every_device_is_described_or_says_why_not)
{
    bptt_device_info info = {0};
    size_t n = 0, cuda = 0, opencl = 0;
    bptt_error e = {0};
    for (; !bptt_device_describe(n, &info, &e); n++) {
        CK_TRUE(info.usable ? info.device[0] && info.bits[0] && info.threads > 0 && !info.why_not[0]
                            : info.why_not[0] != '\0',
                "device %zu: %s %s", n, info.backend, info.why_not);
        if (n < 2) ck_assert_str_eq(info.backend, n ? "ref" : "cpu");
        if (n < 2)
            ck_assert(info.usable && info.number == 0 && info.kind == BPTT_CPU && !strcmp(info.bits, "same bits"));
        if (n < 2) ck_assert_uint_eq(info.memory, machine_memory());
        if (strcmp(info.backend, "cuda") == 0) cuda++;
        if (strcmp(info.backend, "opencl") == 0) opencl++;
        if (n >= 2 && opencl == 0) ck_assert_uint_eq(n, 1 + cuda); // the preferred ones first
        ck_assert_uint_lt(n, 100);
    }
    ck_assert_int_eq(e.code, BPTT_BAD_INPUT);
    ck_assert(cuda > 0 && opencl > 0); // one row at least, which says why there is none
    ck_assert_uint_eq(n, 2 + cuda + opencl);
}
END_TEST

START_TEST(a_model_says_what_it_runs_on)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 1), got;
    bptt_model *m = NULL;
    bptt_device_info info;
    c.compute.threads = 3, c.compute.device = "0";
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_model_device(m, &info);
    bptt_model_get_config(m, &got);
    ck_assert_str_eq(info.backend, "cpu");
    ck_assert_str_eq(info.why, "asked for");
    ck_assert(info.threads == 3 && info.usable && info.device[0] && !info.platform[0]);
    ck_assert_ptr_null(got.compute.device);
    bptt_model_close(m);
}
END_TEST

// ---- flags that change no result ----------------------------------------------------------------------------------

typedef struct trained {
    double *w, seconds, spent;
    size_t n;
} trained;

static trained train(const char *backend, bptt_lowering lowering, int profile)
{
    bptt_model_config c = net_config(backend, BPTT_F32, 65, 65, 2);
    c.compute.lowering = lowering, c.compute.profile = profile;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 33, .steps = 33, .gradient = 1});
    const double start = bptt_seconds();
    for (int k = 0; k < 4; k++) CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
    trained t = {.w = net_part(n.m, BPTT_WEIGHTS), .seconds = bptt_seconds() - start, .n = bptt_model_parameters(n.m)};
    const char *name = NULL;
    double one = 0;
    for (size_t i = 0; !bptt_model_profile(n.m, i, 0, &name, &one, NULL); i++) {
        ck_assert(name && one >= 0);
        if (strcmp(name, "gemm") == 0) ck_assert(profile ? one > 0 : one == 0);
        t.spent += one;
    }
    for (size_t i = 0; !bptt_model_profile(n.m, i, 1, NULL, &one, NULL); i++) continue;
    for (size_t i = 0; !bptt_model_profile(n.m, i, 0, NULL, &one, NULL); i++) ck_assert(one == 0);
    ck_assert_int_eq(bptt_model_profile(n.m, 1000, 0, NULL, NULL, NULL), BPTT_BAD_INPUT);
    net_close(&n);
    return t;
}

// The parts lie one after the other in the time of the whole, so they cannot be more; that they are most of it may fail
// when the machine is busy, so several attempts.
START_TEST(a_profile_accounts_for_the_time_and_changes_no_result)
{
    static const char *const backend[] = {"ref", "cpu"};
    for (int i = 0; i < 2; i++) {
        const trained plain = train(backend[i], BPTT_LOWER_AUTO, 0);
        ck_assert(plain.spent == 0);
        double best = 0;
        for (int k = 0; k < 10 && best < 0.8; k++) {
            const trained t = train(backend[i], BPTT_LOWER_AUTO, 1);
            ck_assert(same_bits(plain.w, t.w, t.n));
            CK_TRUE(t.spent > 0 && t.spent <= t.seconds, "%s: %g of %g s", backend[i], t.spent, t.seconds);
            if (t.spent / t.seconds > best) best = t.spent / t.seconds;
            free(t.w);
        }
        CK_TRUE(best >= 0.8, "%s: only %g of the time is accounted for", backend[i], best);
        free(plain.w);
    }
}
END_TEST

START_TEST(lowering_is_taken_by_backends_that_have_none)
{
    const trained plain = train("cpu", BPTT_LOWER_NEVER, 0), t = train("cpu", BPTT_LOWER_ALWAYS, 0);
    ck_assert(same_bits(plain.w, t.w, t.n));
    free(plain.w), free(t.w);
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 1);
    bptt_model *m = NULL;
    bptt_error e = {0};
    c.compute.lowering = (bptt_lowering)3;
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_BAD_CONFIG);
    CK_TRUE(!m && strstr(e.words, "lowering"), "%s", e.words);
}
END_TEST

START_TEST(the_rate_of_the_product_is_that_of_the_device_asked_for)
{
    double rate = 0;
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.compute.backend = "cpu", c.compute.device = "0", c.compute.threads = 1;
    CK_OK(bptt_gemm_rate(&c.compute, 0.01, &rate, NULL));
    ck_assert(rate > 0 && isfinite(rate));
    rate = -1;
    c.compute.device = "1";
    ck_assert_int_eq(bptt_gemm_rate(&c.compute, 0.01, &rate, NULL), BPTT_NO_BACKEND);
    ck_assert(rate == -1);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_module_gives_a_backend_that_computes);
    tcase_add_test(c, a_module_that_cannot_be_used_is_refused_in_words);
    tcase_add_test(c, every_device_is_described_or_says_why_not);
    tcase_add_test(c, a_model_says_what_it_runs_on);
    tcase_add_test(c, a_profile_accounts_for_the_time_and_changes_no_result);
    tcase_add_test(c, lowering_is_taken_by_backends_that_have_none);
    tcase_add_test(c, the_rate_of_the_product_is_that_of_the_device_asked_for);
}

int main(void) { return run_suite("modules", add, 60); }
