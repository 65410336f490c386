// What the subcommands share: exit codes, complaints, reading a text, leaving with the output written.
#ifndef CLI_H
#define CLI_H

#include "bptt.h"
#include "options.h"

#include <stddef.h>
#include <stdio.h>

#if defined(__GNUC__)
#define CLI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CLI_PRINTF(f, a)
#endif

// sysexits.h, which POSIX does not have.
#define EXIT_CODE_LIST(X) \
    X(OK, 0, "it worked") \
    X(FAILED, 1, "verify: a claim does not hold") \
    X(USAGE, 64, "the command line is wrong") \
    X(DATA, 65, "a text or a model file is damaged, or does not fit") \
    X(NO_INPUT, 66, "a file does not exist or cannot be opened") \
    X(UNAVAILABLE, 69, "no such backend, or its device is missing or has failed") \
    X(INTERNAL, 70, "NaN or infinity in training, or an internal error") \
    X(MEMORY, 71, "not enough memory") \
    X(CREATE, 73, "an output file cannot be created") \
    X(IO, 74, "reading or writing failed") \
    X(CONFIG, 78, "options that do not go together, or one that has no effect")

typedef enum exit_code {
#define EXIT_CODE_ENUM(name, code, text) CODE_##name = code,
    EXIT_CODE_LIST(EXIT_CODE_ENUM)
#undef EXIT_CODE_ENUM
} exit_code;

#define NATS_PER_BIT 0.69314718055994530942 // ln 2: bits = nats / ln 2

exit_code exit_code_of(bptt_status s);
// "bptt: ..." and a newline, on standard error.
CLI_PRINTF(1, 2) void complain(const char *format, ...);
// The same, in lines of at most 79 columns that are broken at blanks.
CLI_PRINTF(1, 2) void complain_wrapped(const char *format, ...);
// Prints text in columns indent..79; `at` is the column that the line has reached. Ends with a newline.
void print_wrapped(FILE *f, const char *text, int at, int indent);
// 1234567 -> "1,234,567", for people; and the ending of what is counted.
const char *grouped(uint64_t n, char out[32]);
const char *plural(uint64_t n);
// The library's words with its `parameters` as options: "lower `hidden`" -> "lower --hidden".
enum { ERROR_WORDS = 640 };
const char *parameters_to_flags(const char *words, char out[ERROR_WORDS]);
// Complains in e's words, with options for parameters; the exit code that goes with them.
exit_code complain_of(const bptt_error *e);
// Standard input is a pipe, a socket or a file, so that a text may be meant to come from there.
bool input_is_given(void);
// The whole file ("-": standard input) into *text [n], which the caller frees. Complains on failure.
exit_code read_text(const char *path, unsigned char **text, size_t *n);
// Complains that standard output failed, why: errno or 0; not about a closed pipe, whose reader has seen enough.
exit_code output_failed(int why);
// Writes out what standard output still holds. Complains if that, or anything written before, has failed.
exit_code flush_output(void);
// From one option: the model's parts and the schedule; those not given on the command line stay as they are in c.
void config_apply(const options *o, bptt_trainer_config *c);
// Once MODEL is loaded. assumed: its file does not name its cell, which is said unless --cell does; else a --cell that
// was given is refused.
exit_code check_cell(const options *o, bool assumed);
// Where a file goes that belongs to OUTPUT: "a.safetensors", ".best" -> "a.best.safetensors". The caller frees it.
char *beside(const char *output, const char *mark);

void print_overview(void); // help.c, on standard output
void print_help(command_id c);
void print_man(void); // man.c

exit_code run_train(const options *o);
exit_code run_sample(const options *o);
exit_code run_score(const options *o);
exit_code run_inspect(const options *o);
exit_code run_devices(const options *o);
exit_code run_bench(const options *o);
exit_code run_verify(const options *o);

#endif
