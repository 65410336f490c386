// Output and exit code of `bptt verify`, with parts of this test: one whose claim holds, one whose claim fails, and one
// that returns an error.
#include "cmd_verify.h"
#include "near.h"
#include "progress.h"
#include "suite.h"

#include <string.h>
#include <unistd.h>

static size_t called;

static bptt_status holding(const verify_options *o, size_t *failures, bptt_error *e)
{
    (void)failures, (void)e;
    called++;
    ck_assert(o->progress);
    o->progress(o->user, "good", 0.5); // too early for a line
    o->line(o->user, &(verify_line){"good", "two and two is four", EVIDENCE_EXACT, true, "4"});
    return BPTT_OK;
}

static bptt_status broken(const verify_options *o, size_t *failures, bptt_error *e)
{
    (void)e;
    called++;
    o->line(o->user, &(verify_line){"bad", "two and two is five", EVIDENCE_SAMPLED, false, "it is 4"});
    ++*failures;
    return BPTT_OK;
}

static bptt_status impossible(const verify_options *o, size_t *failures, bptt_error *e)
{
    (void)o, (void)failures;
    called++;
    return bptt_fail(e, BPTT_NO_BACKEND, "there is no abacus");
}

static const verify_row ROWS[] = {
    {"good", holding, true}, {"bad", broken, true}, {"none", impossible, false}, {"trace", holding, false}};

// Runs a command line; captures its output in out.
static exit_code run(int argc, char *const *argv, char *out, size_t room)
{
    options o;
    char words[OPTIONS_WORDS];
    CK_TRUE(options_parse(CMD_VERIFY, argc, argv, &o, words), "%s", words);
    FILE *f = tmpfile();
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    ck_assert(f && dup2(fileno(f), STDOUT_FILENO) >= 0);
    called = 0;
    const exit_code code = verify_parts(&o, ROWS, 4);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(f);
    out[fread(out, 1, room - 1, f)] = '\0';
    fclose(f);
    return code;
}

START_TEST(progress_tells_rate_and_time_left)
{
    char line[160];
    share_line(line, "counting", 0.25, 60);
    ck_assert_str_eq(line, "counting: 25.0 %, 25.0 %/min, 3:00 left");
    share_line(line, "counting", 1, 3600);
    ck_assert_str_eq(line, "counting: 100.0 %, 1.7 %/min, 0:00 left");
    share_line(line, "counting", 0, 0);
    ck_assert_str_eq(line, "counting: 0.0 %, ? %/min, ? left");
}
END_TEST

START_TEST(progress_leaves_out_what_does_not_fit)
{
    const progress p = {.last = 1234567, .windows = 4139, .rate = 19288};
    const bptt_report r = {.loss = 1.25, .grad_norm = 0.5861};
    const char *const whole = "41393/1234567 epoch 10.00 loss 1.2500 bpc 1.803 grad 0.586 19.3k char/s 7:55 left";
    char line[160];
    progress_line(line, &p, 41393, &r, 475, 0);
    ck_assert_str_eq(line, whole);
    progress_line(line, &p, 41393, &r, 475, strlen(whole));
    ck_assert_str_eq(line, whole);
    progress_line(line, &p, 41393, &r, 475, strlen(whole) - 1);
    ck_assert_str_eq(line, "41393/1234567 epoch 10.00 loss 1.2500 bpc 1.803 19.3k char/s 7:55 left");
    progress_line(line, &p, 41393, &r, 475, 60);
    ck_assert_str_eq(line, "41393/1234567 epoch 10.00 loss 1.2500 19.3k char/s 7:55 left");
    progress_line(line, &p, 41393, &r, 475, 50);
    ck_assert_str_eq(line, "41393/1234567 epoch 10.00 loss 1.2500 7:55 left");
    progress_line(line, &p, 41393, &r, 475, 7);
    ck_assert_str_eq(line, "41393/1");
}
END_TEST

