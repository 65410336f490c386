// Choice of a device: the selected device and the reason, the fallback if it does not open, error messages of refusals,
// and the memory check.
#include "backends.h"
#include "host_memory.h"
#include "machine.h"
#include "model.h"
#include "nets.h"
#include "suite.h"

#include <stdio.h>

// ---- made-up devices: `ref` with a list ---------------------------------------------------------------------------

static const char *too_old = "its driver is too old"; // why a device that is no use is none

// Device list from a string, one letter for each device: c a CPU, g a GPU, x an unusable GPU.
static bptt_status list_of(const char *letters, size_t i, bptt_device_info *info, bptt_error *e)
{
    if (i >= strlen(letters))
        return bptt_fail(e, i ? BPTT_BAD_INPUT : BPTT_NO_BACKEND, "no platform: install a driver");
    *info = (bptt_device_info){.number = (unsigned)i, .usable = letters[i] != 'x', .memory = 1 << 30};
    info->kind = letters[i] == 'c' ? BPTT_CPU : BPTT_GPU;
    snprintf(info->device, sizeof info->device, "%s %zu", letters[i] == 'c' ? "Plain CPU" : "Fake Graphics", 100 + i);
    snprintf(info->platform, sizeof info->platform, "Fake 1.2");
    if (letters[i] == 'x') snprintf(info->why_not, sizeof info->why_not, "%s", too_old);
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
LIST(list_useless, "xx")

// Opens, and tells the number it was asked to open as its `bits`.
static bptt_status open_told(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    static const char *const number[] = {"0", "1", "2", "3"};
    const bptt_status s = host_open(b, c, d, e);
    for (size_t i = 0; !s && i < 4; i++)
        if (c->device && strcmp(c->device, number[i]) == 0) (*d)->bits = number[i];
    return s;
}

static bptt_status open_broken(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    (void)b, (void)c, (void)d;
    return bptt_fail(e, BPTT_DEVICE, "its compiler is missing: install it");
}

static bptt_status open_full(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    (void)b, (void)c, (void)d;
    return bptt_fail(e, BPTT_NO_MEMORY, "others use all of its memory");
}

static bptt_status open_small(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    const bptt_status s = host_open(b, c, d, e);
    if (!s) (*d)->memory = 100000;
    return s;
}

typedef bptt_status list_function(const bptt_backend *, size_t, bptt_device_info *, bptt_error *);
typedef bptt_status open_function(const bptt_backend *, const bptt_compute *, bptt_device **, bptt_error *);

static bptt_backend fake(list_function *list, open_function *open)
{
    bptt_backend b = bptt_ref_f32();
    b.name = "fake";
    b.list = list;
    b.open = open;
    return b;
}

// ---- the choice of "auto" -----------------------------------------------------------------------------------------

// Device list of each module, in the letters above; NULL: not installed.
static const char *cuda_lists, *opencl_lists;
static open_function *cuda_opens = open_told, *opencl_opens = open_told;
static unsigned cuda_precisions;
static int opencl_loads;

static bptt_status list_cuda(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e)
{
    (void)b;
    return list_of(cuda_lists, i, info, e);
}

static bptt_status list_opencl(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e)
{
    (void)b;
    const bptt_status s = list_of(opencl_lists, i, info, e);
    if (!s) info->device[0] = 'M'; // Make Graphics
    return s;
}

static bptt_status load_fakes(const char *name, bptt_backend *b, bptt_error *e)
{
    const bool cuda = strcmp(name, "cuda") == 0;
    if (!cuda) opencl_loads++;
    if (!(cuda ? cuda_lists : opencl_lists))
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "backend %s is not installed: there is no bptt-%s.so in /one/folder, /another/folder, "
                         "/and/one/more/folder/that/is/far/down/in/the/tree",
                         name, name);
    *b = fake(cuda ? list_cuda : list_opencl, cuda ? cuda_opens : opencl_opens);
    b->name = cuda ? "cuda" : "opencl";
    b->precisions = cuda ? cuda_precisions : 0;
    return BPTT_OK;
}

static void modules_list(const char *cuda, const char *opencl)
{
    cuda_lists = cuda, opencl_lists = opencl;
    too_old = "its driver is too old";
}

