// Plans and runs in flight (device/lower/inflight.h), on a made-up device whose work is done when it is waited for: its
// plan adds an input to the sum that is its output.
#include "lower/inflight.h"
#include "near.h"
#include "suite.h"

#include <string.h>

enum { B = 3 }; // elements of the input

#define GOOD(call) ck_assert_int_eq((call), BPTT_OK)
// The call fills e.
#define REFUSED(call, expected, part) \
    do { \
        e = (bptt_error){0}; \
        const bptt_status status_ = (call); \
        CK_TRUE(status_ == (expected) && strstr(e.words, part), "status %d, \"%s\"", (int)status_, e.words); \
    } while (0)

typedef struct fake_plan {
    inflight_plan base;
    bool submitted[BPTT_IN_FLIGHT];
    float value[BPTT_IN_FLIGHT];
} fake_plan;

typedef struct fake_device {
    inflight_device base;
    fake_plan single;
    size_t made, cleared, submits, waits, drains;
    bool make_fails, submit_fails, check_fails;
    size_t extra;
    char memory[1 << 12];
} fake_device;

static fake_device *fake_of(bptt_device *d) { return d->own; }

static bptt_status fake_make(bptt_device *d, inflight_plan *p, bptt_error *e)
{
    fake_device *f = fake_of(d);
    f->made++;
    inflight_layout(p, f->extra);
    ck_assert_uint_le(BPTT_IN_FLIGHT * p->stage_bytes, sizeof f->memory);
    inflight_set_stages(p, f->memory);
    return f->make_fails ? bptt_fail(e, BPTT_NO_MEMORY, "not made") : BPTT_OK;
}

static void fake_clear(bptt_device *d, inflight_plan *p)
{
    (void)p;
    fake_of(d)->cleared++;
}

static bptt_status fake_check(const inflight_plan *p, size_t slot, const bptt_slots *slots, bptt_error *e)
{
    const fake_device *f = (const void *)slots->input[1];
    (void)p, (void)slot;
    return f && f->check_fails ? bptt_fail(e, BPTT_BAD_INPUT, "not this input") : BPTT_OK;
}

static void fake_submit(bptt_device *d, inflight_plan *base, size_t slot, const bptt_slots *slots)
{
    fake_plan *p = (void *)base;
    fake_of(d)->submits++;
    ck_assert(!p->submitted[slot]); // the run before has been waited for
    inflight_pack_scalars(base, slot, slots);
    const float *in = (const void *)inflight_pack_input(base, slot, 0, slots);
    p->submitted[slot] = true;
    for (size_t i = 0; in && i < B; i++) p->value[slot] += in[i];
    if (fake_of(d)->submit_fails)
        fault_note(&fake_of(d)->base.fault, "fake", "fakeSubmit", "a window", "BROKEN", false);
}

static void fake_wait(bptt_device *d, inflight_plan *base, size_t slot)
{
    fake_plan *p = (void *)base;
    fake_of(d)->waits++;
    if (!p->submitted[slot]) return;
    p->submitted[slot] = false;
    memcpy(base->stage[slot] + base->output_at, &p->value[slot], sizeof(float));
    p->value[slot] = 0;
}

static void fake_drain(bptt_device *d) { fake_of(d)->drains++; }

static const inflight_calls fake_calls = {.state_bytes = sizeof(fake_device),
                                          .plan_bytes = sizeof(fake_plan),
                                          .most_product = 1000,
                                          .make = fake_make,
                                          .clear = fake_clear,
                                          .check = fake_check,
                                          .submit = fake_submit,
                                          .wait = fake_wait,
                                          .drain = fake_drain};

typedef struct rig {
    fake_device fake;
    bptt_device d;
    bptt_buf *buf;
    bptt_op op[1];
    bptt_plan p;
    void *handle;
} rig;

static bptt_mat row(bptt_buf *b, size_t cols) { return (bptt_mat){.buf = b, .rows = 1, .cols = cols, .ld = cols}; }

