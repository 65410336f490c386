// Checks a function of a float on all floats, or on a sample: each value against binary64, against its neighbour and
// its mirror image, and bit for bit against other implementations.
#ifndef SWEEP_H
#define SWEEP_H

#include "backend.h"

// One implementation: y[i] = f(x[i]) for i < n <= SWEEP_CHUNK. own belongs to the calling thread.
typedef struct sweep_way {
    const char *name;
    bptt_status (*values)(void *own, size_t n, const float *x, float *y, bptt_error *e);
    // NULL, or the derivative at x by the rule that takes it from y = f(x).
    bptt_status (*slopes)(void *own, size_t n, const float *y, float *d, bptt_error *e);
    void **own; // one for each thread; NULL: the way needs none
} sweep_way;

enum { SWEEP_CHUNK = 4096, SWEEP_WAYS = 8 };

typedef struct sweep {
    const sweep_way *way; // the first is checked, the others must equal it bit for bit
    size_t ways;
    double (*exact)(double x);
    double (*exact_slope)(double y); // where way[0] has slopes: f' from the exact value f
    double lowest, highest;
    bool odd;
    // The value must be +0 if the exact value is below the smallest normal number;
    bool flushes;
    // the value may be x or a zero of its sign: the processor may treat subnormal numbers as zero.
    bool may_flush;
    bool sampled; // 1 chunk in SWEEP_STRIDE, and those around the places where functions change
    unsigned threads;
    void (*progress)(void *user, double done); // NULL, or called on this thread now and then, done in 0..1
    void *user;
} sweep;

enum { SWEEP_STRIDE = 1023 };

typedef struct sweep_verdict {
    uint64_t judged;
    double worst; // ulp
    float where;
    double worst_slope; // absolute
    float where_slope;
    uint64_t decreasing, outside, nan, odd, sign, flush; // counts of violations, see sweep.c
    uint64_t slopes_outside;                             // of 0..1
    uint64_t flushed;                                    // values that may_flush let pass as zeros
    uint64_t unlike[SWEEP_WAYS];                         // bits of way i that differ from those of way 0
    uint64_t sum; // over all bits, NaNs counting as one and, with may_flush, subnormal x as none
} sweep_verdict;

// Errors: those of the ways, NO_MEMORY.
bptt_status sweep_floats(const sweep *s, sweep_verdict *v, bptt_error *e);
uint64_t sweep_wrong(const sweep_verdict *v); // sum of all violations

#endif