START_TEST(a_gpu_is_the_best_and_cudas_before_opencls_and_why_is_told)
{
    static const struct {
        const char *cuda, *opencl, *backend, *why;
        unsigned number;
        int loads; // of opencl
    } row[] = {
        {NULL, NULL, "cpu", "no GPU was found: cuda is not installed; opencl is not installed", 0, 1},
        {"", NULL, "cpu", "no GPU was found: cuda: no platform: install a driver; opencl is not installed", 0, 1},
        {NULL, "", "cpu", "no GPU was found: cuda is not installed; opencl: no platform: install a driver", 0, 1},
        {NULL, "cc", "cpu", "no GPU was found: cuda is not installed; opencl lists no GPU", 0, 1},
        {"x", "cx", "cpu",
         "no GPU was found: cuda: Fake Graphics 100 cannot be used: its driver is too old; "
         "opencl: Make Graphics 101 cannot be used: its driver is too old",
         0, 1},
        {"xg", "gg", "cuda", "a GPU", 1, 0},
        {"x", "cxgg", "opencl", "a GPU", 2, 1},
        {"", "g", "opencl", "a GPU", 0, 1},
        {NULL, "cxgg", "opencl", "a GPU", 2, 1},
        {"g", NULL, "cuda", "a GPU", 0, 0},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        choice c;
        memset(&c, 0x5A, sizeof c);
        opencl_loads = 0;
        modules_list(row[i].cuda, row[i].opencl);
        CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP32, &c, NULL));
        ck_assert_str_eq(c.b.name, row[i].backend);
        ck_assert_str_eq(c.info.backend, row[i].backend);
        ck_assert_str_eq(c.info.why, row[i].why);
        ck_assert_uint_eq(c.info.number, row[i].number);
        ck_assert(c.automatic == (strcmp(row[i].backend, "cpu") != 0));
        ck_assert_int_eq(opencl_loads, row[i].loads);
    }
}
END_TEST

// However long the reasons are, each has its room.
START_TEST(long_reasons_are_cut_where_they_begin_to_explain)
{
    choice c;
    modules_list("x", "x");
    too_old =
        "its driver is too old: version 1.2.3 of it is what this machine has, and that was made in another age, when "
        "devices were slow and programs were short, and nobody thought of this";
    CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP32, &c, NULL));
    ck_assert_str_eq(c.info.why, "no GPU was found: cuda: Fake Graphics 100 cannot be used; "
                                 "opencl: Make Graphics 100 cannot be used");
    ck_assert_int_eq(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_BF16, &c, NULL), BPTT_NO_BACKEND);
}
END_TEST

START_TEST(a_device_of_no_backend_in_particular_is_looked_for_in_all)
{
    static const struct {
        const char *cuda, *opencl, *asked, *backend, *says; // says: of a refusal, backend NULL
        unsigned number;
    } row[] = {
        {"gg", "gg", "1", "cuda", NULL, 1},
        {"gg", "ggg", "2", "opencl", NULL, 2},
        {"gg", "cgg", "make g", "opencl", NULL, 1},
        {"gx", "gg", "1", "opencl", NULL, 1}, // the usable one
        {NULL, "gg", "1", "opencl", NULL, 1},
        {"gg", NULL, "1", "cuda", NULL, 1},
        {NULL, NULL, "Tesla", NULL, "no device \"Tesla\" was found: cuda is not installed; opencl is not installed", 0},
        {"g", "gg", "Tesla", NULL, "cuda has no device \"Tesla\" among its 1; bptt devices lists them; opencl has no",
         0},
        {"x", NULL, "0", NULL, "Fake Graphics 100, cannot be used: its driver is too old; opencl is not installed", 0},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        choice c = {.info.number = 77};
        bptt_error e = {0};
        modules_list(row[i].cuda, row[i].opencl);
        const bptt_status s = pick_named(load_fakes, row[i].asked, BPTT_PRECISION_FP32, &c, &e);
        ck_assert_int_eq(s, row[i].backend ? BPTT_OK : BPTT_NO_BACKEND);
        CK_TRUE(row[i].backend || strstr(e.words, row[i].says), "case %zu: %s", i, e.words);
        ck_assert_uint_eq(c.info.number, row[i].backend ? row[i].number : 77);
        if (s) continue;
        ck_assert_str_eq(c.b.name, row[i].backend);
        ck_assert_str_eq(c.info.why, "asked for");
        ck_assert(!c.automatic);
    }
}
END_TEST

