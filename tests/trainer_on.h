// A trainer on a backend's table, for backends that have no name of their own in the library.
#ifndef TRAINER_ON_H
#define TRAINER_ON_H

#include "trainer.h"
#include "trainers.h"

// As bptt_trainer_open, which looks the table up by name.
static inline bptt_trainer *trainer_on(const bptt_backend *b, const bptt_trainer_config *c, const void *text, size_t n)
{
    bptt_trainer *t = must_alloc(1, sizeof *t);
    bptt_error e = {0};
    t->config = *c;
    CK_TRUE(corpus_open(text, n, c->valid, &t->corpus, &e) == BPTT_OK, "%s", e.words);
    t->config.model.vocab = t->corpus.V;
    CK_TRUE(bptt_model_open_on(b, &t->config.model, &t->model, &e) == BPTT_OK, "%s: %s", b->name, e.words);
    CK_TRUE(trainer_finish_open(t, &e) == BPTT_OK, "%s: %s", b->name, e.words);
    bptt_model_get_config(t->model, &t->config.model);
    return t;
}

#endif
