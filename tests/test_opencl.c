// The OpenCL backend on a real device: device selection, transfers, plans, profile.
#include "fake_cl.h"
#include "opencl_rig.h"

#include <dlfcn.h>
#include <time.h>

// ---- device selection ---------------------------------------------------------------------------

START_TEST(every_device_is_listed_under_its_number)
{
    const bptt_backend b = bptt_opencl();
    bptt_device_info info;
    size_t n = 0;
    for (; b.list(&b, n, &info, NULL) == BPTT_OK; n++) {
        CK_TRUE(info.number == n && strcmp(info.backend, "opencl") == 0, "row %zu is %s %u", n, info.backend,
                info.number);
        CK_TRUE(info.device[0] && info.platform[0] && info.memory > 0, "device %zu has no name or no memory", n);
        CK_TRUE(info.usable == (info.why_not[0] == '\0'), "device %zu: %s", n, info.why_not);
    }
    ck_assert_uint_gt(n, 0);
    CK_FAILS(b.list(&b, n, &info, error), BPTT_BAD_INPUT, "there is no OpenCL device");
}
END_TEST

START_TEST(a_device_is_chosen_by_number_by_name_or_by_itself)
{
    cl_api api = fake_api();
    bptt_device_info info, chosen;
    cl_platform_id platform;
    cl_device_id id;
    CK_DONE(cl_list(&api, 0, &info, NULL, NULL, error));
    char part[8] = {0}, upper[8] = {0};
    memcpy(part, info.device + 2, 5);
    for (size_t i = 0; i < 5; i++) upper[i] = (char)(part[i] >= 'a' && part[i] <= 'z' ? part[i] - 32 : part[i] + 0);
    const char *const wish[] = {NULL, "0", "00", part, upper, info.device, info.platform};
    for (size_t i = 0; i < sizeof wish / sizeof wish[0]; i++) {
        CK_DONE(cl_choose(&api, wish[i], &chosen, &platform, &id, error));
        ck_assert_str_eq(chosen.device, info.device);
    }
    char listed[40];
    snprintf(listed, sizeof listed, "there is: 0 %.20s", info.device);
    CK_FAILS(cl_choose(&api, "977", &chosen, &platform, &id, error), BPTT_NO_BACKEND, listed);
    CK_FAILS(cl_choose(&api, "no such thing", &chosen, &platform, &id, error), BPTT_NO_BACKEND, "no such thing");
    CK_FAILS(cl_choose(&api, "no such thing", &chosen, &platform, &id, error), BPTT_NO_BACKEND, listed);
    CK_FAILS(cl_choose(&api, "0x", &chosen, &platform, &id, error), BPTT_NO_BACKEND, "0x");
}
END_TEST

// Argument and result of a thread that opens a device.
typedef struct opening {
    const cl_setup *setup;
    bptt_device *d;
    bptt_error e;
} opening;

static void *open_one(void *given)
{
    opening *o = given;
    const bptt_backend b = bptt_opencl();
    (void)cl_open_with(o->setup, &b, &(bptt_compute){0}, &o->d, &o->e);
    return NULL;
}

START_TEST(devices_are_opened_by_several_threads_at_once)
{
    enum { THREADS = 4 };
    size_t size = 0;
    char *text = small_text(&size);
    const cl_setup setup = {.text = text, .text_size = size, .cache = ""};
    opening o[THREADS];
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        o[i] = (opening){.setup = &setup};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, open_one, &o[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        CK_TRUE(o[i].d != NULL, "thread %zu: %s", i, o[i].e.words);
        close_device(o[i].d);
    }
    free(text);
}
END_TEST

