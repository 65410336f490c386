#include "cl_internal.h"
#include "library.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- its interface (clblast_c.h, version 1) -------------------------------------------------------------------------

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };

static cl_int multiply(cl_state *c, const launch *l, cl_event *event)
{
    const bptt_mat *a = &l->arg[0], *b = &l->arg[1], *y = &l->arg[2];
    return c->sgemm(ROW_MAJOR, a->t ? TRANSPOSED : PLAIN, b->t ? TRANSPOSED : PLAIN, y->rows, y->cols, a->cols,
                    (float)l->constants.op.alpha, a->buf->memory, a->at, a->ld, b->buf->memory, b->at, b->ld,
                    (float)l->constants.op.beta, y->buf->memory, y->at, y->ld, &c->queue, event);
}

bool clblast_queued(cl_state *c, const launch *l, cl_event *event)
{
    if (!c->sgemm || l->kernel != TUNED_MULTIPLY || l->arg[2].t || l->arg[0].cols == 0) return false;
    const cl_int refused = multiply(c, l, event);
    if (refused) cl_failed(c, "BlastSgemm", tuned_name[TUNED_MULTIPLY - KERNELS], refused);
    return true;
}

// ---- trying it ------------------------------------------------------------------------------------------------------

// Small and ragged, and large enough for its other kernels; K of the last is short, so that the host is soon done.
typedef struct trial {
    size_t N, K, M;
} trial;
static const trial TRIAL[] = {{7, 5, 3}, {37, 65, 33}, {520, 520, 520}, {1200, 40, 1200}};
enum { TRIALS = sizeof TRIAL / sizeof TRIAL[0], OPERANDS = 3 };

typedef struct trying {
    bptt_device *d;
    size_t N, K, M;
    bool a_t, b_t;
    float *x[OPERANDS];        // a [N][K], b [K][M], c [N][M], as read
    bptt_mat m[OPERANDS];      // where they lie on the device
    size_t elements[OPERANDS]; // of each
} trying;

static float pseudo_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1.0f;
}

static bptt_status try_fill(trying *t, bptt_error *e)
{
    const size_t rows[] = {t->N, t->K, t->N}, cols[] = {t->K, t->M, t->M};
    const bool across[] = {t->a_t, t->b_t, false};
    unsigned random = 1;
    for (size_t i = 0; i < OPERANDS; i++) {
        const size_t n = t->elements[i] = rows[i] * cols[i], ld = (across[i] ? rows[i] : cols[i]) + 3;
        t->x[i] = malloc(n * sizeof *t->x[i]);
        if (!t->x[i]) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to try CLBlast");
        for (size_t k = 0; k < n; k++) t->x[i][k] = pseudo_random(&random);
        t->m[i] = (bptt_mat){.at = 5, .rows = rows[i], .cols = cols[i], .ld = ld, .type = BPTT_F32, .t = across[i]};
        const size_t bytes = (5 + (across[i] ? cols[i] : rows[i]) * ld) * sizeof(float);
        bptt_status s = cl_alloc(t->d, bytes, &t->m[i].buf, e);
        if (!s) s = cl_write(t->d, t->m[i], t->x[i], BPTT_F32, e);
        if (s) return s;
    }
    return BPTT_OK;
}

// got [N][M]: c + a b. A sum of K + 1 terms is off by at most (K + 2) roundings of the sum of their sizes; twice that.
static bool try_right(const trying *t, const float *got)
{
    double *sum = calloc(2 * t->M, sizeof *sum), *const size = sum ? sum + t->M : NULL;
    bool right = sum != NULL;
    for (size_t i = 0; right && i < t->N; i++) {
        for (size_t j = 0; j < t->M; j++) sum[j] = (double)t->x[2][i * t->M + j], size[j] = fabs(sum[j]);
        for (size_t k = 0; k < t->K; k++) {
            const double a = (double)t->x[0][i * t->K + k];
            const float *const b = t->x[1] + k * t->M;
            for (size_t j = 0; j < t->M; j++) sum[j] += a * (double)b[j], size[j] += fabs(a * (double)b[j]);
        }
        const double u = 0x1p-24, bound = 2 * (double)(t->K + 2) * u;
        for (size_t j = 0; right && j < t->M; j++) // a NaN is not right
            right = fabs((double)got[i * t->M + j] - sum[j]) <= bound * size[j];
    }
    free(sum);
    return right;
}

static bptt_status try_once(trying *t, bptt_error *e)
{
    cl_state *c = cl_of(t->d);
    bptt_status s = try_fill(t, e);
    if (s) return s;
    launch product = {.kernel = TUNED_MULTIPLY, .operands = OPERANDS, .constants.op = {.alpha = 1, .beta = 1}};
    memcpy(product.arg, t->m, sizeof t->m);
    const cl_int code = multiply(c, &product, NULL);
    if (code)
        return bptt_fail(e, BPTT_DEVICE, "%s: CLBlast fails with code %d; leave out --product library", c->base.device,
                         code);
    float *got = malloc(t->elements[2] * sizeof *got);
    if (!got) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to try CLBlast");
    s = cl_read(t->d, got, BPTT_F32, t->m[2], e);
    if (!s && !try_right(t, got))
        s = bptt_fail(
            e, BPTT_DEVICE,
            "%s: CLBlast multiplies %zu x %zu by %zu x %zu wrongly; leave out --product library, or install a "
            "newer CLBlast",
            c->base.device, t->N, t->K, t->K, t->M);
    free(got);
    return s;
}

bptt_status clblast_try(bptt_device *d, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < 4 * TRIALS; i++) {
        const trial *of = &TRIAL[i / 4];
        trying t = {.d = d, .N = of->N, .K = of->K, .M = of->M, .a_t = i & 1, .b_t = i & 2};
        s = try_once(&t, e);
        for (size_t k = 0; k < OPERANDS; k++) {
            free(t.x[k]);
            cl_free(d, t.m[k].buf);
        }
    }
    return s;
}

bptt_status clblast_open(bptt_device *d, bptt_error *e)
{
    cl_state *c = cl_of(d);
    static const char *const file[] = {"libclblast.so.1", NULL}, *const symbol[] = {"CLBlastSgemm"};
    library clblast;
    if (!library_open(&clblast, file) || library_find(&clblast, symbol, 1, &c->sgemm))
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "libclblast.so.1 was not found: install it (Debian: libclblast1) or leave out --product "
                         "library (%s)",
                         clblast.handle ? "it has no CLBlastSgemm" : clblast.words);
    return clblast_try(d, e);
}
