// A rig for the battery: one backend opened, operands that lie between
// canaries, one step run, everything read back.
#ifndef RIG_H
#define RIG_H

#include "backend.h"
#include "host_backend.h"
#include "near.h"
#include "ops.h"
#include "place.h"
#include "toy.h"

typedef struct rig {
    bptt_backend b;
    bptt_device *d;
    char name[40];
    double u; // unit roundoff of the backend's reals
    uint64_t random;
    uint64_t digest; // of every bit that came out: equal digests, equal results
} rig;

// A row of the table: a way to open a backend.
typedef struct rig_row {
    const char *name;
    void (*open)(rig *r, const struct rig_row *row); // fills r->b and r->d
    const char *sets;                                // words: the BPTT_RIGS this rig is in
    const char *group;                               // rigs of one group give the same bits; NULL: of none
    bool apart;                                      // but for products
    bptt_backend (*backend)(void);                   // these are for open
    unsigned threads;
    bptt_isa isa; // plain C if the processor lacks it
} rig_row;

static inline void rig_open_host(rig *r, const rig_row *row)
{
    r->b = row->backend();
    bptt_error e = {0};
    const bptt_compute c = {.threads = row->threads, .isa = loops_of(row->isa) ? row->isa : BPTT_ISA_PLAIN};
    CK_TRUE(r->b.open(&r->b, &c, &r->d, &e) == BPTT_OK, "%s: %s", row->name, e.words);
}

static inline void rig_open_device(rig *r, const rig_row *row)
{
    choice c;
    bptt_error e = {0};
    CK_TRUE(pick_device(&(bptt_compute){.backend = row->name, .device = getenv("BPTT_DEVICE")}, BPTT_F32, &c, &e) ==
                BPTT_OK,
            "%s: %s", row->name, e.words);
    char number[16];
    snprintf(number, sizeof number, "%u", c.info.number);
    const bptt_compute as = {.device = number, .lowering = placed_lowering()};
    r->b = c.b;
    CK_TRUE(r->b.open(&r->b, &as, &r->d, &e) == BPTT_OK, "%s: %s", row->name, e.words);
}

// ref is the reference of the others. cpu runs with 1, 2 and 3 threads, and with the loops of older processors (plain C
// rounds a product before it adds it). The host build of the kernels, with one work-item and with many, has the bits of
// all devices.
static const rig_row RIG[] = {
    {"ref f32", rig_open_host, "host", NULL, false, bptt_ref_f32, 1, BPTT_ISA_AUTO},
    {"ref f64", rig_open_host, "host", NULL, false, bptt_ref_f64, 1, BPTT_ISA_AUTO},
    {"cpu", rig_open_host, "host", "cpu", false, bptt_cpu, 1, BPTT_ISA_AUTO},
    {"cpu, 2 threads", rig_open_host, "host", "cpu", false, bptt_cpu, 2, BPTT_ISA_AUTO},
    {"cpu, 3 threads", rig_open_host, "host", "cpu", false, bptt_cpu, 3, BPTT_ISA_AUTO},
    {"cpu, AVX2", rig_open_host, "host", "cpu", false, bptt_cpu, 1, BPTT_ISA_AVX2},
    {"cpu, plain C", rig_open_host, "host", "cpu", true, bptt_cpu, 1, BPTT_ISA_PLAIN},
    {"host kernels", rig_open_host, "host opencl cuda", "device", false, bptt_host_kernels, 1, BPTT_ISA_AUTO},
    {"host kernels, many items", rig_open_host, "host", "device", false, bptt_host_kernels, 3, BPTT_ISA_AUTO},
    {"opencl", rig_open_device, "opencl", "device", false, NULL, 1, BPTT_ISA_AUTO},
    {"cuda", rig_open_device, "cuda", "device", true, NULL, 1, BPTT_ISA_AUTO}, // products are cuBLAS's
    {"toy", rig_open_host, "host", NULL, false, bptt_toy, 1, BPTT_ISA_AUTO},
    {"toy, sums in float", rig_open_host, "host", NULL, false, bptt_toy_narrow, 1, BPTT_ISA_AUTO},
};
enum { RIGS = sizeof RIG / sizeof RIG[0] };

static inline void rig_open(rig *r, const rig_row *row)
{
    *r = (rig){.random = 1};
    row->open(r, row);
    r->u = r->b.real == BPTT_F64 ? U64 : U32;
    snprintf(r->name, sizeof r->name, "%s", row->name);
}

static inline const rig_row *rig_called(const char *name)
{
    for (size_t i = 0; i < RIGS; i++)
        if (strcmp(RIG[i].name, name) == 0) return &RIG[i];
    ck_abort_msg("no rig is called %s", name);
    return NULL;
}

