// Part `device` of `bptt verify`: every available backend, in each of its modes, gives exactly the results of 64-bit
// integers, and therefore those of `ref`.
#include "backends.h"
#include "device_exact.h"
#include "report.h"
#include "isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- nets -----------------------------------------------------------------------------------------------------------

// V I H L B T biases, masked, last, full, gated, M, loss. Sizes around the tiles of products, of vectors and of
// whole-window kernels.
static const whole_shape SHAPE[] = {
    {2, 0, 1, 1, 1, 1, 1, false, false, false, 0, 0, BPTT_SOFTMAX},
    {5, 0, 7, 1, 3, 6, 1, true, true, false, 0, 0, BPTT_SOFTMAX},
    {7, 3, 5, 2, 2, 4, 2, true, false, false, 0, 0, BPTT_SOFTMAX},
    {33, 0, 17, 3, 5, 9, 2, true, true, false, 0, 0, BPTT_SOFTMAX},
    {20, 0, 64, 1, 16, 16, 1, false, false, false, 0, 0, BPTT_SOFTMAX},
    {31, 33, 65, 2, 9, 12, 2, true, true, false, 0, 0, BPTT_SOFTMAX},
    {32, 0, 100, 2, 50, 20, 1, true, false, false, 0, 0, BPTT_SOFTMAX},
    {65, 16, 128, 1, 8, 33, 1, false, true, false, 0, 0, BPTT_SOFTMAX},
    {4, 0, 3, 1, 1, 128, 2, false, true, false, 0, 0, BPTT_SOFTMAX},
    {9, 0, 33, 2, 4, 3, 1, true, true, true, 0, 0, BPTT_SOFTMAX},
    {6, 16, 50, 1, 33, 2, 2, true, false, true, 0, 0, BPTT_SOFTMAX},
    {3, 1, 2, 3, 7, 40, 1, true, false, false, 0, 0, BPTT_SOFTMAX},
    {9, 0, 17, 2, 5, 6, 1, true, true, false, 0, 8, BPTT_SQUARED},
    {5, 6, 33, 1, 7, 9, 2, true, false, false, 0, 4, BPTT_ABSOLUTE},
    {2, 3, 20, 3, 4, 11, 1, false, true, false, 0, 1, BPTT_BINARY},
    // --exhaustive alone
    {12, 20, 130, 2, 17, 12, 2, true, true, false, 0, 32, BPTT_BINARY},
    {12, 20, 66, 2, 31, 5, 1, true, true, true, 0, 64, BPTT_SQUARED},
    {64, 0, 200, 2, 17, 12, 2, true, true, false, 0, 0, BPTT_SOFTMAX},
    {30, 96, 256, 1, 128, 10, 1, true, false, false, 0, 0, BPTT_SOFTMAX},
    {256, 0, 96, 3, 30, 30, 1, true, true, false, 0, 0, BPTT_SOFTMAX},
    {10, 40, 31, 2, 65, 2, 1, true, true, true, 0, 0, BPTT_SOFTMAX},
};
enum { SHAPES = sizeof SHAPE / sizeof SHAPE[0], PLAIN_SHAPES = 15, MORE_SEEDS = 8 };

