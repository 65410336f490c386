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
    uint64_t iteration;      // updates submitted
    double best_loss;
    uint64_t best_iteration; // 0: none yet
    size_t memory;
};

// From config and corpus; fills memory, and refuses what the device (NULL: not open yet) has not got.
bptt_status trainer_measure(bptt_trainer *t, const bptt_backend *b, const bptt_device *d, bptt_error *e);
// BAD_INPUT while windows are submitted and not collected.
bptt_status trainer_rest(const bptt_trainer *t, bptt_error *e);
// Everything but the model, which t->model holds already.
bptt_status trainer_finish_open(bptt_trainer *t, bptt_error *e);

#endif
