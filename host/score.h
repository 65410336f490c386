// Loss of a model on one stream of tokens, or on a sequence of floats.
#ifndef SCORE_H
#define SCORE_H

#include "backend.h"

enum { SCORE_STEPS = 256 }; // steps of the forward-only run that scores; B = 1

// True if the runs of a text need keep: it has documents, or an initial state that is trained.
bool marks_starts(const bptt_model_config *m);
// id [n] from zero state on run r (B = 1, T = SCORE_STEPS; with keep if marks_starts): mean loss over n - 1
// predictions.
// progress, if not NULL, gets the number done; a non-zero return cancels (CANCELLED).
bptt_status score_stream(bptt_run *r, const unsigned char *id, size_t n, int (*progress)(void *, size_t, size_t),
                         void *user, bptt_report *report, bptt_error *e);
// x [n][I], y [n][M] from zero state on run r (B = 1, T = SCORE_STEPS): mean loss of the n - burn_in steps after the
// first burn_in.  Errors: BAD_INPUT (burn_in >= n), those of evaluate, CANCELLED.
bptt_status score_sequence(bptt_run *r, const float *x, const float *y, size_t n, size_t burn_in,
                           int (*progress)(void *, size_t, size_t), void *user, bptt_report *report, bptt_error *e);

#endif
