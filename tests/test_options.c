// The parser of the command line and its tables (host/cli/options.h).
#include "default_text.h"
#include "options.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

#define MOST 12

static char words[OPTIONS_WORDS];

// Parses a line split at its blanks; strings in the options are valid until the next call.
static bool parse(command_id c, const char *line, options *o)
{
    static char text[400];
    char *argv[MOST];
    int argc = 0;
    words[0] = '\0';
    snprintf(text, sizeof text, "%s", line);
    for (char *p = strtok(text, " "); p && argc < MOST; p = strtok(NULL, " ")) argv[argc++] = p;
    return options_parse(c, argc, argv, o, words);
}

// The line is refused with words that contain `part`.
static void refused(command_id c, const char *line, const char *part)
{
    options o;
    ck_assert_msg(!parse(c, line, &o), "'%s' was taken", line);
    ck_assert_msg(strstr(words, part) != NULL, "'%s': '%s' does not say '%s'", line, words, part);
}

// The line is parsed, and then its options do not agree, in words that contain `part`.
static void at_odds(command_id c, const char *line, const char *part)
{
    options o;
    ck_assert_msg(parse(c, line, &o), "%s: %s", line, words);
    ck_assert_msg(!options_agree(&o, words), "'%s' was taken", line);
    ck_assert_msg(strstr(words, part) != NULL, "'%s': '%s' does not say '%s'", line, words, part);
}

static void agrees(command_id c, const char *line)
{
    options o;
    ck_assert_msg(parse(c, line, &o) && options_agree(&o, words), "%s: %s", line, words);
}

static bool readable(const char *standard) { return standard && standard[0] != '('; }

// ---- accepted options ----------------------------------------------------------------------------------------------

START_TEST(a_value_may_follow_its_option_or_an_equals_sign)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "--hidden 7 --lr=0.5 text", &o));
    ck_assert_uint_eq(o.value[OPT_HIDDEN].count, 7);
    ck_assert(o.value[OPT_RATE].real == 0.5);
    ck_assert_str_eq(o.value[OPT_RATE].text, "0.5");
    ck_assert(parse(CMD_SAMPLE, "m --prime=--x=y", &o));
    ck_assert_str_eq(o.value[OPT_PRIME].text, "--x=y");
}
END_TEST

START_TEST(a_letter_takes_its_value_apart_or_attached)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "-o a.x", &o));
    ck_assert_str_eq(o.value[OPT_OUTPUT].text, "a.x");
    ck_assert(parse(CMD_TRAIN, "-ob.x -q", &o));
    ck_assert_str_eq(o.value[OPT_OUTPUT].text, "b.x");
    ck_assert(o.value[OPT_QUIET].given);
}
END_TEST

START_TEST(letters_may_stand_together_the_last_with_its_value)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "-qo a.x text", &o));
    ck_assert(o.value[OPT_QUIET].given);
    ck_assert_str_eq(o.value[OPT_OUTPUT].text, "a.x");
    ck_assert_str_eq(o.argument[0], "text");
    ck_assert(parse(CMD_TRAIN, "-qob.x", &o));
    ck_assert_str_eq(o.value[OPT_OUTPUT].text, "b.x");
    ck_assert(parse(CMD_SAMPLE, "m -qn5", &o));
    ck_assert_uint_eq(o.value[OPT_LENGTH].count, 5);
    ck_assert(parse(CMD_TRAIN, "-oq", &o)); // a file of that name
    ck_assert(!o.value[OPT_QUIET].given);
    refused(CMD_TRAIN, "-qo", "needs a value");
    refused(CMD_TRAIN, "-qx", "unknown option '-x'");
}
END_TEST

START_TEST(options_stand_before_and_after_arguments)
{
    options o;
    ck_assert(parse(CMD_SCORE, "--json m --threads 3 t", &o));
    ck_assert_uint_eq(o.arguments, 2);
    ck_assert_str_eq(o.argument[0], "m");
    ck_assert_str_eq(o.argument[1], "t");
    ck_assert_uint_eq(o.value[OPT_THREADS].count, 3);
}
END_TEST

START_TEST(two_dashes_end_the_options_and_one_is_an_argument)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "-- --hidden", &o));
    ck_assert_str_eq(o.argument[0], "--hidden");
    ck_assert(!o.value[OPT_HIDDEN].given);
    ck_assert(parse(CMD_TRAIN, "-", &o));
    ck_assert_str_eq(o.argument[0], "-");
}
END_TEST

START_TEST(the_last_of_repeated_options_counts)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "--hidden 5 --hidden 9", &o));
    ck_assert_uint_eq(o.value[OPT_HIDDEN].count, 9);
}
END_TEST

