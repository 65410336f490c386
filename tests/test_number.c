// Numbers as text: exact, strict, and the same when the calling program has a decimal comma.
#define _POSIX_C_SOURCE 200809L

#include "number.h"
#include "suite.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double hard[] = {0.0,
                              -0.0,
                              1,
                              -1,
                              0.1,
                              1.0 / 3,
                              2.0 / 3,
                              1e23,
                              9007199254740993.0,
                              5e-324,
                              1e-310,
                              DBL_MIN,
                              DBL_MAX,
                              -DBL_MAX,
                              DBL_EPSILON,
                              1 + DBL_EPSILON,
                              123456789012345678.0,
                              0.3,
                              2e-3,
                              1e100};
enum { HARD = sizeof hard / sizeof hard[0] };

static void check_round_trip(double x)
{
    char text[32];
    double back = 12345;
    memset(text, '#', sizeof text);
    format_real(text, x);
    ck_assert_ptr_nonnull(memchr(text, '\0', sizeof text));
    ck_assert_msg(parse_real(text, &back), "%s does not parse", text);
    ck_assert_msg(memcmp(&back, &x, sizeof x) == 0, "%s came back as %a, not %a", text, back, x);
}

static void check_many(void)
{
    uint64_t random = 1;
    for (size_t i = 0; i < HARD; i++) check_round_trip(hard[i]);
    for (int i = 0; i < 20000; i++) {
        double x;
        random = random * 6364136223846793005u + 1442695040888963407u;
        memcpy(&x, &random, sizeof x);
        if (isfinite(x)) check_round_trip(x);
    }
}

START_TEST(a_formatted_real_reads_back_to_the_same_bits) { check_many(); }
END_TEST

START_TEST(a_real_is_as_short_as_15_digits_allow)
{
    char text[32];
    format_real(text, 0.1);
    ck_assert_str_eq(text, "0.1");
    format_real(text, 2e-3);
    ck_assert_str_eq(text, "0.002");
    format_real(text, -1.5);
    ck_assert_str_eq(text, "-1.5");
    format_real(text, 1e23);
    ck_assert_str_eq(text, "1e+23");
    format_real(text, 0.1 + 0.2);
    ck_assert_str_eq(text, "0.30000000000000004");
    format_real(text, -0x1.fffffffffffffp-1022);
    ck_assert_ptr_nonnull(strstr(text, "e-308"));
}
END_TEST

START_TEST(decimal_spellings_are_read)
{
    static const struct {
        const char *text;
        double x;
    } good[] = {{"0", 0},        {"007", 7},    {"1.", 1},     {".5", 0.5},
                {"+2", 2},       {"-3", -3},    {"1e3", 1000}, {"1E+3", 1000},
                {"25e-2", 0.25}, {"1e-400", 0}, {"0.1", 0.1},  {"179769313486231570000e288", DBL_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        double x = 12345;
        ck_assert_msg(parse_real(good[i].text, &x), "%s", good[i].text);
        ck_assert_msg(x == good[i].x, "%s is not %g", good[i].text, x);
    }
}
END_TEST

START_TEST(all_that_is_not_a_finite_decimal_is_refused_and_leaves_the_result_alone)
{
    static const char *const wrong[] = {"",         " ",     " 1",     "1 ",    "\t1",   "+",     "-",   ".",
                                        "-.",       "e5",    ".e5",    "1e",    "1e+",   "1e5.",  "--1", "+-1",
                                        "1,5",      "1.5.",  "0x10",   "0x1p3", "nan",   "NaN",   "inf", "-inf",
                                        "infinity", "1e999", "-1e999", "1f",    "1_000", "1'000", "1\n", "one"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        double x = 12345;
        ck_assert_msg(!parse_real(wrong[i], &x), "\"%s\" was read", wrong[i]);
        ck_assert(x == 12345);
    }
}
END_TEST

START_TEST(counts_are_read_up_to_64_bits_and_no_further)
{
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "1e3",
                                        "0x1",
                                        "18446744073709551616",
                                        "18446744073709551620",
                                        "99999999999999999999",
                                        "184467440737095516150",
                                        "a"};
    uint64_t x = 12345;
    ck_assert(parse_count("0", &x) && x == 0);
    ck_assert(parse_count("18446744073709551615", &x) && x == UINT64_MAX);
    ck_assert(parse_count("18446744073709551609", &x) && x == UINT64_MAX - 6);
    ck_assert(parse_count("9007199254740993", &x) && x == 9007199254740993u);
    ck_assert(parse_count("0042", &x) && x == 42);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        x = 12345;
        ck_assert_msg(!parse_count(wrong[i], &x), "\"%s\" was read", wrong[i]);
        ck_assert_uint_eq(x, 12345);
    }
}
END_TEST

