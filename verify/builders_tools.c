// Counting, scratch memory, random numbers and rounding bounds for the part `builders`.
#include "builders_tools.h"

#include "backend.h"
#include "prng.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- counting -------------------------------------------------------------------------------------------------------

void tally_note(tally *t, bool holds, const char *format, ...)
{
    t->cases++;
    if (holds) return;
    va_list rest;
    va_start(rest, format);
    if (t->wrong++ == 0) (void)vsnprintf(t->first, sizeof t->first, format, rest);
    va_end(rest);
}

void tally_same(tally *t, double scale, const double *a, const double *b, size_t n, const char *what)
{
    size_t i = 0;
    while (i < n && scale * a[i] == b[i]) i++;
    tally_note(t, i == n, "%s: element %zu is %.9g and should be %.9g", what, i, i < n ? scale * a[i] : 0,
               i < n ? b[i] : 0);
}

void tally_near(tally *t, double a, double b, double bound, const char *what)
{
    const double off = fabs(a - b);
    if (off > 0 && off / bound > t->worst) t->worst = off / bound;
    tally_note(t, off <= bound, "%s: %.17g and %.17g, %.3g times the bound", what, a, b, off / bound);
}

bool tally_holds(const tally *t) { return t->cases > 0 && t->wrong == 0; }

double rounding_of(size_t k, bptt_type type)
{
    const double u = (double)k * (type == BPTT_F64 ? 0x1p-53 : 0x1p-24);
    return u / (1 - u);
}

// ---- memory, numbers ------------------------------------------------------------------------------------------------

bptt_status scratch_open(scratch *s, size_t room, bptt_error *e)
{
    *s = (scratch){.x = calloc(room, sizeof *s->x), .room = room};
    return s->x ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to verify builders");
}

void scratch_close(scratch *s) { free(s->x); }

double *scratch_take(scratch *s, size_t n)
{
    assert(n <= s->room - s->used);
    double *x = s->x + s->used;
    s->used += n;
    memset(x, 0, n * sizeof *x);
    return x;
}

size_t draw_below(uint64_t *random, size_t n) { return (size_t)(splitmix_next(random) % n); }

void fill_whole(uint64_t *random, int most, double unit, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = unit * ((double)draw_below(random, 2 * (size_t)most + 1) - most);
}

void fill_real(uint64_t *random, double scale, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = scale * (2 * splitmix_uniform24(random) - 1);
}

double dot_product(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}
