// Internals of bptt_trainer.
#ifndef TRAINER_H
#define TRAINER_H

#include "corpus.h"
#include "documents.h"
#include "model.h"
#include "sequence.h"

struct bptt_trainer {
    bptt_trainer_config config; // iterations computed from epochs if it was 0
    corpus corpus;              // of a trainer of text; else empty
    sequence sequence;          // of a trainer of a sequence; else its x is NULL
    bptt_model *model;
    bptt_run *run, *validation_run; // validation_run is NULL without a validation part
    size_t windows;                 // in an epoch
    size_t documents;               // in the training part; 0: one text
    int32_t *token, *target;        // [T][B]
    float *keep;                    // [T][B]: 0 where a document starts; NULL: one text
    separator separator;            // of its documents
    float *x, *y;                   // [T][B][I], [T][B][M]: a window of a sequence
    float *first_weight;            // [T][B]: weights of the first window of an epoch; NULL: ones
    uint64_t iteration;             // updates submitted
    double best_loss;
    uint64_t best_iteration; // 0: none yet
    size_t memory;
};

// The data: steps (bytes, or rows of a sequence), steps of the training part, steps of a stream; positions of the
// validation loss, 0 without a validation part.
size_t trainer_steps(const bptt_trainer *t);
size_t trainer_train_steps(const bptt_trainer *t);
size_t trainer_stream(const bptt_trainer *t);
size_t trainer_validated(const bptt_trainer *t);
// Computes t->memory from config and data. NO_MEMORY if the device (NULL: not open yet) or the host has less.
bptt_status trainer_measure(bptt_trainer *t, const bptt_backend *b, const bptt_device *d, bptt_error *e);
// Window k of an epoch, filled from the data; valid until the next call.
bptt_window trainer_window(bptt_trainer *t, size_t k);
// BAD_INPUT while windows are in flight.
bptt_status trainer_require_idle(const bptt_trainer *t, bptt_error *e);
// Opens the model and everything else of a trainer with configuration and data, and sets *t; closes it on failure.
bptt_status trainer_open(bptt_trainer *made, bptt_trainer **t, bptt_error *e);
// Opens everything except the model, which must be in t->model.
bptt_status trainer_finish_open(bptt_trainer *t, bptt_error *e);

#endif
