// Checkpoints: writes the complete state of a trainer to one file, and resumes from it byte for byte.
#include "model_file.h"
#include "sized.h"
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const moment[] = {[BPTT_MOMENT1] = "moment1", [BPTT_MOMENT2] = "moment2"};

// scale: the loss scale and its counter, if the model has one.
static void put_trainer(metadata *m, const bptt_trainer *t, const double scale[2])
{
    put_model(m, t->model);
    put_fields(m, OF_TRAINER, &t->config);
    put_count(m, "train.iteration", t->iteration);
    put_real(m, "train.best_loss", t->best_loss);
    put_count(m, "train.best_iteration", t->best_iteration);
    put_count(m, t->sequence.x ? "train.data_steps" : "train.text_bytes", trainer_steps(t));
    put_text(m, t->sequence.x ? "train.data_sha256" : "train.text_sha256",
             t->sequence.x ? t->sequence.sha256 : t->corpus.sha256);
    put_text(m, "train.precision", bptt_precision_word[t->model->config.compute.precision]);
    if (!t->model->scale.buf) return;
    put_real(m, "train.loss_scale", scale[0]);
    put_count(m, "train.good_windows", (uint64_t)scale[1]);
}

static st_tensor state_entry(const bptt_trainer *t)
{
    const bptt_model *m = t->model;
    st_tensor s = {.name = "train.state", .dtype = m->device->backend.real == BPTT_F64 ? ST_F64 : ST_F32, .rank = 3};
    s.shape[0] = m->L, s.shape[1] = t->config.batch, s.shape[2] = m->S * m->H;
    return s;
}

static size_t trainer_entries(const bptt_trainer *t, st_tensor *list)
{
    size_t n = weight_entries(t->model, list);
    for (bptt_part p = BPTT_MOMENT1; p <= BPTT_MOMENT2; p++)
        n += part_entries(t->model, p, moment[p], list ? list + n : NULL);
    if (list) list[n] = state_entry(t);
    return n + 1;
}

static size_t state_bytes(const bptt_trainer *t)
{
    return t->model->L * t->config.batch * t->model->S * t->model->H * bptt_type_size(t->model->device->backend.real);
}

static bptt_status write_state(bptt_trainer *t, st_writer *w, bptt_error *e)
{
    void *h = malloc(state_bytes(t));
    if (!h) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to write the carried state");
    bptt_status s = bptt_run_read_state(t->run, h, t->model->device->backend.real, e);
    if (!s) s = st_write(w, h, state_bytes(t), e);
    free(h);
    return s;
}

bptt_status bptt_trainer_save(bptt_trainer *t, const char *path, bptt_error *e)
{
    if (!t || !path) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_trainer_save needs a trainer and a path");
    const bptt_status rest = trainer_require_idle(t, e);
    if (rest) return rest;
    const size_t n = trainer_entries(t, NULL);
    st_tensor *list = calloc(n, sizeof *list);
    metadata *meta = calloc(1, sizeof *meta);
    st_writer *w = NULL;
    double scale[2] = {0};
    bptt_status s = list && meta ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to write %s", path);
    if (!s && t->model->scale.buf) s = model_read_scale(t->model, scale, e);
    if (!s) {
        (void)trainer_entries(t, list);
        put_trainer(meta, t, scale);
        s = st_write_open(path, list, n, meta->pair, meta->n, &w, e);
    }
    if (!s) {
        s = write_weights(t->model, w, e);
        for (bptt_part p = BPTT_MOMENT1; !s && p <= BPTT_MOMENT2; p++) s = write_part(t->model, p, w, e);
        if (!s) s = write_state(t, w, e);
        s = close_file(w, s, e);
    }
    free(list);
    free(meta);
    return s;
}

// ---- resume ---------------------------------------------------------------------------------------------------------

static bptt_status read_schedule(bptt_trainer *t, const st_reader *r, bptt_error *e)
{
    bptt_status s = get_fields(r, OF_TRAINER, &t->config, e);
    if (!s) s = get_count(r, "train.iteration", &t->iteration, e);
    if (!s) s = get_real(r, "train.best_loss", &t->best_loss, e);
    if (!s) s = get_count(r, "train.best_iteration", &t->best_iteration, e);
    return s;
}

// The data of the caller: a text or a sequence.
typedef struct training_data {
    const void *text;
    const float *x, *y;
    size_t n; // bytes or steps
    bool dense;
} training_data;

