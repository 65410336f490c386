// Trainers of a text or a sequence, and scores. Part of bptt.h, which includes it: conventions and types are there.
#ifndef BPTT_TRAINER_H
#define BPTT_TRAINER_H

#include "bptt.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- trainer --------------------------------------------------------------------------------------------------------
// A text or a sequence of floats, its training and validation part, B streams with carried state, scheduled validation,
// checkpoints.
// Text is bytes; the vocabulary is the distinct bytes of the whole text, ascending. n_train = floor((1 - valid) N);
// stream b starts at byte b*len of the training part, len = (n_train - 1) / B; an epoch is len / T windows and starts
// from zero state. Validation: one stream over the rest from zero state. With model.documents the state also starts
// anew at each document; a stream may begin within one.
typedef struct bptt_trainer bptt_trainer;
typedef struct bptt_trainer_config {
    size_t size;             // sizeof(bptt_trainer_config), set by bptt_trainer_defaults
    bptt_model_config model; // vocab is taken from the text; 0 for a sequence
    int change_precision;    // 0; resume: 1: use compute.precision instead of that of the file
    size_t batch, steps;     // 32, 64; 1..2^31 - 1 each; B, T
    double rate;             // 2e-3; above 0; learning rate, constant
    double valid;            // 0.05; 0 <= valid < 1; fraction of the text for validation
    uint64_t valid_every;    // 500; 0..2^53; updates between scheduled validations; 0: none
    uint64_t iterations;     // 0; 0..2^53; total number of updates; 0: from epochs
    double epochs;           // 10; above 0, below 1e15; used when iterations is 0
    size_t burn_in; // 0; below steps; sequences only: steps of a stream without loss after its state was set to zero
} bptt_trainer_config;
#define bptt_trainer_defaults(c) bptt_trainer_defaults_sized((c), sizeof *(c), sizeof((c)->model))
BPTT_API void bptt_trainer_defaults_sized(bptt_trainer_config *c, size_t size, size_t model_size);
// Sets H, L, B, T, valid_every and epochs for a text of n bytes, c->model.cell and c->valid: H so that every cell has
// about as many recurrent weights as a tanh network of 64 to 1024 units. No effect if a size in c is wrong.
BPTT_API void bptt_trainer_sizes_for_text(bptt_trainer_config *c, size_t n);

typedef struct bptt_trainer_info {
    // bytes; V; bytes; bytes; len; windows in an epoch. Of a sequence: steps instead of bytes, vocab 0
    size_t text, vocab, n_train, n_valid, stream, windows;
    size_t parameters;
    uint64_t iteration, iterations; // updates done, total number of updates
    size_t memory;                  // bytes of model, runs and text or sequence
    double best_loss;               // lowest scheduled validation loss, in nats
    uint64_t best_iteration;        // 0: none yet
    size_t documents;               // in the training part; 0 with BPTT_DOCUMENTS_NONE
    // of a sequence: mean of y^2 over the positions of the validation loss. With SQUARED, loss / valid_power is the
    // error-to-signal ratio sum (x - y)^2 / sum y^2. 0: no validation part, or a text
    double valid_power;
} bptt_trainer_info;
// text [n] is copied.  Errors: those of bptt_model_open, BAD_INPUT (text too short for B and T; says which T fits; a
// training part without the separator of model.documents).
BPTT_API bptt_status bptt_trainer_open(const bptt_trainer_config *c, const void *text, size_t n, bptt_trainer **t,
                                       bptt_error *e);
// Resumes from a file written by bptt_trainer_save, byte for byte as if never stopped. The text must be the same
// (length and SHA-256 are checked: BAD_INPUT). Of c only iterations, epochs and model.compute are used, and its
// precision only with change_precision; iterations and epochs both 0 mean those of the file. If the backend lacks the
// file's precision (NO_BACKEND), a change to FP32 is possible. Errors: NO_INPUT, BAD_FILE, those of open.
BPTT_API bptt_status bptt_trainer_resume(const char *path, const bptt_trainer_config *c, const void *text, size_t n,
                                         bptt_trainer **t, bptt_error *e);

// The same for one sequence of n steps of floats: inputs x [n][I], targets y [n][M], I = model.input, M = model.output,
// both above 0, model.loss and skip as wished. Target y[i] belongs to input x[i]: stream b starts at step b*len of the
// training part, len = n_train / B, and has len / T windows an epoch. In the first burn_in steps of each stream in an
// epoch, and of the validation part, positions have weight 0: the state started from zero there. All functions of
// trainers apply, except bptt_trainer_trace. x and y are copied (n (I + M) floats). Errors: those of bptt_trainer_open,
// BAD_INPUT (a number that is not finite, or a target of BINARY outside 0..1, with its step and column; a validation
// part of at most burn_in steps), NO_MEMORY.
BPTT_API bptt_status bptt_trainer_open_dense(const bptt_trainer_config *c, const float *x, const float *y, size_t n,
                                             bptt_trainer **t, bptt_error *e);