START_TEST(what_kernels_cannot_count_is_refused)
{
    size_t size = 0;
    char *text = small_text(&size);
    bptt_device *d = open_device(&(cl_setup){.text = text, .text_size = size}, &(bptt_compute){0});
    bptt_buf *b = must_have(d, 64);
    bptt_op s = {.opcode = BPTT_SUMSQ, .arg = {tight(b, 1, (size_t)1 << 32, BPTT_F32), tight(b, 1, 1, BPTT_F32)}};
    const bptt_plan p = {.op = &s, .ops = 1, .room = 1};
    void *handle = NULL;
    CK_FAILS(d->backend.prepare(d, &p, &handle, error), BPTT_BAD_CONFIG, "4294967295");
    ck_assert_ptr_null(handle);
    d->backend.free(d, b);
    close_device(d);
    free(text);
}
END_TEST

START_TEST(the_module_needs_no_opencl_to_load_and_shows_one_function)
{
    void *module = dlopen(TEST_MODULE, RTLD_NOW | RTLD_LOCAL);
    CK_TRUE(module != NULL, "%s", dlerror());
    bptt_module_function *entry = NULL;
    *(void **)&entry = dlsym(module, BPTT_MODULE_SYMBOL);
    ck_assert(entry != NULL);
    bptt_backend b = {0};
    CK_DONE(entry(&BPTT_ABI_HERE, &b, error));
    bptt_device_info info;
    CK_DONE(b.list(&b, 0, &info, error));
    static const char *const hidden[] = {"bptt_opencl", "bptt_fail", "cl_api_load", "launches_of", "cl_program_text"};
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        CK_TRUE(dlsym(module, hidden[i]) == NULL, "%s shows", hidden[i]);
    dlclose(module);
}
END_TEST

// Three devices that do not exist, of kinds that the test sets.
static cl_device_type kind_of[3];
static bool missing[3];
static int device_of[3];

static cl_int one_platform(cl_uint n, cl_platform_id *p, cl_uint *found)
{
    (void)n;
    *found = 1;
    return fake_real.GetPlatformIDs(1, p, NULL);
}

static cl_int three_devices(cl_platform_id p, cl_device_type t, cl_uint n, cl_device_id *id, cl_uint *found)
{
    (void)p, (void)t;
    for (cl_uint i = 0; i < 3 && i < n; i++) id[i] = (cl_device_id)(void *)&device_of[i];
    *found = 3;
    return CL_SUCCESS;
}

static cl_int about_three(cl_device_id id, cl_device_info what, size_t n, void *out, size_t *bytes)
{
    const size_t i = (size_t)((int *)(void *)id - device_of);
    const cl_bool yes = what != CL_DEVICE_AVAILABLE || !missing[i];
    const cl_device_fp_config floats = CL_FP_ROUND_TO_NEAREST | CL_FP_INF_NAN;
    const char *text = what == CL_DEVICE_VERSION   ? "OpenCL 1.2 test"
                       : what == CL_DEVICE_PROFILE ? "FULL_PROFILE"
                       : what == CL_DEVICE_NAME    ? (i == 0   ? "first"
                                                      : i == 1 ? "second"
                                                               : "third")
                                                   : NULL;
    memset(out, 0, n);
    if (text) {
        strcpy(out, text);
        *bytes = strlen(text) + 1;
    } else if (what == CL_DEVICE_TYPE)
        memcpy(out, &kind_of[i], sizeof kind_of[i]);
    else if (what == CL_DEVICE_SINGLE_FP_CONFIG)
        memcpy(out, &floats, sizeof floats);
    else if (n == sizeof yes)
        memcpy(out, &yes, sizeof yes);
    return CL_SUCCESS;
}