// Checks that the data have the length n and the digest that the file gives under these keys. unit: of n.
static bptt_status same_data(const st_reader *r, const char *length, const char *digest, size_t n, const char *sha256,
                             const char *unit, bptt_error *e)
{
    const char *const wanted = st_metadata(r, digest);
    uint64_t was = 0;
    const bptt_status s = get_count(r, length, &was, e);
    if (s) return s;
    if (was == n && wanted && strcmp(wanted, sha256) == 0) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT,
                     "the data differ from those the run started with: %zu %s instead of %llu, or another SHA-256 "
                     "(expected %.16s...)",
                     n, unit, (unsigned long long)was, wanted ? wanted : "?");
}

// The widths of the caller's arrays are those of the file, so that nothing beyond their end is read.
static bptt_status same_widths(const bptt_trainer_config *c, const st_reader *r, bptt_error *e)
{
    uint64_t input = 0, output = 0;
    bptt_status s = get_count(r, "input", &input, e);
    if (!s) s = get_count(r, "output", &output, e);
    if (s) return s;
    if (input == c->model.input && output == c->model.output && input && output) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT,
                     "`input` is %zu and `output` %zu, but the file's model has %llu inputs and %llu targets",
                     c->model.input, c->model.output, (unsigned long long)input, (unsigned long long)output);
}

// Opens the data, which must be those of the file.
static bptt_status read_data(bptt_trainer *t, const st_reader *r, const bptt_trainer_config *c,
                             const training_data *data, bptt_error *e)
{
    const bool dense = st_metadata(r, "train.data_sha256") != NULL;
    bptt_status s = BPTT_OK;
    if (dense != data->dense)
        return bptt_fail(e, BPTT_BAD_INPUT, "the file is the checkpoint of a run on %s, but it is resumed on %s",
                         dense ? "a sequence of floats" : "a text", dense ? "a text" : "a sequence of floats");
    if (!dense) {
        s = corpus_open(data->text, data->n, t->config.valid, &t->corpus, e);
        if (s) return s;
        return same_data(r, "train.text_bytes", "train.text_sha256", t->corpus.n, t->corpus.sha256, "bytes", e);
    }
    s = same_widths(c, r, e);
    t->config.model.input = c->model.input, t->config.model.output = c->model.output;
    if (!s) s = sequence_open(data->x, data->y, data->n, &t->config, &t->sequence, e);
    if (s) return s;
    return same_data(r, "train.data_steps", "train.data_sha256", t->sequence.n, t->sequence.sha256, "steps", e);
}

static bptt_status read_state(bptt_trainer *t, st_reader *r, bptt_error *e)
{
    const st_tensor *found = st_find(r, "train.state"), want = state_entry(t);
    if (!found || found->dtype != want.dtype || found->rank != 3 ||
        memcmp(found->shape, want.shape, 3 * sizeof *want.shape))
        return bptt_fail(e, BPTT_BAD_FILE, "the file has no carried state of the right shape");
    void *h = malloc(state_bytes(t));
    if (!h) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to read the carried state");
    bptt_status s = st_read(r, found, h, e);
    if (!s) s = bptt_run_write_state(t->run, h, t->model->device->backend.real, e);
    free(h);
    return s;
}

// Precision of the run that wrote the file; FP32 if an older file does not name it.
static bptt_status read_precision(const st_reader *r, bptt_precision *p, bptt_error *e)
{
    const char *word = st_metadata(r, "train.precision");
    unsigned k = 0;
    while (word && k < BPTT_PRECISIONS && strcmp(word, bptt_precision_word[k]) != 0) k++;
    if (k == BPTT_PRECISIONS)
        return bptt_fail(e, BPTT_BAD_FILE, "the precision \"%.40s\" is unknown to this version", word);
    *p = (bptt_precision)k;
    return BPTT_OK;
}

// Checks the loss scale: within the bounds of BPTT_GUARD, and a power of two.
static bptt_status read_scale(bptt_trainer *t, const st_reader *r, bptt_error *e)
{
    double scale[2] = {0};
    uint64_t count = 0;
    int exponent = 0;
    bptt_status s = get_real(r, "train.loss_scale", &scale[0], e);
    if (!s) s = get_count(r, "train.good_windows", &count, e);
    if (s) return s;
    if (!(scale[0] >= 1 && scale[0] <= 0x1p24) || frexp(scale[0], &exponent) != 0.5 || count >= 2000)
        return bptt_fail(e, BPTT_BAD_FILE,
                         "the file's loss scale is not a power of two from 1 to 2^24, or its count of good "
                         "windows is not below 2000");
    scale[1] = (double)count;
    return model_write_scale(t->model, scale, e);
}

