// Loss of a model on a text.
#include "score.h"
#include "corpus.h"
#include "documents.h"
#include "run.h"

#include <stdlib.h>

bool marks_starts(const bptt_model_config *m) { return m->documents != BPTT_DOCUMENTS_NONE || m->learned_state; }

bptt_status score_stream(bptt_run *r, const unsigned char *id, size_t n, int (*progress)(void *, size_t, size_t),
                         void *user, bptt_report *report, bptt_error *e)
{
    int32_t token[SCORE_STEPS], target[SCORE_STEPS];
    float weight[SCORE_STEPS], keep[SCORE_STEPS];
    const bptt_model *m = r->model;
    const separator sep = separator_of(m->config.documents, m->vocabulary, m->vocabulary ? m->V : 0);
    bptt_window w = {.size = sizeof(bptt_window), .token = token, .target = target, .weight = weight};
    double sum = 0;
    if (n < 2)
        return bptt_fail(e, BPTT_BAD_INPUT, "the text has %zu byte%s, but scoring needs at least 2", n,
                         n == 1 ? "" : "s");
    bptt_status s = bptt_run_reset(r, e);
    for (size_t first = 0; !s && first + 1 < n; first += SCORE_STEPS) {
        const size_t count = stream_window(id, n, first, SCORE_STEPS, token, target, weight);
        bptt_report one;
        fill_keep(&sep, id, first, count, 1, keep);
        for (size_t t = count; t < SCORE_STEPS; t++) keep[t] = 1;
        w.keep = r->config.keep ? keep : NULL;
        s = bptt_run_evaluate(r, &w, &one, e);
        if (!s) sum += one.loss * one.weight;
        if (!s && progress && progress(user, first + count, n - 1))
            s = bptt_fail(e, BPTT_CANCELLED, "stopped after %zu of %zu predictions", first + count, n - 1);
    }
    if (!s && report) *report = (bptt_report){.loss = sum / (double)(n - 1), .weight = (double)(n - 1)};
    return s;
}

// Converts text to tokens. BAD_INPUT: a byte that is not in the vocabulary.
static bptt_status tokens_of(const bptt_model *m, const unsigned char *text, size_t n, unsigned char *id, bptt_error *e)
{
    bptt_model_config c;
    const unsigned char *byte;
    size_t V;
    int token[256];
    bptt_model_vocabulary(m, &byte, &V);
    if (!byte) return bptt_fail(e, BPTT_BAD_INPUT, "the model has no vocabulary, so it cannot read text");
    bptt_model_get_config(m, &c);
    if (c.output) return bptt_fail(e, BPTT_BAD_INPUT, "the model has dense targets, so it predicts no characters");
    for (size_t v = 0; v < 256; v++) token[v] = -1;
    for (size_t v = 0; v < V; v++) token[byte[v]] = (int)v;
    for (size_t i = 0; i < n; i++) {
        if (token[text[i]] < 0)
            return bptt_fail(e, BPTT_BAD_INPUT,
                             "byte 0x%02x at position %zu is not in the model's vocabulary of %zu; "
                             "give a text like the one it was trained on",
                             text[i], i, V);
        id[i] = (unsigned char)token[text[i]];
    }
    return BPTT_OK;
}

bptt_status bptt_score(bptt_model *m, const void *text, size_t n, int (*progress)(void *, size_t, size_t), void *user,
                       bptt_report *report, bptt_error *e)
{
    if (!m || !text || n < 2)
        return bptt_fail(e, BPTT_BAD_INPUT, "the text has %zu byte%s, but scoring needs at least 2", n,
                         n == 1 ? "" : "s");
    unsigned char *id = malloc(n);
    if (!id) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a text of %zu bytes", n);
    bptt_run *r = NULL;
    const bptt_run_config c = {
        .size = sizeof(bptt_run_config), .batch = 1, .steps = SCORE_STEPS, .keep = marks_starts(&m->config)};
    bptt_status s = tokens_of(m, text, n, id, e);
    if (!s) s = bptt_run_open(m, &c, &r, e);
    if (!s) s = score_stream(r, id, n, progress, user, report, e);
    bptt_run_close(r);
    free(id);
    return s;
}
