// A text as tokens. The definitions are in bptt_trainer.h.
#include "corpus.h"
#include "digest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t bptt_split(size_t n, double valid)
{
    const double part = floor((1 - valid) * (double)n);
    return part < 0 ? 0 : part > (double)n ? n : (size_t)part;
}

bptt_status corpus_open(const void *text, size_t n, double valid, corpus *c, bptt_error *e)
{
    if (!text || n < 2)
        return bptt_fail(e, BPTT_BAD_INPUT, "the text has %zu byte%s, but needs at least 2", n, n == 1 ? "" : "s");
    if (!(valid >= 0 && valid < 1))
        return bptt_fail(e, BPTT_BAD_CONFIG, "`valid` is %g, but must be at least 0 and below 1", valid);
    corpus made = {.n = n, .n_train = bptt_split(n, valid)};
    const unsigned char *const byte = text;
    bool seen[256] = {false};
    unsigned char token[256] = {0};
    for (size_t i = 0; i < n; i++) seen[byte[i]] = true;
    for (size_t v = 0; v < 256; v++)
        if (seen[v]) {
            token[v] = (unsigned char)made.V;
            made.byte[made.V++] = (unsigned char)v;
        }
    if (made.V < 2) return bptt_fail(e, BPTT_BAD_INPUT, "all %zu bytes of the text are the same; nothing to learn", n);
    made.id = malloc(n);
    if (!made.id) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a text of %zu bytes", n);
    for (size_t i = 0; i < n; i++) made.id[i] = token[byte[i]];
    sha256_hex(text, n, made.sha256);
    *c = made;
    return BPTT_OK;
}

void corpus_close(corpus *c)
{
    free(c->id);
    c->id = NULL;
}

size_t corpus_stream(const corpus *c, size_t B) { return c->n_train > 0 ? (c->n_train - 1) / B : 0; }

void corpus_window(const corpus *c, size_t B, size_t T, size_t k, int32_t *token, int32_t *target)
{
    const size_t len = corpus_stream(c, B);
    for (size_t t = 0; t < T; t++)
        for (size_t b = 0; b < B; b++) {
            const size_t i = b * len + k * T + t;
            token[t * B + b] = c->id[i];
            target[t * B + b] = c->id[i + 1];
        }
}

size_t stream_window(const unsigned char *id, size_t n, size_t first, size_t T, int32_t *token, int32_t *target,
                     float *weight)
{
    size_t count = 0;
    for (size_t t = 0; t < T; t++) {
        const bool there = first + t + 1 < n;
        token[t] = there ? id[first + t] : 0;
        target[t] = there ? id[first + t + 1] : 0;
        weight[t] = there ? 1 : 0;
        count += there;
    }
    return count;
}
