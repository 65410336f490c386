// Generates text with a model, character by character: for bptt sample and for samples during training.
#ifndef SAMPLER_H
#define SAMPLER_H

#include "bptt.h"

#include <stdbool.h>

typedef struct sampler {
    bptt_run *run;              // one stream, forward only, used only by the sampler
    float *logp;                // [V]: log-probabilities of the next character
    const unsigned char *bytes; // [V]: byte of each token; belongs to the model
    size_t vocab;
    bptt_documents documents; // of the model
    unsigned char last[3];    // the last bytes that were fed, newest last; before the first: 0
} sampler;

// BAD_INPUT if the model has no vocabulary. The caller closes s, also after a failure.
bptt_status sampler_open(sampler *s, bptt_model *m, bptt_error *e);
void sampler_close(sampler *s);
// Restarts from the prompt text [n]; without one, from a newline (or token 0, if newline is not in the vocabulary). In
// a model of documents a newline starts the first one, with a prompt too. BAD_INPUT: a byte of the prompt is not in the
// vocabulary.
bptt_status sampler_prime(sampler *s, const char *text, size_t n, bptt_error *e);
// True if the last byte that was fed ends a document.
bool sampler_at_end(const sampler *s);
// Samples one character and feeds it back. *random: as for bptt_pick.
bptt_status sampler_draw(sampler *s, double temperature, uint64_t *random, unsigned char *byte, bptt_error *e);

#endif
