// Internals of bptt_trainer.
#ifndef TRAINER_H
#define TRAINER_H

#include "corpus.h"
#include "documents.h"
#include "model.h"

struct bptt_trainer {
    bptt_trainer_config config; // iterations computed from epochs if it was 0
    corpus corpus;
    bptt_model *model;
    bptt_run *run, *validation_run; // validation_run is NULL without a validation part
    size_t windows;                 // in an epoch
    size_t documents;               // in the training part; 0: one text
    int32_t *token, *target;        // [T][B]
    float *keep;                    // [T][B]: 0 where a document starts; NULL: one text
    separator separator;            // of its documents
    uint64_t iteration;             // updates submitted
    double best_loss;
    uint64_t best_iteration; // 0: none yet
    size_t memory;
};

// Computes t->memory from config and corpus. NO_MEMORY if the device (NULL: not open yet) or the host has less.
bptt_status trainer_measure(bptt_trainer *t, const bptt_backend *b, const bptt_device *d, bptt_error *e);
// Window k of an epoch, filled from the corpus; valid until the next call.
bptt_window trainer_window(bptt_trainer *t, size_t k);
// BAD_INPUT while windows are in flight.
bptt_status trainer_require_idle(const bptt_trainer *t, bptt_error *e);
// Opens everything except the model, which must be in t->model.
bptt_status trainer_finish_open(bptt_trainer *t, bptt_error *e);

#endif
