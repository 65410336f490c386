// A training run: what cmd_train.c sets up, train_loop.c works on and train_log.c writes down.
#ifndef TRAIN_H
#define TRAIN_H

#include "cli.h"
#include "jsonl.h"
#include "progress.h"
#include "sampler.h"

typedef struct train {
    const options *o;
    bptt_trainer *trainer;
    bptt_trainer_config config; // in force: from the command line, or from the resumed file
    bptt_trainer_info info;     // at the start
    bptt_device_info device;    // that computes
    const char *text_name;      // "-": standard input; NULL: the built-in text
    const char *output;
    char *best;        // where the best model goes
    size_t memory;     // bytes that the process will take
    const char *trace; // folder; NULL: no update is kept
    uint64_t trace_at; // number of the update that is
    progress progress;
    sampler sampler; // run NULL: no samples
    json_log *log;   // NULL: none, or given up
    jsonl line;      // the line being built
    bool quiet;
    bool save_failed, best_failed, log_failed, trace_failed; // the last attempt
    uint64_t saved;     // updates in the file `output`; NONE_SAVED: this run has not written it
    uint64_t validated; // the update that was last validated after; 0: none
    double valid_loss;  // of that validation, nats
    double started;     // seconds
    uint64_t done;      // updates whose report has come; more may be submitted
    double since;       // when the last report came, or work began after a pause; seconds
} train;

#define NONE_SAVED UINT64_MAX

// Trains to the end, or until a signal or a failure; saves. A signal ends the process.
exit_code train_loop(train *w);

// The log: each writes one line, or none if there is no log. The first failure is told, then the log is given up.
void log_start(train *w);
void log_step(train *w, uint64_t iteration, const bptt_report *r, double seconds);
void log_valid(train *w, uint64_t iteration, double loss, bool scheduled, bool best);
void log_sample(train *w, uint64_t iteration, const void *text, size_t n);
void log_end(train *w, uint64_t iteration, const char *reason);

#endif
