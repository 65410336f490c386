// Counting, scratch memory, random numbers and rounding bounds for the part `builders`.
#ifndef BUILDERS_TOOLS_H
#define BUILDERS_TOOLS_H

#include "bptt.h"

#include <stdbool.h>
#include <stdint.h>

// ---- counting -------------------------------------------------------------------------------------------------------

// Counts of one claim.
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
// A claim without cases does not hold.
bool tally_holds(const tally *t);

// Relative error of k roundings in a row (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
double rounding_of(size_t k, bptt_type type);

// ---- memory, numbers ------------------------------------------------------------------------------------------------

// Arena of zeroed doubles, freed all at once.
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

#endif
