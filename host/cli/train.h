// A training run: what cmd_train.c sets up, train_loop.c works on and train_log.c writes down.
#ifndef TRAIN_H
#define TRAIN_H

#include "cli.h"
#include "jsonl.h"
#include "progress.h"
#include "sampler.h"

// The rate is that of so many updates: where windows are submitted before the last report comes, reports come in
// bunches, and the time from one to the next says little.
#define RATE_OF 8

typedef struct train {
    const options *o;
    bptt_trainer *trainer;
    bptt_trainer_config config; // in force: from the command line, or from the resumed file
    bptt_trainer_info info;     // at the start
    bptt_device_info device;    // that computes
    const char *text_name;      // "-": standard input; NULL: the built-in text
    bool text_given;            // named on the command line
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
    bool best_there;                                         // `best` is of this run, or of the one that it resumes
    uint64_t saved;       // updates in the file `output`; NONE_SAVED: this run has not written it
    uint64_t validated;   // the update that was last validated after; 0: none
    double valid_loss;    // of that validation, nats
    double started;       // seconds
    uint64_t done;        // updates whose report has come; more may be submitted
    double since;         // when the last report came, or work began after a pause; seconds
    double took[RATE_OF]; // seconds of the last updates, update i in i % RATE_OF; those that were not made 0
    uint64_t timed;       // updates of this run that were
} train;

#define NONE_SAVED UINT64_MAX

// Trains to the end, or until a signal or a failure; saves. A signal ends the process.
exit_code train_loop(train *w);

// The log: each writes one line, or none if there is no log. The first failure is told, then the log is given up.
void log_start(train *w);
void log_step(train *w, uint64_t iteration, const bptt_report *r, double chars_per_s);
void log_valid(train *w, uint64_t iteration, double loss, bool scheduled, bool best);
void log_sample(train *w, uint64_t iteration, const void *text, size_t n);
void log_end(train *w, uint64_t iteration, const char *reason);

#endif