// Of every gated cell. Their gradients do not grow, so full weights go with any T.
static const whole_shape GATED_SHAPE[] = {
    {5, 0, 7, 1, 3, 6, 2, true, true, false, 0, 0, BPTT_SOFTMAX},
    {9, 3, 33, 2, 4, 11, 1, true, true, true, 0, 0, BPTT_SOFTMAX},
    {20, 16, 16, 3, 9, 7, 2, false, false, false, 0, 0, BPTT_SOFTMAX},
    {6, 0, 65, 1, 5, 30, 1, false, true, true, 0, 0, BPTT_SOFTMAX},
    {4, 5, 20, 2, 6, 9, 1, true, true, false, 0, 2, BPTT_BINARY},
    // --exhaustive alone
    {4, 0, 33, 1, 9, 7, 2, true, true, false, 0, 4, BPTT_SQUARED},
    {4, 3, 50, 2, 5, 6, 1, true, true, true, 0, 16, BPTT_ABSOLUTE},
    {3, 1, 2, 3, 7, 40, 1, true, false, false, 0, 0, BPTT_SOFTMAX},
    {31, 33, 50, 2, 33, 12, 2, true, true, true, 0, 0, BPTT_SOFTMAX},
    {30, 0, 128, 2, 8, 33, 1, true, false, false, 0, 0, BPTT_SOFTMAX},
};
enum { GATED_SHAPES = sizeof GATED_SHAPE / sizeof GATED_SHAPE[0], FEW_GATED_SHAPES = 5, GATED_SEEDS = 2 };

typedef struct nets {
    whole_net *net;
    size_t count, refused;
    const char *unknown; // word of a cell that device_cells.c lacks; NULL: none
} nets;

static bptt_status add_net(nets *n, const whole_shape *sizes, uint64_t seed, bptt_error *e)
{
    whole_net *const made = &n->net[n->count++];
    const bptt_status s = whole_make(made, sizes, seed, e);
    n->refused += made->refused;
    return s;
}

static bptt_status make_nets(nets *n, bool exhaustive, bptt_error *e)
{
    const size_t shapes = exhaustive ? SHAPES : PLAIN_SHAPES, seeds = exhaustive ? MORE_SEEDS : 1;
    const size_t each = exhaustive ? GATED_SHAPES * GATED_SEEDS : FEW_GATED_SHAPES;
    const size_t gated_shapes = exhaustive ? GATED_SHAPES : FEW_GATED_SHAPES;
    bptt_status s = BPTT_OK;
    n->net = calloc(shapes * seeds + each * bptt_cells, sizeof *n->net);
    if (!n->net) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for nets in whole numbers");
    for (size_t i = 0; !s && i < shapes * seeds; i++) s = add_net(n, &SHAPE[i % shapes], 100 + i, e);
    for (size_t cell = BPTT_PLAIN_CELLS; !s && cell < bptt_cells; cell++) {
        if (!whole_cell_of((bptt_cell)cell)) {
            n->unknown = bptt_cell_table[cell].word;
            continue;
        }
        for (size_t i = 0; !s && i < each; i++) {
            whole_shape sizes = GATED_SHAPE[i % gated_shapes];
            sizes.gated = (bptt_cell)cell;
            s = add_net(n, &sizes, 1000 * cell + i, e);
        }
    }
    return s;
}

static void free_nets(nets *n)
{
    for (size_t i = 0; i < n->count; i++) whole_free(&n->net[i]);
    free(n->net);
}

// ---- places ---------------------------------------------------------------------------------------------------------

enum { PLACES = 24, NAME = 40, DEVICE = 120 };

typedef struct places {
    size_t count;
    whole_place at[PLACES];
    char name[PLACES][NAME];
} places;

static whole_place *add_place(places *p, const char *backend, const char *device, const char *name)
{
    whole_place *const at = &p->at[p->count];
    (void)snprintf(p->name[p->count++], NAME, "%s", name);
    *at = (whole_place){.name = p->name[p->count - 1], .backend = backend, .device = device};
    return at;
}

static void ref_places(places *p, const char *device)
{
    (void)add_place(p, "ref", device, "float");
    add_place(p, "ref", device, "double")->type = BPTT_F64;
}

// The widest loops with several numbers of threads, the others with two.
static void cpu_places(places *p, const char *device)
{
    const char *const widest = bptt_cpu_loops(BPTT_ISA_AUTO);
    for (unsigned threads = 1; threads <= 3; threads++) {
        char says[NAME];
        (void)snprintf(says, sizeof says, "%u thread%s", threads, threads > 1 ? "s" : "");
        add_place(p, "cpu", device, says)->threads = threads;
    }
    for (bptt_isa isa = BPTT_ISA_PLAIN; isa <= BPTT_ISA_AVX512; isa++) {
        const char *const name = bptt_cpu_loops(isa);
        if (!name || strcmp(name, widest) == 0) continue;
        whole_place *const at = add_place(p, "cpu", NULL, name);
        at->isa = isa, at->threads = 2;
    }
}