// True if the rig is in the set named by the environment variable BPTT_RIGS (default "host").
static inline bool rig_wanted(const rig_row *row)
{
    const char *set = getenv("BPTT_RIGS");
    if (!set || !*set) set = "host";
    const size_t n = strlen(set);
    for (const char *at = strstr(row->sets, set); at; at = strstr(at + 1, set))
        if ((at == row->sets || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0)) return true;
    return false;
}

static inline void rig_close(rig *r) { r->b.close(r->d); }

// Layout of an operand in its buffer.
typedef enum place { TIGHT, PADDED, ODD, PLACES } place; // ODD: leading dimension + 3, offset 5, unaligned

// An operand in a buffer of its own; whatever the view does not reach is
// canaries.
typedef struct slab {
    bptt_mat m;
    size_t room; // elements of the buffer
    double *x;   // [rows][cols], what it holds at the start
    double *all; // [room], the same with the canaries
} slab;

#define CANARY (-98765.0) // exact in every type here

static inline size_t slab_at(const bptt_mat *m, size_t i, size_t j)
{
    return m->at + (m->t ? j * m->ld + i : i * m->ld + j);
}

// Host memory of a type from doubles; the caller frees it.
static inline void *packed(const double *x, size_t n, bptt_type type)
{
    char *out = must_alloc(n, 8);
    for (size_t i = 0; i < n; i++) {
        if (type == BPTT_I32)
            ((int32_t *)(void *)out)[i] = (int32_t)x[i];
        else if (type == BPTT_F32)
            ((float *)(void *)out)[i] = (float)x[i];
        else
            ((double *)(void *)out)[i] = x[i];
    }
    return out;
}

static inline void flat_write(rig *r, bptt_mat m, const double *x, size_t n)
{
    const bptt_mat flat = {.buf = m.buf, .rows = 1, .cols = n, .ld = n, .type = m.type};
    void *p = packed(x, n, m.type);
    bptt_error e = {0};
    CK_TRUE(r->b.write(r->d, flat, p, m.type, &e) == BPTT_OK, "%s", e.words);
    free(p);
}

static inline void flat_read(rig *r, bptt_mat m, double *x, size_t n)
{
    const bptt_mat flat = {.buf = m.buf, .rows = 1, .cols = n, .ld = n, .type = m.type};
    void *p = must_alloc(n, 8);
    bptt_error e = {0};
    CK_TRUE(r->b.read(r->d, p, m.type, flat, &e) == BPTT_OK, "%s", e.words);
    for (size_t i = 0; i < n; i++)
        x[i] = m.type == BPTT_I32 ? ((int32_t *)p)[i] : m.type == BPTT_F32 ? (double)((float *)p)[i] : ((double *)p)[i];
    free(p);
}

// Writes s->x (rounded to the operand's type) and the canaries.
static inline void slab_write(rig *r, slab *s)
{
    for (size_t i = 0; i < s->room; i++) s->all[i] = CANARY;
    for (size_t i = 0; i < s->m.rows; i++)
        for (size_t j = 0; j < s->m.cols; j++) {
            double *x = &s->x[i * s->m.cols + j];
            if (s->m.type == BPTT_F32) *x = (double)(float)*x;
            s->all[slab_at(&s->m, i, j)] = *x;
        }
    flat_write(r, s->m, s->all, s->room);
}

// An operand of rows x cols (as read), random in +-scale if scale > 0, else
// zeros to be filled in and written.
static inline slab slab_make(rig *r, size_t rows, size_t cols, bptt_type type, place where, bool t, double scale)
{
    const size_t lines = t ? cols : rows, width = t ? rows : cols;
    slab s = {.m = {.rows = rows, .cols = cols, .ld = width, .type = type, .t = t}};
    if (where == PADDED) s.m.ld = r->b.pad(width);
    if (where == ODD) s.m.ld = width + 3, s.m.at = 5;
    s.room = s.m.at + lines * s.m.ld + 7;
    s.x = reals(rows * cols);
    s.all = reals(s.room);
    bptt_error e = {0};
    CK_TRUE(r->b.alloc(r->d, s.room * bptt_type_size(type), &s.m.buf, &e) == BPTT_OK, "%s", e.words);
    if (scale > 0) random_reals(&r->random, scale, s.x, rows * cols);
    slab_write(r, &s);
    return s;
}

