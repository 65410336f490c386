// Sums with the sizes of their terms, and the record of an error against its limit, for the checks of a trace.
#ifndef TRACE_SUMS_H
#define TRACE_SUMS_H

#include "trace_window.h"

#define TRACE_SAFE 4.0
#define TRACE_TINY 0x1p-126 // below it numbers may be taken for zero, in each term

double trace_gamma(double k);                        // bound of a sum of k products in binary64
double trace_limit(const trace_window *w, double k); // of a correct run's sum of k products, over the sum of |terms|
// Element i: got is stored, want recomputed within slack; sum: of |terms|; limit: largest error of a correct run.
void trace_record(finding *f, size_t i, double got, double want, double sum, double slack, double limit);

// Rows of sums: z of the terms, s of their absolute values.
typedef struct trace_rows {
    double *z, *s;
} trace_rows;

bptt_status trace_rows_open(trace_rows *r, size_t n, bptt_error *e);
void trace_rows_close(trace_rows r);
void trace_rows_zero(trace_rows r, size_t n);
// z[j] += sum over k of m[j][k] x[k]
void trace_add_product(trace_rows r, const double *m, const double *x, size_t J, size_t K);
// z[j] += sum over k of m[k][j] x[k]; sizes: those of x
void trace_add_transposed(trace_rows r, const double *m, const double *x, const double *sizes, size_t K, size_t J);

// Of one row of the window: d = (softmax(logits) - onehot) / (T B), the sizes p and 1 apart in s; its loss.
typedef struct trace_decoded {
    double loss;
    double slack, limit; // of an exponential's argument: what the recomputation, what the run may be off by
} trace_decoded;

// Adds the gradient that h of layer l after step t receives from the layer above or the decoder, and returns the number
// of terms; the relative errors of the decoder's softmax go to *own. d: rows of V.
double trace_add_above(const trace_window *w, size_t l, size_t t, size_t b, trace_rows d, trace_rows r,
                       trace_decoded *own);

// trace_gates.c: certify_states and certify_dz of gated cells.
bptt_status certify_gated_states(const trace_window *w, finding *f, bptt_error *e);
bptt_status certify_gated_dz(const trace_window *w, finding *dz, finding *dstates, bptt_error *e);

#endif
