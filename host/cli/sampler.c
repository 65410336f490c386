// Generates text with a model, character by character.
#include "sampler.h"

#include "error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bptt_status sampler_open(sampler *s, bptt_model *m, bptt_error *e)
{
    bptt_model_config c;
    bptt_model_get_config(m, &c);
    *s = (sampler){.documents = c.documents};
    bptt_model_vocabulary(m, &s->bytes, &s->vocab);
    if (c.output)
        return bptt_fail(e, BPTT_BAD_INPUT, "the model predicts %zu number%s, not characters; see bptt predict --help",
                         c.output, c.output == 1 ? "" : "s");
    if (s->vocab == 0)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the file has no vocabulary, so it cannot write text (metadata \"vocabulary\")");
    if (c.output) return bptt_fail(e, BPTT_BAD_INPUT, "the model has dense targets, so it writes no text");
    s->logp = malloc(s->vocab * sizeof *s->logp);
    if (!s->logp) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a row of %zu characters", s->vocab);
    const bptt_run_config one = {.size = sizeof one, .batch = 1, .steps = 1, .keep = c.learned_state};
    return bptt_run_open(m, &one, &s->run, e);
}

void sampler_close(sampler *s)
{
    bptt_run_close(s->run);
    free(s->logp);
    *s = (sampler){0};
}

// The token of a byte; -1 if it is not in the vocabulary.
static int32_t token_of(const sampler *s, unsigned char byte)
{
    const unsigned char *at = memchr(s->bytes, byte, s->vocab);
    return at ? (int32_t)(at - s->bytes) : -1;
}

bool sampler_at_end(const sampler *s) { return bptt_ends_document(s->documents, s->last, sizeof s->last - 1) != 0; }

// Feeds a token, after a reset if it starts a document.
static bptt_status feed(sampler *s, int32_t token, bptt_error *e)
{
    memmove(s->last, s->last + 1, sizeof s->last - 1);
    s->last[sizeof s->last - 1] = s->bytes[token];
    const bptt_status status = sampler_at_end(s) ? bptt_run_reset(s->run, e) : BPTT_OK;
    return status == BPTT_OK ? bptt_run_next(s->run, &token, s->logp, e) : status;
}

bptt_status sampler_prime(sampler *s, const char *text, size_t n, bptt_error *e)
{
    const int32_t newline = token_of(s, '\n');
    for (size_t i = 0; i < n; i++) { // checks the whole prompt first
        const unsigned char byte = (unsigned char)text[i];
        char shown[8] = "";
        if (byte > ' ' && byte < 0x7F) snprintf(shown, sizeof shown, " ('%c')", byte);
        if (token_of(s, byte) < 0)
            return bptt_fail(e, BPTT_BAD_INPUT,
                             "byte %zu of the prime is 0x%02X%s, which is not in the model's vocabulary", i + 1, byte,
                             shown);
    }
    bptt_status status = bptt_run_reset(s->run, e);
    if (status == BPTT_OK && (n == 0 || (s->documents != BPTT_DOCUMENTS_NONE && newline >= 0)))
        status = feed(s, newline >= 0 ? newline : 0, e);
    for (size_t i = 0; i < n && status == BPTT_OK; i++) status = feed(s, token_of(s, (unsigned char)text[i]), e);
    return status;
}

bptt_status sampler_draw(sampler *s, double temperature, uint64_t *random, unsigned char *byte, bptt_error *e)
{
    const int32_t token = bptt_pick(s->logp, s->vocab, temperature, random);
    const bptt_status status = feed(s, token, e);
    if (status == BPTT_OK) *byte = s->bytes[token];
    return status;
}
