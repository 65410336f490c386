// Backends in files of their own and the choice of a device: which is taken and why, what is refused in which words,
// what is known of a device, and where the time goes.
#include "backends.h"
#include "host_memory.h"
#include "machine.h"
#include "model.h"
#include "modules.h"
#include "nets.h"
#include "suite.h"

#include <stdio.h>

// ---- made-up devices: `ref` with a list ---------------------------------------------------------------------------

// What a list holds: a letter a device: c a CPU, g a GPU, x a GPU that cannot be used.
static bptt_status list_of(const char *letters, size_t i, bptt_device_info *info, bptt_error *e)
{
    if (i >= strlen(letters))
        return bptt_fail(e, i ? BPTT_BAD_INPUT : BPTT_NO_BACKEND, "no platform: install a driver");
    *info = (bptt_device_info){.number = (unsigned)i, .usable = letters[i] != 'x', .memory = 1 << 30};
    info->kind = letters[i] == 'c' ? BPTT_CPU : BPTT_GPU;
    snprintf(info->device, sizeof info->device, "%s %zu", letters[i] == 'c' ? "Plain CPU" : "Fake Graphics", 100 + i);
    snprintf(info->platform, sizeof info->platform, "Fake 1.2");
    if (letters[i] == 'x') snprintf(info->why_not, sizeof info->why_not, "its driver is too old");
    return BPTT_OK;
}

#define LIST(name, letters) \
    static bptt_status name(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e) \
    { \
        (void)b; \
        return list_of(letters, i, info, e); \
    }
LIST(list_none, "")
LIST(list_cpus, "cc")
LIST(list_all, "cxgg")
LIST(list_bad, "cx")
LIST(list_useless, "xx")

// Opens, and tells the number it was asked to open as its `bits`.
static bptt_status open_told(const bptt_backend *b, const bptt_device_config *c, bptt_device **d, bptt_error *e)
{
    static const char *const number[] = {"0", "1", "2", "3"};
    const bptt_status s = host_open(b, c, d, e);
    for (size_t i = 0; !s && i < 4; i++)
        if (c->device && strcmp(c->device, number[i]) == 0) (*d)->bits = number[i];
    return s;
}

static bptt_status open_broken(const bptt_backend *b, const bptt_device_config *c, bptt_device **d, bptt_error *e)
{
    (void)b, (void)c, (void)d;
    return bptt_fail(e, BPTT_DEVICE, "its compiler is missing: install it");
}

static bptt_status open_full(const bptt_backend *b, const bptt_device_config *c, bptt_device **d, bptt_error *e)
{
    (void)b, (void)c, (void)d;
    return bptt_fail(e, BPTT_NO_MEMORY, "others use all of its memory");
}

static bptt_status open_small(const bptt_backend *b, const bptt_device_config *c, bptt_device **d, bptt_error *e)
{
    const bptt_status s = host_open(b, c, d, e);
    if (!s) (*d)->memory = 100000;
    return s;
}

typedef bptt_status list_function(const bptt_backend *, size_t, bptt_device_info *, bptt_error *);
typedef bptt_status open_function(const bptt_backend *, const bptt_device_config *, bptt_device **, bptt_error *);

static bptt_backend fake(list_function *list, open_function *open)
{
    bptt_backend b = bptt_ref_f32();
    b.name = "fake";
    b.list = list;
    b.open = open;
    return b;
}

// ---- what "auto" means --------------------------------------------------------------------------------------------

START_TEST(a_gpu_is_the_best_and_else_the_cpu_and_why_is_told)
{
    const bptt_backend none = fake(list_none, open_told), cpus = fake(list_cpus, open_told),
                       all = fake(list_all, open_told), bad = fake(list_bad, open_told);
    static const char *const far = "backend opencl is not installed: there is no bptt-opencl.so in /one/folder, "
                                   "/another/folder, /and/one/more/folder/that/is/far/down/in/the/tree";
    const struct {
        const bptt_backend *gpus;
        const char *absent, *backend, *why;
        unsigned number;
    } row[] = {
        {NULL, "the module is gone", "cpu", "no GPU was found: the module is gone", 0},
        {NULL, far, "cpu", "no GPU was found: backend opencl is not installed", 0},
        {&none, NULL, "cpu", "no GPU was found: no platform: install a driver", 0},
        {&cpus, NULL, "cpu", "no GPU was found: backend fake lists none", 0},
        {&bad, NULL, "cpu", "no GPU was found: Fake Graphics 101 cannot be used: its driver is too old", 0},
        {&all, NULL, "fake", "a GPU", 2},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        choice c;
        memset(&c, 0x5A, sizeof c);
        choose_best(row[i].gpus, row[i].absent, &c);
        ck_assert_str_eq(c.b.name, row[i].backend);
        ck_assert_str_eq(c.info.backend, row[i].backend);
        ck_assert_str_eq(c.info.why, row[i].why);
        ck_assert_uint_eq(c.info.number, row[i].number);
        ck_assert(c.ours == (row[i].gpus == &all));
    }
}
END_TEST

