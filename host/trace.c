// Traced updates: a run with keeps_dz makes the update instead of the trainer's own run, so that the file holds the
// numbers that the training used. trace.h describes the format.
#define _POSIX_C_SOURCE 200809L

#include "trace.h"
#include "atomic.h"
#include "model_file.h"
#include "run.h"
#include "trainer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct tracing {
    bptt_trainer *t;
    bptt_run *run;
    st_writer *w;
    void *scratch; // room for the largest tensor that does not belong to the model
} tracing;

// ---- contents of the file -------------------------------------------------------------------------------------------

enum { OWN_TENSORS = 8 };

// Returns the number of tensors; list: room for OWN_TENSORS, or NULL.
static size_t own_entries(const bptt_trainer *t, st_tensor *list)
{
    const bptt_model *m = t->model;
    const uint64_t L = m->L, T = t->config.steps, B = t->config.batch, W = m->S * m->H, ZH = m->cell->blocks * m->H;
    const bool gated = bptt_cell_is_gated(m->config.cell), mixed = *m->cell->mixed;
    const st_dtype real = m->device->backend.real == BPTT_F64 ? ST_F64 : ST_F32;
    const st_tensor own[OWN_TENSORS] = {
        {.name = "trace.token", .dtype = ST_I64, .rank = 2, .shape = {T, B}},
        {.name = "trace.target", .dtype = ST_I64, .rank = 2, .shape = {T, B}},
        {.name = "trace.keep", .dtype = ST_F32, .rank = 2, .shape = {T, B}},
        {.name = "trace.states", .dtype = real, .rank = 4, .shape = {L, T + 1, B, W}},
        {.name = "trace.dz", .dtype = real, .rank = 4, .shape = {L, T, B, ZH}},
        {.name = "trace.dstates", .dtype = real, .rank = gated ? 4 : 0, .shape = {L, T + 1, B, W}},
        {.name = "trace.mixed", .dtype = real, .rank = mixed ? 4 : 0, .shape = {L, T, B, m->H}},
        {.name = "trace.losses", .dtype = ST_F64, .rank = 2, .shape = {T, B}},
    };
    size_t n = 0;
    for (size_t i = 0; i < OWN_TENSORS; i++) {
        if (own[i].rank == 0) continue; // not of this cell
        if (list) list[n] = own[i];
        n++;
    }
    return n;
}

// Tensors in the order of writing; the first are written before the update.
static size_t trace_entries(const bptt_trainer *t, st_tensor *list)
{
    size_t n = weight_entries(t->model, list);
    n += own_entries(t, list ? list + n : NULL);
    return n + part_entries(t->model, BPTT_GRADIENT, "gradient", list ? list + n : NULL);
}

static void put_trace(metadata *m, const bptt_trainer *t)
{
    put_model(m, t->model);
    put_count(m, "trace", TRACE_VERSION);
    put_count(m, "trace.update", t->iteration + 1);
    put_count(m, "trace.batch", t->config.batch);
    put_count(m, "trace.steps", t->config.steps);
    put_text(m, "trace.precision", bptt_precision_word[t->model->config.compute.precision]);
    put_text(m, "trace.backend", t->model->device->backend.name);
    put_text(m, "trace.device", t->model->info.device);
}

static bptt_status write_tokens(tracing *k, const int32_t *id, bptt_error *e)
{
    const size_t n = k->t->config.steps * k->t->config.batch;
    int64_t *const wide = k->scratch;
    for (size_t i = 0; i < n; i++) wide[i] = id[i];
    return st_write(k->w, wide, n * sizeof *wide, e);
}

static bptt_status write_matrix(tracing *k, bptt_mat m, bptt_type as, bptt_error *e)
{
    const bptt_backend *b = &k->t->model->device->backend;
    const bptt_status s = b->read(k->t->model->device, k->scratch, as, m, e);
    return s ? s : st_write(k->w, k->scratch, m.rows * m.cols * bptt_type_size(as), e);
}

static bptt_status write_before(tracing *k, bptt_error *e)
{
    bptt_status s = write_weights(k->t->model, k->w, e);
    if (!s) s = write_tokens(k, k->t->token, e);
    if (!s) s = write_tokens(k, k->t->target, e);
    const float *const keep = k->t->keep ? k->t->keep : k->run->ones;
    return s ? s : st_write(k->w, keep, k->t->config.steps * k->t->config.batch * sizeof *keep, e);
}