START_TEST(a_gpu_comes_before_an_accelerator_before_a_processor)
{
    static const cl_device_type C = CL_DEVICE_TYPE_CPU, G = CL_DEVICE_TYPE_GPU, A = CL_DEVICE_TYPE_ACCELERATOR;
    const struct {
        cl_device_type kind[3];
        bool missing[3];
        unsigned number;
    } cases[] = {
        {{C, A, G}, {0, 0, 0}, 2}, {{C, A, G}, {0, 0, 1}, 1}, {{C, A, G}, {0, 1, 1}, 0},
        {{G, G, C}, {0, 0, 0}, 0}, {{G, G, C}, {1, 0, 0}, 1}, {{A, C, C}, {1, 1, 0}, 2},
    };
    cl_api api = fake_api();
    api.GetPlatformIDs = one_platform;
    api.GetDeviceIDs = three_devices;
    api.GetDeviceInfo = about_three;
    bptt_device_info info;
    cl_platform_id platform;
    cl_device_id id;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(kind_of, cases[i].kind, sizeof kind_of);
        memcpy(missing, cases[i].missing, sizeof missing);
        CK_DONE(cl_choose(&api, NULL, &info, &platform, &id, error));
        CK_TRUE(info.number == cases[i].number, "case %zu: device %u", i, info.number);
    }
    memset(missing, true, sizeof missing);
    CK_FAILS(cl_choose(&api, NULL, &info, &platform, &id, error), BPTT_NO_BACKEND, "2 third (not usable)");
    CK_FAILS(cl_choose(&api, "SEC", &info, &platform, &id, error), BPTT_NO_BACKEND, "device 1, second, cannot be used");
    CK_FAILS(cl_choose(&api, "2", &info, &platform, &id, error), BPTT_NO_BACKEND, "not available");
    CK_FAILS(cl_list(&api, 3, &info, NULL, NULL, error), BPTT_BAD_INPUT, "only 3");
}
END_TEST

// ---- transfers ----------------------------------------------------------------------------------

// Packed rows x cols of a type, and back.
static void set(void *x, bptt_type type, size_t i, double v)
{
    if (type == BPTT_I32)
        ((int32_t *)x)[i] = (int32_t)v;
    else if (type == BPTT_F32)
        ((float *)x)[i] = (float)v;
    else
        ((double *)x)[i] = v;
}

static double get(const void *x, bptt_type type, size_t i)
{
    return type == BPTT_I32   ? (double)((const int32_t *)x)[i]
           : type == BPTT_F32 ? (double)((const float *)x)[i]
                              : ((const double *)x)[i];
}

// Writes a view into a buffer filled with its indices; checks the whole buffer, and reads the view back.
static void one_view(bptt_device *d, bptt_mat m, bptt_type as)
{
    enum { ROOM = 4096 };
    const size_t n = m.rows * m.cols;
    double want[ROOM], got[ROOM];
    void *all = must_alloc(ROOM, 8), *x = must_alloc(n, 8);
    m.buf = must_have(d, ROOM * 4);
    const bptt_mat whole = tight(m.buf, 1, ROOM, m.type);
    for (size_t i = 0; i < ROOM; i++) want[i] = -(double)i - 1, set(all, m.type, i, want[i]);
    CK_DONE(cl_write(d, whole, all, m.type, error));
    for (size_t i = 0; i < n; i++) {
        const size_t r = i / m.cols, c = i % m.cols;
        set(x, as, i, (double)i + 1);
        want[m.at + (m.t ? c * m.ld + r : r * m.ld + c)] = (double)i + 1;
    }
    CK_DONE(cl_write(d, m, x, as, error));
    CK_DONE(cl_read(d, all, m.type, whole, error));
    for (size_t i = 0; i < ROOM; i++) got[i] = get(all, m.type, i);
    CK_NEAR(near_all(got, want, NULL, ROOM), "the buffer after a write");
    memset(x, 0, n * 8);
    CK_DONE(cl_read(d, x, as, m, error));
    for (size_t i = 0; i < n; i++) got[i] = get(x, as, i), want[i] = (double)i + 1;
    CK_NEAR(near_all(got, want, NULL, n), "the view read back");
    d->backend.free(d, m.buf);
    free(all);
    free(x);
}