static void opencl_places(places *p, const char *device)
{
    add_place(p, "opencl", device, "step by step")->lowering = BPTT_LOWER_NEVER;
    add_place(p, "opencl", device, "by windows")->lowering = BPTT_LOWER_ALWAYS;
    add_place(p, "opencl", device, "CLBlast")->product = BPTT_PRODUCT_LIBRARY;
}

// probe_whole_place skips precisions that the device lacks.
static void cuda_places(places *p, const char *device)
{
    for (int precision = BPTT_PRECISION_FP32; precision <= BPTT_PRECISION_FP16; precision++)
        for (int graph = 0; graph < 2; graph++) {
            char says[NAME];
            (void)snprintf(says, sizeof says, "%s %s", bptt_precision_word[precision],
                           graph ? "as graphs" : "by nodes");
            whole_place *const at = add_place(p, "cuda", device, says);
            at->lowering = graph ? BPTT_LOWER_ALWAYS : BPTT_LOWER_NEVER;
            at->precision = (bptt_precision)precision;
        }
}

// *is: a model opens at the place; what: its device. An unavailable place is an error only if needed (the first place
// of a backend that the user named).
static bptt_status probe_whole_place(const whole_place *p, bool needed, bool *is, char what[DEVICE], bptt_error *e)
{
    bptt_model_config c;
    bptt_model *m = NULL;
    bptt_error why = {0};
    bptt_model_defaults(&c);
    c.vocab = 2, c.hidden = 1;
    const bptt_status s = whole_open(p, &c, &m, &why);
    *is = s == BPTT_OK;
    if (*is) (void)snprintf(what, DEVICE, "%s", m->device->backend.describe(m->device));
    bptt_model_close(m);
    if (!s || (s == BPTT_NO_BACKEND && !needed)) return BPTT_OK;
    return bptt_fail(e, s, "%s", why.words);
}

// ---- a backend ------------------------------------------------------------------------------------------------------

// A new backend is a row here and a function that lists its places (modes to compute in).
static const struct {
    const char *name, *progress; // progress: what is said to be under way
    void (*places)(places *p, const char *device);
} BACKEND[] = {{"ref", "device: ref", ref_places},
               {"cpu", "device: cpu", cpu_places},
               {"opencl", "device: opencl", opencl_places},
               {"cuda", "device: cuda", cuda_places}};
enum { BACKENDS = sizeof BACKEND / sizeof BACKEND[0] };

typedef struct backend_found {
    whole_found nets, steps;
    char device[DEVICE];                // of the first place
    char for_nets[240], for_steps[240]; // names of the places
    size_t present, unsuited;           // places; nets that are not for a precision
} backend_found;

// Progress over the places of a backend.
typedef struct backend_progress {
    const verify_options *o;
    const char *what; // "device: cpu"
    size_t place, places;
} backend_progress;

static void show_backend_progress(const backend_progress *t, double done)
{
    if (t->o->progress) t->o->progress(t->o->user, t->what, ((double)t->place + done) / (double)t->places);
}

static bptt_status try_place(const whole_place *p, const nets *n, size_t seeds, const backend_progress *t,
                             backend_found *f, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < n->count; i++) {
        show_backend_progress(t, (double)i / (double)n->count);
        if (whole_suits(&n->net[i], p->precision))
            s = whole_run(p, &n->net[i], &f->nets, e);
        else
            f->unsuited++;
    }
    for (size_t i = 0; !s && i < seeds; i++) s = whole_steps(p, 7 + i, &f->steps, e);
    return s;
}

