// `bptt verify`: executable counterparts of the seed's theorems, run on the user's machine. README.md beside this file
// maps each check to its theorem and says where it is stronger or weaker than a proof.
#ifndef VERIFY_H
#define VERIFY_H

#include "bptt.h"

#include <stdbool.h>

// Strength of a line of evidence.
typedef enum evidence {
    EVIDENCE_EXACT, // equality without rounding; where inputs are random, the words say how likely an error escapes
    EVIDENCE_EXHAUSTIVE, // every input there is
    EVIDENCE_BOUNDED,    // within a bound computed from the rounding
    EVIDENCE_SAMPLED     // some inputs, within a bound or to the last bit
} evidence;

// One claim and its result. The check owns all text, which is valid during the call.
typedef struct verify_line {
    const char *part;  // "unroll"
    const char *claim; // one sentence
    evidence kind;
    bool holds;
    const char *found; // figures: "41 maps, p = 2^61 - 1, an error escapes with probability below 1e-15"
} verify_line;

typedef struct verify_options {
    const char *backend; // NULL: all that are present
    const char *device;
    bool exhaustive;
    const char *trace; // folder of a trace
    void (*line)(void *user, const verify_line *line);
    // NULL, or a callback that slow checks call on the caller's thread: the fraction of `what` that is done, 0..1.
    void (*progress)(void *user, const char *what, double done);
    void *user;
} verify_options;

// A part: reports its lines; *failures counts the claims that do not hold. It returns an error only if a check cannot
// run (a backend that does not open, a file), never for a claim that does not hold.
typedef bptt_status verify_part(const verify_options *o, size_t *failures, bptt_error *e);
verify_part verify_cell, verify_unroll, verify_builders, verify_activation, verify_device, verify_trace;

// All parts, in the order in which they run.
typedef struct verify_row {
    const char *name;
    verify_part *check;
    bool plain; // takes seconds and needs nothing: runs where no part is named
} verify_row;
extern const verify_row verify_table[];
extern const size_t verify_rows;

#endif
