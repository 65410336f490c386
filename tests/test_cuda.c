// Error handling of the CUDA module, on the stand-ins for CUDA: unusable devices are reported with the reason; every
// failing call, at open or later, is reported and leaks nothing; a lost device stays lost; environment settings that
// would change results are ignored; the loss scale of fp16 converges. Not for GPUs.
#include "modules.h"
#include "nets.h"
#include "run.h"
#include "standin.h"
#include "suite.h"

#include <dlfcn.h>
#include <pthread.h>

static bptt_backend cuda(void)
{
    bptt_backend b;
    bptt_error e = {0};
    CK_TRUE(module_load("cuda", &b, &e) == BPTT_OK, "%s", e.words);
    return b;
}

// Sets the stand-ins' settings, which they read while nothing is open: "DEVICES=0", "" for none.
static void settings(const char *words)
{
    static const char *const name[] = {"DEVICES", "DRIVER", "CC", "MEMORY", "FAIL"};
    char full[32];
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        const size_t n = strlen(name[i]);
        const bool here = strncmp(words, name[i], n) == 0 && words[n] == '=';
        snprintf(full, sizeof full, "STANDIN_%s", name[i]);
        ck_assert_int_eq(here ? setenv(full, words + n + 1, 1) : unsetenv(full), 0);
    }
}

// ---- unusable devices -----------------------------------------------------------------------------------------------

START_TEST(what_cannot_be_used_says_why)
{
    static const struct {
        const char *how, *words;
        bool listed; // it is in the list, as not usable or as what open refuses
    } CASE[] = {
        {"DEVICES=0", "no GPU", false},
        {"FAIL=Init:0:100", "CUDA_ERROR_NO_DEVICE", false},
        {"FAIL=Init:0:34", "toolkit's stub and no driver", false},
        {"FAIL=Init:0:803", "does not start (cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", false},
        {"FAIL=DeviceGetCount:0:999", "lists no devices (cuDeviceGetCount: ", false},
        {"DRIVER=11080", "knows CUDA 11.8; 12.0 is needed", false},
        {"CC=6.1", "compute capability is 6.1; 7.5 is needed", true},
        {"FAIL=DeviceGet:0:101", "the driver does not give it", true},
        {"FAIL=ModuleLoadData:0:209", "kernels", true}, // too few of them, or none where nvcc was missing
        {"FAIL=ModuleGetFunction:0:500", "failed for bptt_copy", true},
        {"FAIL=DevicePrimaryCtxRetain:0:2", "cannot be used (cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY", true},
        {"FAIL=Create:0:1", "cublasCreate failed: CUBLAS_STATUS_NOT_INITIALIZED", true},
        {"MEMORY=1000000", "a block of 33.6 MB was asked for", true},
    };
    const bptt_backend b = cuda();
    for (size_t i = 0; i < sizeof CASE / sizeof CASE[0]; i++) {
        bptt_device_info info = {0};
        bptt_device *d = NULL;
        bptt_error listed = {0}, opened = {0};
        settings(CASE[i].how);
        const bptt_status s = b.list(&b, 0, &info, &listed);
        CK_TRUE((s == BPTT_OK) == CASE[i].listed, "%s: list says %d, %s", CASE[i].how, (int)s, listed.words);
        CK_TRUE(s == BPTT_OK || strstr(listed.words, CASE[i].words), "%s: %s", CASE[i].how, listed.words);
        const bptt_status o = b.open(&b, &(bptt_compute){0}, &d, &opened);
        CK_TRUE((o == BPTT_NO_BACKEND || o == BPTT_DEVICE) && !d, "%s: open says %d", CASE[i].how, (int)o);
        CK_TRUE(opened.code == o && strstr(opened.words, CASE[i].words), "%s: %s", CASE[i].how, opened.words);
    }
    settings("");
}
END_TEST

