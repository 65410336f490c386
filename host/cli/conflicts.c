// Rejects conflicting options and options without effect.
#include "options.h"

#include <stdio.h>
#include <string.h>

#define ON(c) (1u << CMD_##c)
// `option` has no effect if `other` has one of `values` (words separated by |, or "0"; NULL: if it is not given), or
// with `only` if it has none of them.
typedef struct conflict {
    unsigned commands; // as in option_row
    option_id option;
    bool only;
    option_id other;
    const char *values;
    const char *why, *cure; // "it is for sgd", "choose --optimizer sgd"
} conflict;

static const conflict table[] = {
    {ON(TRAIN) | ON(BENCH), OPT_GRU_RESET, true, OPT_CELL, "gru", "it is for gru", "choose --cell gru"},
    {ON(TRAIN), OPT_TRACE_AT, false, OPT_TRACE, NULL, "it selects the update to trace", "give --trace DIR"},
    {ON(SAMPLE), OPT_SEED, false, OPT_TEMPERATURE, "0", "nothing is drawn", "give a --temperature above 0"},
    {ON(VERIFY), OPT_DEVICE, false, OPT_BACKEND, "auto", "every device is checked", "choose one backend"},
};

// A part of bptt verify for which an option has no effect.
static const struct {
    option_id option;
    const char *parts, *why;
} part_table[] = {
    {OPT_BACKEND, "cell|unroll|activation|trace", "it is for the parts builders and device"},
    {OPT_EXHAUSTIVE, "cell|builders|trace", "it is for the parts unroll, activation and device"},
};

// "--momentum 0.9", "--quiet".
static const char *as_written(option_id i, const option_value *v, char out[128])
{
    snprintf(out, 128, "--%s%s%.80s", option_table[i].name, v->text ? " " : "", v->text ? v->text : "");
    return out;
}

static bool has_one_of(const option_value *v, option_kind kind, const char *values)
{
    if (!values) return !v->given;
    if (kind == KIND_REAL) return v->real == 0; // in any spelling
    return v->text && word_place(values, v->text) >= 0;
}

static bool is_off(const option_value *v) { return v->count == 0 && v->real == 0; }

static bool has_effect(const options *o, const conflict *c, char words[OPTIONS_WORDS])
{
    const option_value *v = &o->value[c->option], *other = &o->value[c->other];
    const option_row *row = &option_table[c->other];
    char option[128], where[128];
    if (!(c->commands >> o->command & 1u) || !v->given) return true;
    if (has_one_of(other, row->kind, c->values) == c->only) return true;
    if (!c->values) snprintf(where, sizeof where, "--%s %s", row->name, row->value);
    snprintf(words, OPTIONS_WORDS, "%s has no effect %s %s: %s; leave it out or %s", as_written(c->option, v, option),
             c->values ? "with" : "without", c->values ? as_written(c->other, other, where) : where, c->why, c->cure);
    return false;
}

// ---- fields that need a value of another field ---------------------------------------------------------------------

static option_id option_of(field_id id, command_id c)
{
    option_id i = 0;
    while (i < OPTIONS && (option_table[i].of != &field_table[id] || !option_belongs(i, c))) i++;
    return i;
}

// "a", "a and b", "a, b and c".
static const char *listed(const char *words, char out[64])
{
    const size_t count = word_count(words);
    char word[32];
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(out);
        snprintf(out + n, 64 - n, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " and ", word_at(words, i, word));
    }
    return out;
}

// True if a field has an effect with the value of the option that it needs.
static bool used(const field *f, const option_value *other)
{
    static const char backends[] = "cpu|ref|opencl|cuda"; // "auto" may be any; unknown names fail elsewhere
    const bool is_text = field_table[f->needs].kind == FIELD_IS_TEXT;
    if (!f->with) return other->real > 0;
    return word_place(f->with, other->text) >= 0 || (is_text && word_place(backends, other->text) < 0);
}

static bool field_used(const options *o, option_id i, char words[OPTIONS_WORDS])
{
    const field *f = option_table[i].of;
    const option_value *v = &o->value[i];
    char option[128], where[128], whom[64], cure[80];
    if (!v->given || !f || f->needs == FIELDS || (f->kept & FIELD_ZERO_IS_OFF && is_off(v))) return true;
    const option_id id = option_of(f->needs, o->command);
    if (id == OPTIONS || used(f, &o->value[id])) return true;
    const char *const name = option_table[id].name;
    if (!f->with)
        snprintf(cure, sizeof cure, "give a --%s above 0", name);
    else if (strchr(f->with, '|'))
        snprintf(cure, sizeof cure, "choose one of them");
    else
        snprintf(cure, sizeof cure, "choose --%s %s", name, f->with);
    snprintf(words, OPTIONS_WORDS, "%s has no effect with %.90s: %s%s; leave it out or %.48s", as_written(i, v, option),
             as_written(id, &o->value[id], where), f->why ? "" : "it is for ", f->why ? f->why : listed(f->with, whom),
             cure);
    return false;
}