START_TEST(the_device_that_was_chosen_is_opened_and_told)
{
    const bptt_backend all = fake(list_all, open_told);
    const bptt_model_config c = net_config(NULL, BPTT_F32, 9, 7, 1);
    bptt_model *m = NULL;
    choice ch;
    bptt_device_info info;
    bptt_model_config got;
    choose_best(&all, NULL, &ch);
    CK_OK(model_open_chosen(&ch, &c, &m, NULL));
    bptt_model_device(m, &info);
    bptt_model_get_config(m, &got);
    ck_assert_str_eq(info.backend, "fake");
    ck_assert_str_eq(info.device, "Fake Graphics 102");
    ck_assert_str_eq(info.platform, "Fake 1.2");
    ck_assert_str_eq(info.bits, "2"); // the number that open was given
    ck_assert_str_eq(info.why, "a GPU");
    ck_assert(info.usable && info.number == 2 && info.kind == BPTT_GPU && info.memory == 1 << 30 && info.threads == 1);
    ck_assert_str_eq(got.backend, "fake");
    ck_assert_str_eq(got.device, "2");
    bptt_model_close(m);
}
END_TEST

START_TEST(a_choice_of_ours_that_does_not_open_gives_way_to_the_cpu)
{
    const bptt_backend broken = fake(list_all, open_broken), full = fake(list_all, open_full);
    const bptt_model_config c = net_config(NULL, BPTT_F32, 9, 7, 1);
    bptt_model *m = NULL;
    bptt_error e = {0};
    bptt_device_info info;
    choice ch;
    choose_best(&broken, NULL, &ch);
    CK_OK(model_open_chosen(&ch, &c, &m, NULL));
    bptt_model_device(m, &info);
    ck_assert_str_eq(info.backend, "cpu");
    ck_assert_str_eq(info.why, "Fake Graphics 102 did not open: its compiler is missing: install it");
    bptt_model_close(m), m = NULL;
    choose_best(&full, NULL, &ch); // memory is something to be told about, not to be worked around
    ck_assert_int_eq(model_open_chosen(&ch, &c, &m, &e), BPTT_NO_MEMORY);
    CK_TRUE(!m && strstr(e.words, "others use all"), "%s", e.words);
    CK_OK(choose_on(&broken, "2", &ch, NULL)); // asked for: no other takes its place
    ck_assert_int_eq(model_open_chosen(&ch, &c, &m, &e), BPTT_DEVICE);
    CK_TRUE(!m && strstr(e.words, "its compiler is missing"), "%s", e.words);
}
END_TEST

START_TEST(double_precision_is_ref_and_says_so)
{
    bptt_model_config c = net_config(NULL, BPTT_F64, 9, 7, 1);
    bptt_model *m = NULL;
    bptt_device_info info;
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_model_device(m, &info);
    ck_assert_str_eq(info.backend, "ref");
    ck_assert_str_eq(info.why, "double precision");
    bptt_model_close(m);
    c.backend = "cpu";
    bptt_error e = {0};
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "ref") != NULL, "%s", e.words);
    c.backend = NULL, c.device = "0"; // a device: that is OpenCL, which has no doubles, if it is there at all
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_BACKEND);
}
END_TEST

// ---- what is asked for --------------------------------------------------------------------------------------------

