// JSON output (host/cli/jsonl.h): written lines, and the lines that a resumed log keeps.
#include "jsonl.h"
#include "suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Finishes j, compares it with the expected text, frees it.
static void is(jsonl *j, const char *expected)
{
    jsonl_finish(j);
    ck_assert(!j->failed);
    ck_assert_msg(j->n == strlen(expected) && memcmp(j->text, expected, j->n) == 0, "%.*s instead of %s", (int)j->n,
                  j->text, expected);
    jsonl_free(j);
}

static void bytes_become(const char *bytes, size_t n, const char *expected)
{
    jsonl j = {0};
    char line[200];
    snprintf(line, sizeof line, "{\"x\":\"%s\"}\n", expected);
    jsonl_start(&j);
    jsonl_bytes(&j, "x", bytes, n);
    is(&j, line);
}

START_TEST(members_and_elements_are_separated_by_commas)
{
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_count(&j, "a", 1);
    jsonl_open(&j, "b", '[');
    jsonl_count(&j, NULL, 2);
    jsonl_open(&j, NULL, '{');
    jsonl_close(&j, '}');
    jsonl_flag(&j, NULL, false);
    jsonl_close(&j, ']');
    jsonl_flag(&j, "c", true);
    jsonl_text(&j, "d", "");
    is(&j, "{\"a\":1,\"b\":[2,{},false],\"c\":true,\"d\":\"\"}\n");
}
END_TEST

START_TEST(a_string_that_ends_with_a_bracket_is_no_bracket)
{
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_text(&j, "a", "[");
    jsonl_text(&j, "b", "{");
    is(&j, "{\"a\":\"[\",\"b\":\"{\"}\n");
}
END_TEST

START_TEST(an_object_can_be_built_again_in_the_same_memory)
{
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_text(&j, "a", "something that is long");
    jsonl_finish(&j);
    jsonl_start(&j);
    jsonl_count(&j, "b", UINT64_MAX);
    is(&j, "{\"b\":18446744073709551615}\n");
}
END_TEST

START_TEST(numbers_read_back_equal_and_what_is_none_is_null)
{
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_real(&j, "a", 0.1);
    jsonl_real(&j, "b", 1.0 / 3);
    jsonl_real(&j, "c", NAN);
    jsonl_real(&j, "d", -INFINITY);
    is(&j, "{\"a\":0.1,\"b\":0.3333333333333333,\"c\":null,\"d\":null}\n");
}
END_TEST

START_TEST(what_json_forbids_in_a_string_is_escaped)
{
    bytes_become("a\"b\\c/", 6, "a\\\"b\\\\c/");
    bytes_become("\n\0\x1f\x7f", 4, "\\u000a\\u0000\\u001f\\u007f");
}
END_TEST

