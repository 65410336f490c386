// The tokenizer accepts exactly JSON, and returns the value of each token.
#include "json.h"
#include "suite.h"

#include <string.h>

// One letter for each token: { } [ ] k s n t f 0, and at the end . (complete) or ! (refused). The text is given at its
// exact size, on the heap, so that a checker of memory sees a step beyond it.
static void shape(const char *text, size_t bytes, unsigned depth, char *out, size_t room)
{
    static const char letters[] = "!.{}[]ksntf0";
    char *copy = malloc(bytes + (bytes == 0));
    json j;
    json_token t;
    json_kind kind;
    memcpy(copy, text, bytes);
    json_start(&j, copy, bytes, depth);
    size_t n = 0;
    do {
        kind = json_next(&j, &t);
        ck_assert_uint_lt(n + 1, room);
        out[n++] = letters[kind];
        ck_assert_uint_le(j.at, bytes);
        if (kind != JSON_BAD) {
            ck_assert_ptr_null(j.why);
            ck_assert(t.text >= copy && t.text + t.bytes <= copy + bytes);
        }
    } while (kind != JSON_BAD && kind != JSON_END);
    if (kind == JSON_BAD) {
        ck_assert_ptr_nonnull(j.why);
        ck_assert_int_eq(json_next(&j, &t), JSON_BAD);
    } else {
        ck_assert_int_eq(json_next(&j, &t), JSON_END);
    }
    out[n] = '\0';
    free(copy);
}

START_TEST(json_is_taken_apart)
{
    static const struct {
        const char *text, *shape;
    } good[] = {{"{}", "{}."},
                {"[]", "[]."},
                {" [ ] ", "[]."},
                {"0", "n."},
                {"-0", "n."},
                {"\"\"", "s."},
                {"true", "t."},
                {"false", "f."},
                {"null", "0."},
                {"[1,-2.5,3e4,4E+5,5.0e-6]", "[nnnnn]."},
                {"{\"a\":1,\"b\":[{\"c\":null}],\"\":{}}", "{knk[{k0}]k{}}."},
                {"\t\r\n{ \"a\" : \"b\" , \"a\":true }", "{kskt}."},
                {"[[],[[]],{}]", "[[][[]]{}]."},
                {"[{},[1,2],{},[]]", "[{}[nn]{}[]]."},
                {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"", "s."},
                {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\uDE00\"", "s."},
                {"[0,10,0.0]", "[nnn]."}};
    char out[64];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        shape(good[i].text, strlen(good[i].text), 8, out, sizeof out);
        ck_assert_str_eq(out, good[i].shape);
    }
}
END_TEST

START_TEST(everything_else_is_refused)
{
    // clang-format off
    static const char *const wrong[] = {
        "", " ", "{", "}", "[", "]", "{]", "[}", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{\"a\"::1}", "{a:1}", "{1:1}", "{'a':1}", "{\"a\":1 \"b\":2}",
        "{\"a\":1]", "{} {}", "{}x", "1 2", "[]]", "{}\xef\xbb\xbf", "\xef\xbb\xbf{}", "// c\n1", "/**/1", "[1]//",
        "007", "01", "-01", "00", "1.", ".5", "-.5", "1.e3", "1e", "1e+", "+1", "-", "--1", "1.5.2", "0x10", "1_0",
        "- 1", "NaN", "nan", "Infinity", "-Infinity", "inf", "1a", "tru", "trux", "fals3", "nulL", "True", "truely",
        "nul", "undefined", "\"", "\"a", "'a'", "\"\\", "\"\\\"", "\"\\x41\"", "\"\\a\"", "\"\\u\"", "\"\\u12\"",
        "\"\\u123g\"", "\"\\u 123\"", "\"a\nb\"", "\"a\tb\"", "\"\x01\"", "\"\x1f\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\ud83d\\u0041\"", "\"\x80\"", "\"\xc3\"",
        "\"\xc3(\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\xaf\"", "\"\xe0\x9f\xbf\"", "\"\xed\xa0\x80\"",
        "\"\xed\xbf\xbf\"", "\"\xf0\x80\x80\x80\"", "\"\xf0\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"", "\"\xff\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xfe\"", "{\"\xff\":1}",
        "\xc2\xa0-1", "\f1", "\v1",
    };
    // clang-format on
    char out[64];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        shape(wrong[i], strlen(wrong[i]), 8, out, sizeof out);
        ck_assert_msg(out[strlen(out) - 1] == '!', "test %zu, %s, is taken as %s", i, wrong[i], out);
    }
}
END_TEST

START_TEST(a_nul_byte_is_refused_inside_a_string_and_outside)
{
    char out[64];
    shape("\"a\0b\"", 5, 8, out, sizeof out);
    ck_assert_str_eq(out, "!");
    shape("[\0]", 3, 8, out, sizeof out);
    ck_assert_str_eq(out, "[!");
    shape("{}\0", 3, 8, out, sizeof out);
    ck_assert_str_eq(out, "{}!");
}
END_TEST

START_TEST(no_prefix_of_an_object_is_complete)
{
    static const char text[] = "{\"a\":[1,-2.5e+3,true,false,null,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":[]}}";
    char out[64];
    for (size_t n = 0; n < sizeof text - 1; n++) {
        shape(text, n, 8, out, sizeof out);
        ck_assert_msg(out[strlen(out) - 1] == '!', "the first %zu bytes are taken as %s", n, out);
    }
    shape(text, sizeof text - 1, 8, out, sizeof out);
    ck_assert_str_eq(out, "{k[nntf0s]k{k[]}}.");
}
END_TEST