// The last line follows the one before it at once.
START_TEST(the_rate_at_the_end_is_the_rate_before_it)
{
    const bptt_trainer_info info = {.iterations = 101, .windows = 10};
    const bptt_report r = {.loss = 1};
    char out[400], *rate[2];
    progress p;
    FILE *f = tmpfile();
    const int kept = dup(STDERR_FILENO);
    ck_assert(f && dup2(fileno(f), STDERR_FILENO) >= 0);
    progress_start(&p, false, &info, 1000);
    p.started = p.shown -= 10;
    progress_update(&p, 100, &r);
    progress_update(&p, 101, &r);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(f);
    out[fread(out, 1, sizeof out - 1, f)] = '\0';
    fclose(f);
    rate[0] = strstr(out, "10.0k char/s");
    CK_TRUE(rate[0] != NULL, "%s", out);
    rate[1] = strstr(rate[0] + 1, "10.0k char/s");
    CK_TRUE(rate[1] != NULL, "%s", out);
}
END_TEST

START_TEST(a_claim_that_does_not_hold_is_said_and_exits_with_1)
{
    char out[4000];
    ck_assert_int_eq(run(0, NULL, out, sizeof out), 1);
    ck_assert_uint_eq(called, 2); // the plain ones
    ck_assert_ptr_nonnull(strstr(out, "OK      good        exact       two and two is four (4)\n"));
    ck_assert_ptr_nonnull(strstr(out, "FAILED  bad         sampled     two and two is five (it is 4)\n"));
    ck_assert_ptr_nonnull(strstr(out, "\n2 claims, 1 failed."));
    ck_assert_ptr_nonnull(strstr(out, "\nNot claimed: "));
}
END_TEST

START_TEST(claims_that_hold_exit_with_0)
{
    char out[4000];
    ck_assert_int_eq(run(1, (char *[]){"good"}, out, sizeof out), 0);
    ck_assert_uint_eq(called, 1);
    ck_assert_ptr_null(strstr(out, "FAILED"));
    ck_assert_ptr_nonnull(strstr(out, "exact: "));
    ck_assert_ptr_null(strstr(out, "sampled: ")); // only words that were used are explained
}
END_TEST

START_TEST(json_is_one_object_a_line)
{
    char out[4000];
    ck_assert_int_eq(run(2, (char *[]){"bad", "--json"}, out, sizeof out), 1);
    const char *const first = "{\"part\":\"bad\",\"evidence\":\"sampled\",\"claim\":\"two and two is five\","
                              "\"found\":\"it is 4\",\"holds\":false}\n";
    CK_TRUE(strncmp(out, first, strlen(first)) == 0, "%s", out);
    const char *const last = "{\"claims\":1,\"failed\":1,\"not_claimed\":";
    CK_TRUE(strncmp(out + strlen(first), last, strlen(last)) == 0, "%s", out);
}
END_TEST

START_TEST(what_cannot_be_done_is_an_error_and_no_failed_claim)
{
    char out[4000];
    ck_assert_int_eq(run(1, (char *[]){"none"}, out, sizeof out), CODE_UNAVAILABLE);
    ck_assert_int_eq(run(1, (char *[]){"nonsense"}, out, sizeof out), CODE_USAGE);
    ck_assert_int_eq(run(2, (char *[]){"good", "folder"}, out, sizeof out), CODE_USAGE);
    ck_assert_uint_eq(called, 0);
    ck_assert_int_eq(run(2, (char *[]){"trace", "folder"}, out, sizeof out), CODE_OK);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, progress_tells_rate_and_time_left);
    tcase_add_test(c, progress_leaves_out_what_does_not_fit);
    tcase_add_test(c, the_rate_at_the_end_is_the_rate_before_it);
    tcase_add_test(c, a_claim_that_does_not_hold_is_said_and_exits_with_1);
    tcase_add_test(c, claims_that_hold_exit_with_0);
    tcase_add_test(c, json_is_one_object_a_line);
    tcase_add_test(c, what_cannot_be_done_is_an_error_and_no_failed_claim);
}

int main(void) { return run_suite("verify cli", add, 30); }
