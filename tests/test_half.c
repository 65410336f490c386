// 16-bit floats (device/half.h): each value survives a round trip, and every float is rounded to the nearest.
#include "half_reference.h"
#include "near.h"
#include "suite.h"

#include "flush.h"
#include "half.h"

static void rounds(const half_kind *k, float x)
{
    const half_bits h = half_of(k->kind, x);
    const double want = half_nearest(k, x);
    CK_TRUE(half_is(k, h, want), "%s of %a is %#x, %a, and should be %a", k->name, (double)x, h, half_worth(k, h),
            want);
}

START_TEST(each_of_them_becomes_the_float_it_is_and_comes_back)
{
    for (size_t i = 0; i < HALF_KINDS; i++)
        for (unsigned h = 0; h < 0x10000; h++) {
            const half_kind *k = &HALF_KIND[i];
            const double want = half_worth(k, h), got = half_float(k->kind, (half_bits)h);
            const bool same = isnan(want) ? isnan(got) : got == want && !signbit(got) == !signbit(want);
            CK_TRUE(same, "%s %#x becomes %a and should be %a", k->name, h, got, want);
            const unsigned back = half_of(k->kind, half_float(k->kind, (half_bits)h));
            const unsigned quiet = isnan(want) ? 1u << (k->bits - 1) : 0;
            CK_TRUE(back == (h | quiet), "%s %#x comes back as %#x", k->name, h, back);
        }
}
END_TEST

// Of both signs, and the floats beside it.
static void round_about(const half_kind *k, float x)
{
    const float beside[] = {nextafterf(x, -INFINITY), x, nextafterf(x, INFINITY)};
    for (int i = 0; i < 3; i++) rounds(k, beside[i]), rounds(k, -beside[i]);
}

START_TEST(what_lies_between_two_of_them_becomes_the_nearer_one_and_the_middle_the_even_one)
{
    for (size_t i = 0; i < HALF_KINDS; i++)
        for (unsigned h = 0; h < HALF_KIND[i].inf; h++) {
            const half_kind *k = &HALF_KIND[i];
            const double low = half_worth(k, h);
            const double high = h + 1 < k->inf ? half_worth(k, h + 1) : ldexp(1, k->most + 1);
            const float middle = (float)((low + high) / 2);
            CK_TRUE((double)middle == (low + high) / 2, "the middle is no float");
            round_about(k, (float)low);
            round_about(k, middle);
        }
}
END_TEST

START_TEST(any_float_becomes_the_nearest)
{
    uint64_t random = 11;
    static const float edge[] = {
        0.0f,      -0.0f,       0x1p-149f,   0x1p-126f,      0x1p-24f,         0x1p-25f, 0x1.000002p-25f,
        0x1p-26f,  0x1.ffcp15f, 65519.0f,    65520.0f,       0x1.fffffep+127f, 0x1p16f,  INFINITY,
        -INFINITY, 0x1.fep127f, 0x1.ffp127f, 0x1.fefffep127f};
    for (size_t i = 0; i < HALF_KINDS; i++) {
        for (size_t e = 0; e < sizeof edge / sizeof *edge; e++) rounds(&HALF_KIND[i], edge[e]);
        for (size_t n = 0; n < 2000000; n++)
            rounds(&HALF_KIND[i], F32_FROM_BITS((f32_bits)(random_word(&random) >> 32)));
        for (size_t n = 0; n < 500000; n++) // and about 1, where binary16 has numbers
            rounds(&HALF_KIND[i], (float)ldexp(random_real(&random), (int)(n % 45) - 28));
    }
}
END_TEST

START_TEST(a_nan_stays_one_with_its_sign_and_is_quiet)
{
    for (size_t i = 0; i < HALF_KINDS; i++)
        for (f32_bits u = 0x7f800001u; u < 0x80000000u; u += u < 0x7f810000u ? 1 : 251)
            for (f32_bits sign = 0; sign <= 0x8000u; sign += 0x8000u) {
                const half_bits h = half_of(HALF_KIND[i].kind, F32_FROM_BITS(u | sign << 16));
                CK_TRUE(half_is(&HALF_KIND[i], h, NAN) && (h & 0x8000u) == sign, "%s of NaN %#x is %#x",
                        HALF_KIND[i].name, u | sign << 16, h);
            }
}
END_TEST

START_TEST(a_processor_that_flushes_subnormal_numbers_gives_the_same_bits)
{
    static half_bits plain[HALF_KINDS][0x10000];
    static f32_bits back[HALF_KINDS][0x10000];
    for (int flushing = 0; flushing < 2; flushing++) {
        const unsigned before = flushing ? flush_on() : 0;
        size_t wrong = 0;
        for (size_t i = 0; i < HALF_KINDS; i++)
            for (unsigned h = 0; h < 0x10000; h++) {
                const int kind = HALF_KIND[i].kind;
                const half_bits to = half_of(kind, F32_FROM_BITS((f32_bits)h << 13)); // subnormal floats among them
                const f32_bits from = F32_TO_BITS(half_float(kind, (half_bits)h));
                if (!flushing) plain[i][h] = to, back[i][h] = from;
                wrong += plain[i][h] != to || back[i][h] != from;
            }
        if (flushing) flush_restore(before);
        ck_assert_uint_eq(wrong, 0);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, each_of_them_becomes_the_float_it_is_and_comes_back);
    tcase_add_test(c, what_lies_between_two_of_them_becomes_the_nearer_one_and_the_middle_the_even_one);
    tcase_add_test(c, any_float_becomes_the_nearest);
    tcase_add_test(c, a_nan_stays_one_with_its_sign_and_is_quiet);
    tcase_add_test(c, a_processor_that_flushes_subnormal_numbers_gives_the_same_bits);
}

int main(void) { return run_suite("half", add, 60); }
