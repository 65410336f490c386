// Options that do not go together, and options without effect: a line that has them was not meant as it is written.
#include "options.h"

#include <stdio.h>
#include <string.h>

#define ON(c) (1u << CMD_##c)
#define MODEL (ON(TRAIN) | ON(BENCH))
#define PLACED (MODEL | ON(SAMPLE) | ON(SCORE))

// `option` has no effect where `other` has one of `values` (words separated by |, or "0"; NULL: where it is not given).
typedef struct conflict {
    unsigned commands; // as in option_row
    option_id option;
    bool zero_is_off; // the value 0, or the first word, asks for nothing, so it may always be given
    option_id other;
    const char *values;
    const char *why, *cure; // "it is for sgd", "choose --optimizer sgd"
} conflict;

static const conflict table[] = {
    {MODEL, OPT_MOMENTUM, true, OPT_OPTIMIZER, "rmsprop|adam", "it is for sgd", "choose --optimizer sgd"},
    {MODEL, OPT_CLIP_MODE, false, OPT_CLIP, "0", "nothing is clipped", "give a --clip above 0"},
    {ON(TRAIN), OPT_VALID_EVERY, true, OPT_VALID, "0", "no text is held out", "give a --valid above 0"},
    {ON(TRAIN), OPT_TRACE_AT, false, OPT_TRACE, NULL, "it says which update is kept there", "name a folder"},
    {ON(SAMPLE), OPT_SEED, false, OPT_TEMPERATURE, "0", "nothing is drawn", "give a --temperature above 0"},
    {PLACED, OPT_THREADS, false, OPT_BACKEND, "ref|opencl|cuda", "it is for cpu", "choose --backend cpu"},
    {PLACED, OPT_LOWERING, true, OPT_BACKEND, "cpu|ref", "it is for opencl and cuda", "choose one of them"},
    {PLACED, OPT_PRODUCT, true, OPT_BACKEND, "cpu|ref|cuda", "it is for opencl", "choose --backend opencl"},
    {ON(VERIFY), OPT_DEVICE, false, OPT_BACKEND, "auto", "every device is checked", "choose one backend"},
};

// A part of bptt verify that has nothing to do with an option.
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
    if (kind == KIND_REAL) return v->real == 0; // whatever way it is written
    return v->text && option_place(values, v->text) >= 0;
}

static bool is_off(const option_value *v) { return v->count == 0 && v->real == 0; }

static bool has_effect(const options *o, const conflict *c, char words[OPTIONS_WORDS])
{
    const option_value *v = &o->value[c->option], *other = &o->value[c->other];
    const option_row *row = &option_table[c->other];
    char option[128], where[128];
    if (!(c->commands >> o->command & 1u) || !v->given || (c->zero_is_off && is_off(v))) return true;
    if (!has_one_of(other, row->kind, c->values)) return true;
    if (!c->values) snprintf(where, sizeof where, "--%s %s", row->name, row->value);
    snprintf(words, OPTIONS_WORDS, "%s has no effect %s %s: %s; leave it out or %s", as_written(c->option, v, option),
             c->values ? "with" : "without", c->values ? as_written(c->other, other, where) : where, c->why, c->cure);
    return false;
}

static bool suits_part(const options *o, char words[OPTIONS_WORDS])
{
    for (size_t i = 0; i < sizeof part_table / sizeof part_table[0]; i++) {
        const option_value *v = &o->value[part_table[i].option];
        char option[128];
        if (!v->given || option_place(part_table[i].parts, o->argument[0]) < 0) continue;
        snprintf(words, OPTIONS_WORDS, "%s has no effect on the part %s: %s; leave it out",
                 as_written(part_table[i].option, v, option), o->argument[0], part_table[i].why);
        return false;
    }
    return true;
}

// A resumed run goes on as it began.
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

bool options_agree(const options *o, char words[OPTIONS_WORDS])
{
    if (o->value[OPT_ITERATIONS].given && o->value[OPT_EPOCHS].given) {
        snprintf(words, OPTIONS_WORDS, "--iterations and --epochs both say when to end; give one of them");
        return false;
    }
    if (!may_be_resumed(o, words)) return false;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!has_effect(o, &table[i], words)) return false;
    return o->command != CMD_VERIFY || o->arguments == 0 || suits_part(o, words);
}