START_TEST(a_precision_is_looked_for_where_it_is_and_nothing_takes_its_place)
{
    choice c = {0}, other;
    bptt_error e = {0};
    modules_list("xg", "gg"), cuda_precisions = 1u << BPTT_PRECISION_BF16;
    CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_BF16, &c, NULL));
    ck_assert_str_eq(c.b.name, "cuda");
    ck_assert_int_eq(pick_fallback(load_fakes, &c, "it is full of dust", BPTT_PRECISION_BF16, &other, &e),
                     BPTT_NO_BACKEND);
    ck_assert_str_eq(e.words, "it is full of dust");
    CK_OK(pick_named(load_fakes, "g", BPTT_PRECISION_BF16, &c, NULL));
    ck_assert_str_eq(c.b.name, "cuda");
    ck_assert_int_eq(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP16, &c, &e), BPTT_NO_BACKEND);
    ck_assert_str_eq(e.words, "no GPU with precision fp16 was found: cuda has no fp16; opencl has no fp16");
    ck_assert_int_eq(pick_named(load_fakes, "0", BPTT_PRECISION_FP16, &c, &e), BPTT_NO_BACKEND);
    ck_assert_str_eq(e.words, "no device \"0\" was found: cuda has no fp16; opencl has no fp16");
    modules_list(NULL, "gg");
    ck_assert_int_eq(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_BF16, &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "bf16 was found: cuda is not installed") && strstr(e.words, "; opencl has no bf16"), "%s",
            e.words);
}
END_TEST

START_TEST(backends_refuse_a_precision_that_they_have_not)
{
    static const char *const name[] = {"cpu", "ref"};
    bptt_model *m = NULL;
    bptt_error e = {0};
    double rate = 7;
    for (int p = BPTT_PRECISION_TF32; p <= BPTT_PRECISION_FP16; p++)
        for (int i = 0; i < 3; i++) {
            bptt_model_config c = net_config(i < 2 ? name[i] : NULL, i < 2 ? BPTT_F32 : BPTT_F64, 9, 7, 1);
            c.compute.precision = (bptt_precision)p;
            ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_BACKEND);
            CK_TRUE(!m && strstr(e.words, "has no precision ") && strstr(e.words, "backend cuda"), "%s", e.words);
            ck_assert_int_eq(bptt_gemm_rate(&c.compute, 0.01, &rate, NULL), BPTT_NO_BACKEND);
            ck_assert(rate == 7);
        }
    const bptt_backend all = fake(list_all, open_told), ref = bptt_ref_f32();
    bptt_model_config c = net_config("ref", BPTT_F32, 9, 7, 1);
    for (int p = -1; p <= 4; p += 5) {
        c.compute.precision = (bptt_precision)p;
        ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_BAD_CONFIG);
        CK_TRUE(!m && strstr(e.words, "precision"), "%s", e.words);
        ck_assert_int_eq(bptt_model_open_on(&ref, &c, &m, &e), BPTT_BAD_CONFIG);
        ck_assert_int_eq(bptt_gemm_rate(&c.compute, 0.01, &rate, NULL), BPTT_BAD_CONFIG);
    }
    c.compute.precision = BPTT_PRECISION_BF16, c.compute.device = NULL;
    ck_assert_int_eq(bptt_model_open_on(&all, &c, &m, &e), BPTT_NO_BACKEND);
    ck_assert_ptr_null(m);
}
END_TEST

