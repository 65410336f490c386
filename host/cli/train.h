// State of a training run: set up by cmd_train.c, used by train_loop.c and train_log.c.
#ifndef TRAIN_H
#define TRAIN_H

#include "cli.h"
#include "jsonl.h"
#include "progress.h"
#include "sampler.h"

// Number of updates in the moving average of the rate. With windows in flight several reports arrive at once, so that
// a single interval is no measure.
#define RATE_OF 8

typedef struct train {
    const options *o;
    bptt_trainer *trainer;
    bptt_trainer_config config; // in effect: from the command line or from the resumed file
    bptt_trainer_info info;     // at the start
    bptt_device_info device;    // of the model
    bool dense;                 // trains on --data or --wav
    const char *text_name;      // "-": standard input; NULL: the built-in text; with --wav the targets
    const char *data_name;      // FILE of --data or --wav; NULL: a text
    bool text_given;            // named on the command line
    bool validates;             // there is a validation part
    const char *output;
    char *best;        // path of the best model
    size_t memory;     // estimated peak memory of the process in bytes
    const char *trace; // folder of --trace; NULL: no trace
    uint64_t trace_at; // number of the traced update
    progress progress;
    sampler sampler; // run NULL: no samples
    json_log *log;   // NULL: none, or closed after a failure
    jsonl line;      // the line being built
    bool quiet;
    bool save_failed, best_failed, log_failed, trace_failed; // state of the last attempt
    bool best_there;                                         // `best` was written by this run or by the one it resumes
    uint64_t saved;       // number of updates in the file `output`; NONE_SAVED: not yet written by this run
    uint64_t validated;   // number of updates at the last validation; 0: none
    double valid_loss;    // loss of that validation, nats
    double started;       // seconds
    uint64_t done;        // number of updates collected; more may be in flight
    double since;         // time of the last report, or of the restart after a pause; seconds
    double took[RATE_OF]; // seconds of the last updates, update i in i % RATE_OF; 0 if not made yet
    uint64_t timed;       // number of updates of this run in `took` so far
} train;

#define NONE_SAVED UINT64_MAX

// Trains to the end or until a signal or a failure, then saves. A signal ends the process.
exit_code train_loop(train *w);

// The log: each function writes one line, if there is a log. The first failure prints a message and closes the log.
// The error-to-signal ratio of a validation loss; negative if the loss is not squared, or the targets are all 0.
double error_to_signal(const train *w, double loss);

void log_start(train *w);
void log_step(train *w, uint64_t iteration, const bptt_report *r, double rate);
void log_valid(train *w, uint64_t iteration, double loss, bool scheduled, bool best);
void log_sample(train *w, uint64_t iteration, const void *text, size_t n);
void log_end(train *w, uint64_t iteration, const char *reason);

#endif