// N tokens below V; the first and the last are equal, so that there is always a
// repeated one.
static inline slab slab_tokens(rig *r, size_t N, size_t V, place where)
{
    slab s = slab_make(r, N, 1, BPTT_I32, where, false, 0);
    for (size_t i = 0; i < N; i++) s.x[i] = (double)random_below(&r->random, V);
    s.x[N - 1] = s.x[0];
    slab_write(r, &s);
    return s;
}

static inline void slab_free(rig *r, slab *s)
{
    r->b.free(r->d, s->m.buf);
    free(s->x);
    free(s->all);
}

// One element of s becomes NaN.
static inline void slab_plant_nan(rig *r, slab *s)
{
    s->x[random_below(&r->random, s->m.rows * s->m.cols)] = (double)NAN;
    slab_write(r, s);
}

static inline void digest(rig *r, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t w;
        memcpy(&w, &x[i], sizeof w);
        r->digest = (r->digest ^ (isnan(x[i]) ? 1 : w)) * UINT64_C(0x100000001B3);
    }
}

// After a step s holds want [rows][cols] within bound (NULL: exactly), NaN
// where want is, and the canaries live.
static inline void slab_check(rig *r, const slab *s, const double *want, const double *bound, const char *what)
{
    const size_t n = s->m.rows * s->m.cols;
    double *all = reals(s->room), *got = reals(n);
    flat_read(r, s->m, all, s->room);
    for (size_t i = 0; i < s->m.rows; i++)
        for (size_t j = 0; j < s->m.cols; j++) {
            const size_t at = slab_at(&s->m, i, j);
            got[i * s->m.cols + j] = all[at];
            all[at] = s->all[at];
            if (isnan(all[at])) all[at] = s->all[at] = 0;
        }
    char says[200];
    snprintf(says, sizeof says, "%s: %s [%zu][%zu] ld %zu%s", r->name, what, s->m.rows, s->m.cols, s->m.ld,
             s->m.t ? " transposed" : "");
    digest(r, got, n);
    CK_NEAR(near_or_both_nan(got, want, bound, n), says);
    strncat(says, ", outside the view", sizeof says - strlen(says) - 1);
    CK_NEAR(near_all(all, s->all, NULL, s->room), says);
    free(all);
    free(got);
}

// An input is as it was.
static inline void slab_same(rig *r, const slab *s, const char *what) { slab_check(r, s, s->x, NULL, what); }

static inline void run_plan(rig *r, bptt_op *step, size_t n, const bptt_slots *slots)
{
    const bptt_plan p = {.op = step, .ops = n, .room = n};
    void *handle = NULL;
    bptt_error e = {0};
    CK_TRUE(r->b.prepare(r->d, &p, &handle, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(r->b.run(r->d, handle, slots, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(r->b.sync(r->d, &e) == BPTT_OK, "%s", e.words);
    r->b.forget(r->d, handle);
}

static inline void run_step(rig *r, bptt_op s) { run_plan(r, &s, 1, &(bptt_slots){0}); }

// Parameters of a case: sizes and layouts.
typedef struct variant {
    size_t N, K, M;
    place where;
    unsigned t; // bit i: operand i is transposed, where the entry allows it
    int alpha, beta;
    int nan; // -1: none, else the operand that gets one
    int cell;
} variant;

// beta as a start for outputs: random to add to, NaN where an overwrite must
// not look.
static inline slab slab_output(rig *r, const variant *v, size_t rows, size_t cols, bool t)
{
    slab s = slab_make(r, rows, cols, r->b.real, v->where, t, 1);
    if (!v->beta) {
        for (size_t i = 0; i < rows * cols; i++) s.x[i] = (double)NAN;
        slab_write(r, &s);
    }
    return s;
}

// Runs cases over every rig that is wanted, and demands the same bits of those of a group. product: rigs that stand
// apart in products need not have them.
static inline void on_every_rig(void (*cases)(rig *), bool product)
{
    uint64_t digests[RIGS] = {0};
    size_t ran = 0;
    for (size_t i = 0; i < RIGS; i++) {
        if (!rig_wanted(&RIG[i])) continue;
        rig r;
        rig_open(&r, &RIG[i]);
        cases(&r);
        digests[i] = r.digest;
        rig_close(&r);
        ran++;
        if (!RIG[i].group || (product && RIG[i].apart)) continue;
        for (size_t k = 0; k < i; k++) {
            const bool same = !rig_wanted(&RIG[k]) || !RIG[k].group || strcmp(RIG[k].group, RIG[i].group) != 0 ||
                              (product && RIG[k].apart) || digests[k] == digests[i];
            CK_TRUE(same, "%s: other bits than %s", RIG[i].name, RIG[k].name);
        }
    }
    CK_TRUE(ran > 0, "no rig is in the set that BPTT_RIGS names");
}

#endif
