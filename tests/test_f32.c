// The elementary functions of device/f32.h on a sample of floats: every 8191st, and all near the places where their
// formulas change; division and square root against C's. exhaust_f32 is the same for all floats.
#include "every_float.h"
#include "f32.h"
#include "near.h"
#include "suite.h"

#include <float.h>
#include <stdbool.h>

#define STRIDE 8191
#define AROUND 40    // floats on each side of a place
#define QUARTERS 524 // of ln 2, up to 90.8

static float f_exp(float x) { return f32_exp(x); }
static float f_log(float x) { return f32_log(x); }
static float f_tanh(float x) { return f32_tanh(x); }
static float f_sigmoid(float x) { return f32_sigmoid(x); }

static long double sigmoidl(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

typedef struct function {
    const char *name;
    float (*f)(float x);
    long double (*exact)(long double x);
    double lowest, highest, limit; // of the values; of the error in ulp, as f32.h says
    bool flushes;                  // +0 where the exact value is below the smallest normal number
    uint64_t sum;                  // over the bits of the sample, see below
} function;

static const function functions[] = {
    {"exp", f_exp, expl, 0, INFINITY, 0.982, true, UINT64_C(0x41fc5b6ea8a6c737)},
    {"log", f_log, logl, -INFINITY, INFINITY, 0.825, false, UINT64_C(0xba8489d2abff7326)},
    {"tanh", f_tanh, tanhl, -1, 1, 0.730, false, UINT64_C(0xdbff7c7ae33ec396)},
    {"sigmoid", f_sigmoid, sigmoidl, 0, 1, 0.970, true, UINT64_C(0x047be3f058a6724c)},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

// The i-th place where a formula may change: ends of the range, the two formulas of tanh, the roundings of x / ln 2.
static float place(size_t i)
{
    static const float ends[] = {0,      FLT_MIN, 0x1p-12f, 0.55f,     0.70710678f, 1,
                                 1.414f, 9.01f,   10,       87.33654f, 88.72283f,   FLT_MAX};
    const size_t n = sizeof ends / sizeof ends[0];
    return i < n ? ends[i] : (float)(((double)(i - n) + 1) * 0.34657359027997264 / 2); // in quarters of ln 2
}
#define PLACES (12 + QUARTERS)

#define SPOTS (PLACES * 2 * (2 * AROUND + 1))
#define SAMPLE (SPOTS + FLOATS_NUMBERS / STRIDE)

// The i-th number of the sample, as its place among all floats, 0 (-inf) and the last (inf) left out.
static uint64_t sampled(size_t i)
{
    if (i >= SPOTS) return 1 + (uint64_t)(i - SPOTS) * STRIDE;
    const size_t p = i / (2 * AROUND + 1);
    const float x = place(p / 2);
    const uint64_t n = place_of(p % 2 ? -x : x) + i % (2 * AROUND + 1) - AROUND;
    return n > 0 && n < FLOATS_NUMBERS - 1 ? n : 1;
}

START_TEST(no_error_exceeds_what_the_header_says)
{
    for (const function *f = functions; f < functions + FUNCTIONS; f++) {
        for (size_t i = 0; i < SAMPLE; i++) {
            const float x = nth_float(sampled(i)), y = f->f(x);
            if (f->exact == logl && x < 0) continue;
            const double exact = (double)f->exact((long double)x);
            const bool zero = f->flushes && exact < (double)FLT_MIN;
            const bool good = zero ? F32_TO_BITS(y) == 0 : (double)y == exact || ulp_error(y, exact) <= f->limit;
            if (!good)
                ck_abort_msg("%s(%a) = %a, not %a: %g ulp", f->name, (double)x, (double)y, exact, ulp_error(y, exact));
        }
    }
}
END_TEST

START_TEST(no_value_is_below_that_of_a_smaller_number)
{
    for (const function *f = functions; f < functions + FUNCTIONS; f++) {
        for (size_t i = 0; i < SAMPLE; i++) {
            const uint64_t n = sampled(i);
            const float x = nth_float(n), smaller = nth_float(n - 1);
            if (f->exact == logl && !(smaller >= 0)) continue;
            if (!(f->f(smaller) <= f->f(x)))
                ck_abort_msg("%s(%a) > %s(%a)", f->name, (double)smaller, f->name, (double)x);
        }
    }
}
END_TEST

START_TEST(every_value_is_in_the_range_of_the_function)
{
    for (const function *f = functions; f < functions + FUNCTIONS; f++) {
        for (size_t i = 0; i < SAMPLE; i++) {
            const float x = nth_float(sampled(i)), y = f->f(x);
            if (f->exact == logl && x < 0) continue;
            if (!((double)y >= f->lowest && (double)y <= f->highest))
                ck_abort_msg("%s(%a) = %a", f->name, (double)x, (double)y);
        }
    }
}
END_TEST

START_TEST(tanh_is_odd_to_the_bit)
{
    for (size_t i = 0; i < SAMPLE; i++) {
        const float x = nth_float(sampled(i));
        const f32_bits there = F32_TO_BITS(f_tanh(-x)), here = F32_TO_BITS(f_tanh(x));
        if (there != (here ^ 0x80000000u)) ck_abort_msg("at %a", (double)x);
    }
}
END_TEST

START_TEST(tanh_of_a_subnormal_number_is_that_number)
{
    for (f32_bits u = 0; u < 0x00800000u; u += 61)
        for (f32_bits sign = 0; sign <= 1; sign++) {
            const f32_bits x = u | sign << 31, y = F32_TO_BITS(f_tanh(F32_FROM_BITS(x)));
            if (y != x) ck_abort_msg("at %#x: %#x", (unsigned)x, (unsigned)y);
        }
}
END_TEST

START_TEST(what_is_not_a_number_stays_so)
{
    for (const function *f = functions; f < functions + FUNCTIONS; f++) {
        ck_assert(isnan(f->f(F32_FROM_BITS(0x7f800001u))) && isnan(f->f(F32_FROM_BITS(0xffffffffu))));
        for (uint64_t n = FLOATS_NUMBERS; n < UINT64_C(1) << 32; n += 997) {
            const float x = nth_float(n);
            if (!isnan(f->f(x))) ck_abort_msg("%s of NaN %#x", f->name, (unsigned)F32_TO_BITS(x));
        }
    }
}
END_TEST

START_TEST(the_logarithm_of_a_negative_number_is_not_a_number)
{
    for (uint64_t n = 0; nth_float(n) < 0; n += STRIDE)
        if (!isnan(f_log(nth_float(n)))) ck_abort_msg("at %a", (double)nth_float(n));
    ck_assert(isnan(f_log(-0x1p-149f)) && isnan(f_log(-FLT_MIN)) && isnan(f_log(-1)) && isnan(f_log(-INFINITY)));
}
END_TEST

START_TEST(values_at_special_points_are_exact)
{
    static const struct {
        float (*f)(float x);
        float x, y;
    } point[] = {
        {f_exp, 0, 1},
        {f_exp, -0.0f, 1},
        {f_exp, INFINITY, INFINITY},
        {f_exp, -INFINITY, 0},
        {f_exp, 89, INFINITY},
        {f_exp, FLT_MAX, INFINITY},
        {f_exp, -88, 0},
        {f_exp, -FLT_MAX, 0},
        {f_log, 1, 0},
        {f_log, 0, -INFINITY},
        {f_log, -0.0f, -INFINITY},
        {f_log, INFINITY, INFINITY},
        {f_tanh, 0, 0},
        {f_tanh, -0.0f, -0.0f},
        {f_tanh, INFINITY, 1},
        {f_tanh, -INFINITY, -1},
        {f_tanh, FLT_MAX, 1},
        {f_tanh, 10, 1},
        {f_sigmoid, 0, 0.5f},
        {f_sigmoid, -0.0f, 0.5f},
        {f_sigmoid, INFINITY, 1},
        {f_sigmoid, -INFINITY, 0},
        {f_sigmoid, FLT_MAX, 1},
        {f_sigmoid, -FLT_MAX, 0},
        {f_sigmoid, -88, 0},
    };
    for (size_t i = 0; i < sizeof point / sizeof point[0]; i++) {
        const float y = point[i].f(point[i].x);
        ck_assert_msg(F32_TO_BITS(y) == F32_TO_BITS(point[i].y), "point %zu: at %a is %a, not %a", i,
                      (double)point[i].x, (double)y, (double)point[i].y);
    }
}
END_TEST

// gcc and clang, optimising or not, agree on the sums; a compiler that fuses or reorders on its own would not. A new
// polynomial changes them: run exhaust_f32, then write down what this test prints.
START_TEST(the_bits_are_the_same_with_every_compiler)
{
    for (const function *f = functions; f < functions + FUNCTIONS; f++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < SAMPLE; i++) {
            const float y = f->f(nth_float(sampled(i)));
            sum += isnan(y) ? 1 : F32_TO_BITS(y) * (2 * (uint64_t)i + 1);
        }
        ck_assert_msg(sum == f->sum, "%s: sum %#llx", f->name, (unsigned long long)sum);
    }
}
END_TEST

// ---- division and square root: the bits of C's ----------------------------------------------------------------------

static f32_bits no_subnormal(f32_bits u) { return (u & 0x7f800000u) == 0 ? u & 0x80000000u : u; }
static f32_bits bits_of(float x) { return isnan(x) ? 0x7fc00000u : F32_TO_BITS(x); } // one NaN for all

// Expected result of f32_divide for the float bits a and b, with subnormal inputs and results flushed to zero.
static void divides(f32_bits a, f32_bits b)
{
    volatile float x = F32_FROM_BITS(no_subnormal(a)), y = F32_FROM_BITS(no_subnormal(b));
    const f32_bits want = no_subnormal(bits_of(x / y));
    const f32_bits got = F32_TO_BITS(f32_divide(F32_FROM_BITS(a), F32_FROM_BITS(b)));
    if (got != want) ck_abort_msg("%#x / %#x is %#x, not %#x", (unsigned)a, (unsigned)b, (unsigned)got, (unsigned)want);
}

static void roots(f32_bits u)
{
    volatile float x = F32_FROM_BITS(no_subnormal(u));
    const f32_bits want = bits_of(sqrtf(x)), got = F32_TO_BITS(f32_sqrt(F32_FROM_BITS(u)));
    if (got != want) ck_abort_msg("sqrt %#x is %#x, not %#x", (unsigned)u, (unsigned)got, (unsigned)want);
}

START_TEST(reciprocals_of_all_mantissas_are_the_nearest_floats)
{
    for (f32_bits m = 0x3f800000u; m < 0x40000000u; m++) {
        volatile float x = F32_FROM_BITS(m);
        if (f32_reciprocal(x) != 1 / x) ck_abort_msg("1 / %a is %a", (double)x, (double)f32_reciprocal(x));
    }
}
END_TEST

// Quotients next to a number that lies half way between two floats: a = m b / 2^24 rounded either way, m odd with 25
// bits. Theirs is the only rounding that could go wrong, and by Markstein's theorem cannot.
START_TEST(quotients_are_the_nearest_floats)
{
    uint64_t random = 5;
    for (int i = 0; i < 4000000; i++) {
        const uint64_t w = random_word(&random), m = (w & 0xffffff) | 0x1000001, b = (w >> 24 & 0x7fffff) | 0x800000;
        const uint64_t a = (m * b >> 24) + (w >> 63);
        if (a >= 0x2000000) continue;
        divides(F32_TO_BITS((float)(a >= 0x1000000 ? a / 2 : a)), F32_TO_BITS((float)b));
        divides((f32_bits)w, (f32_bits)(w >> 32)); // any two floats
    }
    for (f32_bits m = 0; m < 1u << 23; m += 3) { // the reciprocal that Newton's step misses, and its neighbour
        divides(0x3f800000u | m, 0x3fffffffu);
        divides(0x3f800000u | m, 0x3ffffffeu);
    }
}
END_TEST

START_TEST(quotients_of_special_numbers_and_at_the_ends_of_the_range_are_those_of_c)
{
    static const f32_bits mantissa[] = {0, 1, 0x2aaaaa, 0x400000, 0x555555, 0x7ffffe, 0x7fffff};
    for (f32_bits i = 0; i < 256 * 7; i++)
        for (f32_bits k = 0; k < 256 * 7; k++) {
            const f32_bits a = (i / 7) << 23 | mantissa[i % 7], b = (k / 7) << 23 | mantissa[k % 7];
            divides(a | (k % 2) << 31, b | (i % 2) << 31);
        }
}
END_TEST

START_TEST(square_roots_are_the_nearest_floats)
{
    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 499) roots((f32_bits)u);
    for (f32_bits e = 0; e < 512; e++)
        for (f32_bits k = 0; k < 64; k++) roots((e << 23) + k - 32); // at both ends of each binade, all specials
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, reciprocals_of_all_mantissas_are_the_nearest_floats);
    tcase_add_test(c, quotients_are_the_nearest_floats);
    tcase_add_test(c, quotients_of_special_numbers_and_at_the_ends_of_the_range_are_those_of_c);
    tcase_add_test(c, square_roots_are_the_nearest_floats);
    tcase_add_test(c, no_error_exceeds_what_the_header_says);
    tcase_add_test(c, no_value_is_below_that_of_a_smaller_number);
    tcase_add_test(c, every_value_is_in_the_range_of_the_function);
    tcase_add_test(c, tanh_is_odd_to_the_bit);
    tcase_add_test(c, tanh_of_a_subnormal_number_is_that_number);
    tcase_add_test(c, what_is_not_a_number_stays_so);
    tcase_add_test(c, the_logarithm_of_a_negative_number_is_not_a_number);
    tcase_add_test(c, values_at_special_points_are_exact);
    tcase_add_test(c, the_bits_are_the_same_with_every_compiler);
}

int main(void) { return run_suite("f32", add, 60); }
