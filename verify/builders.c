// Part `builders` of `bptt verify`: context builders, chains of cells, windows cut and glued, causality, packed
// documents. README.md explains each line and the strength of its evidence.
#include "builders.h"

#include "backends.h"

#include <stdio.h>
#include <string.h>

// ---- places ---------------------------------------------------------------------------------------------------------

enum { PLACES = 7, NAMES = 160 };

// *is: a model opens at the place. A missing backend is an error only if the user named it.
static bptt_status probe_compute_place(const compute_place *p, bool asked, bool *is, bptt_error *e)
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

// The places selected by the options; *n is their number.
static bptt_status find_places(const verify_options *o, compute_place at[PLACES], size_t *n, bptt_error *e)
{
    static const compute_place all[PLACES] = {{"ref", NULL, BPTT_F64, BPTT_LOWER_AUTO, "ref f64"},
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
        s = probe_compute_place(&at[*n], named, &is, e);
        if (is) ++*n;
    }
    if (!s && *n == 0) return no_backend_called(o->backend, e);
    return s;
}

// ---- report ---------------------------------------------------------------------------------------------------------

typedef struct sentence {
    const char *claim;
    evidence kind;
    const char *of; // the cases
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

static void report_law(const verify_options *o, const sentence *s, const tally *t, const char *where, size_t *failures)
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

// A claim that fails does not end the check: the tallies go on at the next place.
static bptt_status verify_windows(const verify_options *o, const compute_place *at, size_t places, size_t *failures,
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
    for (size_t i = 0; !s && i < WINDOW_LAWS; i++) report_law(o, &WINDOW_SAYS[i], &t[i], where, failures);
    return s;
}

bptt_status verify_builders(const verify_options *o, size_t *failures, bptt_error *e)
{
    compute_place at[PLACES];
    tally t[CHAIN_LAWS] = {{0}};
    size_t places = 0;
    bptt_status s = find_places(o, at, &places, e);
    if (!s) s = chain_laws(NULL, t, e);
    for (size_t i = 0; !s && i < CHAIN_LAWS; i++) report_law(o, &CHAIN_SAYS[i], &t[i], "", failures);
    return s ? s : verify_windows(o, at, places, failures, e);
}
