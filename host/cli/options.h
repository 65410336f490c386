// The command line as data: a table of subcommands and a table of options. Parser, range checks, help, suggestions and
// man page use these two tables. Options that set a field of a configuration are rows of ../fields.h.
#ifndef OPTIONS_H
#define OPTIONS_H

#include "fields.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum command_id {
    CMD_TRAIN,
    CMD_SAMPLE,
    CMD_SCORE,
    CMD_PREDICT,
    CMD_INSPECT,
    CMD_DEVICES,
    CMD_BENCH,
    CMD_VERIFY,
    CMD_HELP,
    COMMANDS
} command_id;

#define EXAMPLES 4

typedef struct command_row {
    const char *name;
    const char *arguments;         // as shown in the usage line
    size_t least, most;            // number of arguments besides options
    const char *summary;           // one line
    const char *about;             // a paragraph
    const char *example[EXAMPLES]; // NULL after the last
} command_row;

extern const command_row command_table[COMMANDS];

typedef enum option_kind {
    KIND_FLAG,  // takes no value
    KIND_COUNT, // whole number in min..max
    KIND_REAL,  // finite number in min..max
    KIND_SEED,  // any 64-bit whole number
    KIND_WORD,  // one of the words in `value`, separated by |
    KIND_PATH,
    KIND_TEXT
} option_kind;

typedef enum option_id {
    OPT_FILE_CELL,
    OPT_DATA,
    OPT_WAV,
    OPT_PREDICTIONS,
#define OPTION_ID(NAME, ...) OPT_##NAME,
#define NO_OPTION_ID(...)
    MODEL_FIELDS(OPTION_ID, NO_OPTION_ID) TRAINER_FIELDS(OPTION_ID, NO_OPTION_ID) // rows with an option
    OPT_GRU_RESET,
    OPT_OUTPUT,
    OPT_RESUME,
    OPT_SAVE_EVERY,
    OPT_SAMPLE_EVERY,
    OPT_LOG,
    OPT_TRACE,
    OPT_TRACE_AT,
    OPT_PRIME,
    OPT_LENGTH,
    OPT_SAMPLE_COUNT,
    OPT_TEMPERATURE,
    OPT_PART,
    OPT_SECONDS,
    COMPUTE_FIELDS(OPTION_ID, NO_OPTION_ID)
#undef OPTION_ID
#undef NO_OPTION_ID
        OPT_PLAN,
    OPT_EXHAUSTIVE,
    OPT_JSON,
    OPT_QUIET,
    OPT_MAN,
    OPT_HELP,
    OPTIONS
} option_id;

typedef struct option_row {
    const char *name; // without the dashes; two rows may share it if no command has both
    char letter;      // 0: none
    option_kind kind;
    const char *value;    // name of the value in the help; the words of a KIND_WORD
    const char *standard; // the default as text; "(...)": describes a computed default; NULL: the field's, or none
    double min, max;      // inclusive
    bool below;           // max is not in the range
    unsigned commands;    // 1u << command_id of each command with this option
    bool resumable;       // allowed together with --resume
    const char *help;
    const field *of; // field set by the option; NULL: none
} option_row;

extern const option_row option_table[OPTIONS];

typedef struct option_value {
    bool given;       // on the command line; else the value is the default, if there is one
    uint64_t count;   // COUNT, SEED; FLAG: 1 if given; WORD: its index in the list
    double real;      // REAL
    const char *text; // all kinds with a value: the text on the command line
} option_value;

typedef struct options {
    command_id command;
    option_value value[OPTIONS];
    const char *argument[2];
    size_t arguments;
} options;

// "1 to 64", "0 or more". False if there is no range or no upper bound.
bool option_range(const option_row *row, char out[64]);

// Size of the buffers for messages.
#define OPTIONS_WORDS 400

// Parses argv [argc], the arguments after the subcommand; o keeps pointers into it. False: words has the message.
// --help ends the parsing: sets o->value[OPT_HELP].given, skips all other checks.
bool options_parse(command_id c, int argc, char *const *argv, options *o, char words[OPTIONS_WORDS]);

// False: two options conflict, or an option has no effect; words has the message.
bool options_agree(const options *o, char words[OPTIONS_WORDS]);

// False if the subcommand does not exist.
bool command_find(const char *name, command_id *c);
bool option_belongs(option_id i, command_id c);
// The default as text, NULL if there is none.
const char *option_standard(const option_row *row);
// The word at index `place` of a KIND_WORD.
const char *option_word(option_id i, size_t place, char out[32]);
// The name most similar to the typed word (edit distance at most 2, or a prefix), or NULL.
const char *suggest_command(const char *typed);
const char *suggest_option(const char *typed, command_id c);

#endif
