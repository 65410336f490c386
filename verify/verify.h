// The executable counterparts of the seed's theorems, run on the user's own machine: `bptt verify`. Which theorem each
// check stands for, and where it is stronger or weaker than a proof: README.md beside this.
#ifndef VERIFY_H
#define VERIFY_H

#include "bptt.h"

#include <stdbool.h>

// How much a line of evidence says.
typedef enum evidence {
    EVIDENCE_EXACT, // equality without rounding; where inputs are random, the words say how likely an error escapes
    EVIDENCE_EXHAUSTIVE, // every input there is
    EVIDENCE_BOUNDED,    // within a bound computed from the rounding
    EVIDENCE_SAMPLED     // some inputs, within a bound or to the last bit
} evidence;

// One claim and what became of it. All text is the check's own and lives as long as the call.
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
    // NULL, or called now and then, on the caller's thread, by what takes minutes: how much of `what` is done, 0..1.
    void (*progress)(void *user, const char *what, double done);
    void *user;
} verify_options;

// A part: reports its lines; *failures counts those that do not hold. Errors are those of what it could not do (a
// backend that does not open, a file), never a claim that does not hold.
typedef bptt_status verify_part(const verify_options *o, size_t *failures, bptt_error *e);
verify_part verify_cell, verify_unroll, verify_builders, verify_activation, verify_device, verify_trace;

// The parts that there are, in the order in which they run.
typedef struct verify_row {
    const char *name;
    verify_part *check;
    bool plain; // takes seconds and needs nothing: runs where no part is named
} verify_row;
extern const verify_row verify_table[];
extern const size_t verify_rows;

#endif
