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

static exit_code write_sample(sampler *s, const options *o)
{
    const double temperature = o->value[OPT_TEMPERATURE].real;
    uint64_t random = o->value[OPT_SEED].count;
    double flushed = 0;
    unsigned char byte = '\n';
    bptt_error e = {0};
    for (uint64_t i = 0; i < o->value[OPT_LENGTH].count; i++) {
        if (sampler_draw(s, temperature, &random, &byte, &e) != BPTT_OK) return complain_of(&e);
        if (putchar(byte) == EOF) return output_failed(errno);
        const double now = bptt_seconds();
        if (now - flushed < FLUSH_EVERY) continue;
        if (fflush(stdout) != 0) return output_failed(errno);
        flushed = now;
    }
    if (byte != '\n' && isatty(STDOUT_FILENO)) putchar('\n');
    return CODE_OK;
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
    if (code == CODE_OK) {
        fputs(prime, stdout);
        code = write_sample(&s, o);
    }
    sampler_close(&s);
    bptt_model_close(m);
    return code;
}