START_TEST(a_word_becomes_its_place_in_the_list)
{
    options o;
    char word[32];
    ck_assert(parse(CMD_TRAIN, "--optimizer sgd --cell relu --clip-mode value", &o));
    ck_assert_uint_eq(o.value[OPT_OPTIMIZER].count, 0);
    ck_assert_uint_eq(o.value[OPT_CELL].count, BPTT_RELU);
    ck_assert_uint_eq(o.value[OPT_CLIP_MODE].count, 1);
    ck_assert(parse(CMD_TRAIN, "--optimizer adam", &o));
    ck_assert_uint_eq(o.value[OPT_OPTIMIZER].count, 2);
    ck_assert_str_eq(option_word(OPT_OPTIMIZER, 0, word), "sgd");
    ck_assert_str_eq(option_word(OPT_OPTIMIZER, 1, word), "rmsprop");
    ck_assert_str_eq(option_word(OPT_OPTIMIZER, 2, word), "adam");
}
END_TEST

START_TEST(a_seed_is_any_number_of_64_bits)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "--seed 18446744073709551615", &o));
    ck_assert(o.value[OPT_SEED].count == UINT64_MAX);
    refused(CMD_TRAIN, "--seed 18446744073709551616", "2^64");
}
END_TEST

START_TEST(what_is_not_given_is_the_default_and_says_so)
{
    options o;
    ck_assert(parse(CMD_SAMPLE, "m", &o));
    ck_assert(!o.value[OPT_LENGTH].given);
    ck_assert_uint_eq(o.value[OPT_LENGTH].count, 500);
    ck_assert(o.value[OPT_TEMPERATURE].real == 0.8);
    ck_assert_ptr_null(o.value[OPT_PRIME].text);
    ck_assert(parse(CMD_SAMPLE, "m --length 500", &o));
    ck_assert(o.value[OPT_LENGTH].given);
}
END_TEST

START_TEST(help_ends_the_parsing)
{
    options o;
    ck_assert(parse(CMD_SCORE, "--help --nonsense", &o));
    ck_assert(o.value[OPT_HELP].given);
    ck_assert(parse(CMD_SCORE, "-h", &o));
    ck_assert(o.value[OPT_HELP].given);
}
END_TEST

START_TEST(the_ends_of_a_range_are_in_it)
{
    options o;
    ck_assert(parse(CMD_TRAIN, "--layers 1", &o));
    ck_assert(parse(CMD_TRAIN, "--layers 64", &o));
    ck_assert(parse(CMD_TRAIN, "--valid 0", &o));
    refused(CMD_TRAIN, "--layers 0", "1 to 64");
    refused(CMD_TRAIN, "--layers 65", "1 to 64");
    refused(CMD_TRAIN, "--valid 1", "out of range");
    refused(CMD_TRAIN, "--iterations 0", "1 or more");
    refused(CMD_TRAIN, "--iterations 18446744073709551615", "out of range");
}
END_TEST

// ---- refused options -----------------------------------------------------------------------------------------------

START_TEST(numbers_are_strict)
{
    static const char *const count[] = {"-1", "+1", "1.5", "1e3", "0x10", "7x", "18446744073709551616"};
    static const char *const real[] = {"nan", "NAN", "inf", "-inf", "1e999", "0x1p3", "0,5", "1e", "x", "-1"};
    char line[80];
    for (size_t i = 0; i < sizeof count / sizeof *count; i++) {
        snprintf(line, sizeof line, "--hidden %s", count[i]);
        refused(CMD_TRAIN, line, "--hidden");
    }
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        snprintf(line, sizeof line, "--lr %s", real[i]);
        refused(CMD_TRAIN, line, "--lr");
    }
    refused(CMD_TRAIN, "--lr=", "--lr");
    refused(CMD_TRAIN, "--hidden=", "--hidden");
}
END_TEST

START_TEST(a_word_not_in_the_list_is_refused_with_the_list)
{
    refused(CMD_TRAIN, "--cell LSTM", "tanh|relu|gru|lstm|mlstm|mingru|gru-before, not 'LSTM'");
    refused(CMD_TRAIN, "--cell tan", "tanh|relu");
    refused(CMD_TRAIN, "--cell tanh|relu", "tanh|relu");
    refused(CMD_TRAIN, "--cell=", "tanh|relu");
}
END_TEST

START_TEST(a_value_that_is_missing_is_asked_for)
{
    refused(CMD_TRAIN, "--hidden", "needs a value");
    refused(CMD_TRAIN, "-o", "needs a value");
    refused(CMD_TRAIN, "--output --quiet", "needs a value");
    refused(CMD_TRAIN, "--output=", "file");
}
END_TEST