START_TEST(the_device_that_was_chosen_is_opened_and_told)
{
    const bptt_model_config c = net_config(NULL, BPTT_F32, 9, 7, 1);
    bptt_model *m = NULL;
    choice ch;
    bptt_device_info info;
    bptt_model_config got;
    modules_list("cxgg", NULL);
    CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP32, &ch, NULL));
    CK_OK(model_open_chosen(&ch, &c, &m, NULL));
    bptt_model_device(m, &info);
    bptt_model_get_config(m, &got);
    ck_assert_str_eq(info.backend, "cuda");
    ck_assert_str_eq(info.device, "Fake Graphics 102");
    ck_assert_str_eq(info.platform, "Fake 1.2");
    ck_assert_str_eq(info.bits, "2"); // the number that open was given
    ck_assert_str_eq(info.why, "a GPU");
    ck_assert(info.usable && info.number == 2 && info.kind == BPTT_GPU && info.memory == 1 << 30 && info.threads == 1);
    ck_assert_str_eq(got.compute.backend, "cuda");
    ck_assert_str_eq(got.compute.device, "2");
    bptt_model_close(m);
}
END_TEST

START_TEST(a_choice_of_ours_that_does_not_open_gives_way_to_the_next)
{
    choice ch, next;
    modules_list("g", "xg");
    CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP32, &ch, NULL));
    CK_OK(pick_fallback(load_fakes, &ch, "its compiler is missing: install it", BPTT_PRECISION_FP32, &next, NULL));
    ck_assert_str_eq(next.b.name, "opencl");
    ck_assert_str_eq(next.info.why, "Fake Graphics 100 did not open: its compiler is missing: install it");
    ck_assert(next.automatic && next.info.number == 1);
    CK_OK(pick_fallback(load_fakes, &next, "so is this one's", BPTT_PRECISION_FP32, &ch, NULL));
    ck_assert_str_eq(ch.b.name, "cpu");
    ck_assert_str_eq(ch.info.why, "Make Graphics 101 did not open: so is this one's");
    ck_assert(!ch.automatic);
}
END_TEST

// On opencl: nothing of it comes after.
START_TEST(a_choice_of_ours_that_does_not_open_gives_way_to_the_cpu)
{
    const bptt_backend broken = fake(list_all, open_broken);
    const bptt_model_config c = net_config(NULL, BPTT_F32, 9, 7, 1);
    bptt_model *m = NULL;
    bptt_error e = {0};
    bptt_device_info info;
    choice ch;
    modules_list(NULL, "cxgg"), opencl_opens = open_broken;
    CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP32, &ch, NULL));
    CK_OK(model_open_chosen(&ch, &c, &m, NULL));
    bptt_model_device(m, &info);
    ck_assert_str_eq(info.backend, "cpu");
    ck_assert_str_eq(info.why, "Make Graphics 102 did not open: its compiler is missing: install it");
    bptt_model_close(m), m = NULL;
    opencl_opens = open_full;
    CK_OK(pick_gpu_or_cpu(load_fakes, BPTT_PRECISION_FP32, &ch, NULL)); // memory is something to be told about
    ck_assert_int_eq(model_open_chosen(&ch, &c, &m, &e), BPTT_NO_MEMORY);
    CK_TRUE(!m && strstr(e.words, "others use all"), "%s", e.words);
    CK_OK(pick_on_backend(&broken, "2", &ch, NULL)); // asked for: no other takes its place
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
    c.compute.backend = "cpu";
    bptt_error e = {0};
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "ref") != NULL, "%s", e.words);
    c.compute.backend = NULL, c.compute.device = "0"; // a device: that is cuda's or opencl's, which have no doubles
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_BACKEND);
}
END_TEST

// ---- explicit choices ---------------------------------------------------------------------------------------------

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
        const bptt_status s = pick_on_backend(&all, row[i].asked, &c, &e);
        CK_TRUE(s == (row[i].number < 0 ? BPTT_NO_BACKEND : BPTT_OK), "case %zu: %d %s", i, (int)s, e.words);
        ck_assert_int_eq(c.info.number, row[i].number < 0 ? 77 : row[i].number);
        CK_TRUE(!row[i].says || strstr(e.words, row[i].says), "case %zu: %s", i, e.words);
        if (!s) ck_assert_str_eq(c.info.why, "asked for");
    }
    choice c;
    bptt_error e = {0};
    const bptt_backend cpus = fake(list_cpus, open_told), useless = fake(list_useless, open_told);
    CK_OK(pick_on_backend(&cpus, NULL, &c, NULL));
    ck_assert_uint_eq(c.info.number, 0);
    ck_assert_int_eq(pick_on_backend(&useless, NULL, &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "its driver is too old") != NULL, "%s", e.words);
    ck_assert_int_eq(pick_on_backend(&none, NULL, &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "install a driver") != NULL, "%s", e.words);
    CK_OK(pick_on_backend(&ref, "0", &c, NULL));
    ck_assert_int_eq(pick_on_backend(&ref, "1", &c, &e), BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "one device") && strstr(e.words, "bptt devices"), "%s", e.words);
}
END_TEST

