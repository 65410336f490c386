// Shared by the subcommands: exit codes, error messages, reading a text, exit after the output is flushed.
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

// Values of sysexits.h, which is not part of POSIX.
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
// Prints "bptt: ..." and a newline to standard error.
CLI_PRINTF(1, 2) void complain(const char *format, ...);
// The same, wrapped at blanks to at most 79 columns.
CLI_PRINTF(1, 2) void complain_wrapped(const char *format, ...);
// Prints text in columns indent..79; `at` is the current column. Ends with a newline.
void print_wrapped(FILE *f, const char *text, int at, int indent);
// 1234567 -> "1,234,567"; plural: "" for 1, else "s".
const char *grouped(uint64_t n, char out[32]);
const char *plural(uint64_t n);
// A loss for people: "1.2345" in nats; a loss of a sequence, which may be small, with four digits.
const char *loss_figure(bool dense, double loss, char out[32]);
// Replaces the library's `parameters` in an error message by options: "lower `hidden`" -> "lower --hidden".
enum { ERROR_WORDS = 640 };
const char *parameters_to_flags(const char *words, char out[ERROR_WORDS]);
// Prints the message of e with options for parameters; returns the exit code.
exit_code complain_of(const bptt_error *e);
// True if both names are equal or refer to one file; false if one is NULL.
bool same_file(const char *a, const char *b);
// True if standard input is a pipe, a socket or a file, so that it may carry the text.
bool input_is_given(void);
// Reads the whole file ("-": standard input) into *text [n], which the caller frees. Prints a message on failure.
exit_code read_text(const char *path, unsigned char **text, size_t *n);
// Prints a message that standard output failed (why: errno or 0). Silent for a closed pipe.
exit_code output_failed(int why);
// Flushes standard output. Prints a message if that, or an earlier write, failed.
exit_code flush_output(void);
// Copies the options given on the command line to the configuration c; other members do not change.
void config_apply(const options *o, bptt_trainer_config *c);
// Checks --cell after MODEL is loaded. assumed: the file does not name its cell: prints a warning unless --cell is
// given. Not assumed: --cell is an error.
exit_code check_cell(const options *o, bool assumed);
// Path of a file beside OUTPUT: "a.safetensors", ".best" -> "a.best.safetensors". The caller frees it.
char *beside(const char *output, const char *mark);

void print_overview(void); // help.c; to standard output
void print_help(command_id c);
void print_man(void); // man.c

exit_code run_train(const options *o);
exit_code run_sample(const options *o);
exit_code run_score(const options *o);
exit_code run_predict(const options *o);
exit_code run_inspect(const options *o);
exit_code run_devices(const options *o);
exit_code run_bench(const options *o);
exit_code run_verify(const options *o);

#endif
