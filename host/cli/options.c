// Parses a command line with the tables and checks names, values and ranges before any work.
#include "options.h"

#include "number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__)
#define LIKE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define LIKE_PRINTF(f, a)
#endif

LIKE_PRINTF(2, 3) static bool wrong(char words[OPTIONS_WORDS], const char *format, ...)
{
    va_list a;
    va_start(a, format);
    vsnprintf(words, OPTIONS_WORDS, format, a);
    va_end(a);
    return false;
}

bool command_find(const char *name, command_id *c)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, command_table[i].name) == 0) {
            *c = (command_id)i;
            return true;
        }
    return false;
}

bool option_belongs(option_id i, command_id c) { return (option_table[i].commands >> c & 1u) != 0; }

// ---- values --------------------------------------------------------------------------------------------------------

const char *option_word(option_id i, size_t place, char out[32]) { return word_at(option_table[i].value, place, out); }

const char *option_standard(const option_row *row)
{
    if (row->standard || !row->of || row->kind == KIND_FLAG) return row->standard;
    return row->of->standard;
}

bool option_range(const option_row *row, char out[64])
{
    const bool bounded = range_words(row->min, row->max, row->below, out);
    return bounded && (row->kind == KIND_COUNT || row->kind == KIND_REAL);
}

static bool set_number(const option_row *row, const char *text, option_value *v, char words[OPTIONS_WORDS])
{
    const bool whole = row->kind == KIND_COUNT;
    double x = 0;
    uint64_t n = 0;
    if (whole ? !parse_count(text, &n) : !parse_real(text, &x))
        return wrong(words, "--%s takes a %s, not '%.100s'", row->name, whole ? "whole number below 2^64" : "number",
                     text);
    if (whole) x = (double)n;
    char range[64];
    (void)option_range(row, range);
    if (!(x >= row->min && (row->below ? x < row->max : x <= row->max)))
        return wrong(words, "--%s %.100s is out of range: %s", row->name, text, range);
    v->count = n;
    v->real = x;
    return true;
}

// Sets v from the text on the command line; text is NULL for a flag.
static bool set(const option_row *row, const char *text, option_value *v, char words[OPTIONS_WORDS])
{
    int place;
    switch (row->kind) {
    case KIND_FLAG: v->count = 1; return true;
    case KIND_COUNT:
    case KIND_REAL:
        if (!set_number(row, text, v, words)) return false;
        break;
    case KIND_SEED:
        if (!parse_count(text, &v->count))
            return wrong(words, "--%s takes a whole number below 2^64, not '%.100s'", row->name, text);
        break;
    case KIND_WORD:
        if ((place = word_place(row->value, text)) < 0)
            return wrong(words, "--%s takes one of %s, not '%.100s'", row->name, row->value, text);
        v->count = (uint64_t)place;
        break;
    case KIND_PATH:
        if (*text == '\0') return wrong(words, "--%s needs the name of a file", row->name);
        break;
    case KIND_TEXT: break;
    }
    v->text = text;
    return true;
}

static void set_defaults(command_id c, options *o)
{
    memset(o, 0, sizeof *o);
    o->command = c;
    char words[OPTIONS_WORDS];
    for (size_t i = 0; i < OPTIONS; i++) {
        const char *const standard = option_standard(&option_table[i]);
        if (standard && standard[0] != '(') (void)set(&option_table[i], standard, &o->value[i], words);
    }
}

// ---- parser --------------------------------------------------------------------------------------------------------

// Finds the option `name` [n] or `letter` of this command; OPTIONS if there is none.
static option_id find_option(command_id c, const char *name, size_t n, char letter)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const option_row *row = &option_table[i];
        if (!option_belongs((option_id)i, c)) continue;
        if (name ? strlen(row->name) == n && memcmp(row->name, name, n) == 0 : row->letter && row->letter == letter)
            return (option_id)i;
    }
    return OPTIONS;
}

static bool unknown(command_id c, const char *typed, char words[OPTIONS_WORDS])
{
    char name[64];
    const char *bare = typed + strspn(typed, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(option_table[i].name, name) == 0)
            return wrong(words, "'bptt %s' has no --%s; see bptt %s --help", command_table[c].name, name,
                         command_table[c].name);
    const char *near = suggest_option(name, c);
    if (near) return wrong(words, "unknown option '%.60s'; did you mean --%s?", typed, near);
    return wrong(words, "unknown option '%.60s'; see bptt %s --help", typed, command_table[c].name);
}

