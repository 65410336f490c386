// Text from a model, character by character: for the sample command and for samples during training.
#ifndef SAMPLER_H
#define SAMPLER_H

#include "bptt.h"

#include <stdbool.h>

typedef struct sampler {
    bptt_run *run;              // one stream, forward only; its state is the sampler's alone
    float *logp;                // [V]: of the next character
    const unsigned char *bytes; // [V]: what the tokens stand for; belongs to the model
    size_t vocab;
} sampler;

// BAD_INPUT if the model has no vocabulary of bytes. The caller closes s, also after a failure.
bptt_status sampler_open(sampler *s, bptt_model *m, bptt_error *e);
void sampler_close(sampler *s);
// Starts over, from the text [n]; without one as after a newline (or the first character there is, if it is unknown).
// BAD_INPUT: a byte of the text that the model does not know.
bptt_status sampler_prime(sampler *s, const char *text, size_t n, bptt_error *e);
// Draws one character and takes it in. *random: as for bptt_pick.
bptt_status sampler_draw(sampler *s, double temperature, uint64_t *random, unsigned char *byte, bptt_error *e);

#endif