START_TEST(devices_are_found_by_number_and_name)
{
    static const struct {
        const char *device;
        int number; // -1: there is none
    } CASE[] = {{NULL, 0}, {"0", 0}, {"1", 1}, {"stand-in 1", 1}, {"2", -1}, {"Tesla", -1}};
    const bptt_backend b = cuda();
    settings("DEVICES=2");
    for (size_t i = 0; i < sizeof CASE / sizeof CASE[0]; i++) {
        bptt_device *d = NULL;
        bptt_error e = {0};
        char name[32];
        const bptt_status s = b.open(&b, &(bptt_compute){.device = CASE[i].device}, &d, &e);
        ck_assert_int_eq(s == BPTT_OK, CASE[i].number >= 0);
        snprintf(name, sizeof name, "Stand-in %d", CASE[i].number);
        if (s)
            CK_TRUE(s == BPTT_NO_BACKEND && strstr(e.words, CASE[i].device), "%s", e.words);
        else
            CK_TRUE(strstr(b.describe(d), name) && strstr(b.describe(d), "cuBLAS"), "%s", b.describe(d));
        b.close(d);
    }
    bptt_device_info info;
    bptt_error e = {0};
    CK_TRUE(b.list(&b, 2, &info, &e) == BPTT_BAD_INPUT && strstr(e.words, "only 2 of them"), "%s", e.words);
    settings("");
}
END_TEST

START_TEST(settings_that_would_change_results_are_ignored_and_named)
{
    const bptt_backend b = cuda();
    bptt_device *d = NULL;
    setenv("NVIDIA_TF32_OVERRIDE", "1", 1);
    setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0", 1);
    setenv("CUBLAS_LOGINFO_DBG", "0", 1);
    CK_OK(b.open(&b, &(bptt_compute){0}, &d, NULL));
    ck_assert(!getenv("NVIDIA_TF32_OVERRIDE") && !getenv("CUBLAS_WORKSPACE_CONFIG") && getenv("CUBLAS_LOGINFO_DBG"));
    CK_TRUE(strstr(d->bits, "NVIDIA_TF32_OVERRIDE=1") && strstr(d->bits, "ignored"), "%s", d->bits);
    b.close(d);
    CK_OK(b.open(&b, &(bptt_compute){0}, &d, NULL));
    ck_assert(!strstr(d->bits, "ignored"));
    b.close(d);
}
END_TEST

// ---- calls that fail ------------------------------------------------------------------------------------------------

// A model's whole life; the first failure.
static bptt_status live_once(bptt_lowering how, int profile, bptt_precision precision, bptt_error *e)
{
    bptt_model_config c = net_config("cuda", BPTT_F32, 11, 9, 2);
    c.compute.backend = "cuda", c.compute.lowering = how, c.compute.profile = profile, c.compute.precision = precision;
    int32_t token[3 * 4] = {1, 2, 3, 1};
    const bptt_window w = {.size = sizeof(bptt_window), .token = token, .target = token};
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    float logp[4 * 11];
    bptt_status s = bptt_model_open(&c, &m, e);
    if (!s)
        s = bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 4, .steps = 3, .gradient = 1},
                          &r, e);
    for (int k = 0; !s && k < 3; k++) s = bptt_run_train(r, &w, 0.1, NULL, e);
    if (!s) s = bptt_run_evaluate(r, &w, NULL, e);
    if (!s) s = bptt_run_next(r, token, logp, e);
    if (!s) s = bptt_run_reset(r, e);
    bptt_run_close(r);
    bptt_model_close(m);
    return s;
}

static const char *const CALLS[] = {
#define CALL_NAME(name, symbol, result, parameters) #name,
    CU_API_LIST(CALL_NAME) BLAS_API_LIST(CALL_NAME)
#undef CALL_NAME
};
enum { CALL_NAMES = sizeof CALLS / sizeof CALLS[0] };

// Makes the n-th call of a function fail once, for n = 1, 2, ... until an open-train-close needs fewer calls. Returns
// the number of failures reported.
static size_t fail_each(const char *call, int code, bptt_lowering how, int profile, bptt_precision precision)
{
    size_t told = 0;
    for (size_t n = 1; n < 400; n += 1 + n / 3) {
        char fail[64];
        bptt_error e = {0};
        snprintf(fail, sizeof fail, "FAIL=%s:%zu:%d", call, n, code);
        settings(fail);
        const bptt_status s = live_once(how, profile, precision, &e);
        if (!s) break; // nothing was called so often, or nobody need be told
        CK_TRUE(e.words[0] && e.code == s, "%s: no words", fail);
        CK_TRUE(s == BPTT_DEVICE || s == BPTT_NO_MEMORY || s == BPTT_NO_BACKEND, "%s: status %d", fail, (int)s);
        told++;
    }
    settings("");
    return told;
}

