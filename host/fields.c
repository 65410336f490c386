// The table of configuration fields, and functions to read, set and check a field.
#include "fields.h"
#include "backend.h"
#include "number.h"

#include <stdio.h>
#include <string.h>

#define NEXT_CELL_WORD(number, word, ...) "|" word
const char cell_words[] = "tanh|relu" GATED_CELL_LIST(NEXT_CELL_WORD);
#define NEXT_LOSS_WORD(number, NAME, word, ...) "|" #word
const char loss_words[] = "softmax" LOSS_LIST(NEXT_LOSS_WORD);

// Columns of a row, see fields.h.
#define FROM(a, b) .least = (a), .most = (b)
#define OR_0_FROM(a, b) .least = (a), .most = (b), .or_zero = true
#define BELOW(a, b) .least = (a), .most = (b), .below = true
#define POSITIVE(b) .least = TINY, .most = (b), .below = true
#define ANY .most = INFINITY
#define WORDS(w) .words = (w)
#define NAMED(n) .most = 0
#define ALWAYS .needs = FIELDS
#define WITH(OTHER, list, reason) .needs = FIELD_##OTHER, .with = (list), .why = (reason)
#define ABOVE_0(OTHER, reason) .needs = FIELD_##OTHER, .why = (reason)
#define OPTION(name, commands, resumable, standard, help) .option = (name)
enum { SAVED = FIELD_SAVED, LOGGED = FIELD_LOGGED, WAS_NUMBER = FIELD_WAS_NUMBER, ZERO_IS_OFF = FIELD_ZERO_IS_OFF };
enum { UNLESS_0 = FIELD_UNLESS_0 };

#define MEMBER(OWNER, type, prefix, m) \
    .name = #m, .key = prefix #m, .owner = OWNER, .at = offsetof(type, m), .bytes = sizeof(((type *)0)->m)
