// Sums with the sizes of their terms, and the record of an error against its limit.
#include "trace_sums.h"

#include <math.h>
#include <stdlib.h>

#define SEEN 0x1p-100 // errors below it say nothing when divided by sums as small

double trace_gamma(double k) { return k * 0x1p-53 / (1 - k * 0x1p-53); }
double trace_limit(const trace_window *w, double k) { return TRACE_SAFE * sqrt(k) * w->unit + 2 * w->operand; }

void trace_record(finding *f, size_t i, double got, double want, double sum, double slack, double limit)
{
    const double error = fabs(got - want) + slack + 0x1p-53 * (fabs(got) + fabs(want));
    const double share = error == 0 ? 0 : error / limit;
    f->holds = (f->n == 0 || f->holds) && share <= 1; // NaN fails
    f->n++;
    const double ratio = error > SEEN ? error / sum : 0;
    if (!(error <= f->error) && !isnan(f->error)) f->error = error, f->at = i;
    if (!(slack <= f->slack)) f->slack = slack;
    if (!(share <= f->share) && !isnan(f->share)) f->share = share;
    if (!(ratio <= f->ratio) && !isnan(f->ratio)) f->ratio = ratio;
}

void trace_add_product(trace_rows r, const double *m, const double *x, size_t J, size_t K)
{
    for (size_t j = 0; j < J; j++) {
        double z = 0, s = 0;
        for (size_t k = 0; k < K; k++) {
            const double term = m[j * K + k] * x[k];
            z += term;
            s += fabs(term);
        }
        r.z[j] += z, r.s[j] += s;
    }
}

void trace_add_transposed(trace_rows r, const double *m, const double *x, const double *sizes, size_t K, size_t J)
{
    for (size_t k = 0; k < K; k++)
        for (size_t j = 0; j < J; j++) {
            r.z[j] += m[k * J + j] * x[k];
            r.s[j] += fabs(m[k * J + j]) * fabs(sizes[k]);
        }
}

void trace_rows_zero(trace_rows r, size_t n)
{
    for (size_t j = 0; j < n; j++) r.z[j] = r.s[j] = 0;
}

bptt_status trace_rows_open(trace_rows *r, size_t n, bptt_error *e)
{
    r->z = calloc(n, sizeof *r->z);
    r->s = calloc(n, sizeof *r->s);
    return r->z && r->s ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to recompute a trace");
}

void trace_rows_close(trace_rows r)
{
    free(r.z);
    free(r.s);
}
