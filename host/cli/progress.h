// How far the work is, on standard error: one line that is rewritten on a terminal, else a plain line now and then.
#ifndef PROGRESS_H
#define PROGRESS_H

#include "bptt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress {
    bool on, terminal;
    uint64_t first, last; // updates done before this run; updates in all
    uint64_t shown_iteration;
    size_t chars;          // in one update
    size_t windows;        // updates in an epoch
    double started, shown; // seconds
    double rate;           // characters per second, smoothed; 0: not known yet
    uint64_t skipped;      // updates that fp16 overflowed in, in this run
    bool shows;            // there is a line on the terminal
} progress;

void progress_start(progress *p, bool quiet, const bptt_trainer_info *info, size_t chars_per_update);
void progress_update(progress *p, uint64_t iteration, const bptt_report *report);
// Clears the line on the terminal, before other words are written.
void progress_clear(progress *p);

// The line: iteration/total, epoch, loss, bpc, gradient norm, characters/s, time left (negative: unknown), and how many
// updates were skipped, if any. In at most `columns` (0: not known): gradient norm, bpc and rate are left out, in this
// order, until it fits, and at last it is cut.
void progress_line(char out[160], const progress *p, uint64_t iteration, const bptt_report *report, double left,
                   size_t columns);

// The same for work whose parts are told as a share of it.
typedef struct share_progress {
    progress line;
    const char *what; // the part that is going on; NULL: none yet
} share_progress;
void share_start(share_progress *p, bool quiet);
// `done` of `what` is done, 0..1: another `what`, compared as a pointer, starts anew.
void share_update(share_progress *p, const char *what, double done);
// The line: what, percent, percent a minute, time left; "?" where nothing is known yet.
void share_line(char out[160], const char *what, double done, double seconds);
// 59 -> "0:59", 3723 -> "1:02:03".
void progress_time(char out[24], double seconds);

#endif