// Opens the model in the precision of the file, or of c with change_precision; restores the loss scale if it has one.
static bptt_status read_model(bptt_trainer *t, st_reader *r, const bptt_trainer_config *c, bptt_error *e)
{
    bptt_model_config machine; // compute settings from c, all others from the file
    bptt_precision made_in = BPTT_PRECISION_FP32;
    bptt_error why = {0};
    bptt_model_defaults(&machine);
    if (c) machine.compute = c->model.compute;
    const st_tensor *state = st_find(r, "train.state");
    if (state && state->dtype == ST_F64) machine.type = BPTT_F64;
    bptt_status s = read_precision(r, &made_in, e);
    if (s) return s;
    const bool changed = c && c->change_precision;
    if (!changed) machine.compute.precision = made_in;
    s = model_from(r, &machine, &t->model, &why);
    if (s == BPTT_NO_BACKEND && machine.compute.precision != BPTT_PRECISION_FP32 && !changed)
        return bptt_fail(e, s, "%.380s; the run was trained in %s; `precision` fp32 continues it in float", why.words,
                         bptt_precision_word[made_in]);
    if (s && e) *e = why;
    return s || !t->model->scale.buf || made_in != BPTT_PRECISION_FP16 ? s : read_scale(t, r, e);
}

static bptt_status resume_from(bptt_trainer *t, st_reader *r, const bptt_trainer_config *c, const training_data *data,
                               bptt_error *e)
{
    if (!st_metadata(r, "train.iteration"))
        return bptt_fail(e, BPTT_BAD_FILE,
                         "the file holds weights only and cannot be resumed; give the checkpoint, not "
                         "the best model");
    bptt_status s = read_schedule(t, r, e);
    if (!s && (t->iteration >= UINT64_C(1) << 53 || t->config.iterations >= UINT64_C(1) << 53))
        s = bptt_fail(e, BPTT_BAD_FILE, "the file's count of updates is larger than its total");
    if (!s) s = read_data(t, r, c, data, e);
    if (!s) s = read_model(t, r, c, e);
    for (bptt_part p = BPTT_MOMENT1; !s && p <= BPTT_MOMENT2; p++) s = read_part(t->model, p, moment[p], r, e);
    if (!s) s = get_count(r, "updates", &t->model->updates, e); // the count belongs to these moments
    if (!s && t->model->updates > t->iteration) s = bptt_fail(e, BPTT_BAD_FILE, "more updates than iterations");
    if (!s && (t->model->config.input != t->sequence.I || t->model->config.output != t->sequence.M))
        s = bptt_fail(e, BPTT_BAD_FILE, "the model of the file is not one of the data that it names");
    if (!s && t->config.burn_in && (!t->sequence.x || t->config.burn_in >= t->config.steps))
        s = bptt_fail(e, BPTT_BAD_FILE, "the file's burn_in is not below its steps, or it is a run on a text");
    if (s) return s;
    bptt_model_get_config(t->model, &t->config.model);
    if (c && c->iterations)
        t->config.iterations = c->iterations;
    else if (c && c->epochs > 0)
        t->config.iterations = 0, t->config.epochs = c->epochs;
    s = trainer_measure(t, &t->model->device->backend, t->model->device, e);
    if (!s) s = trainer_finish_open(t, e);
    return s ? s : read_state(t, r, e);
}

static bptt_status resume(const char *path, const bptt_trainer_config *c, const training_data *data, bptt_trainer **t,
                          bptt_error *e)
{
    st_reader *r = NULL;
    bptt_trainer_config whole;
    bptt_status s = c ? trainer_config_in(&whole, c, e) : BPTT_OK;
    if (!s) s = st_read_open(path, 0, &r, e);
    if (s) return s;
    bptt_trainer *made = calloc(1, sizeof *made);
    s = made ? resume_from(made, r, c ? &whole : NULL, data, e)
             : bptt_fail(e, BPTT_NO_MEMORY, "no memory for a trainer");
    st_read_close(r);
    if (s) {
        bptt_trainer_close(made);
        return s;
    }
    *t = made;
    return BPTT_OK;
}

bptt_status bptt_trainer_resume(const char *path, const bptt_trainer_config *c, const void *text, size_t n,
                                bptt_trainer **t, bptt_error *e)
{
    if (!path || !t) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_trainer_resume needs a path and an output pointer");
    return resume(path, c, &(training_data){.text = text, .n = n}, t, e);
}

bptt_status bptt_trainer_resume_dense(const char *path, const bptt_trainer_config *c, const float *x, const float *y,
                                      size_t n, bptt_trainer **t, bptt_error *e)
{
    if (!path || !c || !x || !y || !t)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "bptt_trainer_resume_dense needs a path, a configuration, x, y and an output pointer");
    return resume(path, c, &(training_data){.x = x, .y = y, .n = n, .dense = true}, t, e);
}