enum { AGAIN = 2, LOST = 719 }; // a failure that leaves the context, one that takes it

START_TEST(whatever_fails_is_told_and_leaves_nothing)
{
    const bptt_lowering how = _i == 1 ? BPTT_LOWER_NEVER : BPTT_LOWER_ALWAYS;
    const bptt_precision precision = _i == 3 ? BPTT_PRECISION_FP16 : BPTT_PRECISION_FP32;
    size_t told = 0;
    for (size_t i = 0; i < CALL_NAMES; i++) {
        if (strcmp(CALLS[i], "CtxPushCurrent") == 0) continue; // below
        told += fail_each(CALLS[i], AGAIN, how, _i == 2, precision);
        told += fail_each(CALLS[i], LOST, how, _i == 2, precision);
    }
    CK_TRUE(told > 100, "%zu failures were told", told);
    CK_OK(live_once(how, 0, precision, NULL)); // and all is well again
}
END_TEST

// cuBLAS keeps state in it, so a process holds on to one, but for one that is lost.
START_TEST(a_context_outlives_its_devices_unless_it_is_lost)
{
    const bptt_backend b = cuda();
    bptt_device *d = NULL;
    void *const driver = dlopen("libcuda.so.1", RTLD_NOW);
    cu_context c = NULL;
    CK_OK(b.open(&b, &(bptt_compute){0}, &d, NULL));
    cu_result (*retain)(cu_context *, cu_device) = NULL;
    *(void **)&retain = driver ? dlsym(driver, "cuDevicePrimaryCtxRetain") : NULL;
    ck_assert(retain && retain(&c, 0) == 0);
    c->retained--; // only to look at it
    const unsigned lives = c->lives;
    ck_assert_uint_eq(c->retained, 2);
    b.close(d);
    ck_assert_uint_eq(c->retained, 1);
    CK_OK(live_once(BPTT_LOWER_ALWAYS, 0, BPTT_PRECISION_FP32, NULL));
    ck_assert_uint_eq(c->retained, 1);
    ck_assert_uint_eq(c->lives, lives);
    settings("FAIL=GraphLaunch:1:719");
    ck_assert_int_eq(live_once(BPTT_LOWER_ALWAYS, 0, BPTT_PRECISION_FP32, NULL), BPTT_DEVICE);
    ck_assert_uint_eq(c->retained, 0);
    settings("");
    CK_OK(live_once(BPTT_LOWER_ALWAYS, 0, BPTT_PRECISION_FP32, NULL));
    ck_assert_uint_eq(c->lives, lives + 1);
    dlclose(driver);
}
END_TEST

static void *live_often(void *said)
{
    for (int k = 0; k < 40 && !((bptt_error *)said)->code; k++)
        (void)live_once(BPTT_LOWER_ALWAYS, 0, BPTT_PRECISION_FP32, said);
    return NULL;
}

// The stand-ins end a program that closes, in one thread, while another captures.
START_TEST(devices_come_and_go_in_threads_that_capture)
{
    pthread_t thread[2];
    bptt_error said[2] = {{0}};
    settings("");
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, live_often, &said[i]), 0);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    CK_TRUE(!said[0].code && !said[1].code, "%s%s", said[0].words, said[1].words);
}
END_TEST

// Resources of a context that cannot be made current are freed with the context.
START_TEST(a_context_that_is_not_to_be_had_is_told)
{
    setenv("STANDIN_LEAKS", "0", 1);
    ck_assert_uint_gt(fail_each("CtxPushCurrent", AGAIN, BPTT_LOWER_ALWAYS, 0, BPTT_PRECISION_FP32), 3);
}
END_TEST

