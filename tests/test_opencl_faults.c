// The OpenCL backend where things go wrong: drivers that refuse, devices that lie or compute something else. The real
// OpenCL, with faults on command (fake_cl.h).
#include "fake_cl.h"
#include "opencl_rig.h"

// ---- refusals of the driver -------------------------------------------------------------------------

static cl_int no_platform(cl_uint n, cl_platform_id *p, cl_uint *found)
{
    (void)n, (void)p;
    *found = 0;
    return -1001;
}

static cl_int no_device(cl_platform_id p, cl_device_type t, cl_uint n, cl_device_id *id, cl_uint *found)
{
    (void)p, (void)t, (void)n, (void)id;
    *found = 0;
    return CL_DEVICE_NOT_FOUND;
}

START_TEST(what_cannot_be_used_says_why)
{
    const struct {
        cl_device_info lie;
        cl_ulong value;
        const char *text, *why;
    } cases[] = {
        {CL_DEVICE_AVAILABLE, CL_FALSE, NULL, "not available"},
        {CL_DEVICE_COMPILER_AVAILABLE, CL_FALSE, NULL, "no compiler"},
        {CL_DEVICE_VERSION, 0, "OpenCL 1.1 old", "OpenCL 1.2 is needed"},
        {CL_DEVICE_VERSION, 0, "nonsense", "OpenCL 1.2 is needed"},
        {CL_DEVICE_ENDIAN_LITTLE, CL_FALSE, NULL, "big-endian"},
        {CL_DEVICE_PROFILE, 0, "EMBEDDED_PROFILE", "embedded profile"},
        {CL_DEVICE_SINGLE_FP_CONFIG, CL_FP_INF_NAN, NULL, "round to nearest"},
        {CL_DEVICE_SINGLE_FP_CONFIG, CL_FP_ROUND_TO_NEAREST, NULL, "NaN"},
    };
    cl_api api = fake_api();
    const bptt_backend b = bptt_opencl();
    bptt_device *d = NULL;
    bptt_device_info info;
    const cl_setup s = {.api = &api};
    const bptt_compute zero = {.device = "0"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_now = (fake){.lie = cases[i].lie, .lie_value = cases[i].value, .lie_text = cases[i].text};
        CK_DONE(cl_list(&api, 0, &info, NULL, NULL, error));
        CK_TRUE(!info.usable && strstr(info.why_not, cases[i].why), "case %zu: \"%s\"", i, info.why_not);
        CK_FAILS(cl_open_with(&s, &b, &zero, &d, error), BPTT_NO_BACKEND, cases[i].why);
    }
    fake_now = (fake){.lie = CL_DEVICE_VERSION, .lie_text = "OpenCL 1.2 just enough"};
    CK_DONE(cl_list(&api, 0, &info, NULL, NULL, error));
    CK_TRUE(info.usable, "%s", info.why_not);
    api.GetDeviceIDs = no_device;
    CK_FAILS(cl_open_with(&s, &b, &zero, &d, error), BPTT_NO_BACKEND, "but no device");
    api.GetPlatformIDs = no_platform;
    CK_FAILS(cl_open_with(&s, &b, &zero, &d, error), BPTT_NO_BACKEND, "CL_PLATFORM_NOT_FOUND_KHR");
    CK_FAILS(cl_list(&api, 1, &info, NULL, NULL, error), BPTT_BAD_INPUT, "no OpenCL device 1");
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(a_program_that_does_not_compile_is_an_error_with_the_compilers_words)
{
    const cl_api api = fake_api();
    const bptt_backend b = bptt_opencl();
    bptt_device *d = NULL;
    const char *text = "__kernel void broken(__global float *x) { x[0] = undeclared_thing; }";
    const cl_setup s = {.api = &api, .text = text, .text_size = strlen(text), .cache = ""};
    CK_FAILS(cl_open_with(&s, &b, &(bptt_compute){0}, &d, error), BPTT_DEVICE, "undeclared_thing");
    CK_FAILS(cl_open_with(&s, &b, &(bptt_compute){0}, &d, error), BPTT_DEVICE, "CL_BUILD_PROGRAM_FAILURE");
    ck_assert_ptr_null(d);
    CK_TRUE(fake_now.alive == 0, "%ld objects are left", fake_now.alive);
}
END_TEST

START_TEST(an_open_that_fails_anywhere_leaves_nothing)
{
    static const char *const call[] = {"CreateContext",       "CreateCommandQueue", "CreateProgramWithSource",
                                       "BuildProgram",        "CreateKernel",       "GetKernelWorkGroupInfo",
                                       "CreateBuffer",        "EnqueueFillBuffer",  "EnqueueMapBuffer",
                                       "EnqueueNDRangeKernel"};
    const cl_api api = fake_api();
    const bptt_backend b = bptt_opencl();
    cl_setup s = {.api = &api, .cache = ""};
    char *text = small_text(&s.text_size);
    s.text = text;
    size_t failed = 0;
    for (size_t i = 0; i < sizeof call / sizeof call[0]; i++)
        for (int after = 0; after < 20; after += 1 + 5 * (after > 2)) {
            bptt_device *d = NULL;
            bptt_error e = {0};
            fake_now = (fake){.call = call[i], .after = after, .code = CL_OUT_OF_HOST_MEMORY};
            const bptt_status status = cl_open_with(&s, &b, &(bptt_compute){0}, &d, &e);
            if (status) {
                failed++;
                CK_TRUE(d == NULL && e.words[0] && strstr(e.words, "CL_OUT_OF_HOST_MEMORY"), "%s: %s", call[i],
                        e.words);
                // no model asked for memory yet, so it is the device that cannot be used
                CK_TRUE(status == BPTT_DEVICE && e.code == BPTT_DEVICE, "%s: status %d", call[i], (int)status);
            }
            b.close(d);
            CK_TRUE(fake_now.alive == 0, "%s after %d: %ld objects are left", call[i], after, fake_now.alive);
        }
    CK_TRUE(failed >= 15, "only %zu opens failed", failed);
    b.close(NULL);
    free(text);
}
END_TEST

START_TEST(memory_that_is_not_there_is_refused_with_numbers)
{
    const cl_api api = fake_api();
    cl_setup s = {.api = &api};
    char *text = small_text(&s.text_size);
    s.text = text;
    fake_now = (fake){.lie = CL_DEVICE_GLOBAL_MEM_SIZE, .lie_value = 8 << 20};
    bptt_device *d = open_device(&s, &(bptt_compute){0});
    ck_assert_uint_eq(d->memory, 8 << 20);
    bptt_buf *half = must_have(d, 4 << 20), *b = NULL;
    const size_t used = cl_of(d)->used;
    CK_FAILS(cl_alloc(d, 5 << 20, &b, error), BPTT_NO_MEMORY, "a block of 5.2 MB was asked for, 4.2 MB are in use");
    CK_FAILS(cl_alloc(d, 5 << 20, &b, error), BPTT_NO_MEMORY, "lower --hidden");
    CK_FAILS(cl_alloc(d, 9 << 20, &b, error), BPTT_NO_MEMORY, "all blocks are too large");
    CK_FAILS(cl_alloc(d, SIZE_MAX, &b, error), BPTT_NO_MEMORY, "all blocks are too large");
    static const char *const call[] = {"CreateBuffer", "EnqueueFillBuffer"};
    for (size_t i = 0; i < 2; i++) {
        fake_now.call = call[i], fake_now.after = 0, fake_now.code = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        fake_now.hears = "the driver's own\nwords";
        cl_on_message("meant for nobody", NULL, 0, NULL);
        CK_FAILS(cl_alloc(d, 1024, &b, error), BPTT_NO_MEMORY, "CL_MEM_OBJECT_ALLOCATION_FAILURE");
        CK_FAILS(cl_alloc(d, 1024, &b, error), BPTT_NO_MEMORY, "(the driver says: the driver's own)");
    }
    fake_now.call = NULL;
    ck_assert_uint_eq(cl_of(d)->used, used);
    ck_assert_ptr_null(b);
    b = must_have(d, 3 << 20); // the device is as good as before
    cl_free(d, b);
    cl_free(d, half);
    cl_free(d, NULL);
    close_device(d);
    CK_TRUE(fake_now.alive == 0, "%ld objects are left", fake_now.alive);
    free(text);
}
END_TEST

// ---- failures at run time -----------------------------------------------------------------------

// y = value, out = sum of y.
typedef struct filling {
    bptt_device *d;
    bptt_buf *memory;
    bptt_op op[2];
    bptt_plan plan; // its input is y
    void *handle;
    char *text;
} filling;

static void filling_open(filling *f, const cl_api *api, bool profile)
{
    cl_setup s = {.api = api};
    *f = (filling){.text = small_text(&s.text_size)};
    s.text = f->text;
    f->d = open_device(&s, &(bptt_compute){.profile = profile});
    f->memory = must_have(f->d, 4096);
    bptt_mat y = tight(f->memory, 7, 33, BPTT_F32), out = tight(f->memory, 1, 1, BPTT_F32);
    out.at = 500;
    f->op[0] = (bptt_op){.opcode = BPTT_FILL, .alpha = 1, .value = 2, .arg = {y}};
    f->op[1] = (bptt_op){.opcode = BPTT_SUM, .alpha = 1, .arg = {y, out}};
    f->plan = (bptt_plan){.op = f->op, .ops = 2, .room = 2, .input = {y}, .output = out};
    CK_DONE(f->d->backend.prepare(f->d, &f->plan, &f->handle, error));
}

static void filling_close(filling *f)
{
    f->d->backend.forget(f->d, f->handle);
    f->d->backend.forget(f->d, NULL);
    f->d->backend.free(f->d, f->memory);
    close_device(f->d);
    CK_TRUE(fake_now.alive == 0, "%ld objects are left", fake_now.alive);
    free(f->text);
}

// Everything that may fail says so, in the words of the first failure.
static void all_report(filling *f, bptt_status code, const char *part)
{
    bptt_device *d = f->d;
    double out[BPTT_OUTPUTS] = {42};
    float x = 1;
    bptt_buf *b = NULL;
    const bptt_mat one = tight(f->memory, 1, 1, BPTT_F32);
    CK_FAILS(d->backend.run(d, f->handle, &(bptt_slots){0}, error), code, part);
    CK_FAILS(d->backend.sync(d, error), code, part);
    CK_FAILS(d->backend.read(d, &x, BPTT_F32, one, error), code, part);
    CK_FAILS(d->backend.write(d, one, &x, BPTT_F32, error), code, part);
    CK_FAILS(d->backend.collect(d, f->handle, out, error), code, part);
    CK_FAILS(d->backend.alloc(d, 64, &b, error), code, part);
    d->backend.op[BPTT_FILL](d, &f->op[0], &(bptt_slots){0});
    ck_assert(out[0] == 42 && x == 1 && !b);
}

START_TEST(the_first_failure_sticks_and_is_told_by_every_call)
{
    const struct {
        const char *call;
        int after;
        cl_int code;
        bptt_status status;
        const char *part;
    } cases[] = {
        {"EnqueueNDRangeKernel", 0, CL_OUT_OF_RESOURCES, BPTT_DEVICE,
         "EnqueueNDRangeKernel failed for fill: CL_OUT_OF_"},
        {"EnqueueNDRangeKernel", 2, CL_OUT_OF_HOST_MEMORY, BPTT_NO_MEMORY, "failed for sum: CL_OUT_OF_HOST_MEMORY"},
        {"EnqueueWriteBufferRect", 0, CL_INVALID_COMMAND_QUEUE, BPTT_DEVICE, "CL_INVALID_COMMAND_QUEUE"},
        {"EnqueueReadBufferRect", 0, -9999, BPTT_DEVICE, "error -9999"},
        {"WaitForEvents", 0, -4242, BPTT_DEVICE, "clWaitForEvents failed for the inputs of a window: error -4242"},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const cl_api api = fake_api();
        filling f;
        filling_open(&f, &api, i % 2);
        double out[BPTT_OUTPUTS];
        CK_DONE(f.d->backend.run(f.d, f.handle, &(bptt_slots){0}, error));
        CK_DONE(f.d->backend.collect(f.d, f.handle, out, error));
        ck_assert(out[0] == 2 * 7 * 33);
        fake_now.call = cases[i / 2].call, fake_now.after = cases[i / 2].after, fake_now.code = cases[i / 2].code;
        fake_now.times = 2, fake_now.hears = "smoke";
        bptt_error e = {0};
        bptt_status s = f.d->backend.run(f.d, f.handle, &(bptt_slots){0}, &e); // lost in run, or in collect
        out[0] = 42;
        if (!s) s = f.d->backend.collect(f.d, f.handle, out, &e);
        CK_TRUE(s == cases[i / 2].status && strstr(e.words, cases[i / 2].part) && strstr(e.words, "smoke"), "%d %s",
                (int)s, e.words);
        ck_assert(out[0] == 42);
        all_report(&f, cases[i / 2].status, cases[i / 2].part);
        filling_close(&f);
    }
}
END_TEST

START_TEST(a_single_step_that_fails_is_told_by_the_next_sync)
{
    const cl_api api = fake_api();
    filling f;
    filling_open(&f, &api, false);
    fake_now.call = "EnqueueNDRangeKernel", fake_now.code = CL_INVALID_WORK_GROUP_SIZE, fake_now.times = 1;
    f.d->backend.op[BPTT_FILL](f.d, &f.op[0], &(bptt_slots){0});
    CK_FAILS(f.d->backend.sync(f.d, error), BPTT_DEVICE, "failed for fill: CL_INVALID_WORK_GROUP_SIZE");
    all_report(&f, BPTT_DEVICE, "failed for fill");
    filling_close(&f);
}
END_TEST

// ---- devices that compute something else ------------------------------------------------------------

static enum { LAST_BIT, FAR_OFF, TINY, NO_NAN } wrong;

static void other_host(const float *in, float *out)
{
    cl_probe_host(in, out); // tanh comes first
    for (size_t i = 0; i < PROBE_INPUTS; i++) {
        const float a = in[3 * i];
        if (wrong == LAST_BIT && a > 0.5f && a < 0.75f) out[i] = nextafterf(out[i], 1);
        if (wrong == FAR_OFF && a > 0.5f && a < 0.75f) out[i] += 0x1p-19f;
        if (wrong == TINY && fpclassify(a) == FP_SUBNORMAL) out[i] = 0;
        if (wrong == NO_NAN && isnan(a)) out[i] = 1;
    }
}

START_TEST(other_arithmetic_than_the_hosts_is_noticed)
{
    const cl_api api = fake_api();
    const bptt_backend b = bptt_opencl();
    cl_setup s = {.api = &api, .host = other_host};
    char *text = small_text(&s.text_size);
    s.text = text;
    static const char *const bits[] = {
        [LAST_BIT] = "within 1 ulp (tanh)", [TINY] = "same bits but for subnormal numbers"};
    for (wrong = LAST_BIT; wrong <= NO_NAN; wrong++) {
        bptt_device *d = NULL;
        if (wrong == FAR_OFF || wrong == NO_NAN) {
            CK_FAILS(cl_open_with(&s, &b, &(bptt_compute){0}, &d, error), BPTT_DEVICE, "cannot be used: its tanh");
            ck_assert_ptr_null(d);
            continue;
        }
        d = open_device(&s, &(bptt_compute){0});
        ck_assert_str_eq(d->bits, bits[wrong]);
        close_device(d);
    }
    free(text);
}
END_TEST

// If one kernel is allowed fewer work-items than the rest, the launches of an op have as many groups as before, but
// small ones.
static void launches_fit(bptt_device *d, bptt_mat y, size_t allowed)
{
    const bptt_op op[] = {{.opcode = BPTT_FILL, .alpha = 1, .arg = {y}},
                          {.opcode = BPTT_SUM, .alpha = 1, .arg = {y, bptt_cols(bptt_rows(y, 0, 1), 0, 1)}}};
    launch before[MOST_LAUNCHES], after[MOST_LAUNCHES];
    for (size_t i = 0; i < 2; i++) {
        const size_t n = cl_launches_of(cl_of(d), &op[i], y.buf, before);
        size_t kept[KERNELS];
        memcpy(kept, cl_of(d)->common.largest_group, sizeof kept);
        for (size_t k = 0; k < KERNELS; k++) cl_of(d)->common.largest_group[k] = allowed;
        ck_assert_uint_eq(cl_launches_of(cl_of(d), &op[i], y.buf, after), n);
        memcpy(cl_of(d)->common.largest_group, kept, sizeof kept);
        for (size_t k = 0; k < n; k++) {
            const launch *a = &after[k], *b = &before[k];
            CK_TRUE(a->lanes[0] > 0 && a->lanes[1] > 0 && a->lanes[0] * a->lanes[1] <= allowed,
                    "%zu x %zu in a group of %zu", a->lanes[0], a->lanes[1], allowed);
            for (size_t j = 0; j < 2; j++)
                CK_TRUE(a->groups[j] == b->groups[j], "%zu groups, before %zu", a->groups[j], b->groups[j]);
        }
    }
}

START_TEST(groups_are_no_larger_than_a_kernel_allows)
{
    const cl_api api = fake_api();
    const cl_limits gpu = {
        .kind = BPTT_GPU, .local_memory = 32768, .local_is_real = true, .largest_group = 1024, .units = 8};
    cl_setup s = {.api = &api, .limits = &gpu, .cache = ""};
    char *text = small_text(&s.text_size);
    s.text = text;
    const tile_class *largest = tile_class_of(&gpu);
    size_t smaller = 0;
    const struct {
        cl_device_info what;
        cl_ulong most;
    } told[] = {{CL_DEVICE_MAX_WORK_GROUP_SIZE, 3}, {CL_DEVICE_MAX_WORK_ITEM_SIZES, 2}};
    for (size_t i = 0; i < 2; i++) {
        fake_now = (fake){.lie = told[i].what, .lie_value = told[i].most};
        bptt_device *d = open_device(&(cl_setup){.api = &api, .cache = "", .text = text, .text_size = s.text_size},
                                     &(bptt_compute){0});
        ck_assert_uint_eq(cl_of(d)->limits.largest_group, told[i].most);
        close_device(d);
    }
    for (size_t group = 1024; group > 0; group /= 3) {
        fake_now = (fake){.group = group};
        bptt_device *d = open_device(&s, &(bptt_compute){0});
        smaller += cl_of(d)->tiles != largest;
        bptt_buf *m = must_have(d, 16384);
        const bptt_mat y = tight(m, 33, 65, BPTT_F32);
        const bptt_op fill = {.opcode = BPTT_FILL, .alpha = 1, .value = 3, .arg = {y}};
        d->backend.op[BPTT_FILL](d, &fill, &(bptt_slots){0});
        float got[33 * 65];
        CK_DONE(cl_read(d, got, BPTT_F32, y, error));
        for (size_t i = 0; i < 33 * 65; i++) CK_TRUE(got[i] == 3, "groups of %zu: %g at %zu", group, (double)got[i], i);
        CK_TRUE(fake_now.lanes <= group, "a group of %zu where %zu are allowed", fake_now.lanes, group);
        for (size_t allowed = group; allowed > 0; allowed /= 2) launches_fit(d, y, allowed);
        cl_free(d, m);
        close_device(d);
    }
    CK_TRUE(smaller > 1, "tiles were made smaller %zu times", smaller);
    free(text);
}
END_TEST

// ---- leaks --------------------------------------------------------------------------------------

START_TEST(twenty_opens_and_closes_leave_nothing)
{
    for (int i = 0; i < 20; i++) {
        const cl_api api = fake_api();
        filling f;
        filling_open(&f, &api, i % 2);
        double out[BPTT_OUTPUTS], y[7 * 33] = {0};
        for (int k = 0; k < 3; k++) {
            const bptt_slots slots = {.input = {k ? y : NULL}, .type = {BPTT_F64}};
            CK_DONE(f.d->backend.run(f.d, f.handle, &slots, error));
            if (k < 2) CK_DONE(f.d->backend.collect(f.d, f.handle, out, error));
        }
        f.d->backend.op[BPTT_SUM](f.d, &f.op[1], &(bptt_slots){0});
        if (i % 3 == 0) f.handle = NULL; // not forgotten: close does it
        filling_close(&f);               // with a run that nobody collected
    }
}
END_TEST

START_TEST(the_module_shows_its_table_to_this_version_only)
{
    bptt_module_function bptt_module;
    bptt_backend b = {0};
    bptt_abi abi = BPTT_ABI_HERE;
    CK_DONE(bptt_module(&abi, &b, error));
    ck_assert_str_eq(b.name, "opencl");
    ck_assert(b.real == BPTT_F32 && b.sum == BPTT_F32 && b.transposed_copies && b.list);
    for (size_t cols = 1; cols < 3000; cols++)
        CK_TRUE(b.pad(cols) >= cols && b.pad(cols) < cols + 32 && b.pad(cols) % 16 == 0 && b.pad(cols) % 256 != 0,
                "%zu columns take %zu", cols, b.pad(cols));
    size_t *const member[] = {&abi.backend, &abi.device, &abi.op, &abi.slots, &abi.plan, &abi.config, &abi.info};
    for (size_t i = 0; i < 8; i++) {
        abi = BPTT_ABI_HERE;
        if (i < 7)
            *member[i] += 8;
        else
            abi.version++;
        b.name = NULL;
        CK_FAILS(bptt_module(&abi, &b, error), BPTT_NO_BACKEND, "install both from one build");
        ck_assert_ptr_null(b.name);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, what_cannot_be_used_says_why);
    tcase_add_test(c, a_program_that_does_not_compile_is_an_error_with_the_compilers_words);
    tcase_add_test(c, an_open_that_fails_anywhere_leaves_nothing);
    tcase_add_test(c, memory_that_is_not_there_is_refused_with_numbers);
    tcase_add_test(c, the_first_failure_sticks_and_is_told_by_every_call);
    tcase_add_test(c, a_single_step_that_fails_is_told_by_the_next_sync);
    tcase_add_test(c, other_arithmetic_than_the_hosts_is_noticed);
    tcase_add_test(c, groups_are_no_larger_than_a_kernel_allows);
    tcase_add_test(c, twenty_opens_and_closes_leave_nothing);
    tcase_add_test(c, the_module_shows_its_table_to_this_version_only);
}

int main(void) { return run_opencl_suite("opencl faults", add, 240); }