START_TEST(the_memory_of_a_device_and_of_the_host_are_two_things)
{
    const size_t all = machine_memory();
    const bptt_backend small = fake(list_all, open_small);
    const bptt_device own = {.backend = small, .memory = 100}, none = {.backend = small};
    CK_OK(check_memory(&own, 100, all, "it", NULL));
    ck_assert_int_eq(check_memory(&own, 101, 0, "it", NULL), BPTT_NO_MEMORY);
    ck_assert_int_eq(check_memory(&own, 0, all + 1, "it", NULL), BPTT_NO_MEMORY);
    CK_OK(check_memory(&none, all - 7, 7, "it", NULL));
    ck_assert_int_eq(check_memory(&none, all - 7, 8, "it", NULL), BPTT_NO_MEMORY);
    ck_assert_int_eq(check_memory(NULL, SIZE_MAX, SIZE_MAX, "it", NULL), BPTT_NO_MEMORY);
}
END_TEST

START_TEST(a_device_of_its_own_memory_is_measured_by_that)
{
    const bptt_backend small = fake(list_all, open_small), broken = fake(list_all, open_broken);
    bptt_model_config c = net_config(NULL, BPTT_F32, 9, 200, 1); // 43809 parameters, four parts: 700 kB
    bptt_model *m = NULL;
    bptt_error e = {0};
    ck_assert_int_eq(bptt_model_open_on(&small, &c, &m, &e), BPTT_NO_MEMORY);
    CK_TRUE(!m && strstr(e.words, small.describe(NULL)) && strstr(e.words, "lower `hidden`"), "%s", e.words);
    c.hidden = 7; // 142 parameters
    CK_OK(bptt_model_open_on(&small, &c, &m, NULL));
    bptt_run *r = NULL;
    ck_assert_int_eq(
        bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 65, .steps = 50, .gradient = 1},
                      &r, &e),
        BPTT_NO_MEMORY);
    CK_TRUE(!r && strstr(e.words, small.describe(NULL)), "%s", e.words);
    CK_OK(bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 1, .steps = 1, .gradient = 1},
                        &r, NULL));
    bptt_run_close(r);
    bptt_model_close(m), m = NULL;
    c.hidden = 65536, c.layers = 64; // more than this machine has, which says nothing about the device
    ck_assert_int_eq(bptt_model_open_on(&broken, &c, &m, &e), BPTT_DEVICE);
    c.compute.backend = "ref";
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_NO_MEMORY);
    CK_TRUE(!m && strstr(e.words, "the machine"), "%s", e.words);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_gpu_is_the_best_and_cudas_before_opencls_and_why_is_told);
    tcase_add_test(c, long_reasons_are_cut_where_they_begin_to_explain);
    tcase_add_test(c, a_device_of_no_backend_in_particular_is_looked_for_in_all);
    tcase_add_test(c, a_precision_is_looked_for_where_it_is_and_nothing_takes_its_place);
    tcase_add_test(c, backends_refuse_a_precision_that_they_have_not);
    tcase_add_test(c, the_device_that_was_chosen_is_opened_and_told);
    tcase_add_test(c, a_choice_of_ours_that_does_not_open_gives_way_to_the_next);
    tcase_add_test(c, a_choice_of_ours_that_does_not_open_gives_way_to_the_cpu);
    tcase_add_test(c, double_precision_is_ref_and_says_so);
    tcase_add_test(c, a_device_is_meant_by_its_number_or_a_part_of_its_name);
    tcase_add_test(c, the_memory_of_a_device_and_of_the_host_are_two_things);
    tcase_add_test(c, a_device_of_its_own_memory_is_measured_by_that);
}

int main(void) { return run_suite("choice", add, 60); }
