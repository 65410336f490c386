// What the files of the part `builders` share: where they compute, how they count, what they say.
#ifndef BUILDERS_H
#define BUILDERS_H

#include "bptt_cells.h"
#include "verify.h"

#include <stdint.h>

// ---- counting -------------------------------------------------------------------------------------------------------

// What became of one claim.
typedef struct tally {
    size_t cases, wrong;
    double worst;    // largest error over its bound
    char first[160]; // the first case that does not hold
} tally;

void tally_note(tally *t, bool holds, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
// scale * a[i] is b[i], for all of n: the same number (so a NaN is not, and the sign of a zero does not count).
void tally_same(tally *t, double scale, const double *a, const double *b, size_t n, const char *what);
// |a - b| <= bound
void tally_near(tally *t, double a, double b, double bound, const char *what);
// A claim that nothing was tried for does not hold.
bool tally_holds(const tally *t);

// Relative error of k roundings in a row (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
double rounding_of(size_t k, bptt_type type);

// ---- memory, numbers ------------------------------------------------------------------------------------------------

// Zeroed doubles, taken one after the other and given back all at once.
typedef struct scratch {
    double *x;
    size_t used, room;
} scratch;

bptt_status scratch_open(scratch *s, size_t room, bptt_error *e);
void scratch_close(scratch *s);
double *scratch_take(scratch *s, size_t n); // zeros

void fill_whole(uint64_t *random, int most, double unit, double *x, size_t n); // unit * (-most .. most)
void fill_real(uint64_t *random, double scale, double *x, size_t n); // +-scale with 24 bits, which a float holds
size_t draw_below(uint64_t *random, size_t n);                       // 0 .. n - 1
double dot_product(const double *a, const double *b, size_t n);

// ---- cells ----------------------------------------------------------------------------------------------------------

// What chains are checked for, one tally each.
typedef enum chain_law {
    BUILDER_DERIVATIVE, // jvp is the derivative of apply, exactly, in whole numbers
    BUILDER_ADJOINT,    // vjp is the adjoint of jvp, likewise
    BUILDER_STOPS,      // truncation and feedback pass nothing on
    CHAIN_DERIVATIVE,   // joined steps: jvp is the derivative of forward, exactly, along straight pieces of relu
    CHAIN_ADJOINT,      // joined steps: <J d, s> = <d, J' s> within the roundings
    CHAIN_GLUED,        // cut anywhere: the same bits
    CHAIN_LAWS
} chain_law;

// own: a builder of the user's own, at most quadratic in the trace, for any sizes; NULL: one that reads all five
// tensors.
bptt_status chain_laws(const bptt_builder *own, tally t[CHAIN_LAWS], bptt_error *e);
bptt_builder whole_trace_builder(void); // that one

// ---- windows --------------------------------------------------------------------------------------------------------

// Where a model computes.
typedef struct place {
    const char *backend, *device;
    bptt_type type;
    bptt_lowering lowering;
    const char *name; // "ref f64"
} place;

typedef enum window_law {
    GLUE_BITS,      // [0, k) and [k, T) joined by dh(k): states, dz, dh(0) are those of [0, T), to the last bit
    GLUE_SUMS,      // dW, db within the roundings of their sums
    GLUE_WHOLE,     // everything, exactly, in whole numbers
    CAUSAL_FORWARD, // what comes from k on reaches no state or loss before
    CAUSAL_BACK,    // nor the gradient of losses before; gradients of inputs after the last weight are 0
    DOCUMENTS,      // weight, keep: a packed window is its documents one by one, exactly, in whole numbers
    WINDOW_LAWS
} window_law;

bptt_status glue_laws(const place *p, tally t[WINDOW_LAWS], bptt_error *e);
bptt_status causal_laws(const place *p, tally t[WINDOW_LAWS], bptt_error *e);
bptt_status document_laws(const place *p, tally t[WINDOW_LAWS], bptt_error *e);

#endif