// Sets the value of option `id`: `attached`, or else the next argument. *i becomes the last argument used.
static bool take_value(options *o, option_id id, const char *attached, int argc, char *const *argv, int *i,
                       char words[OPTIONS_WORDS])
{
    const option_row *row = &option_table[id];
    const char *value = attached;
    if (!value && row->kind != KIND_FLAG) {
        if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
            return wrong(words, "--%s needs a value: --%s %s", row->name, row->name, row->value);
        value = argv[++*i];
    }
    o->value[id].given = true;
    return set(row, value, &o->value[id], words);
}

// Parses "--name", "--name value" or "--name=value" at argv[*i].
static bool take_name(options *o, int argc, char *const *argv, int *i, char words[OPTIONS_WORDS])
{
    const char *name = argv[*i] + 2, *rest = name + strcspn(name, "=");
    const option_id id = find_option(o->command, name, (size_t)(rest - name), 0);
    if (id == OPTIONS) return unknown(o->command, argv[*i], words);
    if (*rest && option_table[id].kind == KIND_FLAG) return wrong(words, "--%s takes no value", option_table[id].name);
    return take_value(o, id, *rest ? rest + 1 : NULL, argc, argv, i, words);
}

// Parses "-q", "-o value", "-ovalue" or combined letters, "-qo value", at argv[*i].
static bool take_letters(options *o, int argc, char *const *argv, int *i, char words[OPTIONS_WORDS])
{
    for (const char *c = argv[*i] + 1; *c; c++) {
        const option_id id = find_option(o->command, NULL, 0, *c);
        if (id == OPTIONS) return unknown(o->command, (const char[]){'-', *c, '\0'}, words);
        if (option_table[id].kind != KIND_FLAG) return take_value(o, id, c[1] ? c + 1 : NULL, argc, argv, i, words);
        if (!take_value(o, id, NULL, argc, argv, i, words)) return false;
    }
    return true;
}

// Parses the option at argv[*i] and its value. *i becomes the last argument used.
static bool parse_option(options *o, int argc, char *const *argv, int *i, char words[OPTIONS_WORDS])
{
    return argv[*i][1] == '-' ? take_name(o, argc, argv, i, words) : take_letters(o, argc, argv, i, words);
}

bool options_parse(command_id c, int argc, char *const *argv, options *o, char words[OPTIONS_WORDS])
{
    const command_row *row = &command_table[c];
    bool open = true; // no "--" yet: options are still accepted
    set_defaults(c, o);
    for (int i = 0; i < argc; i++) {
        if (open && strcmp(argv[i], "--") == 0) {
            open = false;
        } else if (open && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!parse_option(o, argc, argv, &i, words)) return false;
            if (o->value[OPT_HELP].given) return true;
        } else if (o->arguments == row->most) {
            return wrong(words, "unexpected argument '%.100s': bptt %s %s", argv[i], row->name, row->arguments);
        } else {
            o->argument[o->arguments++] = argv[i];
        }
    }
    const size_t least = row->least - (c == CMD_SCORE && o->value[OPT_DATA].given ? 1 : 0); // --data replaces TEXT
    if (o->arguments < least)
        return wrong(words, "an argument is missing: bptt %s %s; see bptt %s --help", row->name, row->arguments,
                     row->name);
    return true;
}

// ---- suggestions ---------------------------------------------------------------------------------------------------

#define NAME_MAX_LENGTH 32

// Edit distance of a and b (change, insert, delete, swap neighbours); both at most NAME_MAX_LENGTH long.
static size_t slips(const char *a, const char *b)
{
    size_t d[NAME_MAX_LENGTH + 1][NAME_MAX_LENGTH + 1];
    const size_t n = strlen(a), m = strlen(b);
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

// Edit distance of `typed` and `name`; 3 or more counts as unrelated. A prefix of the name counts as 1.
static size_t distance(const char *typed, const char *name)
{
    const size_t n = strlen(typed);
    if (n == 0 || n > NAME_MAX_LENGTH) return 3;
    if (n >= 3 && strncmp(typed, name, n) == 0) return 1;
    const size_t k = slips(typed, name);
    return k < n && (k <= 1 || n > 4) ? k : 3; // in a short word, 2 edits give an unrelated word
}

const char *suggest_command(const char *typed)
{
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < COMMANDS; i++) {
        const size_t k = distance(typed, command_table[i].name);
        if (k < least) {
            least = k;
            best = command_table[i].name;
        }
    }
    return best;
}

const char *suggest_option(const char *typed, command_id c)
{
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < OPTIONS; i++) {
        const size_t k = option_belongs((option_id)i, c) ? distance(typed, option_table[i].name) : 3;
        if (k < least) {
            least = k;
            best = option_table[i].name;
        }
    }
    return best;
}
