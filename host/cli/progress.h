// Progress on standard error: one line, rewritten in place on a terminal; else a plain line at intervals.
#ifndef PROGRESS_H
#define PROGRESS_H

#include "bptt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress {
    bool on, terminal;
    uint64_t first, last; // updates done before this run; total number of updates
    uint64_t shown_iteration;
    bool dense;            // steps of a sequence instead of characters, and no bpc
    size_t chars;          // characters, or steps, in one update
    size_t windows;        // updates in an epoch
    double started, shown; // seconds
    double rate;           // characters or steps per second, smoothed; 0: unknown
    uint64_t skipped;      // updates of this run skipped because of fp16 overflow
    bool shows;            // a line is visible on the terminal
} progress;

void progress_start(progress *p, bool quiet, const bptt_trainer_info *info, size_t chars_per_update);
void progress_update(progress *p, uint64_t iteration, const bptt_report *report);
// Clears the line on the terminal, before other output.
void progress_clear(progress *p);

// Formats the line: iteration/total, epoch, loss, bpc, gradient norm, characters/s, time left (negative: unknown), and
// the number of skipped updates, if any. To fit `columns` (0: unknown), it omits gradient norm, bpc and rate, in this
// order, and then truncates.
void progress_line(char out[160], const progress *p, uint64_t iteration, const bptt_report *report, double left,
                   size_t columns);

// Progress of work with several parts, each in percent.
typedef struct share_progress {
    progress line;
    const char *what; // current part; NULL: none yet
} share_progress;
void share_start(share_progress *p, bool quiet);
// Shows the fraction `done` of part `what`, 0..1. A new `what`, compared as a pointer, restarts the timing.
void share_update(share_progress *p, const char *what, double done);
// Formats the line: what, percent, percent a minute, time left; "?" if unknown.
void share_line(char out[160], const char *what, double done, double seconds);
// 59 -> "0:59", 3723 -> "1:02:03".
void progress_time(char out[24], double seconds);

#endif
