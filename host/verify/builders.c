// Part `builders` of `bptt verify`: context builders, chains of cells, windows cut and glued, causality, packed
// documents. What each line says, and how strongly: README.md.
#include "builders.h"

#include "backends.h"
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

// ---- where ----------------------------------------------------------------------------------------------------------

enum { PLACES = 7, NAMES = 160 };

// Whether a model opens there. One that nobody asked for may be absent.
static bptt_status present(const place *p, bool asked, bool *is, bptt_error *e)
{
    bptt_model_config c;
    bptt_model *m = NULL;
    bptt_error why = {0};
    bptt_model_defaults(&c);
    c.vocab = 2, c.hidden = 1, c.type = p->type, c.compute.backend = p->backend, c.compute.device = p->device,
    c.compute.lowering = p->lowering;
    const bptt_status s = bptt_model_open(&c, &m, &why);
    bptt_model_close(m);
    *is = s == BPTT_OK;
    if (!s || (s == BPTT_NO_BACKEND && !asked)) return BPTT_OK;
    return bptt_fail(e, s, "%s", why.words);
}

// The places that o asks for: *n of them.
static bptt_status find_places(const verify_options *o, place at[PLACES], size_t *n, bptt_error *e)
{
    static const place all[PLACES] = {{"ref", NULL, BPTT_F64, BPTT_LOWER_AUTO, "ref f64"},
                                      {"ref", NULL, BPTT_F32, BPTT_LOWER_AUTO, "ref f32"},
                                      {"cpu", NULL, BPTT_F32, BPTT_LOWER_AUTO, "cpu"},
                                      {"opencl", NULL, BPTT_F32, BPTT_LOWER_NEVER, "opencl step by step"},
                                      {"opencl", NULL, BPTT_F32, BPTT_LOWER_ALWAYS, "opencl by windows"},
                                      {"cuda", NULL, BPTT_F32, BPTT_LOWER_NEVER, "cuda step by step"},
                                      {"cuda", NULL, BPTT_F32, BPTT_LOWER_ALWAYS, "cuda by windows"}};
    const bool named = o->backend && strcmp(o->backend, "auto") != 0;
    bptt_status s = BPTT_OK;
    *n = 0;
    for (size_t i = 0; !s && i < PLACES; i++) {
        bool is = false;
        if (named && strcmp(o->backend, all[i].backend) != 0) continue;
        at[*n] = all[i];
        if (named) at[*n].device = o->device;
        s = present(&at[*n], named, &is, e);
        if (is) ++*n;
    }
    if (!s && *n == 0) return no_backend_called(o->backend, e);
    return s;
}

// ---- saying it ------------------------------------------------------------------------------------------------------

typedef struct sentence {
    const char *claim;
    evidence kind;
    const char *of; // what was tried
} sentence;

static const sentence CHAIN_SAYS[CHAIN_LAWS] = {
    [BUILDER_DERIVATIVE] =
        {"a builder's jvp is the derivative of its apply", EVIDENCE_EXACT,
         "results of 6 builders in whole numbers, 16 draws each; a wrong one escapes with probability below 1e-40"},
    [BUILDER_ADJOINT] =
        {"a builder's vjp is the adjoint of its jvp, in all five tensors of the trace", EVIDENCE_EXACT,
         "results of 6 builders in whole numbers, 16 draws each; a wrong one escapes with probability below 1e-40"},
    [BUILDER_STOPS] = {"truncation and feedback pass no gradient on where they stop it", EVIDENCE_SAMPLED,
                       "tangents behind a stop"},
    [CHAIN_DERIVATIVE] = {"the jvp of joined steps is the derivative of their forward pass", EVIDENCE_SAMPLED,
                          "tensors of lists of 1 to 6 steps, relu, without rounding between kinks"},
    [CHAIN_ADJOINT] = {"the reverse pass of steps joined by any builders is the adjoint of their derivative",
                       EVIDENCE_BOUNDED,
                       "lists of 1 to 16 steps, cotangents for all five tensors of every step, and for W and b"},
    [CHAIN_GLUED] = {"a list of steps cut anywhere and glued by its builder is the whole", EVIDENCE_SAMPLED,
                     "traces and gradients, to the last bit"},
};

static const sentence WINDOW_SAYS[WINDOW_LAWS] = {
    [GLUE_BITS] = {"BPTT over [0,T) is BPTT over [0,k) and [k,T) glued by dh(k): states, dz, dh(0)", EVIDENCE_SAMPLED,
                   "tensors, every k, to the last bit"},
    [GLUE_SUMS] = {"the same: dW and db, whole or in pieces, are the sums of x dz, h dz and dz", EVIDENCE_BOUNDED,
                   "elements, every k"},
    [GLUE_WHOLE] = {"the same, all tensors of two layers: in whole numbers, without rounding", EVIDENCE_SAMPLED,
                    "tensors, every k; random whole numbers, relu"},
    [CAUSAL_FORWARD] = {"tokens from k on reach no state and no loss before k", EVIDENCE_SAMPLED,
                        "comparisons, every k, to the last bit"},
    [CAUSAL_BACK] = {"nor the gradient of losses before k, and inputs from k on have gradient 0", EVIDENCE_SAMPLED,
                     "comparisons, every k, to the last bit"},
    [DOCUMENTS] = {"documents packed with weight and keep are the documents one by one", EVIDENCE_SAMPLED,
                   "tensors; random whole numbers, relu, without rounding"},
};

static void say(const verify_options *o, const sentence *s, const tally *t, const char *where, size_t *failures)
{
    char found[480], worst[40] = "";
    if (s->kind == EVIDENCE_BOUNDED) (void)snprintf(worst, sizeof worst, "; at worst %.2g of the bound", t->worst);
    if (t->wrong == 0)
        (void)snprintf(found, sizeof found, "%zu %s%s%s%s", t->cases, s->of, worst, *where ? "; " : "", where);
    else
        (void)snprintf(found, sizeof found, "%zu of %zu do not, first: %s", t->wrong, t->cases, t->first);
    const verify_line line = {"builders", s->claim, s->kind, tally_holds(t), found};
    *failures += !line.holds;
    if (o->line) o->line(o->user, &line);
}

// Goes on at the next place after a claim that does not hold, and counts there too.
static bptt_status verify_windows(const verify_options *o, const place *at, size_t places, size_t *failures,
                                  bptt_error *e)
{
    tally t[WINDOW_LAWS] = {{0}};
    char where[NAMES] = "";
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < places; i++) {
        const size_t n = strlen(where);
        (void)snprintf(where + n, sizeof where - n, "%s%s", i ? ", " : "", at[i].name);
        s = glue_laws(&at[i], t, e);
        if (!s) s = causal_laws(&at[i], t, e);
        if (!s) s = document_laws(&at[i], t, e);
    }
    for (size_t i = 0; !s && i < WINDOW_LAWS; i++) say(o, &WINDOW_SAYS[i], &t[i], where, failures);
    return s;
}

bptt_status verify_builders(const verify_options *o, size_t *failures, bptt_error *e)
{
    place at[PLACES];
    tally t[CHAIN_LAWS] = {{0}};
    size_t places = 0;
    bptt_status s = find_places(o, at, &places, e);
    if (!s) s = chain_laws(NULL, t, e);
    for (size_t i = 0; !s && i < CHAIN_LAWS; i++) say(o, &CHAIN_SAYS[i], &t[i], "", failures);
    return s ? s : verify_windows(o, at, places, failures, e);
}