static void rig_open(rig *r)
{
    memset(r, 0, sizeof *r);
    r->buf = (bptt_buf *)r->fake.memory; // never looked into
    r->fake.base = (inflight_device){.calls = &fake_calls, .single = &r->fake.single.base, .device = "fake"};
    r->d = (bptt_device){.backend.name = "fake", .own = &r->fake};
    r->op[0] = (bptt_op){.opcode = BPTT_GEMM, .arg = {row(r->buf, B)}};
    r->p = (bptt_plan){.op = r->op, .ops = 1, .input = {row(r->buf, B)}, .output = row(r->buf, 1)};
}

static void rig_prepare(rig *r) { GOOD(inflight_prepare(&r->d, &r->p, &r->handle, NULL)); }

static bptt_status run(rig *r, float first, bptt_error *e)
{
    const float in[B] = {first, 10, 100};
    return inflight_run(&r->d, r->handle, &(bptt_slots){.input = {in, &r->fake}}, e);
}

static double collected(rig *r)
{
    double out[BPTT_OUTPUTS];
    GOOD(inflight_collect(&r->d, r->handle, out, NULL));
    for (size_t i = 1; i < BPTT_OUTPUTS; i++) ck_assert(out[i] == 0); // beyond the columns of the output
    return out[0];
}

START_TEST(runs_are_collected_in_their_order)
{
    rig r;
    rig_open(&r);
    rig_prepare(&r);
    for (int i = 0; i < 5; i++) {
        GOOD(run(&r, (float)i, NULL));
        GOOD(run(&r, (float)(i + 1), NULL));
        ck_assert(collected(&r) == 110 + i);
        GOOD(run(&r, (float)(i + 2), NULL));
        ck_assert(collected(&r) == 111 + i);
        ck_assert(collected(&r) == 112 + i);
    }
    inflight_forget(&r.d, r.handle);
}
END_TEST

START_TEST(a_third_run_and_a_collect_too_many_are_refused)
{
    rig r;
    bptt_error e;
    double out[BPTT_OUTPUTS];
    rig_open(&r);
    rig_prepare(&r);
    REFUSED(inflight_collect(&r.d, r.handle, out, &e), BPTT_BAD_INPUT, "no run of this plan");
    GOOD(run(&r, 1, NULL));
    GOOD(run(&r, 2, NULL));
    REFUSED(run(&r, 3, &e), BPTT_BAD_INPUT, "2 runs of a plan");
    ck_assert_uint_eq(r.fake.submits, 2);
    ck_assert(collected(&r) == 111 && collected(&r) == 112); // the refusal changed nothing
    r.p.output.buf = NULL;                                   // nothing to collect: any number of runs
    for (int i = 0; i < 5; i++) GOOD(run(&r, 1, NULL));
    REFUSED(inflight_collect(&r.d, r.handle, out, &e), BPTT_BAD_INPUT, "no run of this plan");
    inflight_forget(&r.d, r.handle);
}
END_TEST

START_TEST(inputs_that_do_not_fit_are_refused_before_anything_is_submitted)
{
    rig r;
    bptt_error e;
    const int32_t in[B] = {1, 2, 3};
    rig_open(&r);
    rig_prepare(&r);
    REFUSED(inflight_run(&r.d, r.handle, &(bptt_slots){.input = {in}, .type = {BPTT_I32}}, &e), BPTT_BAD_INPUT,
            "fake: numbers of type");
    r.fake.check_fails = true;
    REFUSED(run(&r, 1, &e), BPTT_BAD_INPUT, "not this input");
    ck_assert_uint_eq(r.fake.submits, 0);
    r.fake.check_fails = false;
    GOOD(run(&r, 1, NULL));
    ck_assert(collected(&r) == 111);
    inflight_forget(&r.d, r.handle);
}
END_TEST