static void all_views(bptt_device *d)
{
    static const size_t size[] = {1, 7, 33, 50};
    static const bptt_type of[][2] = {{BPTT_F32, BPTT_F32}, {BPTT_F32, BPTT_F64}, {BPTT_I32, BPTT_I32}};
    for (size_t i = 0; i < 4 * 4 * 3 * 2 * 2; i++) {
        const size_t rows = size[i % 4], cols = size[i / 4 % 4], odd = i / 48 % 2;
        const bool t = i / 96 == 1;
        const bptt_type *type = of[i / 16 % 3];
        const bptt_mat m = {
            .rows = rows, .cols = cols, .ld = (t ? rows : cols) + 3 * odd, .at = 5 * odd, .type = type[0], .t = t};
        one_view(d, m, type[1]);
    }
    float x = 1;
    bptt_buf *b = must_have(d, 64);
    CK_FAILS(cl_write(d, tight(b, 1, 1, BPTT_F32), &x, BPTT_C128, error), BPTT_BAD_INPUT, "not converted");
    CK_FAILS(cl_read(d, &x, BPTT_C128, tight(b, 1, 1, BPTT_F32), error), BPTT_BAD_INPUT, "not converted");
    CK_FAILS(cl_read(d, &x, BPTT_F32, tight(b, 1, 1, BPTT_I32), error), BPTT_BAD_INPUT, "not converted");
    CK_DONE(cl_write(d, tight(b, 0, 5, BPTT_F32), &x, BPTT_F32, error));
    d->backend.free(d, b);
}

START_TEST(views_are_written_and_read_and_nothing_beside_them)
{
    const cl_api api = fake_api();
    for (fake_now.lie_value = 0; fake_now.lie_value < 2; fake_now.lie_value++) { // copied, then mapped
        fake_now.lie = CL_DEVICE_HOST_UNIFIED_MEMORY;
        bptt_device *d = open_device(&(cl_setup){.api = &api}, &(bptt_compute){0});
        ck_assert_int_eq(cl_of(d)->unified, (int)fake_now.lie_value);
        all_views(d);
        close_device(d);
    }
}
END_TEST

START_TEST(new_memory_is_zero)
{
    bptt_device *d = open_device(&(cl_setup){0}, &(bptt_compute){0});
    for (size_t n = 1; n < 5000; n = 2 * n + 1) {
        bptt_buf *b = must_have(d, n * 4);
        float *x = must_alloc(n, sizeof *x);
        for (size_t i = 0; i < n; i++) x[i] = 1;
        CK_DONE(cl_read(d, x, BPTT_F32, tight(b, 1, n, BPTT_F32), error));
        for (size_t i = 0; i < n; i++) CK_TRUE(x[i] == 0, "element %zu of %zu is %g", i, n, (double)x[i]);
        for (size_t i = 0; i < n; i++) x[i] = 1;
        CK_DONE(cl_write(d, tight(b, 1, n, BPTT_F32), x, BPTT_F32, error)); // for the next one to find
        d->backend.free(d, b);
        free(x);
    }
    ck_assert_uint_eq(d->memory, cl_of(d)->memory);
    close_device(d);
}
END_TEST

// ---- plans --------------------------------------------------------------------------------------

enum { N = 33, W = 7 };

// out[0] = the sum of a dense input [N][W] (leading dimension W + 2), out[1] of tokens' rows of a table [5][1].
typedef struct summing {
    bptt_device *d;
    bptt_buf *real, *index;
    bptt_op op[4];
    bptt_plan plan;
    void *handle;
} summing;

