// `bptt verify activation` on a sample: its verdict on our functions, its reference, and detection of planted bugs. All
// floats: bptt verify activation --exhaustive, exhaust_f32.
#include "every_float.h"
#include "host_backend.h"
#include "near.h"
#include "planted_f32.h"
#include "reference.h"
#include "suite.h"
#include "sweep.h"
#include "verify.h"

#define TANH_ULP 0.730
#define SIGMOID_ULP 0.970

// ---- the part ---------------------------------------------------------------------------------------

typedef struct heard {
    size_t lines, failed, sampled;
    char text[4000];
} heard;

static void hear(void *user, const verify_line *line)
{
    heard *h = user;
    const size_t n = strlen(h->text);
    ck_assert_str_eq(line->part, "activation");
    h->lines++;
    h->failed += !line->holds;
    h->sampled += line->kind == EVIDENCE_SAMPLED;
    snprintf(h->text + n, sizeof h->text - n, "%s: %s\n", line->claim, line->found);
}

static void half_way(void *user, const char *what, double done)
{
    ck_assert(strcmp(what, "activation: tanh") == 0 || strcmp(what, "activation: sigmoid") == 0);
    ck_assert(user && done >= 0 && done <= 1);
}

START_TEST(a_sample_of_all_floats_holds)
{
    heard h = {0};
    size_t failures = 0;
    bptt_error e = {0};
    const verify_options o = {.line = hear, .progress = half_way, .user = &h};
    CK_TRUE(verify_activation(&o, &failures, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(failures == 0 && h.failed == 0, "%s", h.text);
    ck_assert_uint_eq(h.lines, 6);
    ck_assert_uint_eq(h.sampled, 6);
}
END_TEST

// ---- the reference -----------------------------------------------------------------------------------

static long double sigmoidl(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

// Relative to the C library's long double, where that has more digits than double.
START_TEST(the_reference_is_as_good_as_it_says)
{
    uint64_t random = 3;
    double worst[3] = {0};
    for (int i = 0; i < 2000000; i++) {
        const float f = float_of_bits((uint32_t)random_word(&random));
        const double any = 45 * random_real(&random), x = i % 2 || !(fabsf(f) < 600) ? any : (double)f;
        const long double want[] = {tanhl((long double)x), sigmoidl((long double)x), expl(-fabsl((long double)x))};
        const double got[] = {reference_tanh(x), reference_sigmoid(x), reference_exp(-fabs(x))};
        for (int k = 0; k < 3; k++) {
            const double off = (double)(fabsl((long double)got[k] - want[k]) / fabsl(want[k]));
            if (!(off <= worst[k])) worst[k] = off;
        }
    }
    for (int k = 0; k < 3; k++) CK_TRUE(worst[k] <= REFERENCE_ERROR, "%d: %g", k, worst[k]);
    ck_assert(reference_tanh(-INFINITY) == -1 && reference_tanh(1000) == 1 && isnan(reference_tanh(NAN)));
    ck_assert(reference_sigmoid(INFINITY) == 1 && isnan(reference_sigmoid(NAN)) && isnan(reference_exp(NAN)));
    ck_assert(signbit(reference_tanh(-0.0)) && !signbit(reference_tanh(0.0)));
}
END_TEST

START_TEST(every_float_has_one_place)
{
    for (uint64_t n = 0; n < FLOATS_NUMBERS; n += 4097) ck_assert_uint_eq(place_of(nth_float(n)), n);
    ck_assert(nth_float(0) == -INFINITY && nth_float(FLOATS_NUMBERS - 1) == INFINITY);
    ck_assert(isnan(nth_float(FLOATS_NUMBERS)) && isnan(nth_float(FLOATS - 1)));
}
END_TEST

// ---- mistakes ----------------------------------------------------------------------------------------

typedef void loop(size_t n, const float *x, float *y);
typedef struct loop_of {
    loop *all;
} loop_of;

static bptt_status values(void *own, size_t n, const float *x, float *y, bptt_error *e)
{
    (void)e;
    ((const loop_of *)own)->all(n, x, y);
    return BPTT_OK;
}

// The cell of a backend that is not one of the library's: the kernels of devices as host C.
static bptt_status host_kernel_values(void *own, size_t n, const float *x, float *y, bptt_error *e)
{
    bptt_device *d = own;
    bptt_buf *buf = NULL;
    bptt_status s = d->backend.alloc(d, n * sizeof *x, &buf, e);
    if (s) return s;
    const bptt_mat m = {.buf = buf, .rows = 1, .cols = n, .ld = n, .type = BPTT_F32};
    const bptt_op step = {.opcode = BPTT_CELL_FORWARD, .alpha = 1, .cell = BPTT_TANH, .arg = {m, {0}, {0}, m}};
    s = d->backend.write(d, m, x, BPTT_F32, e);
    if (!s) d->backend.op[BPTT_CELL_FORWARD](d, &step, &(bptt_slots){0});
    if (!s) s = d->backend.read(d, y, BPTT_F32, m, e);
    d->backend.free(d, buf);
    return s;
}

static const sweep of_tanh = {.exact = reference_tanh, .lowest = -1, .highest = 1, .odd = true};
static const sweep of_sigmoid = {.exact = reference_sigmoid, .lowest = 0, .highest = 1, .flushes = true};

static sweep_verdict swept_as(const sweep *kind, loop *first, const sweep_way *second)
{
    loop_of one = {first};
    void *own[2] = {&one, &one};
    const sweep_way way[2] = {{.name = "first", .values = values, .own = own}, second ? *second : (sweep_way){0}};
    sweep s = *kind;
    s.way = way, s.ways = second ? 2 : 1;
    s.sampled = true, s.threads = second ? 1 : 2;
    sweep_verdict v;
    bptt_error e = {0};
    CK_TRUE(sweep_floats(&s, &v, &e) == BPTT_OK, "%s", e.words);
    ck_assert_uint_gt(v.judged, 4000000);
    return v;
}

static sweep_verdict swept(loop *first, const sweep_way *second) { return swept_as(&of_tanh, first, second); }

START_TEST(the_kernels_of_devices_have_the_bits_of_the_text)
{
    const bptt_backend b = bptt_host_kernels();
    bptt_device *d = NULL;
    CK_TRUE(b.open(&b, &(bptt_compute){.threads = 1}, &d, NULL) == BPTT_OK, "no host build of the kernels");
    void *own[1] = {d};
    const sweep_verdict v =
        swept(planted_none, &(sweep_way){.name = "host kernels", .values = host_kernel_values, .own = own});
    b.close(d);
    ck_assert_uint_eq(sweep_wrong(&v), 0);
    ck_assert(v.worst <= TANH_ULP);
}
END_TEST

START_TEST(the_last_bit_of_a_coefficient_is_seen)
{
    loop_of good = {planted_none};
    void *own[1] = {&good};
    const sweep_verdict right = swept(planted_none, NULL);
    const sweep_verdict v = swept(planted_coefficient, &(sweep_way){.name = "good", .values = values, .own = own});
    ck_assert_uint_gt(v.unlike[1], 0);
    ck_assert_uint_ne(v.sum, right.sum);
}
END_TEST

START_TEST(a_broken_symmetry_is_seen)
{
    const sweep_verdict v = swept(planted_symmetry, NULL);
    ck_assert_uint_gt(v.odd, 0);
    ck_assert_uint_gt(sweep_wrong(&v), 0);
}
END_TEST

START_TEST(a_swallowed_nan_is_seen)
{
    const sweep_verdict v = swept(planted_nan, NULL);
    ck_assert_uint_gt(v.nan, 1000);
}
END_TEST

static void flipped_zero(size_t n, const float *x, float *y)
{
    planted_none(n, x, y);
    for (size_t i = 0; i < n; i++)
        if (x[i] == 0) y[i] = -x[i];
}

static void beyond_one(size_t n, const float *x, float *y)
{
    planted_none(n, x, y);
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) == 10) y[i] = copysignf(0x1.000002p+0f, x[i]);
}

static void two_ulp(size_t n, const float *x, float *y)
{
    planted_none(n, x, y);
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > 0.549f && fabsf(x[i]) < 0.551f) y[i] *= 0x1.000004p+0f;
}

