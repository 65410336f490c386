// bptt sample: generates text with a model, character by character.
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "error.h"
#include "sampler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_EVERY 0.05 // seconds: appears immediate, needs few system calls

typedef struct writing {
    sampler *s;
    const options *o;
    uint64_t random;
    double flushed;     // when standard output was flushed last
    unsigned char byte; // the last one written
} writing;

// Writes characters, --length at most; if `one`, up to the end of the document.
static exit_code write_characters(writing *w, bool one)
{
    bptt_error e = {0};
    for (uint64_t i = 0; i < w->o->value[OPT_LENGTH].count && !(one && i > 0 && sampler_at_end(w->s)); i++) {
        if (sampler_draw(w->s, w->o->value[OPT_TEMPERATURE].real, &w->random, &w->byte, &e) != BPTT_OK)
            return complain_of(&e);
        if (putchar(w->byte) == EOF) return output_failed(errno);
        const double now = bptt_seconds();
        if (now - w->flushed < FLUSH_EVERY) continue;
        if (fflush(stdout) != 0) return output_failed(errno);
        w->flushed = now;
    }
    return CODE_OK;
}

// Writes the documents of --count, each from the prompt. One that does not end within --length gets a separator.
static exit_code write_documents(writing *w, const char *prime)
{
    const uint64_t count = w->o->value[OPT_SAMPLE_COUNT].count;
    uint64_t cut = 0;
    char number[32];
    bptt_error e = {0};
    for (uint64_t i = 0; i < count; i++) {
        if (sampler_prime(w->s, prime, strlen(prime), &e) != BPTT_OK) return complain_of(&e);
        w->byte = *prime ? (unsigned char)prime[strlen(prime) - 1] : '\n';
        fputs(prime, stdout);
        const exit_code code = write_characters(w, true);
        if (code != CODE_OK) return code;
        if (w->o->value[OPT_LENGTH].count > 0 && sampler_at_end(w->s)) continue;
        cut++;
        if (w->byte != '\n') putchar('\n');
        if (w->s->documents == BPTT_DOCUMENTS_BLANK) putchar('\n');
    }
    if (cut > 0 && !w->o->value[OPT_QUIET].given)
        complain("%s document%s did not end within --length %s and %s cut", grouped(cut, number), plural(cut),
                 w->o->value[OPT_LENGTH].text ? w->o->value[OPT_LENGTH].text : option_table[OPT_LENGTH].standard,
                 cut == 1 ? "was" : "were");
    return CODE_OK;
}

static exit_code write_sample(sampler *s, const options *o, const char *prime)
{
    writing w = {.s = s, .o = o, .random = o->value[OPT_SEED].count, .byte = '\n'};
    if (o->value[OPT_SAMPLE_COUNT].given) return write_documents(&w, prime);
    fputs(prime, stdout);
    const exit_code code = write_characters(&w, false);
    if (code == CODE_OK && w.byte != '\n' && isatty(STDOUT_FILENO)) putchar('\n');
    return code;
}

// Rejects --count for a model of one text.
static exit_code check_count(const options *o, const sampler *s)
{
    if (!o->value[OPT_SAMPLE_COUNT].given || s->documents != BPTT_DOCUMENTS_NONE) return CODE_OK;
    complain("--count has no effect: %s was trained without --documents; leave it out", o->argument[0]);
    return CODE_CONFIG;
}

exit_code run_sample(const options *o)
{
    const char *prime = o->value[OPT_PRIME].text ? o->value[OPT_PRIME].text : "";
    bptt_trainer_config c;
    bptt_model *m = NULL;
    sampler s = {0};
    bptt_error e = {0};
    bptt_trainer_defaults(&c);
    config_apply(o, &c);
    bptt_status status = bptt_model_load(o->argument[0], &c.model, &m, &e);
    if (status == BPTT_OK) status = sampler_open(&s, m, &e);
    if (status == BPTT_OK) status = sampler_prime(&s, prime, strlen(prime), &e);
    exit_code code = status == BPTT_OK ? check_cell(o, bptt_model_cell_assumed(m)) : complain_of(&e);
    if (code == CODE_OK) code = check_count(o, &s);
    if (code == CODE_OK) code = write_sample(&s, o, prime);
    sampler_close(&s);
    bptt_model_close(m);
    return code;
}