static bptt_status write_after(tracing *k, bptt_error *e)
{
    const bptt_model *m = k->t->model;
    const bptt_type real = m->device->backend.real;
    const bool gated = bptt_cell_is_gated(m->config.cell), mixed = *m->cell->mixed;
    bptt_status s = BPTT_OK;
    for (size_t l = 0; !s && l < m->L; l++) s = write_matrix(k, k->run->mem.h[l], real, e);
    for (size_t l = 0; !s && l < m->L; l++) s = write_matrix(k, run_dz(k->run, l), real, e);
    for (size_t l = 0; !s && gated && l < m->L; l++) s = write_matrix(k, k->run->mem.dz[l], real, e);
    for (size_t l = 0; !s && mixed && l < m->L; l++) s = write_matrix(k, k->run->mem.mixed[l], real, e);
    if (!s) s = write_matrix(k, k->run->mem.losses, BPTT_F64, e);
    return s ? s : write_part(k->t->model, BPTT_GRADIENT, k->w, e);
}

// ---- before and after -----------------------------------------------------------------------------------------------

static bptt_status open_trace_file(tracing *k, const char *folder, bptt_error *e)
{
    const size_t n = trace_entries(k->t, NULL), room = strlen(folder) + sizeof "/" TRACE_FILE;
    st_tensor *list = calloc(n, sizeof *list);
    metadata *meta = calloc(1, sizeof *meta);
    char *path = malloc(room);
    bptt_status s = list && meta && path ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to write a trace");
    if (!s && mkdir(folder, 0777) != 0 && errno != EEXIST)
        s = file_fail(e, BPTT_IO, folder, "cannot make the folder of the trace");
    if (!s) {
        (void)trace_entries(k->t, list);
        put_trace(meta, k->t);
        (void)snprintf(path, room, "%s/" TRACE_FILE, folder);
        s = st_write_open(path, list, n, meta->pair, meta->n, &k->w, e);
    }
    free(path);
    free(meta);
    free(list);
    return s;
}

static bptt_status copy_state(bptt_run *from, bptt_run *to, void *scratch, bptt_error *e)
{
    const bptt_type real = from->model->device->backend.real;
    const bptt_status s = bptt_run_read_state(from, scratch, real, e);
    return s ? s : bptt_run_write_state(to, scratch, real, e);
}

// Allocates memory and opens the file, before the state of the training changes.
static bptt_status begin_trace(tracing *k, const char *folder, bptt_error *e)
{
    const bptt_trainer_config *c = &k->t->config;
    const bptt_model *m = k->t->model;
    const size_t states = (c->steps + 1) * c->batch * m->S * m->H, carried = m->L * c->batch * m->S * m->H;
    const size_t gates = c->steps * c->batch * m->cell->blocks * m->H;
    const size_t larger = states > carried ? states : carried;
    const bptt_run_config sizes = {.size = sizeof(bptt_run_config),
                                   .batch = c->batch,
                                   .steps = c->steps,
                                   .gradient = 1,
                                   .keep = k->t->keep != NULL};
    bptt_status s = run_open(k->t->model, &sizes, true, &k->run, e);
    if (s) return s;
    k->scratch = malloc((larger > gates ? larger : gates) * sizeof(double)); // tokens, losses are fewer
    if (!k->scratch) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to write a trace");
    s = open_trace_file(k, folder, e);
    if (!s) s = write_before(k, e);
    return s ? s : copy_state(k->t->run, k->run, k->scratch, e);
}

static void end(tracing *k)
{
    st_write_abort(k->w);
    bptt_run_close(k->run);
    free(k->scratch);
}

bptt_status bptt_trainer_trace(bptt_trainer *t, const char *folder, bptt_report *report, bptt_error *kept,
                               bptt_error *e)
{
    if (!t || !folder || !kept)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "bptt_trainer_trace needs a trainer, a folder and an output pointer for kept");
    if (t->sequence.x)
        return bptt_fail(e, BPTT_BAD_INPUT, "a trace holds tokens, so a trainer of a sequence of floats has none");
    bptt_status s = trainer_require_idle(t, e);
    const size_t window = (size_t)(t->iteration % t->windows);
    if (!s && window == 0) s = bptt_run_reset(t->run, e);
    if (s) return s;
    tracing k = {.t = t};
    *kept = (bptt_error){0};
    const bptt_window seen = trainer_window(t, window);
    kept->code = begin_trace(&k, folder, kept);
    s = bptt_run_train(kept->code ? t->run : k.run, &seen, t->config.rate, report, e);
    if (!s) t->iteration++;
    if (!s && !kept->code) s = copy_state(k.run, t->run, k.scratch, e);
    if (!s && !kept->code) kept->code = write_after(&k, kept);
    if (!s && !kept->code) {
        kept->code = st_write_commit(k.w, kept);
        k.w = NULL;
    }
    if (s && !kept->code) (void)bptt_fail(kept, s, "the traced update failed");
    end(&k);
    return s;
}