// A zero of the wrong sign is odd all the same; a value above 1 makes the next one smaller.
START_TEST(zeros_of_the_wrong_sign_and_values_out_of_range_and_large_errors_are_seen)
{
    const sweep_verdict zero = swept(flipped_zero, NULL), beyond = swept(beyond_one, NULL), far = swept(two_ulp, NULL);
    ck_assert_uint_eq(zero.sign, 2);
    ck_assert_uint_eq(zero.odd, 0);
    ck_assert_uint_eq(beyond.outside, 2);
    ck_assert_uint_gt(beyond.decreasing, 0);
    ck_assert(far.worst > TANH_ULP && fabsf(far.where) > 0.549f && fabsf(far.where) < 0.551f);
}
END_TEST

START_TEST(mistakes_of_sigmoid_are_seen)
{
    const sweep_verdict good = swept_as(&of_sigmoid, planted_sigmoid, NULL);
    const sweep_verdict product = swept_as(&of_sigmoid, planted_product, NULL);
    const sweep_verdict low = swept_as(&of_sigmoid, planted_low, NULL);
    const sweep_verdict denominator = swept_as(&of_sigmoid, planted_denominator, NULL);
    const sweep_verdict range = swept_as(&of_sigmoid, planted_range, NULL);
    ck_assert_uint_eq(sweep_wrong(&good), 0);
    CK_TRUE(good.worst <= SIGMOID_ULP, "%g ulp", good.worst);
    CK_TRUE(product.worst > 1, "%g ulp", product.worst);
    CK_TRUE(low.worst > 1, "%g ulp", low.worst);
    ck_assert_uint_gt(denominator.decreasing, 0);
    ck_assert_uint_gt(range.flush, 0);
}
END_TEST

static bptt_status fails(void *own, size_t n, const float *x, float *y, bptt_error *e)
{
    (void)own, (void)n, (void)x, (void)y;
    return bptt_fail(e, BPTT_DEVICE, "out of order");
}

START_TEST(a_device_that_fails_is_told)
{
    const sweep_way way = {.name = "fails", .values = fails};
    const sweep s = {.way = &way, .ways = 1, .exact = reference_tanh, .lowest = -1, .highest = 1, .threads = 2};
    sweep_verdict v;
    bptt_error e = {0};
    ck_assert_int_eq(sweep_floats(&s, &v, &e), BPTT_DEVICE);
    ck_assert_str_eq(e.words, "out of order");
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_sample_of_all_floats_holds);
    tcase_add_test(c, the_reference_is_as_good_as_it_says);
    tcase_add_test(c, every_float_has_one_place);
    tcase_add_test(c, the_kernels_of_devices_have_the_bits_of_the_text);
    tcase_add_test(c, the_last_bit_of_a_coefficient_is_seen);
    tcase_add_test(c, a_broken_symmetry_is_seen);
    tcase_add_test(c, a_swallowed_nan_is_seen);
    tcase_add_test(c, zeros_of_the_wrong_sign_and_values_out_of_range_and_large_errors_are_seen);
    tcase_add_test(c, mistakes_of_sigmoid_are_seen);
    tcase_add_test(c, a_device_that_fails_is_told);
}

int main(void) { return run_suite("activation", add, 120); }
