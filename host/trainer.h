// A trainer from the inside.
#ifndef TRAINER_H
#define TRAINER_H

#include "corpus.h"
#include "model.h"

struct bptt_trainer {
    bptt_trainer_config config; // iterations resolved
    corpus corpus;
    bptt_model *model;
    bptt_run *run, *judge;   // training; validation (NULL without a validation part)
    size_t windows;          // in an epoch
    int32_t *token, *target; // [T][B]
    uint64_t iteration;      // updates done
    double best_loss;
    uint64_t best_iteration; // 0: none yet
    size_t memory;
};

bptt_status trainer_measure(bptt_trainer *t, bptt_error *e); // from config and corpus; fills memory
bptt_status trainer_check(const bptt_trainer_config *c, bptt_error *e);
// Everything but the model, which t->model holds already.
bptt_status trainer_finish_open(bptt_trainer *t, bptt_error *e);

#endif