// ---- a program with a decimal comma ---------------------------------------------------------------------------------

static void put_word(FILE *f, uint32_t x) { fwrite(&x, sizeof x, 1, f); }

// A machine may have no such locale, so here is one, as localedef would compile it for glibc: a magic number, how many
// fields, where each begins, and the fields: decimal_point and thousands_sep, grouping, both again as wide characters,
// and the character set. Where this is not understood, setlocale refuses it.
static void make_comma_locale(const char *folder)
{
    char path[128];
    snprintf(path, sizeof path, "%s/comma", folder);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/comma/LC_NUMERIC", folder);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    const uint32_t field[6] = {32, 34, 36, 40, 44, 48};
    put_word(f, 0x20031115 ^ LC_NUMERIC);
    put_word(f, 6);
    for (int i = 0; i < 6; i++) put_word(f, field[i]);
    fwrite(",\0.\0\x7f\0\0", 1, 8, f); // "," then "." then CHAR_MAX: no grouping
    put_word(f, ',');
    put_word(f, '.');
    fwrite("UTF-8", 1, 6, f);
    ck_assert_int_eq(fclose(f), 0);
}

static bool use_comma(void)
{
    static const char *const names[] = {"de_DE.utf8", "de_DE.UTF-8", "fr_FR.utf8", "de_DE", "comma"};
    char folder[] = "/tmp/bptt_locale_XXXXXX", path[64], text[8];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make_comma_locale(folder);
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++) {
        if (i == sizeof names / sizeof names[0] - 1) setenv("LOCPATH", folder, 1);
        if (!setlocale(LC_ALL, names[i]) && !setlocale(LC_NUMERIC, names[i])) continue;
        snprintf(text, sizeof text, "%g", 0.5);
        found = strcmp(text, "0,5") == 0;
    }
    snprintf(path, sizeof path, "%s/comma/LC_NUMERIC", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/comma", folder);
    rmdir(path);
    rmdir(folder);
    return found;
}

START_TEST(a_decimal_comma_in_the_callers_locale_changes_nothing_and_stays_in_force)
{
    char text[32];
    double x;
    if (!use_comma()) {
        fputs("not tested: no locale with a decimal comma could be set\n", stderr);
        return;
    }
    check_many();
    format_real(text, 0.5);
    ck_assert_str_eq(text, "0.5");
    ck_assert(!parse_real("0,5", &x));
    snprintf(text, sizeof text, "%g", 0.5);
    ck_assert_str_eq(text, "0,5");
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_formatted_real_reads_back_to_the_same_bits);
    tcase_add_test(c, a_real_is_as_short_as_15_digits_allow);
    tcase_add_test(c, decimal_spellings_are_read);
    tcase_add_test(c, all_that_is_not_a_finite_decimal_is_refused_and_leaves_the_result_alone);
    tcase_add_test(c, counts_are_read_up_to_64_bits_and_no_further);
    tcase_add_test(c, a_decimal_comma_in_the_callers_locale_changes_nothing_and_stays_in_force);
}

int main(void) { return run_suite("number", add, 10); }