START_TEST(the_first_failure_stays)
{
    static const char said[] = "fake: fakeSubmit failed for a window: BROKEN; start again";
    rig r;
    bptt_error e, later = {.code = BPTT_NO_MEMORY, .words = "later"};
    double out[BPTT_OUTPUTS];
    rig_open(&r);
    rig_prepare(&r);
    GOOD(run(&r, 1, NULL));
    r.fake.submit_fails = true;
    REFUSED(run(&r, 1, &e), BPTT_DEVICE, said);
    r.fake.submit_fails = false;
    fault_note(&r.fake.base.fault, "fake", "fakeOther", "", "LATER", true);
    fault_keep(&r.fake.base.fault, &later);
    const size_t waits = r.fake.waits;
    REFUSED(run(&r, 1, &e), BPTT_DEVICE, said);
    REFUSED(inflight_collect(&r.d, r.handle, out, &e), BPTT_DEVICE, said);
    ck_assert_uint_eq(r.fake.waits, waits); // nothing is asked of a device that failed
    REFUSED(inflight_sync(&r.d, &e), BPTT_DEVICE, said);
    ck_assert_uint_eq(r.fake.submits, 2);
    ck_assert_uint_eq(r.fake.drains, 0);
    inflight_forget(&r.d, r.handle);
}
END_TEST

START_TEST(a_failure_of_memory_says_what_to_lower)
{
    device_fault f = {0};
    bptt_error e, first = {.code = BPTT_NO_MEMORY, .words = "kept"};
    GOOD(fault_report(&f, &e));
    fault_note(&f, "fake", "fakeAlloc", "", "FULL", true);
    REFUSED(fault_report(&f, &e), BPTT_NO_MEMORY, "fake: fakeAlloc failed: FULL; lower --hidden");
    f = (device_fault){0};
    fault_keep(&f, &first);
    REFUSED(fault_report(&f, &e), BPTT_NO_MEMORY, "kept");
}
END_TEST

START_TEST(matrices_beyond_the_kernels_counts_are_refused)
{
    const size_t large = (size_t)UINT32_MAX + 1;
    static const struct {
        bptt_opcode opcode;
        size_t beyond; // the limit, and one more is too many
    } of[] = {{BPTT_GEMM, 1000}, {BPTT_COPY, UINT32_MAX}};
    for (size_t i = 0; i < 2; i++)
        for (int which = 0; which < 4; which++) {
            rig r;
            bptt_error e;
            rig_open(&r);
            bptt_mat *m = &r.op[0].arg[1];
            r.op[0].opcode = of[i].opcode;
            *m = (bptt_mat){.buf = r.buf, .rows = 2, .cols = 2, .ld = 2};
            size_t *const at = which == 0 ? &m->rows : which == 1 ? &m->cols : &m->ld;
            *at = of[i].beyond;
            rig_prepare(&r);
            inflight_forget(&r.d, r.handle);
            *at = of[i].beyond + 1;
            if (which == 3) m->rows = 1, *at = large; // a single line may be anywhere
            if (which == 3)
                GOOD(inflight_prepare(&r.d, &r.p, &r.handle, &e));
            else
                REFUSED(inflight_prepare(&r.d, &r.p, &r.handle, &e), BPTT_BAD_CONFIG, "fake: ");
            ck_assert_uint_eq(r.fake.made, which == 3 ? 2 : 1);
            if (which == 3) inflight_forget(&r.d, r.handle);
        }
}
END_TEST

START_TEST(every_plan_is_cleared_once)
{
    enum { PLANS = 4 };
    rig r;
    bptt_error e;
    rig_open(&r);
    for (size_t first = 0; first < PLANS; first++) { // the last, the middle ones, the first
        void *handle[PLANS];
        for (size_t k = 0; k < PLANS; k++) GOOD(inflight_prepare(&r.d, &r.p, &handle[k], &e));
        r.fake.cleared = 0;
        inflight_forget(&r.d, handle[first]);
        ck_assert_uint_eq(r.fake.cleared, 1);
        inflight_close(&r.d);
        ck_assert_uint_eq(r.fake.cleared, PLANS + 1); // and the single ops'
        ck_assert_ptr_null(r.fake.base.plans);
    }
    r.fake.make_fails = true, r.fake.cleared = 0;
    REFUSED(inflight_prepare(&r.d, &r.p, &r.handle, &e), BPTT_NO_MEMORY, "not made");
    ck_assert_uint_eq(r.fake.cleared, 1);
    ck_assert_ptr_null(r.fake.base.plans);
    inflight_forget(&r.d, NULL);
}
END_TEST