// The message names the call, its purpose, and the driver's error.
START_TEST(failures_are_told_in_the_drivers_words)
{
    static const struct {
        const char *how, *words;
        bptt_status status;
    } CASE[] = {
        {"FAIL=GraphLaunch:2:700", "cuGraphLaunch failed for a window: CUDA_ERROR_ILLEGAL_ADDRESS", BPTT_DEVICE},
        {"FAIL=GraphLaunch:1:719", "start again from the last saved file", BPTT_DEVICE},
        {"FAIL=EventSynchronize:1:700", "cuEventSynchronize failed for a window", BPTT_DEVICE},
        {"FAIL=MemcpyHtoDAsync:12:1", "cuMemcpyHtoDAsync failed for the ", BPTT_DEVICE},
        {"FAIL=GemmEx:1:14", "cublasGemmEx failed for a product of ", BPTT_DEVICE},
        {"FAIL=GraphInstantiate:1:2", "cuGraphInstantiate failed for a plan: CUDA_ERROR_OUT_OF_MEMORY", BPTT_NO_MEMORY},
        {"FAIL=LaunchKernel:1:701", "cuLaunchKernel failed for ", BPTT_DEVICE},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof CASE[0]; i++) {
        bptt_error e = {0};
        settings(CASE[i].how);
        const bptt_status s = live_once(BPTT_LOWER_ALWAYS, 0, BPTT_PRECISION_FP32, &e);
        CK_TRUE(s == CASE[i].status && strstr(e.words, CASE[i].words), "%s: %d, %s", CASE[i].how, (int)s, e.words);
    }
    settings("");
}
END_TEST

START_TEST(a_device_without_room_says_how_much_was_needed)
{
    bptt_model_config c = net_config("cuda", BPTT_F32, 11, 600, 2);
    c.compute.backend = "cuda";
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_error e = {0};
    settings("MEMORY=262144000"); // workspaces, and little besides
    CK_OK(bptt_model_open(&c, &m, NULL));
    const bptt_status s = bptt_run_open(
        m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 64, .steps = 100, .gradient = 1}, &r, &e);
    CK_TRUE(s == BPTT_NO_MEMORY && !r, "%d", (int)s);
    CK_TRUE(strstr(e.words, "MB") && strstr(e.words, "lower --hidden") && strstr(e.words, "Stand-in 0"), "%s", e.words);
    CK_OK(bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 2, .steps = 3, .gradient = 1},
                        &r, &e)); // a smaller one fits
    bptt_run_close(r);
    bptt_model_close(m);
    settings("");
}
END_TEST

// ---- single pieces --------------------------------------------------------------------------------------------------

static bptt_device *open_cuda(bptt_precision p)
{
    const bptt_backend b = cuda();
    bptt_device *d = NULL;
    bptt_error e = {0};
    CK_TRUE(b.open(&b, &(bptt_compute){.precision = p}, &d, &e) == BPTT_OK, "%s", e.words);
    return d;
}

static bptt_mat matrix_on(bptt_device *d, size_t rows, size_t cols, size_t ld, bool t)
{
    bptt_mat m = {.rows = rows, .cols = cols, .ld = ld, .type = BPTT_F32, .t = t};
    CK_OK(d->backend.alloc(d, (t ? cols : rows) * ld * sizeof(float), &m.buf, NULL));
    return m;
}

// More than one transfer's worth: many lines, one line, lines across, in floats and in doubles.
START_TEST(large_matrices_come_back_as_they_went)
{
    static const struct {
        size_t rows, cols, ld;
        bool t;
    } CASE[] = {{1100, 1100, 1152, false},
                {1, 2500000, 2500000, false},
                {1100, 1030, 1152, true},
                {3, 1200000, 1200064, false},
                {2, 1100000, 2, true}};
    bptt_device *d = open_cuda(BPTT_PRECISION_FP32);
    for (size_t i = 0; i < sizeof CASE / sizeof CASE[0]; i++) {
        const size_t n = CASE[i].rows * CASE[i].cols;
        const bptt_mat m = matrix_on(d, CASE[i].rows, CASE[i].cols, CASE[i].ld, CASE[i].t);
        double *x = reals(n), *y = reals(n);
        float *z = must_alloc(n, sizeof *z);
        uint64_t random = 3;
        random_reals(&random, 1, x, n);
        CK_OK(d->backend.write(d, m, x, BPTT_F64, NULL));
        CK_OK(d->backend.read(d, y, BPTT_F64, m, NULL));
        CK_OK(d->backend.read(d, z, BPTT_F32, m, NULL));
        for (size_t k = 0; k < n; k++)
            CK_TRUE(y[k] == x[k] && (double)z[k] == x[k], "case %zu: element %zu is %g, not %g", i, k, y[k], x[k]);
        d->backend.free(d, m.buf);
        free(x), free(y), free(z);
    }
    d->backend.close(d);
}
END_TEST