START_TEST(a_device_is_meant_by_its_number_or_a_part_of_its_name)
{
    const bptt_backend all = fake(list_all, open_told), none = fake(list_none, open_told), ref = bptt_ref_f32();
    static const struct {
        const char *asked;
        int number; // -1: refused, and says this
        const char *says;
    } row[] = {
        {NULL, 2, NULL}, // a GPU before others, the first of them that can be used
        {"0", 0, NULL},
        {"3", 3, NULL},
        {"gRAPHics", 2, NULL},                        // the first is no use
        {"103", -1, "no device \"103\" among its 4"}, // digits are a number, not a name
        {"cs 103", 3, NULL},
        {"fake", 0, NULL}, // all of its platform
        {"1", -1, "Fake Graphics 101, cannot be used: its driver is too old"},
        {"CS 101", -1, "its driver is too old"},
        {"Radeon", -1, "no device \"Radeon\""},
        {"", -1, "no device \"\""},
        {"4294967296", -1, "no device"}, // 2^32
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        choice c = {.info.number = 77};
        bptt_error e = {0};
        const bptt_status s = choose_on(&all, row[i].asked, &c, &e);
        CK_TRUE(s == (row[i].number < 0 ? BPTT_NO_BACKEND : BPTT_OK), "case %zu: %d %s", i, (int)s, e.words);
        ck_assert_int_eq(c.info.number, row[i].number < 0 ? 77 : row[i].number);
        CK_TRUE(!row[i].says || strstr(e.words, row[i].says), "case %zu: %s", i, e.words);
        if (!s) ck_assert_str_eq(c.info.why, "asked for");
    }
    choice c;
    bptt_error e = {0};
    const bptt_backend cpus = fake(list_cpus, open_told), useless = fake(list_useless, open_told);
    CK_OK(choose_on(&cpus, NULL, &c, NULL));
    ck_assert_uint_eq(c.info.number, 0);
    ck_assert_int_eq(choose_on(&useless, NULL, &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "its driver is too old") != NULL, "%s", e.words);
    ck_assert_int_eq(choose_on(&none, NULL, &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "install a driver") != NULL, "%s", e.words);
    CK_OK(choose_on(&ref, "0", &c, NULL));
    ck_assert_int_eq(choose_on(&ref, "1", &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "one device") && strstr(e.words, "bptt devices"), "%s", e.words);
}
END_TEST

START_TEST(the_memory_of_a_device_and_of_the_host_are_two_things)
{
    const size_t all = machine_memory();
    const bptt_backend small = fake(list_all, open_small);
    const bptt_device own = {.backend = small, .memory = 100}, none = {.backend = small};
    CK_OK(memory_has(&own, 100, all, "it", NULL));
    ck_assert_int_eq(memory_has(&own, 101, 0, "it", NULL), BPTT_NO_MEMORY);
    ck_assert_int_eq(memory_has(&own, 0, all + 1, "it", NULL), BPTT_NO_MEMORY);
    CK_OK(memory_has(&none, all - 7, 7, "it", NULL));
    ck_assert_int_eq(memory_has(&none, all - 7, 8, "it", NULL), BPTT_NO_MEMORY);
    ck_assert_int_eq(memory_has(NULL, SIZE_MAX, SIZE_MAX, "it", NULL), BPTT_NO_MEMORY);
}
END_TEST

START_TEST(a_device_of_its_own_memory_is_measured_by_that)
{
    const bptt_backend small = fake(list_all, open_small), broken = fake(list_all, open_broken);
    bptt_model_config c = net_config(NULL, BPTT_F32, 9, 200, 1); // 43809 parameters, four parts: 700 kB
    bptt_model *m = NULL;
    bptt_error e = {0};
    ck_assert_int_eq(bptt_model_open_on(&small, &c, &m, &e), BPTT_NO_MEMORY);
    CK_TRUE(!m && strstr(e.words, small.describe(NULL)) && strstr(e.words, "--hidden"), "%s", e.words);
    c.hidden = 7; // 142 parameters
    CK_OK(bptt_model_open_on(&small, &c, &m, NULL));
    bptt_run *r = NULL;
    ck_assert_int_eq(bptt_run_open(m, &(bptt_run_config){.batch = 65, .steps = 50, .gradient = 1}, &r, &e),
                     BPTT_NO_MEMORY);
    CK_TRUE(!r && strstr(e.words, small.describe(NULL)), "%s", e.words);
    CK_OK(bptt_run_open(m, &(bptt_run_config){.batch = 1, .steps = 1, .gradient = 1}, &r, NULL));
    bptt_run_close(r);
    bptt_model_close(m), m = NULL;
    c.hidden = 65536, c.layers = 64; // more than this machine has, which says nothing about the device
    ck_assert_int_eq(bptt_model_open_on(&broken, &c, &m, &e), BPTT_DEVICE);
    c.backend = "ref";
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_MEMORY);
    CK_TRUE(!m && strstr(e.words, "the machine"), "%s", e.words);
}
END_TEST

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
        CK_OK(bptt_run_open(m, &(bptt_run_config){.batch = 1, .steps = 7, .gradient = 1}, &r, NULL));
        for (int k = 0; k < 5; k++)
            CK_OK(bptt_run_train(r, &(bptt_window){.token = token, .target = token}, 0.01, &report, NULL));
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
        {FAKE_EMPTY, "has no bptt_module, so it is no module of bptt"},
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

// ---- what is known of devices -------------------------------------------------------------------------------------