START_TEST(utf8_passes_and_nothing_else_does)
{
    static const char *const good[] = {"\xC2\x80",     "\xDF\xBF",     "\xE0\xA0\x80",     "\xED\x9F\xBF",
                                       "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    static const struct {
        const char *bytes, *expected;
    } bad[] = {
        {"\x80", "\\ufffd"}, // a continuation alone
        {"\xC2", "\\ufffd"}, // truncated
        {"\xE2\x82", "\\ufffd\\ufffd"},
        {"\xE2\x82z", "\\ufffd\\ufffdz"},
        {"\xC1\xBF", "\\ufffd\\ufffd"}, // overlong
        {"\xE0\x9F\xBF", "\\ufffd\\ufffd\\ufffd"},
        {"\xF0\x8F\xBF\xBF", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xED\xA0\x80", "\\ufffd\\ufffd\\ufffd"}, // a surrogate
        {"\xED\xBF\xBF", "\\ufffd\\ufffd\\ufffd"},
        {"\xF4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"}, // beyond U+10FFFF
        {"\xF5\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xFF", "\\ufffd"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) bytes_become(good[i], strlen(good[i]), good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bytes_become(bad[i].bytes, strlen(bad[i].bytes), bad[i].expected);
    bytes_become("\xE2\x82\xAC", 2, "\\ufffd\\ufffd"); // cut off before its end
}
END_TEST

// ---- log -----------------------------------------------------------------------------------------------------------

static char path[64];

static void write_file(const char *text)
{
    snprintf(path, sizeof path, "test_jsonl.%ld", (long)getpid());
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void file_is(const char *expected)
{
    char text[1000] = "";
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    ck_assert_str_eq(text, expected);
    remove(path);
}

#define LINE(n) "{\"event\":\"step\",\"iteration\":" #n ",\"loss\":1}\n"

START_TEST(a_resumed_log_keeps_what_came_before_the_checkpoint_and_goes_on)
{
    json_log *log = NULL;
    bptt_error e;
    jsonl j = {0};
    write_file("{\"event\":\"start\",\"iteration\":0,\"iterations\":99}\n" LINE(9) LINE(10) LINE(11) LINE(100)
                   LINE(8) "{\"event\":\"torn\",\"iteration\":1");
    ck_assert_int_eq(log_resume(path, 10, &log, &e), BPTT_OK);
    jsonl_start(&j);
    jsonl_count(&j, "iteration", 11);
    ck_assert_int_eq(log_append(log, &j, &e), BPTT_OK);
    jsonl_free(&j);
    log_close(log);
    file_is("{\"event\":\"start\",\"iteration\":0,\"iterations\":99}\n" LINE(9) LINE(10)
                LINE(8) "{\"iteration\":11}\n");
}
END_TEST

START_TEST(a_key_inside_a_sample_is_not_taken_for_the_iteration)
{
    json_log *log = NULL;
    bptt_error e;
    jsonl j = {0};
    write_file("");
    ck_assert_int_eq(log_open(path, &log, &e), BPTT_OK);
    jsonl_start(&j);
    jsonl_text(&j, "event", "\"iteration\":99");
    jsonl_count(&j, "iteration", 3);
    ck_assert_int_eq(log_append(log, &j, &e), BPTT_OK);
    jsonl_free(&j);
    log_close(log);
    ck_assert_int_eq(log_resume(path, 3, &log, &e), BPTT_OK);
    log_close(log);
    file_is("{\"event\":\"\\\"iteration\\\":99\",\"iteration\":3}\n");
}
END_TEST

START_TEST(a_new_log_replaces_an_old_one)
{
    json_log *log = NULL;
    bptt_error e;
    write_file(LINE(1));
    ck_assert_int_eq(log_open(path, &log, &e), BPTT_OK);
    log_close(log);
    file_is("");
}
END_TEST

START_TEST(a_file_that_is_no_log_is_left_alone)
{
    json_log *log = NULL;
    bptt_error e;
    write_file("{\"tensors\":[]}\nmine");
    ck_assert_int_eq(log_open(path, &log, &e), BPTT_BAD_INPUT);
    ck_assert_int_eq(log_resume(path, 5, &log, &e), BPTT_BAD_INPUT);
    ck_assert_ptr_null(log);
    file_is("{\"tensors\":[]}\nmine");
}
END_TEST

START_TEST(a_log_that_cannot_be_made_is_an_error)
{
    json_log *log = NULL;
    bptt_error e;
    ck_assert_int_eq(log_open("no/such/folder", &log, &e), BPTT_IO);
    ck_assert_int_eq(log_resume("no/such/folder", 1, &log, &e), BPTT_IO);
    ck_assert_ptr_null(log);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, members_and_elements_are_separated_by_commas);
    tcase_add_test(c, a_string_that_ends_with_a_bracket_is_no_bracket);
    tcase_add_test(c, an_object_can_be_built_again_in_the_same_memory);
    tcase_add_test(c, numbers_read_back_equal_and_what_is_none_is_null);
    tcase_add_test(c, what_json_forbids_in_a_string_is_escaped);
    tcase_add_test(c, utf8_passes_and_nothing_else_does);
    tcase_add_test(c, a_resumed_log_keeps_what_came_before_the_checkpoint_and_goes_on);
    tcase_add_test(c, a_key_inside_a_sample_is_not_taken_for_the_iteration);
    tcase_add_test(c, a_new_log_replaces_an_old_one);
    tcase_add_test(c, a_file_that_is_no_log_is_left_alone);
    tcase_add_test(c, a_log_that_cannot_be_made_is_an_error);
}

int main(void) { return run_suite("jsonl", add, 20); }
