// Training on a text: windows in order, state carried, scheduled validation.
#include "trainer.h"
#include "config.h"
#include "machine.h"
#include "run.h"
#include "score.h"
#include "sized.h"

#include <math.h>
#include <stdlib.h>

#define MOST_ITERATIONS 0x1p53 // smaller counts are exact in a double

bptt_status trainer_measure(bptt_trainer *t, const bptt_backend *b, const bptt_device *d, bptt_error *e)
{
    const bptt_model_config *m = &t->config.model;
    const bptt_run_config train = {.size = sizeof(bptt_run_config),
                                   .batch = t->config.batch,
                                   .steps = t->config.steps,
                                   .gradient = 1,
                                   .keep = marks_starts(m)};
    const bptt_run_config validation = {
        .size = sizeof(bptt_run_config), .batch = 1, .steps = SCORE_STEPS, .keep = train.keep};
    size_t model = 0, run = 0, other = 0, host = 0, host2 = 0;
    bptt_status s = model_size(b, m, &model, e);
    if (!s) s = run_size(b, m, &train, &run, &host, e);
    if (!s && t->corpus.n - t->corpus.n_train >= 2) s = run_size(b, m, &validation, &other, &host2, e);
    if (s) return s;
    host += host2 + t->corpus.n + 2 * t->config.batch * t->config.steps * sizeof *t->token;
    if (train.keep) host += t->config.batch * t->config.steps * sizeof *t->keep;
    t->memory = model + run + other + host;
    if (!d && b->list) return BPTT_OK; // the memory size of such a device is known once it is open
    return check_memory(d, model + run + other, host, "this run", e);
}

// Finds the documents of the training part.
static bptt_status find_documents(bptt_trainer *t, bptt_error *e)
{
    const bptt_documents d = t->model->config.documents;
    t->separator = separator_of(d, t->corpus.byte, t->corpus.V);
    if (d == BPTT_DOCUMENTS_NONE) return BPTT_OK;
    t->documents = count_documents(&t->separator, t->corpus.id, t->corpus.n_train);
    if (t->documents > 1) return BPTT_OK;
    const bool line = d == BPTT_DOCUMENTS_LINE;
    return bptt_fail(e, BPTT_BAD_INPUT,
                     "`documents` is %s, but no %s separates documents in the training part of %zu bytes; leave "
                     "`documents` out%s",
                     line ? "line" : "blank", line ? "newline" : "empty line", t->corpus.n_train,
                     line ? "" : ", or set it to line if each line is a document");
}

static bptt_status open_window(bptt_trainer *t, bptt_error *e)
{
    const size_t B = t->config.batch, T = t->config.steps;
    const bool keeps = marks_starts(&t->config.model);
    t->token = malloc(T * B * sizeof *t->token);
    t->target = malloc(T * B * sizeof *t->target);
    if (keeps) t->keep = malloc(T * B * sizeof *t->keep);
    if (t->token && t->target && (t->keep || !keeps)) return BPTT_OK;
    return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a window of %zu x %zu", T, B);
}

static bptt_status open_runs(bptt_trainer *t, bptt_error *e)
{
    const bptt_run_config train = {.size = sizeof(bptt_run_config),
                                   .batch = t->config.batch,
                                   .steps = t->config.steps,
                                   .gradient = 1,
                                   .keep = t->keep != NULL};
    const bptt_run_config validation = {
        .size = sizeof(bptt_run_config), .batch = 1, .steps = SCORE_STEPS, .keep = train.keep};
    bptt_status s = bptt_run_open(t->model, &train, &t->run, e);
    if (!s && t->corpus.n - t->corpus.n_train >= 2) s = bptt_run_open(t->model, &validation, &t->validation_run, e);
    return s;
}

bptt_status trainer_finish_open(bptt_trainer *t, bptt_error *e)
{
    const size_t B = t->config.batch, T = t->config.steps, len = corpus_stream(&t->corpus, B);
    t->windows = corpus_windows(&t->corpus, B, T);
    if (t->corpus.n_train < 2)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the training part has %zu bytes, but needs at least 2; give a longer text "
                         "or a lower `valid`",
                         t->corpus.n_train);
    if (t->windows == 0)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the training part of %zu bytes is too short for batch %zu x steps %zu; with "
                         "`batch` %zu, `steps` can be at most %zu",
                         t->corpus.n_train, B, T, len > 0 ? B : t->corpus.n_train - 1, len > 0 ? len : 1);
    if (t->config.iterations == 0) {
        const double n = ceil(t->config.epochs * (double)t->windows);
        if (!(n >= 1 && n < MOST_ITERATIONS))
            return bptt_fail(e, BPTT_BAD_CONFIG,
                             "`epochs` is %g: with %zu windows an epoch this is no valid number of updates",
                             t->config.epochs, t->windows);
        t->config.iterations = (uint64_t)n;
    }
    bptt_status s = find_documents(t, e);
    if (!s) s = open_window(t, e);
    if (!s) s = bptt_model_set_vocabulary(t->model, t->corpus.byte, t->corpus.V, e);
    return s ? s : open_runs(t, e);
}