START_TEST(every_device_is_described_or_says_why_not)
{
    bptt_device_info info = {0};
    size_t n = 0, others = 0;
    bptt_error e = {0};
    for (; !bptt_device_describe(n, &info, &e); n++) {
        CK_TRUE(info.usable ? info.device[0] && info.bits[0] && info.threads > 0 && !info.why_not[0]
                            : info.why_not[0] != '\0',
                "device %zu: %s %s", n, info.backend, info.why_not);
        if (n < 2) ck_assert_str_eq(info.backend, n ? "ref" : "cpu");
        if (n < 2)
            ck_assert(info.usable && info.number == 0 && info.kind == BPTT_CPU && !strcmp(info.bits, "same bits"));
        if (n < 2) ck_assert_uint_eq(info.memory, machine_memory());
        if (strcmp(info.backend, "opencl") == 0) others++;
        ck_assert_uint_lt(n, 100);
    }
    ck_assert_int_eq(e.code, BPTT_BAD_INPUT);
    ck_assert_uint_ge(others, 1); // one row at least, which says why there is none
    ck_assert_uint_eq(n, 2 + others);
}
END_TEST

START_TEST(a_model_says_what_it_runs_on)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 1), got;
    bptt_model *m = NULL;
    bptt_device_info info;
    c.threads = 3, c.device = "0";
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_model_device(m, &info);
    bptt_model_get_config(m, &got);
    ck_assert_str_eq(info.backend, "cpu");
    ck_assert_str_eq(info.why, "asked for");
    ck_assert(info.threads == 3 && info.usable && info.device[0] && !info.platform[0]);
    ck_assert_ptr_null(got.device);
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
    c.lowering = lowering, c.profile = profile;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 33, .steps = 33, .gradient = 1});
    const double start = bptt_seconds();
    for (int k = 0; k < 4; k++) CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
    trained t = {.w = net_part(n.m, BPTT_WEIGHTS), .seconds = bptt_seconds() - start, .n = bptt_model_parameters(n.m)};
    const char *name = NULL;
    double one = 0;
    for (size_t i = 0; !bptt_model_spent(n.m, i, 0, &name, &one, NULL); i++) {
        ck_assert(name && one >= 0);
        if (strcmp(name, "gemm") == 0) ck_assert(profile ? one > 0 : one == 0);
        t.spent += one;
    }
    for (size_t i = 0; !bptt_model_spent(n.m, i, 1, NULL, &one, NULL); i++) continue;
    for (size_t i = 0; !bptt_model_spent(n.m, i, 0, NULL, &one, NULL); i++) ck_assert(one == 0);
    ck_assert_int_eq(bptt_model_spent(n.m, 1000, 0, NULL, NULL, NULL), BPTT_BAD_INPUT);
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
    c.lowering = (bptt_lowering)3;
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_BAD_CONFIG);
    CK_TRUE(!m && strstr(e.words, "lowering"), "%s", e.words);
}
END_TEST

START_TEST(the_rate_of_the_product_is_that_of_the_device_asked_for)
{
    double rate = 0;
    CK_OK(bptt_gemm_rate("cpu", "0", 1, 0.01, &rate, NULL));
    ck_assert(rate > 0 && isfinite(rate));
    rate = -1;
    ck_assert_int_eq(bptt_gemm_rate("cpu", "1", 1, 0.01, &rate, NULL), BPTT_NO_BACKEND);
    ck_assert(rate == -1);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_gpu_is_the_best_and_else_the_cpu_and_why_is_told);
    tcase_add_test(c, the_device_that_was_chosen_is_opened_and_told);
    tcase_add_test(c, a_choice_of_ours_that_does_not_open_gives_way_to_the_cpu);
    tcase_add_test(c, double_precision_is_ref_and_says_so);
    tcase_add_test(c, a_device_is_meant_by_its_number_or_a_part_of_its_name);
    tcase_add_test(c, the_memory_of_a_device_and_of_the_host_are_two_things);
    tcase_add_test(c, a_device_of_its_own_memory_is_measured_by_that);
    tcase_add_test(c, a_module_gives_a_backend_that_computes);
    tcase_add_test(c, a_module_that_cannot_be_used_is_refused_in_words);
    tcase_add_test(c, every_device_is_described_or_says_why_not);
    tcase_add_test(c, a_model_says_what_it_runs_on);
    tcase_add_test(c, a_profile_accounts_for_the_time_and_changes_no_result);
    tcase_add_test(c, lowering_is_taken_by_backends_that_have_none);
    tcase_add_test(c, the_rate_of_the_product_is_that_of_the_device_asked_for);
}

int main(void) { return run_suite("modules", add, 60); }