START_TEST(a_flag_takes_no_value)
{
    refused(CMD_TRAIN, "--quiet=1", "no value");
    refused(CMD_TRAIN, "-qx", "unknown option '-x'");
}
END_TEST

START_TEST(arguments_are_counted)
{
    refused(CMD_SCORE, "m", "missing");
    refused(CMD_SAMPLE, "", "missing");
    refused(CMD_SCORE, "m t x", "unexpected argument 'x': bptt score MODEL TEXT");
    refused(CMD_DEVICES, "x", "unexpected argument 'x'");
}
END_TEST

START_TEST(an_option_of_another_command_is_refused_by_name)
{
    refused(CMD_SAMPLE, "m --hidden 5", "'bptt sample' has no --hidden");
    refused(CMD_TRAIN, "--json", "'bptt train' has no --json");
    refused(CMD_SCORE, "m t -o x", "unknown option");
}
END_TEST

START_TEST(options_are_not_abbreviated)
{
    refused(CMD_TRAIN, "--hid 5", "did you mean --hidden");
    refused(CMD_TRAIN, "--hiddenx 5", "did you mean --hidden");
}
END_TEST

// ---- conflicting options ------------------------------------------------------------------------------------------

START_TEST(an_option_without_effect_is_refused)
{
    at_odds(CMD_TRAIN, "--momentum 0.9",
            "--momentum 0.9 has no effect with --optimizer adam: it is for sgd; leave it "
            "out or choose --optimizer sgd");
    at_odds(CMD_BENCH, "--momentum 0.9 --optimizer rmsprop", "with --optimizer rmsprop: it is for sgd");
    at_odds(CMD_TRAIN, "--clip 0.0 --clip-mode value", "--clip-mode value has no effect with --clip 0.0: ");
    at_odds(CMD_BENCH, "--clip-mode norm --clip 0", "--clip-mode norm has no effect with --clip 0: nothing is clipped");
    at_odds(CMD_TRAIN, "--valid-every 50 --valid 0", "--valid-every 50 has no effect with --valid 0: no text");
    for (size_t k = 0; k < word_count(cell_words); k++) {
        char cell[32], line[80], says[80];
        if (k == BPTT_GRU) continue;
        snprintf(says, sizeof says, "--gru-reset after has no effect with --cell %s: ", word_at(cell_words, k, cell));
        snprintf(line, sizeof line, "--gru-reset after --cell %s", cell);
        at_odds(CMD_TRAIN, line, says);
    }
    at_odds(CMD_BENCH, "--gru-reset before", "it is for gru; leave it out or choose --cell gru");
    at_odds(CMD_TRAIN, "--trace-at 4", "--trace-at 4 has no effect without --trace DIR: ");
    at_odds(CMD_SAMPLE, "m --temperature 0 --seed 3", "--seed 3 has no effect with --temperature 0: nothing is drawn");
    for (const char *const *b = (const char *const[]){"ref", "opencl", "cuda", NULL}; *b; b++) {
        char line[80];
        snprintf(line, sizeof line, "m t --threads 2 --backend %s", *b);
        at_odds(CMD_SCORE, line, "--threads 2 has no effect with --backend ");
    }
    at_odds(CMD_TRAIN, "--lowering always --backend cpu",
            "--lowering always has no effect with --backend cpu: it is for");
    at_odds(CMD_SAMPLE, "m --lowering never --backend ref", "--lowering never has no effect with --backend ref: ");
    at_odds(CMD_TRAIN, "--isa avx2 --backend opencl", "--isa avx2 has no effect with --backend opencl: it is for cpu");
    at_odds(CMD_BENCH, "--product library --backend cuda", "--product library has no effect with --backend cuda: ");
    at_odds(CMD_BENCH, "--product library --backend cpu", "leave it out or choose --backend opencl");
    at_odds(CMD_VERIFY, "--device 1", "--device 1 has no effect with --backend auto: ");
    at_odds(CMD_VERIFY, "cell --backend cpu",
            "--backend cpu has no effect on the part cell: it is for the parts builders");
    at_odds(CMD_VERIFY, "unroll --backend cpu --device 0", "has no effect on the part unroll");
    at_odds(CMD_VERIFY, "trace kept --exhaustive", "--exhaustive has no effect on the part trace: ");
}
END_TEST