START_TEST(depth_stops_exactly_at_its_limit_and_never_above_64)
{
    char text[200], out[256];
    for (unsigned limit = 0; limit < 100; limit++) {
        for (size_t deep = 1; deep < 100; deep++) {
            for (size_t i = 0; i < deep; i++) {
                text[i] = '[';
                text[deep + i] = ']';
            }
            shape(text, 2 * deep, limit, out, sizeof out);
            const unsigned most = limit < JSON_DEPTH ? limit : JSON_DEPTH;
            ck_assert_int_eq(out[strlen(out) - 1], deep <= most ? '.' : '!');
        }
    }
}
END_TEST

START_TEST(a_container_closes_with_its_own_bracket_at_every_depth)
{
    char text[129], out[256];
    for (unsigned d = 0; d < 63; d++) {
        for (unsigned i = 0; i <= d; i++) text[i] = '[';
        memcpy(text + d + 1, "{}", 2);
        for (unsigned i = 0; i <= d; i++) text[d + 3 + i] = ']';
        shape(text, 2 * d + 4, 64, out, sizeof out);
        ck_assert_int_eq(out[strlen(out) - 1], '.');
        text[d + 2] = ']';
        shape(text, 2 * d + 4, 64, out, sizeof out);
        ck_assert_int_eq(out[strlen(out) - 1], '!');
    }
}
END_TEST

START_TEST(a_utf8_sequence_is_never_longer_than_what_is_there)
{
    static const char text[] = "\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9z";
    static const size_t length[] = {4, 0, 0, 0, 3, 0, 0, 2, 0, 1};
    for (size_t at = 0; at < sizeof length / sizeof length[0]; at++)
        for (size_t n = 0; n <= sizeof length / sizeof length[0] - at; n++)
            ck_assert_uint_eq(json_utf8(text + at, n), n < length[at] ? 0 : length[at]);
}
END_TEST

static json_token first(json *j, const char *text)
{
    json_token t;
    json_start(j, text, strlen(text), 1);
    ck_assert_int_ne(json_next(j, &t), JSON_BAD);
    return t;
}

START_TEST(a_string_stands_for_its_characters)
{
    static const struct {
        const char *text, *means;
        size_t n;
    } good[] = {{"\"\"", "", 0},
                {"\"abc\"", "abc", 3},
                {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
                {"\"\\u0041\\u00e9\\u20AC\\uD83d\\uDe00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10},
                {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11},
                {"\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
                {"\"a\\u0000b\"", "a\0b", 3},
                {"\"\xc3\xa9\"", "\xc3\xa9", 2}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char out[32];
        size_t n = 99;
        json j;
        const json_token t = first(&j, good[i].text);
        memset(out, '#', sizeof out);
        ck_assert(json_string(&t, out, good[i].n + 1, &n));
        ck_assert_uint_eq(n, good[i].n);
        ck_assert_mem_eq(out, good[i].means, n + 1);
        ck_assert_int_eq(out[n + 1], '#');
        for (size_t room = 0; room <= good[i].n; room++) {
            memset(out, '#', sizeof out);
            n = 99;
            ck_assert(!json_string(&t, out, room, &n));
            ck_assert_uint_eq(n, 99);
            ck_assert_int_eq(out[room], '#');
        }
    }
}
END_TEST

START_TEST(counts_and_reals_are_exact_or_refused)
{
    static const struct {
        const char *text;
        bool count;
        uint64_t x;
        bool real;
        double y;
    } cases[] = {{"0", true, 0, true, 0},
                 {"9007199254740993", true, 9007199254740993u, true, 9007199254740992.0},
                 {"18446744073709551615", true, UINT64_MAX, true, 18446744073709551616.0},
                 {"18446744073709551616", false, 0, true, 18446744073709551616.0},
                 {"36893488147419103232", false, 0, true, 0x1p65},
                 {"-1", false, 0, true, -1},
                 {"1.0", false, 0, true, 1},
                 {"1e3", false, 0, true, 1000},
                 {"-0", false, 0, true, 0},
                 {"1e999", false, 0, false, 0},
                 {"-2.5e-3", false, 0, true, -2.5e-3},
                 {"0.1", false, 0, true, 0.1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t x = 77;
        double y = 77;
        json j;
        const json_token t = first(&j, cases[i].text);
        ck_assert_msg(json_u64(&t, &x) == cases[i].count, "%s", cases[i].text);
        ck_assert_msg(json_real(&t, &y) == cases[i].real, "%s", cases[i].text);
        ck_assert_uint_eq(x, cases[i].count ? cases[i].x : 77);
        ck_assert(y == (cases[i].real ? cases[i].y : 77));
    }
}
END_TEST

START_TEST(a_number_of_a_thousand_digits_is_refused_not_cut)
{
    char text[1001];
    json j;
    uint64_t x = 77;
    double y = 77;
    memset(text, '1', 1000);
    text[1000] = '\0';
    const json_token t = first(&j, text);
    ck_assert_uint_eq(t.bytes, 1000);
    ck_assert(!json_u64(&t, &x) && x == 77);
    ck_assert(!json_real(&t, &y) && y == 77);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, json_is_taken_apart);
    tcase_add_test(c, everything_else_is_refused);
    tcase_add_test(c, a_nul_byte_is_refused_inside_a_string_and_outside);
    tcase_add_test(c, no_prefix_of_an_object_is_complete);
    tcase_add_test(c, depth_stops_exactly_at_its_limit_and_never_above_64);
    tcase_add_test(c, a_container_closes_with_its_own_bracket_at_every_depth);
    tcase_add_test(c, a_utf8_sequence_is_never_longer_than_what_is_there);
    tcase_add_test(c, a_string_stands_for_its_characters);
    tcase_add_test(c, counts_and_reals_are_exact_or_refused);
    tcase_add_test(c, a_number_of_a_thousand_digits_is_refused_not_cut);
}

int main(void) { return run_suite("json", add, 10); }