static bool suits_part(const options *o, char words[OPTIONS_WORDS])
{
    for (size_t i = 0; i < sizeof part_table / sizeof part_table[0]; i++) {
        const option_value *v = &o->value[part_table[i].option];
        char option[128];
        if (!v->given || word_place(part_table[i].parts, o->argument[0]) < 0) continue;
        snprintf(words, OPTIONS_WORDS, "%s has no effect on the part %s: %s; leave it out",
                 as_written(part_table[i].option, v, option), o->argument[0], part_table[i].why);
        return false;
    }
    return true;
}

// Rejects options that cannot change in a resumed run.
static bool may_be_resumed(const options *o, char words[OPTIONS_WORDS])
{
    const option_value *v = o->value;
    for (size_t i = 0; v[OPT_RESUME].given && i < OPTIONS; i++)
        if (v[i].given && !option_table[i].resumable) {
            snprintf(words, OPTIONS_WORDS, "--%s cannot be given with --resume: a resumed run keeps what %.200s says",
                     option_table[i].name, v[OPT_RESUME].text);
            return false;
        }
    return true;
}

// ---- data: TEXT, --data or --wav ------------------------------------------------------------------------------------

// Options that have an effect only with a text, with --data, or with either of --data and --wav.
static const struct {
    option_id option;
    bool text, data, wav;
    bool zero_is_off; // as in conflict
    const char *why;
} data_table[] = {
    {OPT_INPUT, false, true, false, false, "it is for --data"},
    {OPT_TARGETS, false, true, false, false, "it is for --data"},
    {OPT_LOSS, false, true, true, true, "a text is trained with softmax"},
    {OPT_SKIP, false, true, true, true, "it adds numbers"},
    {OPT_BURN_IN, false, true, true, true, "it is for --data and --wav"},
    {OPT_DOCUMENTS, true, false, false, true, "it is for TEXT"},
    {OPT_SAMPLE_EVERY, true, false, false, false, "samples are text"},
    {OPT_TRACE, true, false, false, false, "a trace holds the characters of a text"},
};

static bool agree(bool good, char words[OPTIONS_WORDS], const char *why)
{
    if (!good) snprintf(words, OPTIONS_WORDS, "%s", why);
    return good;
}

// Exactly one of TEXT, --data and --wav, with what it needs. text: arguments that name a TEXT.
static bool has_one_source(const options *o, size_t text, char words[OPTIONS_WORDS])
{
    const option_value *v = o->value;
    const bool data = v[OPT_DATA].given, wav = v[OPT_WAV].given, predict = o->command == CMD_PREDICT;
    if (!agree(!(data && wav), words, "--data and --wav both name the data; give one of them")) return false;
    if (!agree(!data || text == 0, words, "--data is read instead of TEXT; give one of them")) return false;
    if (!agree(!wav || predict || text == 1, words,
               "--wav names the input; the WAV file of the targets is missing: --wav IN.wav OUT.wav"))
        return false;
    if (!agree(!predict || data || wav, words, "the inputs are missing: give --data FILE or --wav FILE")) return false;
    const bool widths = v[OPT_INPUT].given && v[OPT_TARGETS].given;
    return agree(!data || o->command != CMD_TRAIN || v[OPT_RESUME].given || widths, words,
                 "--data needs the numbers of inputs and targets of a row: --inputs N --targets M");
}

static bool suits_data(const options *o, char words[OPTIONS_WORDS])
{
    const option_value *v = o->value;
    const size_t models = o->command == CMD_TRAIN ? 0 : 1;
    const bool data = v[OPT_DATA].given, wav = v[OPT_WAV].given;
    char option[128];
    if (!has_one_source(o, o->arguments - models, words)) return false;
    for (size_t i = 0; i < sizeof data_table / sizeof data_table[0]; i++) {
        const option_id id = data_table[i].option;
        const bool suits = data ? data_table[i].data : wav ? data_table[i].wav : data_table[i].text;
        if (!v[id].given || suits || (data_table[i].zero_is_off && is_off(&v[id]))) continue;
        snprintf(words, OPTIONS_WORDS, "%s has no effect with %s: %s; leave it out", as_written(id, &v[id], option),
                 data  ? "--data"
                 : wav ? "--wav"
                       : "a text",
                 data_table[i].why);
        return false;
    }
    return true;
}

bool options_agree(const options *o, char words[OPTIONS_WORDS])
{
    if (o->value[OPT_ITERATIONS].given && o->value[OPT_EPOCHS].given) {
        snprintf(words, OPTIONS_WORDS, "--iterations and --epochs both set the length of training; give one of them");
        return false;
    }
    if (!may_be_resumed(o, words)) return false;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!has_effect(o, &table[i], words)) return false;
    for (option_id i = 0; i < OPTIONS; i++)
        if (!field_used(o, i, words)) return false;
    const bool reads_data = o->command == CMD_TRAIN || o->command == CMD_SCORE || o->command == CMD_PREDICT;
    if (reads_data && !suits_data(o, words)) return false;
    return o->command != CMD_VERIFY || o->arguments == 0 || suits_part(o, words);
}