// Each run adds its input up; nobody waits in between, though two stages take turns.
START_TEST(a_plan_without_output_runs_any_number_of_times)
{
    enum { N = 70 };
    bptt_device *d = open_cuda(BPTT_PRECISION_FP32);
    const bptt_mat x = matrix_on(d, 1, N, N, false), sum = matrix_on(d, 1, 1, 1, false);
    bptt_op s = {.opcode = BPTT_SUM, .beta = 1, .arg = {x, sum}};
    const bptt_plan p = {.op = &s, .ops = 1, .room = 1, .input = {x}};
    void *handle = NULL;
    float in[N], out = 0;
    CK_OK(d->backend.prepare(d, &p, &handle, NULL));
    for (int k = 1; k <= 7; k++) {
        for (size_t i = 0; i < N; i++) in[i] = (float)(1 << k);
        CK_OK(d->backend.run(d, handle, &(bptt_slots){.input = {in}, .type = {BPTT_F32}}, NULL));
    }
    CK_OK(d->backend.read(d, &out, BPTT_F32, sum, NULL));
    CK_TRUE(out == N * 254, "%g", (double)out);
    d->backend.forget(d, handle);
    d->backend.free(d, x.buf), d->backend.free(d, sum.buf);
    d->backend.close(d);
}
END_TEST

// A product with one operand 1 + 2^-k: the result shows the precision that operands were rounded to.
START_TEST(operands_are_rounded_to_what_was_asked_for)
{
    static const int bits[] = {23, 10, 7, 10}; // behind the point: fp32, tf32, bf16, fp16
    for (int p = BPTT_PRECISION_FP32; p <= BPTT_PRECISION_FP16; p++) {
        bptt_device *d = open_cuda((bptt_precision)p);
        const bptt_mat a = matrix_on(d, 8, 64, 64, false), b = matrix_on(d, 64, 64, 64, false);
        const bptt_mat c = matrix_on(d, 8, 64, 64, false);
        double *x = reals(64 * 64), *y = reals(64 * 64);
        for (size_t i = 0; i < 64; i++) y[i * 65] = 1;
        CK_OK(d->backend.write(d, b, y, BPTT_F64, NULL));
        for (int k = 1; k <= 23; k++) {
            for (size_t i = 0; i < 8 * 64; i++) x[i] = 1 + ldexp(1, -k);
            CK_OK(d->backend.write(d, a, x, BPTT_F64, NULL));
            const bptt_op s = {.opcode = BPTT_GEMM, .alpha = 1, .arg = {a, b, c}};
            d->backend.op[BPTT_GEMM](d, &s, &(bptt_slots){0});
            CK_OK(d->backend.read(d, y, BPTT_F64, c, NULL));
            const double want = k <= bits[p] ? x[0] : 1; // a half goes to the even one
            for (size_t i = 0; i < 8 * 64; i++)
                CK_TRUE(y[i] == want, "precision %d: 1 + 2^-%d becomes %.9g", p, k, y[i]);
        }
        d->backend.free(d, a.buf), d->backend.free(d, b.buf), d->backend.free(d, c.buf);
        d->backend.close(d);
        free(x), free(y);
    }
}
END_TEST

START_TEST(opening_a_run_changes_nothing)
{
    net n;
    bptt_model_config c = net_config("cuda", BPTT_F32, 11, 9, 2);
    c.compute.backend = "cuda";
    net_open(&n, &c, &(bptt_run_config){.batch = 4, .steps = 9, .gradient = 1});
    CK_OK(bptt_run_train(n.r, &n.w, 0.1, NULL, NULL));
    snapshot before = snapshot_of(n.m);
    double *h = net_state(n.r, 2 * 4 * 9);
    bptt_run *other = NULL;
    CK_OK(bptt_run_open(n.m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 4, .steps = 9, .gradient = 1},
                        &other, NULL));
    double *now = net_state(n.r, 2 * 4 * 9);
    ck_assert(same_bits(h, now, 2 * 4 * 9));
    ck_assert(snapshot_holds(&before, n.m, true));
    free(h), free(now);
    bptt_run_close(other);
    net_close(&n);
}
END_TEST