#define OF_ALL(KIND, text, where) .kind = FIELD_IS_##KIND, .standard = text, .kept = where
#define MODEL_ROW(N, m, K, v, s, n, k, o) \
    [FIELD_##N] = {MEMBER(OF_MODEL, bptt_model_config, "", m), OF_ALL(K, s, k), v, n, o},
#define MODEL_PLAIN(N, m, K, v, s, n, k) \
    [FIELD_##N] = {MEMBER(OF_MODEL, bptt_model_config, "", m), OF_ALL(K, s, k), v, n},
#define TRAINER_ROW(N, m, K, v, s, n, k, o) \
    [FIELD_##N] = {MEMBER(OF_TRAINER, bptt_trainer_config, "train.", m), OF_ALL(K, s, k), v, n, o},
#define COMPUTE_ROW(N, m, K, v, s, n, k, o) \
    [FIELD_##N] = {MEMBER(OF_COMPUTE, bptt_compute, "train.", m), OF_ALL(K, s, k), v, n, o},

// clang-format off
const field field_table[FIELDS] = {
    MODEL_FIELDS(MODEL_ROW, MODEL_PLAIN)
    TRAINER_FIELDS(TRAINER_ROW, )
    COMPUTE_FIELDS(COMPUTE_ROW, )
};
// clang-format on

// ---- one field ------------------------------------------------------------------------------------------------------

uint64_t field_count(const field *f, const void *config)
{
    const unsigned char *const at = (const unsigned char *)config + f->at;
    uint32_t narrow = 0;
    uint64_t wide = 0;
    if (f->kind == FIELD_IS_REAL || f->kind == FIELD_IS_TEXT) return 0;
    if (f->bytes == sizeof narrow)
        memcpy(&narrow, at, sizeof narrow);
    else
        memcpy(&wide, at, sizeof wide);
    return f->bytes == sizeof narrow ? narrow : wide;
}

double field_real(const field *f, const void *config)
{
    double x = 0;
    if (f->kind != FIELD_IS_REAL) return 0;
    memcpy(&x, (const unsigned char *)config + f->at, sizeof x);
    return x;
}

const char *field_text(const field *f, const void *config)
{
    const char *text = NULL;
    if (f->kind == FIELD_IS_TEXT) memcpy(&text, (const unsigned char *)config + f->at, sizeof text);
    return text ? text : "";
}

void field_set(const field *f, void *config, uint64_t count, double real, const char *text)
{
    unsigned char *const at = (unsigned char *)config + f->at;
    const uint32_t narrow = (uint32_t)count;
    if (f->kind == FIELD_IS_REAL)
        memcpy(at, &real, sizeof real);
    else if (f->kind == FIELD_IS_TEXT)
        memcpy(at, &text, sizeof text);
    else if (f->bytes == sizeof narrow)
        memcpy(at, &narrow, sizeof narrow);
    else
        memcpy(at, &count, sizeof count);
}

bool field_parse(const field *f, void *config, const char *text)
{
    uint64_t count = 0;
    double real = 0;
    const int place = f->kind == FIELD_IS_WORD ? word_place(f->words, text) : -1;
    if (place >= 0) count = (uint64_t)place;
    const bool ok = f->kind == FIELD_IS_TEXT || place >= 0 || (f->kind == FIELD_IS_REAL && parse_real(text, &real)) ||
                    ((f->kind != FIELD_IS_WORD || f->kept & FIELD_WAS_NUMBER) && f->kind != FIELD_IS_REAL &&
                     parse_count(text, &count));
    if (ok) field_set(f, config, count, real, text);
    return ok;
}

void *field_config(const field *f, bptt_trainer_config *c)
{
    return f->owner == OF_TRAINER ? (void *)c : f->owner == OF_MODEL ? (void *)&c->model : (void *)&c->model.compute;
}

bool field_in_range(const field *f, uint64_t count, double real)
{
    if (f->kind == FIELD_IS_SEED || f->kind == FIELD_IS_TEXT) return true;
    if (f->kind == FIELD_IS_WORD) return count < word_count(f->words);
    if (f->kind == FIELD_IS_REAL) return real >= f->least && (f->below ? real < f->most : real <= f->most);
    return (f->or_zero && count == 0) || (count >= (uint64_t)f->least && count <= (uint64_t)f->most);
}

bool range_words(double least, double most, bool below, char out[64])
{
    const bool open = most >= 1e9; // such a bound is not printed
    if (open && least > 0 && least < 1e-300)
        (void)snprintf(out, 64, "above 0");
    else if (open)
        (void)snprintf(out, 64, "%.10g or more", least);
    else
        (void)snprintf(out, 64, below ? "at least %.10g and below %.10g" : "%.10g to %.10g", least, most);
    return !open;
}

// ---- all fields of a struct -----------------------------------------------------------------------------------------

void fields_default(field_owner owner, void *config)
{
    for (const field *f = field_table; f < field_table + FIELDS; f++)
        if (f->owner == owner) (void)field_parse(f, config, f->standard);
}

static bptt_status out_of_range(const field *f, uint64_t count, double real, bptt_error *e)
{
    char range[64], value[32];
    if (f->kind == FIELD_IS_WORD)
        (void)snprintf(range, sizeof range, "0 to %zu", word_count(f->words) - 1);
    else
        (void)range_words(f->least, f->most, f->below, range);
    if (f->kind == FIELD_IS_REAL)
        (void)snprintf(value, sizeof value, "%g", real);
    else
        (void)snprintf(value, sizeof value, "%llu", (unsigned long long)count);
    return bptt_fail(e, BPTT_BAD_CONFIG, "`%s` is %s, but must be %s%s", f->name, value, f->or_zero ? "0, or " : "",
                     range);
}

bptt_status fields_check(field_owner owner, const void *config, bptt_error *e)
{
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        if (f->owner != owner || f->kind == FIELD_IS_FLAG) continue;
        const uint64_t count = field_count(f, config);
        const double real = field_real(f, config);
        if (!field_in_range(f, count, real)) return out_of_range(f, count, real, e);
    }
    return BPTT_OK;
}

// ---- lists of words -------------------------------------------------------------------------------------------------

int word_place(const char *list, const char *word)
{
    const size_t n = strlen(word);
    int place = 0;
    for (const char *w = list; w; place++) {
        const size_t length = strcspn(w, "|");
        if (length == n && memcmp(w, word, n) == 0) return place;
        w = w[length] ? w + length + 1 : NULL;
    }
    return -1;
}

const char *word_at(const char *list, size_t place, char out[32])
{
    const char *w = list;
    for (; place > 0; place--) w += strcspn(w, "|") + 1;
    (void)snprintf(out, 32, "%.*s", (int)strcspn(w, "|"), w);
    return out;
}

size_t word_count(const char *list)
{
    size_t n = 1;
    for (const char *w = list; *w; w++) n += *w == '|';
    return n;
}