START_TEST(an_option_that_has_one_is_taken)
{
    agrees(CMD_TRAIN, "");
    agrees(CMD_TRAIN, "--cell gru --gru-reset before");
    agrees(CMD_BENCH, "--cell gru --gru-reset after");
    agrees(CMD_TRAIN, "--momentum 0.9 --optimizer sgd --clip-mode value --valid-every 5");
    agrees(CMD_TRAIN, "--clip 1 --clip-mode norm --valid 0 --trace d --trace-at 4");
    agrees(CMD_TRAIN, "--valid 0 --valid-every 0 --momentum 0 --optimizer adam"); // these ask for nothing
    agrees(CMD_BENCH, "--backend cpu --device 0 --threads 2 --lowering auto --product own --isa plain");
    agrees(CMD_BENCH, "--backend opencl --lowering never --product library");
    agrees(CMD_SCORE, "m t --threads 2 --lowering always --product library"); // auto: there may be a device
    agrees(CMD_SAMPLE, "m --seed 3 --temperature 0.1");
    agrees(CMD_VERIFY, "device --backend cuda --device 1 --exhaustive");
    agrees(CMD_VERIFY, "--backend cpu --exhaustive");
    agrees(CMD_VERIFY, "nonsense --exhaustive"); // is refused for another reason
}
END_TEST

START_TEST(who_uses_an_option_is_told_in_words)
{
    at_odds(CMD_TRAIN, "--lowering always --backend ref",
            "with --backend ref: it is for opencl and cuda; leave it out or choose one of them");
    agrees(CMD_TRAIN, "--threads 2 --backend abacus"); // is refused for another reason
}
END_TEST

START_TEST(options_that_exclude_each_other_are_refused)
{
    at_odds(CMD_TRAIN, "--iterations 5 --epochs 5", "give one of them");
    at_odds(CMD_TRAIN, "--resume m --hidden 3",
            "--hidden cannot be given with --resume: a resumed run keeps what m says");
    at_odds(CMD_TRAIN, "--resume m --momentum 0.5", "--momentum cannot be given with --resume");
    agrees(CMD_TRAIN, "--resume m --epochs 5 --backend cpu --threads 2");
}
END_TEST

// ---- suggestions ---------------------------------------------------------------------------------------------------

START_TEST(a_slip_brings_a_suggestion)
{
    static const struct {
        const char *typed, *meant;
    } slip[] = {
        {"trian", "train"}, {"tran", "train"}, {"traim", "train"}, {"smaple", "sample"}, {"device", "devices"},
    };
    for (size_t i = 0; i < sizeof slip / sizeof *slip; i++) {
        const char *s = suggest_command(slip[i].typed);
        ck_assert_msg(s && strcmp(s, slip[i].meant) == 0, "%s -> %s", slip[i].typed, s ? s : "nothing");
    }
    ck_assert_str_eq(suggest_option("iter", CMD_TRAIN), "iterations");
    ck_assert_msg(suggest_option("lgo", CMD_TRAIN), "two letters that changed places");
    ck_assert_str_eq(suggest_option("optimiser", CMD_TRAIN), "optimizer");
    ck_assert_str_eq(suggest_option("clipmode", CMD_TRAIN), "clip-mode");
}
END_TEST

START_TEST(what_is_not_near_brings_none)
{
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_ptr_null(suggest_command("frobnicate"));
    ck_assert_ptr_null(suggest_command(""));
    ck_assert_ptr_null(suggest_command(longest));
    ck_assert_ptr_null(suggest_option("xy", CMD_TRAIN));
    ck_assert_ptr_null(suggest_option("prime", CMD_TRAIN));
}
END_TEST

// ---- the tables ----------------------------------------------------------------------------------------------------

START_TEST(every_option_is_complete)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const option_row *row = &option_table[i];
        ck_assert_msg(row->name && row->help && row->commands, "option %zu", i);
        ck_assert_msg((row->kind == KIND_FLAG) == (row->value == NULL), "--%s", row->name);
        ck_assert_msg((row->kind != KIND_COUNT && row->kind != KIND_REAL) || row->min < row->max, "--%s", row->name);
        ck_assert_msg(strlen(row->help) < 200, "--%s", row->name);
    }
    for (size_t c = 0; c < COMMANDS; c++)
        ck_assert_msg(command_table[c].name && command_table[c].summary && command_table[c].about &&
                          command_table[c].example[0] && command_table[c].most <= 2,
                      "command %zu", c);
}
END_TEST