// ---- the loss scale -------------------------------------------------------------------------------------------------

// One position; h = tanh 0.5; the target's row of the decoder is -16, so that its p is near 0 and dz = 16 (1 - h h),
// 12.58. That fits fp16, whose largest number is 65504, up to a scale of 4096: four windows are skipped.
static void prepare_scale(bptt_model *m)
{
    enum { W_IH, W_HH, B_IH, W_OUT };
    double decoder[5 * 7] = {0}, none[7 * 7] = {0}, half[7];
    for (size_t j = 0; j < 7; j++) decoder[2 * 7 + j] = -16, half[j] = 0.5;
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, W_IH, none, BPTT_F64, NULL));
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, W_HH, none, BPTT_F64, NULL));
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, B_IH, half, BPTT_F64, NULL));
    CK_OK(bptt_model_write(m, BPTT_WEIGHTS, W_OUT, decoder, BPTT_F64, NULL));
}

START_TEST(the_loss_scale_falls_until_gradients_fit_and_no_further)
{
    bptt_model_config c = net_config("cuda", BPTT_F32, 5, 7, 1);
    c.compute.backend = "cuda", c.compute.precision = BPTT_PRECISION_FP16, c.optimizer = BPTT_SGD, c.clip = 0;
    c.compute.lowering = _i ? BPTT_LOWER_NEVER : BPTT_LOWER_ALWAYS;
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    CK_OK(bptt_model_open(&c, &m, NULL));
    CK_OK(bptt_run_open(m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 1, .steps = 1, .gradient = 1},
                        &r, NULL));
    prepare_scale(m);
    const int32_t token = 1, target = 2;
    const bptt_window w = {.size = sizeof(bptt_window), .token = &token, .target = &target};
    double scale[2];
    for (int k = 0; k < 8; k++) {
        bptt_report report = {0};
        double *before = net_part(m, BPTT_WEIGHTS);
        CK_OK(bptt_run_train(r, &w, k < 4 ? 1 : 1e-9, &report, NULL));
        double *after = net_part(m, BPTT_WEIGHTS);
        CK_OK(model_read_scale(m, scale, NULL));
        ck_assert(isfinite(report.loss) && (k < 4) == (report.skipped != 0) && (k < 4) == isinf(report.grad_norm));
        ck_assert(k >= 4 || same_bits(before, after, bptt_model_parameters(m)));
        CK_TRUE(scale[0] == (k < 4 ? 32768 >> k : 4096) && scale[1] == (k < 4 ? 0 : k - 3), "window %d: %g, %g", k,
                scale[0], scale[1]);
        free(before), free(after);
    }
    ck_assert_uint_eq(bptt_model_updates(m), 8);
    bptt_run_close(r);
    bptt_model_close(m);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, what_cannot_be_used_says_why);
    tcase_add_test(c, devices_are_found_by_number_and_name);
    tcase_add_test(c, settings_that_would_change_results_are_ignored_and_named);
    tcase_add_loop_test(c, whatever_fails_is_told_and_leaves_nothing, 0, 4);
    tcase_add_test(c, a_context_outlives_its_devices_unless_it_is_lost);
    tcase_add_test(c, devices_come_and_go_in_threads_that_capture);
    tcase_add_test(c, a_context_that_is_not_to_be_had_is_told);
    tcase_add_test(c, failures_are_told_in_the_drivers_words);
    tcase_add_test(c, a_device_without_room_says_how_much_was_needed);
    tcase_add_test(c, large_matrices_come_back_as_they_went);
    tcase_add_test(c, a_plan_without_output_runs_any_number_of_times);
    tcase_add_test(c, operands_are_rounded_to_what_was_asked_for);
    tcase_add_test(c, opening_a_run_changes_nothing);
    tcase_add_loop_test(c, the_loss_scale_falls_until_gradients_fit_and_no_further, 0, 2);
}

int main(void)
{
    const char *gpu = getenv("BPTT_GPU");
    if (gpu && strcmp(gpu, "1") == 0) {
        fprintf(stderr, "skipped: stand-in: a GPU cannot be made to fail\n");
        return SKIPPED;
    }
    return run_suite("cuda", add, 300);
}