START_TEST(nothing_in_a_stage_overlaps)
{
    rig r;
    rig_open(&r);
    for (size_t i = 0; i < BPTT_INPUTS; i++)
        if (i != 2) r.p.input[i] = row(r.buf, 7 + 20 * i); // one is absent
    for (r.fake.extra = 0; r.fake.extra < 200; r.fake.extra += 33) {
        inflight_plan p = {.plan = &r.p};
        inflight_layout(&p, r.fake.extra);
        size_t end = STAGE_EXTRA + r.fake.extra;
        for (size_t i = 0; i < BPTT_INPUTS; i++) {
            if (!r.p.input[i].buf) continue;
            ck_assert_uint_ge(p.input_at[i], end);
            ck_assert_uint_eq(p.input_at[i] % 64, 0);
            end = p.input_at[i] + r.p.input[i].cols * sizeof(float);
        }
        ck_assert_uint_ge(p.output_at, end);
        ck_assert_uint_ge(p.stage_bytes, p.output_at + BPTT_OUTPUTS * sizeof(float));
        ck_assert_uint_eq(p.output_at % 64 + p.stage_bytes % 64, 0);
    }
}
END_TEST

START_TEST(sync_waits_for_the_device_and_with_a_profile_for_each_run)
{
    rig r;
    rig_open(&r);
    rig_prepare(&r);
    for (int profile = 0; profile < 2; profile++) {
        r.d.profile = profile;
        GOOD(run(&r, 1, NULL));
        r.fake.waits = 0;
        GOOD(inflight_sync(&r.d, NULL));
        ck_assert_uint_eq(r.fake.drains, 1 + (size_t)profile);
        ck_assert_uint_eq(r.fake.waits, profile ? 2 * BPTT_IN_FLIGHT : BPTT_IN_FLIGHT); // single ops always
        ck_assert(collected(&r) == 111);
    }
    inflight_forget(&r.d, r.handle);
}
END_TEST

START_TEST(a_device_starts_as_its_configuration_says)
{
    bptt_device *d = NULL;
    bptt_error e = {.code = BPTT_NO_MEMORY};
    const bptt_backend b = {.name = "fake", .overlaps = true};
    GOOD(inflight_new_device(&b, &(bptt_compute){.profile = true}, &fake_calls, &d, &e));
    ck_assert(d->profile && d->threads == 1 && d->backend.overlaps && fake_of(d)->base.calls == &fake_calls);
    GOOD(inflight_sync(d, &e)); // no plan yet, nor single ops
    ck_assert_uint_eq(fake_of(d)->drains, 1);
    inflight_close(d);
    inflight_free_device(d);
    // At open a full device is one that cannot be used: the host goes on to the next.
    ck_assert_int_eq(inflight_open_failed(BPTT_NO_MEMORY, &e), BPTT_DEVICE);
    ck_assert_int_eq(e.code, BPTT_DEVICE);
    ck_assert_int_eq(inflight_open_failed(BPTT_NO_BACKEND, NULL), BPTT_NO_BACKEND);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, runs_are_collected_in_their_order);
    tcase_add_test(c, a_third_run_and_a_collect_too_many_are_refused);
    tcase_add_test(c, inputs_that_do_not_fit_are_refused_before_anything_is_submitted);
    tcase_add_test(c, the_first_failure_stays);
    tcase_add_test(c, a_failure_of_memory_says_what_to_lower);
    tcase_add_test(c, matrices_beyond_the_kernels_counts_are_refused);
    tcase_add_test(c, every_plan_is_cleared_once);
    tcase_add_test(c, nothing_in_a_stage_overlaps);
    tcase_add_test(c, a_device_starts_as_its_configuration_says);
    tcase_add_test(c, sync_waits_for_the_device_and_with_a_profile_for_each_run);
}

int main(void) { return run_suite("inflight", add, 10); }