START_TEST(every_default_is_a_value_that_would_be_taken)
{
    options o;
    char line[100];
    for (size_t i = 0; i < OPTIONS; i++) {
        const option_row *row = &option_table[i];
        if (!readable(option_standard(row))) continue;
        for (size_t c = 0; c < COMMANDS; c++) {
            if (!option_belongs((option_id)i, (command_id)c)) continue;
            snprintf(line, sizeof line, "--%s=%s%s", row->name, option_standard(row),
                     c == CMD_SAMPLE    ? " m"
                     : c == CMD_PREDICT ? " m"
                     : c == CMD_SCORE   ? " m t"
                                        : "");
            ck_assert_msg(parse((command_id)c, line, &o), "%s: %s", line, words);
            ck_assert_msg(o.value[i].given, "%s set another option", line);
        }
    }
}
END_TEST

START_TEST(no_command_has_two_options_of_one_name_or_letter)
{
    for (size_t i = 0; i < OPTIONS; i++)
        for (size_t k = i + 1; k < OPTIONS; k++) {
            const option_row *a = &option_table[i], *b = &option_table[k];
            if (!(a->commands & b->commands)) continue;
            ck_assert_msg(strcmp(a->name, b->name) != 0, "--%s", a->name);
            ck_assert_msg(!a->letter || a->letter != b->letter, "-%c", a->letter);
        }
}
END_TEST

START_TEST(only_what_a_state_does_not_hold_may_be_given_with_resume)
{
    // the last is in the state too, and may be changed
    static const char *const may[] = {"iterations", "epochs",   "backend",   "threads",      "log",
                                      "output",     "device",   "lowering",  "sample-every", "save-every",
                                      "quiet",      "resume",   "help",      "product",      "trace",
                                      "isa",        "trace-at", "precision", "data",         "wav"};
    for (size_t i = 0; i < OPTIONS; i++) {
        bool expected = false;
        for (size_t k = 0; k < sizeof may / sizeof *may; k++) expected |= strcmp(option_table[i].name, may[k]) == 0;
        if (option_belongs((option_id)i, CMD_TRAIN))
            ck_assert_msg(option_table[i].resumable == expected, "--%s", option_table[i].name);
    }
}
END_TEST

// A model that learns that blanks follow blanks writes blanks.
START_TEST(the_built_in_text_has_no_run_of_blanks_inside_a_line)
{
    bool indents = true;
    for (size_t i = 0; i + 1 < bptt_default_text_size; i++) {
        const unsigned char *at = bptt_default_text + i;
        indents = at[0] == '\n' || (indents && at[0] == ' ');
        ck_assert_msg(indents || at[0] != ' ' || at[1] != ' ', "byte %zu", i);
    }
    ck_assert_uint_gt(bptt_default_text_size, 500000);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_value_may_follow_its_option_or_an_equals_sign);
    tcase_add_test(c, a_letter_takes_its_value_apart_or_attached);
    tcase_add_test(c, letters_may_stand_together_the_last_with_its_value);
    tcase_add_test(c, options_stand_before_and_after_arguments);
    tcase_add_test(c, two_dashes_end_the_options_and_one_is_an_argument);
    tcase_add_test(c, the_last_of_repeated_options_counts);
    tcase_add_test(c, a_word_becomes_its_place_in_the_list);
    tcase_add_test(c, a_seed_is_any_number_of_64_bits);
    tcase_add_test(c, what_is_not_given_is_the_default_and_says_so);
    tcase_add_test(c, help_ends_the_parsing);
    tcase_add_test(c, the_ends_of_a_range_are_in_it);
    tcase_add_test(c, numbers_are_strict);
    tcase_add_test(c, a_word_not_in_the_list_is_refused_with_the_list);
    tcase_add_test(c, a_value_that_is_missing_is_asked_for);
    tcase_add_test(c, a_flag_takes_no_value);
    tcase_add_test(c, arguments_are_counted);
    tcase_add_test(c, an_option_of_another_command_is_refused_by_name);
    tcase_add_test(c, options_are_not_abbreviated);
    tcase_add_test(c, an_option_without_effect_is_refused);
    tcase_add_test(c, an_option_that_has_one_is_taken);
    tcase_add_test(c, who_uses_an_option_is_told_in_words);
    tcase_add_test(c, options_that_exclude_each_other_are_refused);
    tcase_add_test(c, a_slip_brings_a_suggestion);
    tcase_add_test(c, what_is_not_near_brings_none);
    tcase_add_test(c, every_option_is_complete);
    tcase_add_test(c, every_default_is_a_value_that_would_be_taken);
    tcase_add_test(c, no_command_has_two_options_of_one_name_or_letter);
    tcase_add_test(c, only_what_a_state_does_not_hold_may_be_given_with_resume);
    tcase_add_test(c, the_built_in_text_has_no_run_of_blanks_inside_a_line);
}

int main(void) { return run_suite("options", add, 20); }