static void summing_open(summing *s, bptt_device *d, bool output)
{
    *s = (summing){.d = d, .real = must_have(d, 4096 * 4), .index = must_have(d, 4096)};
    const bptt_mat dense = {.buf = s->real, .rows = N, .cols = W, .ld = W + 2, .type = BPTT_F32};
    bptt_mat table = tight(s->real, 5, 1, BPTT_F32), picked = tight(s->real, N, 1, BPTT_F32),
             copied = tight(s->real, N, W, BPTT_F32), out = tight(s->real, 1, 2, BPTT_F32);
    table.at = 1000, picked.at = 1100, out.at = 1200, copied.at = 2000;
    const float value[5] = {1, 10, 100, 1000, 10000};
    CK_DONE(cl_write(d, table, value, BPTT_F32, error));
    const bptt_mat id = tight(s->index, N, 1, BPTT_I32);
    s->op[0] = (bptt_op){.opcode = BPTT_COPY, .alpha = 1, .arg = {dense, copied}};
    s->op[1] = (bptt_op){.opcode = BPTT_SUM, .alpha = 1, .arg = {copied, bptt_cols(out, 0, 1)}};
    s->op[2] = (bptt_op){.opcode = BPTT_GATHER, .alpha = 1, .arg = {id, table, picked}};
    s->op[3] = (bptt_op){.opcode = BPTT_SUM, .alpha = 1, .beta = !output, .arg = {picked, bptt_cols(out, 1, 1)}};
    s->plan = (bptt_plan){.op = s->op, .ops = 4, .room = 4, .input = {id, dense}};
    if (output) s->plan.output = out;
    CK_DONE(d->backend.prepare(d, &s->plan, &s->handle, error));
}

static void summing_close(summing *s)
{
    s->d->backend.forget(s->d, s->handle);
    s->d->backend.free(s->d, s->real);
    s->d->backend.free(s->d, s->index);
}

// Queues run k with token k % 5 everywhere except once and dense values k + 1, then overwrites the caller's arrays.
static bptt_status summing_run(summing *s, size_t k, bool dense, bptt_error *e)
{
    int32_t id[N];
    double x[N * W];
    for (size_t i = 0; i < N; i++) id[i] = (int32_t)(k % 5);
    for (size_t i = 0; i < N * W; i++) x[i] = (double)(k + 1);
    bptt_slots slots = {.input = {id, dense ? x : NULL}, .type = {BPTT_I32, BPTT_F64}};
    const bptt_status status = s->d->backend.run(s->d, s->handle, &slots, e);
    memset(id, 0, sizeof id);
    memset(x, 0xFF, sizeof x);
    return status;
}

static double tokens_sum(size_t k)
{
    const double power[5] = {1, 10, 100, 1000, 10000};
    return N * power[k % 5];
}

START_TEST(two_runs_in_flight_keep_their_inputs_and_their_outputs_apart)
{
    for (int profile = 0; profile < 2; profile++) {
        bptt_device *d = open_device(&(cl_setup){0}, &(bptt_compute){.profile = profile});
        summing s;
        summing_open(&s, d, true);
        double out[BPTT_OUTPUTS];
        CK_FAILS(inflight_collect(d, s.handle, out, error), BPTT_BAD_INPUT, "no run of this plan");
        for (size_t k = 0; k < 7; k++) {
            CK_DONE(summing_run(&s, k, true, error));
            if (k > 0) {
                CK_FAILS(summing_run(&s, 99, true, error), BPTT_BAD_INPUT, "waiting to be collected");
                if (profile) CK_DONE(inflight_sync(d, error));
                CK_DONE(inflight_collect(d, s.handle, out, error));
                CK_TRUE(out[0] == N * W * (double)k && out[1] == tokens_sum(k - 1), "run %zu gave %g and %g", k - 1,
                        out[0], out[1]);
                ck_assert(out[2] == 0);
            }
        }
        CK_DONE(inflight_collect(d, s.handle, out, error));
        CK_TRUE(out[0] == N * W * 7.0 && out[1] == tokens_sum(6), "the last run gave %g and %g", out[0], out[1]);
        CK_DONE(summing_run(&s, 3, false, error)); // the dense input stays
        CK_DONE(inflight_collect(d, s.handle, out, error));
        CK_TRUE(out[0] == N * W * 7.0 && out[1] == tokens_sum(3), "without an input: %g and %g", out[0], out[1]);
        summing_close(&s);
        close_device(d);
    }
}
END_TEST