// As bptt_trainer_resume. c must not be NULL: its model.input and model.output are the widths of x and y, which must be
// those of the file (BAD_INPUT). The SHA-256 is that of the bytes of x, then y.
BPTT_API bptt_status bptt_trainer_resume_dense(const char *path, const bptt_trainer_config *c, const float *x,
                                               const float *y, size_t n, bptt_trainer **t, bptt_error *e);
// Sets H, L, B, T, valid_every and epochs for a sequence of n steps, c->valid and c->burn_in.
BPTT_API void bptt_trainer_sizes_for_dense(bptt_trainer_config *c, size_t n);
BPTT_API void bptt_trainer_close(bptt_trainer *t); // NULL is allowed
#define bptt_trainer_get_info(t, info) bptt_trainer_get_info_sized((t), (info), sizeof *(info))
BPTT_API void bptt_trainer_get_info_sized(const bptt_trainer *t, bptt_trainer_info *info, size_t size);
#define bptt_trainer_get_config(t, c) bptt_trainer_get_config_sized((t), (c), sizeof *(c), sizeof((c)->model))
BPTT_API void bptt_trainer_get_config_sized(const bptt_trainer *t, bptt_trainer_config *c, size_t size,
                                            size_t model_size);
BPTT_API bptt_model *bptt_trainer_model(bptt_trainer *t); // belongs to the trainer

// One update.  Errors: NOT_FINITE, DEVICE.
BPTT_API bptt_status bptt_trainer_step(bptt_trainer *t, bptt_report *report, bptt_error *e);
// Asynchronous step (see bptt_run_submit); info.iteration and validation_due include updates in flight. step, validate
// and save are BAD_INPUT while updates are in flight. A failed collect decrements iteration: after all are collected
// it is the number of updates made.
BPTT_API bptt_status bptt_trainer_submit(bptt_trainer *t, bptt_error *e);
BPTT_API bptt_status bptt_trainer_collect(bptt_trainer *t, bptt_report *report, bptt_error *e);
// step that also writes the window to a file in folder (created if missing): inputs, states, dz, losses, gradient, and
// the weights before the update, for `bptt verify trace`. Training continues bit for bit as after step, even if the
// file cannot be written (the reason is in *kept). Needs the memory of a second run during the call.
// Errors: those of step; BAD_INPUT for a trainer of a sequence, whose windows hold no tokens.
BPTT_API bptt_status bptt_trainer_trace(bptt_trainer *t, const char *folder, bptt_report *report, bptt_error *kept,
                                        bptt_error *e);
// Computes the validation loss; training state, carried state and best_loss do not change. stop, if not NULL, is
// polled; a non-zero return cancels (CANCELLED).  Errors: BAD_INPUT (no validation part).
BPTT_API bptt_status bptt_trainer_validate(bptt_trainer *t, int (*stop)(void *), void *user, bptt_report *report,
                                           bptt_error *e);
// validation_due is 1 if a validation is scheduled after the last update done or submitted. record_validation records
// its loss: *best = 1 if it is the lowest so far. Call it for scheduled validations only: the result is saved.
BPTT_API int bptt_trainer_validation_due(const bptt_trainer *t);
BPTT_API void bptt_trainer_record_validation(bptt_trainer *t, double loss, int *best);
// Writes the checkpoint: the complete state; bptt_model_load reads its weights. Atomic.  Errors: IO, NO_MEMORY.
BPTT_API bptt_status bptt_trainer_save(bptt_trainer *t, const char *path, bptt_error *e);

// ---- scores ---------------------------------------------------------------------------------------------------------
// Mean loss per byte of text [n] under a model with a vocabulary, one stream from zero state, which starts anew at each
// document of the model's kind: the n - 1 bytes after the first are predicted. report->weight is n - 1. progress, if
// not NULL, gets the number done; a non-zero return cancels.  Errors: BAD_INPUT (a byte that is not in the vocabulary;
// n < 2), CANCELLED, DEVICE.
BPTT_API bptt_status bptt_score(bptt_model *m, const void *text, size_t n,
                                int (*progress)(void *user, size_t done, size_t total), void *user, bptt_report *report,
                                bptt_error *e);
// The same for a sequence of n >= 1 steps under a model with dense inputs and targets: x [n][I], y [n][M], one stream
// from zero state, whose first burn_in steps carry no loss. report->weight is n - burn_in. Errors: BAD_INPUT (a model
// of tokens; burn_in >= n), NOT_FINITE, CANCELLED, DEVICE.
BPTT_API bptt_status bptt_score_dense(bptt_model *m, const float *x, const float *y, size_t n, size_t burn_in,
                                      int (*progress)(void *user, size_t done, size_t total), void *user,
                                      bptt_report *report, bptt_error *e);
// 1 if byte i of text is the last byte of a separator, 0 if not: with LINE each newline; with BLANK a newline that ends
// an empty line, so in a run of empty lines each of them (a document may be empty). To sample a document with
// bptt_run_next: bptt_run_reset, then feed a newline, then what is drawn, until this is 1. Reads text[0..i].
BPTT_API int bptt_ends_document(bptt_documents d, const void *text, size_t i);
// Size in bytes of the training part of a text of n bytes: floor((1 - valid) n).
BPTT_API size_t bptt_split(size_t n, double valid);

#ifdef __cplusplus
}
#endif
#endif