static void add_name(char list[240], const char *name)
{
    const size_t at = strlen(list);
    (void)snprintf(list + at, 240 - at, "%s%s", at ? ", " : "", name);
}

static void report_numbers(const verify_options *o, size_t *failures, const char *claim, const char *covers,
                           const whole_found *f, const backend_found *all)
{
    const bool whole_nets = f == &all->nets;
    char more[80] = "";
    const verify_line line = {"device", claim, EVIDENCE_EXACT, f->numbers > 0 && f->unlike == 0, NULL};
    if (whole_nets && all->unsuited) (void)snprintf(more, sizeof more, ", %zu not for their precision", all->unsuited);
    if (f->unlike)
        report_line(o, failures, line, "%zu of %zu numbers are others, first: %s", f->unlike, f->numbers, f->first);
    else
        report_line(o, failures, line, "%zu %s%s, %zu numbers; sums to 2^%.1f of 2^24, draws refused %zu; on %s: %s",
                    f->cases, covers, more, f->numbers, log2((double)f->sum), f->refused, all->device,
                    whole_nets ? all->for_nets : all->for_steps);
}

static void report_backend(const verify_options *o, size_t *failures, const char *backend, backend_found *f,
                           const char *unknown)
{
    char claim[200];
    if (unknown && f->nets.unlike++ == 0)
        (void)snprintf(f->nets.first, sizeof f->nets.first, "no formulas of cell %s in whole numbers", unknown);
    const char *const whose = strcmp(backend, "ref") == 0 ? "loops over 64-bit integers" : "64-bit integers and of ref";
    (void)snprintf(claim, sizeof claim, "%s: states, losses and gradients of whole-number nets are those of %s",
                   backend, whose);
    report_numbers(o, failures, claim, "nets of two windows, all losses (softmaxes 0 or 1)", &f->nets, f);
    (void)snprintf(claim, sizeof claim, "%s: so are its entries with any strides, transposes, alpha and beta", backend);
    report_numbers(o, failures, claim, "plans of random copy, gemm, gather, scatter, cell and other steps", &f->steps,
                   f);
}

static bptt_status try_backend(const verify_options *o, size_t which, const nets *n, bool asked, size_t *failures,
                               bptt_error *e)
{
    places p = {0};
    backend_found f = {.nets.refused = n->refused};
    bptt_status s = BPTT_OK;
    BACKEND[which].places(&p, asked ? o->device : NULL);
    for (size_t i = 0; !s && i < p.count; i++) {
        bool is = false;
        char device[DEVICE];
        s = probe_whole_place(&p.at[i], asked && i == 0, &is, device, e);
        if (s || !is) continue;
        if (f.present++ == 0) memcpy(f.device, device, sizeof device);
        const bool plain = p.at[i].precision == BPTT_PRECISION_FP32; // the steps' operands are for float
        add_name(f.for_nets, p.name[i]);
        if (plain) add_name(f.for_steps, p.name[i]);
        const backend_progress t = {o, BACKEND[which].progress, i, p.count};
        s = try_place(&p.at[i], n, !plain ? 0 : o->exhaustive ? 100 : 12, &t, &f, e);
    }
    if (!s && f.present > 0) report_backend(o, failures, BACKEND[which].name, &f, n->unknown);
    return s;
}

bptt_status verify_device(const verify_options *o, size_t *failures, bptt_error *e)
{
    const bool named = o->backend && strcmp(o->backend, "auto") != 0;
    nets n = {0};
    size_t known = 0;
    bptt_status s = make_nets(&n, o->exhaustive, e);
    for (size_t i = 0; !s && i < BACKENDS; i++) {
        if (named && strcmp(o->backend, BACKEND[i].name) != 0) continue;
        known++;
        s = try_backend(o, i, &n, named, failures, e);
    }
    free_nets(&n);
    return s || known ? s : no_backend_called(o->backend, e);
}