START_TEST(a_plan_without_output_runs_any_number_of_times)
{
    bptt_device *d = open_device(&(cl_setup){0}, &(bptt_compute){0});
    summing s;
    summing_open(&s, d, false);
    double want = 0, got = 0;
    for (size_t k = 0; k < 13; k++) {
        CK_DONE(summing_run(&s, k, true, error));
        want += tokens_sum(k); // this sum is added to
    }
    bptt_mat out = tight(s.real, 1, 1, BPTT_F32);
    out.at = 1201;
    CK_DONE(cl_read(d, &got, BPTT_F64, out, error));
    CK_TRUE(got == want, "13 runs add up to %g, not %g", got, want);
    CK_FAILS(d->backend.run(d, s.handle, &(bptt_slots){.input = {&got}, .type = {BPTT_F32}}, error), BPTT_BAD_INPUT,
             "not converted");
    summing_close(&s);
    close_device(d);
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(the_profile_charges_what_ran_and_no_more_than_the_time_it_took)
{
    bptt_device *d = open_device(&(cl_setup){0}, &(bptt_compute){.profile = true});
    for (size_t i = 0; i < BPTT_CHARGES; i++)
        CK_TRUE(d->spent[i] == 0, "opening was charged to %s", bptt_charge_name[i]);
    summing s;
    summing_open(&s, d, true);
    memset(d->spent, 0, sizeof d->spent);
    double out[BPTT_OUTPUTS], before = 0;
    const double start = seconds();
    for (size_t k = 0; k < 5; k++) {
        double now = 0;
        CK_DONE(summing_run(&s, k, true, error));
        CK_DONE(inflight_collect(d, s.handle, out, error));
        for (size_t i = 0; i < BPTT_CHARGES; i++) now += d->spent[i];
        CK_TRUE(now > before, "run %zu was charged to nothing", k);
        before = now;
    }
    CK_TRUE(before <= seconds() - start, "%g s were charged, %g s went by", before, seconds() - start);
    for (size_t i = 0; i < BPTT_CHARGES; i++) {
        const bool ran =
            i == BPTT_COPY || i == BPTT_SUM || i == BPTT_GATHER || i == BPTT_TRANSFER_IN || i == BPTT_TRANSFER_OUT;
        CK_TRUE((d->spent[i] > 0) == ran, "%g s were charged to %s", d->spent[i], bptt_charge_name[i]);
    }
    d->backend.op[BPTT_COPY](d, &s.op[0], &(bptt_slots){0});
    before = d->spent[BPTT_COPY];
    CK_DONE(inflight_sync(d, error));
    CK_TRUE(d->spent[BPTT_COPY] > before, "a single step was charged to nothing");
    summing_close(&s);
    close_device(d);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_device_is_listed_under_its_number);
    tcase_add_test(c, a_device_is_chosen_by_number_by_name_or_by_itself);
    tcase_add_test(c, devices_are_opened_by_several_threads_at_once);
    tcase_add_test(c, what_kernels_cannot_count_is_refused);
    tcase_add_test(c, the_module_needs_no_opencl_to_load_and_shows_one_function);
    tcase_add_test(c, a_gpu_comes_before_an_accelerator_before_a_processor);
    tcase_add_test(c, views_are_written_and_read_and_nothing_beside_them);
    tcase_add_test(c, new_memory_is_zero);
    tcase_add_test(c, two_runs_in_flight_keep_their_inputs_and_their_outputs_apart);
    tcase_add_test(c, a_plan_without_output_runs_any_number_of_times);
    tcase_add_test(c, the_profile_charges_what_ran_and_no_more_than_the_time_it_took);
}

int main(void) { return run_opencl_suite("opencl", add, 120); }
