// bptt as a contestant, and as the reference for its own cells. Times are host wall-clock: several runs queued, then
// one wait for all of them.
#include "bare_layers.h"
#include "host_memory.h"
#include "layers.h"
#include "product_f64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bptt_contestant {
    const problem *p;
    bptt_model *m;
    bptt_run *r;
    bare_layers b;
} bptt_contestant;

static void bptt_close(void *own)
{
    bptt_contestant *c = own;
    if (!c) return;
    bare_close(&c->b);
    bptt_run_close(c->r);
    bptt_model_close(c->m);
    free(c);
}

static bptt_status send_problem(bptt_contestant *c, bptt_error *e)
{
    const problem *p = c->p;
    const float *w = p->w;
    bptt_status s = bare_write(&c->b, p->x, p->dy, BPTT_F32, e);
    for (size_t i = 0; !s && i < 4 * p->L; i++) {
        bptt_tensor t;
        s = bptt_model_tensor(c->m, i, &t, e);
        if (!s) s = bptt_model_write(c->m, BPTT_WEIGHTS, i, w, BPTT_F32, e);
        if (!s) w += t.rows * t.cols;
    }
    return s;
}

// table NULL: the backend of that name.
static bptt_status open_on(const problem *p, const bptt_backend *table, const char *backend, bptt_lowering lowering,
                           void **own, bptt_error *e)
{
    bptt_model_config m;
    bptt_model_defaults(&m);
    m.cell = p->cell == LAYERS_RELU ? BPTT_RELU : BPTT_TANH;
    m.vocab = 2, m.input = m.hidden = p->H, m.layers = p->L, m.biases = 2, m.optimizer = BPTT_SGD;
    m.compute.backend = backend, m.type = table ? table->real : BPTT_F32, m.compute.lowering = lowering,
    m.compute.threads = p->threads;
    m.compute.precision = table ? BPTT_PRECISION_FP32 : p->precision;
    bptt_contestant *c = calloc(1, sizeof *c);
    if (!c) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a contestant");
    c->p = p;
    bptt_status s = table ? bptt_model_open_on(table, &m, &c->m, e) : bptt_model_open(&m, &c->m, e);
    if (!s)
        s = bptt_run_open(
            c->m,
            &(bptt_run_config){
                .size = sizeof(bptt_run_config), .batch = p->B, .steps = p->T, .gradient = 1, .input_gradient = 1},
            &c->r, e);
    if (!s) s = bare_open(c->r, &c->b, e);
    if (!s) s = send_problem(c, e);
    if (s)
        bptt_close(c);
    else
        *own = c;
    return s;
}

static bptt_status bptt_open(const problem *p, const contestant_name *n, void **own, char device[100], bptt_error *e)
{
    static const char *const word[] = {"auto", "never", "always"};
    bptt_lowering lowering = BPTT_LOWER_AUTO;
    if (p->cell > LAYERS_RELU) return bptt_fail(e, BPTT_BAD_CONFIG, "bptt has no cell %s", layers_cell_word[p->cell]);
    for (; *n->word[2] && strcmp(n->word[2], word[lowering]) != 0; lowering++)
        if (lowering == BPTT_LOWER_ALWAYS)
            return bptt_fail(e, BPTT_BAD_CONFIG, "lowering is auto, never or always, not %s", n->word[2]);
    const bptt_status s = open_on(p, NULL, *n->word[1] ? n->word[1] : NULL, lowering, own, e);
    if (s) return s;
    bptt_device_info info;
    bptt_model_device(((bptt_contestant *)*own)->m, &info);
    (void)snprintf(device, 100, "%.99s", info.device);
    return BPTT_OK;
}

static bptt_status bptt_restart(void *own, bptt_error *e) { return bptt_run_reset(((bptt_contestant *)own)->r, e); }

static bptt_status bptt_go(void *own, layers_timed what, size_t times, double *seconds, bptt_error *e)
{
    bptt_contestant *c = own;
    const double start = bptt_seconds();
    const bptt_status s = bare_go(&c->b, what == FORWARD ? LAYERS_FORWARD : LAYERS_BOTH, times, e);
    *seconds = bptt_seconds() - start;
    return s;
}

static bptt_status bptt_read(void *own, const outcome *to, bptt_error *e)
{
    bptt_contestant *c = own;
    double *dw = to->dw;
    bptt_status s = bare_read_top(&c->b, to->y, BPTT_F64, e);
    if (!s) s = bptt_run_read(c->r, BPTT_GRAD_INPUT, to->dx, BPTT_F64, e);
    for (size_t i = 0; !s && i < 4 * c->p->L; i++) {
        bptt_tensor t;
        s = bptt_model_tensor(c->m, i, &t, e);
        if (!s) s = bptt_model_read(c->m, BPTT_GRADIENT, i, dw, BPTT_F64, e);
        if (!s) dw += t.rows * t.cols;
    }
    return s;
}

const contestant_kind layers_bptt = {.name = "bptt",
                                     .clock = "host",
                                     .timed = 1u << FORWARD | 1u << BOTH,
                                     .open = bptt_open,
                                     .restart = bptt_restart,
                                     .go = bptt_go,
                                     .read = bptt_read,
                                     .close = bptt_close};

// ---- the reference --------------------------------------------------------------------------------------------------

static matrix_f64 matrix_of(bptt_mat m)
{
    double *at = (double *)m.buf->data + m.at;
    return m.t ? (matrix_f64){at, 1, m.ld} : (matrix_f64){at, m.ld, 1};
}

// GEMM of `ref` over double, on all cores.
static void fast_gemm(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    const bptt_mat a = s->arg[0], c = s->arg[2];
    product_f64(c.rows, a.cols, c.cols, matrix_of(a), matrix_of(s->arg[1]), s->alpha < 0, s->beta, matrix_of(c));
}

bptt_status layers_reference(const problem *p, const outcome *to, bptt_error *e)
{
    void *own = NULL;
    double seconds = 0;
    if (p->cell > LAYERS_RELU) {
        gates_reference(p, to);
        return BPTT_OK;
    }
    bptt_backend table = bptt_ref_f64();
    table.op[BPTT_GEMM] = fast_gemm;
    bptt_status s = open_on(p, &table, NULL, BPTT_LOWER_AUTO, &own, e);
    if (!s) s = bptt_go(own, BOTH, 1, &seconds, e);
    if (!s) s = bptt_read(own, to, e);
    bptt_close(own);
    return s;
}