bptt_status bptt_trainer_open(const bptt_trainer_config *c, const void *text, size_t n, bptt_trainer **t, bptt_error *e)
{
    if (!c || !t) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_trainer_open needs a configuration and an output pointer");
    bptt_trainer_config whole;
    bptt_status s = trainer_config_in(&whole, c, e);
    if (!s) s = trainer_check(&whole, e);
    if (s) return s;
    bptt_trainer *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a trainer");
    made->config = whole;
    s = corpus_open(text, n, whole.valid, &made->corpus, e);
    made->config.model.vocab = made->corpus.V;
    const bptt_model_config *m = &made->config.model;
    choice ch;
    if (!s) s = pick_device(&m->compute, m->type, &ch, e);
    if (!s) s = trainer_measure(made, &ch.b, NULL, e); // fails before any allocation
    if (!s) s = model_open_chosen(&ch, m, &made->model, e);
    if (!s) s = trainer_measure(made, &made->model->device->backend, made->model->device, e);
    if (!s) s = trainer_finish_open(made, e);
    if (s) {
        bptt_trainer_close(made);
        return s;
    }
    bptt_model_get_config(made->model, &made->config.model);
    *t = made;
    return BPTT_OK;
}

void bptt_trainer_close(bptt_trainer *t)
{
    if (!t) return;
    bptt_run_close(t->run);
    bptt_run_close(t->validation_run);
    bptt_model_close(t->model);
    corpus_close(&t->corpus);
    free(t->token);
    free(t->target);
    free(t->keep);
    free(t);
}

void bptt_trainer_get_info_sized(const bptt_trainer *t, bptt_trainer_info *info, size_t size)
{
    const bptt_trainer_info whole = {
        .text = t->corpus.n,
        .vocab = t->corpus.V,
        .n_train = t->corpus.n_train,
        .n_valid = t->corpus.n - t->corpus.n_train,
        .stream = corpus_stream(&t->corpus, t->config.batch),
        .windows = t->windows,
        .parameters = bptt_model_parameters(t->model),
        .iteration = t->iteration,
        .iterations = t->config.iterations,
        .memory = t->memory,
        .best_loss = t->best_loss,
        .best_iteration = t->best_iteration,
        .documents = t->documents,
    };
    struct_out(info, size, &whole, sizeof whole);
}

void bptt_trainer_get_config_sized(const bptt_trainer *t, bptt_trainer_config *c, size_t size, size_t model_size)
{
    trainer_config_out(c, size, model_size, &t->config);
}

bptt_model *bptt_trainer_model(bptt_trainer *t) { return t->model; }

bptt_window trainer_window(bptt_trainer *t, size_t k)
{
    const size_t B = t->config.batch, T = t->config.steps, len = corpus_stream(&t->corpus, B);
    corpus_window(&t->corpus, B, T, k, t->token, t->target);
    for (size_t b = 0; t->keep && b < B; b++)
        fill_keep(&t->separator, t->corpus.id, b * len + k * T, T, B, t->keep + b);
    for (size_t b = 0; k == 0 && t->config.model.learned_state && b < B; b++) t->keep[b] = 0;
    return (bptt_window){.size = sizeof(bptt_window), .token = t->token, .target = t->target, .keep = t->keep};
}

bptt_status trainer_require_idle(const bptt_trainer *t, bptt_error *e)
{
    if (t->run->submitted == 0) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT, "%zu updates are in flight; call bptt_trainer_collect first",
                     t->run->submitted);
}

bptt_status bptt_trainer_submit(bptt_trainer *t, bptt_error *e)
{
    const size_t k = (size_t)(t->iteration % t->windows);
    const bool room = t->run->submitted < BPTT_SUBMITTED; // if not, submit fails, and nothing may change
    bptt_status s = k == 0 && room ? bptt_run_reset(t->run, e) : BPTT_OK;
    if (s) return s;
    const bptt_window w = trainer_window(t, k);
    s = bptt_run_submit(t->run, &w, t->config.rate, e);
    if (!s) t->iteration++;
    return s;
}

bptt_status bptt_trainer_collect(bptt_trainer *t, bptt_report *report, bptt_error *e)
{
    const size_t before = t->run->submitted;
    const bptt_status s = bptt_run_collect(t->run, report, e);
    if (s && before > 0) t->iteration--;
    return s;
}

bptt_status bptt_trainer_step(bptt_trainer *t, bptt_report *report, bptt_error *e)
{
    bptt_status s = trainer_require_idle(t, e);
    if (!s) s = bptt_trainer_submit(t, e);
    return s ? s : bptt_trainer_collect(t, report, e);
}

// Adapter: passes a stop callback as the progress callback of score_stream.
typedef struct stop_callback {
    int (*stop)(void *);
    void *user;
} stop_callback;

static int call_stop(void *user, size_t done, size_t total)
{
    (void)done, (void)total;
    const stop_callback *s = user;
    return s->stop(s->user);
}

bptt_status bptt_trainer_validate(bptt_trainer *t, int (*stop)(void *), void *user, bptt_report *report, bptt_error *e)
{
    if (!t->validation_run)
        return bptt_fail(e, BPTT_BAD_INPUT, "the text has no validation part: %zu of its %zu bytes are for training",
                         t->corpus.n_train, t->corpus.n);
    const bptt_status rest = trainer_require_idle(t, e);
    if (rest) return rest;
    stop_callback s = {stop, user};
    return score_stream(t->validation_run, t->corpus.id + t->corpus.n_train, t->corpus.n - t->corpus.n_train,
                        stop ? call_stop : NULL, &s, report, e);
}

int bptt_trainer_validation_due(const bptt_trainer *t)
{
    return t->validation_run && t->config.valid_every > 0 && t->iteration > 0 &&
           t->iteration % t->config.valid_every == 0;
}

void bptt_trainer_record_validation(bptt_trainer *t, double loss, int *best)
{
    const bool better = isfinite(loss) && (t->best_iteration == 0 || loss < t->best_loss);
    if (better) t->best_loss = loss, t->best_iteration = t->iteration;
    if (best) *best = better;
}
