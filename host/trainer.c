// Training on a text or a sequence of floats: windows in order, state carried, scheduled validation.
#include "trainer.h"
#include "config.h"
#include "machine.h"
#include "run.h"
#include "score.h"
#include "sized.h"

#include <math.h>
#include <stdlib.h>

#define MOST_ITERATIONS 0x1p53 // smaller counts are exact in a double

static bool is_dense(const bptt_trainer *t) { return t->sequence.x != NULL; }

size_t trainer_steps(const bptt_trainer *t) { return is_dense(t) ? t->sequence.n : t->corpus.n; }
size_t trainer_train_steps(const bptt_trainer *t) { return is_dense(t) ? t->sequence.n_train : t->corpus.n_train; }

size_t trainer_stream(const bptt_trainer *t)
{
    const size_t B = t->config.batch;
    return is_dense(t) ? t->sequence.n_train / B : corpus_stream(&t->corpus, B);
}

size_t trainer_validated(const bptt_trainer *t)
{
    const size_t n = t->corpus.n - t->corpus.n_train;
    return is_dense(t) ? sequence_validated(&t->sequence, t->config.burn_in) : n > 0 ? n - 1 : 0;
}

// The runs that train and that validate.
static void run_configs(const bptt_trainer *t, bool keep, bptt_run_config *train, bptt_run_config *validation)
{
    *train = (bptt_run_config){
        .size = sizeof *train, .batch = t->config.batch, .steps = t->config.steps, .gradient = 1, .keep = keep};
    *validation = (bptt_run_config){.size = sizeof *validation, .batch = 1, .steps = SCORE_STEPS, .keep = keep};
}

// Host memory of the data and of the arrays of a window.
static size_t data_bytes(const bptt_trainer *t, bool keep)
{
    const size_t N = t->config.batch * t->config.steps;
    const size_t row = (t->sequence.I + t->sequence.M) * sizeof(float);
    const size_t marks = keep ? N * sizeof *t->keep : 0, weights = t->config.burn_in ? N * sizeof(float) : 0;
    if (!is_dense(t)) return t->corpus.n + N * 2 * sizeof *t->token + marks;
    return sequence_bytes(&t->sequence) + N * row + weights + marks + SCORE_STEPS * row;
}

bptt_status trainer_measure(bptt_trainer *t, const bptt_backend *b, const bptt_device *d, bptt_error *e)
{
    const bptt_model_config *m = &t->config.model;
    const bool keep = marks_starts(m);
    bptt_run_config train, validation;
    size_t model = 0, run = 0, other = 0, host = 0, host2 = 0;
    run_configs(t, keep, &train, &validation);
    bptt_status s = model_size(b, m, &model, e);
    if (!s) s = run_size(b, m, &train, &run, &host, e);
    if (!s && trainer_validated(t) > 0) s = run_size(b, m, &validation, &other, &host2, e);
    if (s) return s;
    host += host2 + data_bytes(t, keep);
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
    const size_t B = t->config.batch, T = t->config.steps, N = T * B, first = t->config.burn_in * B;
    const bool dense = is_dense(t), keeps = marks_starts(&t->config.model);
    if (keeps) t->keep = malloc(N * sizeof *t->keep);
    for (size_t i = 0; dense && t->keep && i < N; i++) t->keep[i] = 1;
    if (dense) {
        t->x = malloc(N * t->sequence.I * sizeof *t->x);
        t->y = malloc(N * t->sequence.M * sizeof *t->y);
        if (first) t->first_weight = malloc(N * sizeof *t->first_weight);
        for (size_t i = 0; t->first_weight && i < N; i++) t->first_weight[i] = i < first ? 0 : 1;
        if (t->x && t->y && (t->first_weight || !first) && (t->keep || !keeps)) return BPTT_OK;
    } else {
        t->token = malloc(N * sizeof *t->token);
        t->target = malloc(N * sizeof *t->target);
        if (t->token && t->target && (t->keep || !keeps)) return BPTT_OK;
    }
    return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a window of %zu x %zu", T, B);
}

static bptt_status open_runs(bptt_trainer *t, bptt_error *e)
{
    bptt_run_config train, validation;
    run_configs(t, t->keep != NULL, &train, &validation);
    bptt_status s = bptt_run_open(t->model, &train, &t->run, e);
    if (!s && trainer_validated(t) > 0) s = bptt_run_open(t->model, &validation, &t->validation_run, e);
    return s;
}

// Checks that the training part holds a window, and the validation part a position with a loss.
static bptt_status check_length(const bptt_trainer *t, bptt_error *e)
{
    const size_t B = t->config.batch, T = t->config.steps, len = trainer_stream(t), n = trainer_train_steps(t);
    const size_t least = is_dense(t) ? 1 : 2, held = trainer_steps(t) - n;
    const char *const unit = is_dense(t) ? "steps" : "bytes", *const data = is_dense(t) ? "sequence" : "text";
    if (n < least)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the training part has %zu %s, but needs at least %zu; give a longer %s or a lower `valid`", n,
                         unit, least, data);
    if (t->windows == 0)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the training part of %zu %s is too short for batch %zu x steps %zu; with "
                         "`batch` %zu, `steps` can be at most %zu",
                         n, unit, B, T, len > 0 ? B : n - least + 1, len > 0 ? len : 1);
    if (is_dense(t) && held > 0 && trainer_validated(t) == 0)
        return bptt_fail(e, BPTT_BAD_INPUT,
                         "the validation part has %zu steps, but must be longer than `burn_in` (%zu); raise `valid`, "
                         "or set it to 0",
                         held, t->config.burn_in);
    return BPTT_OK;
}

static bptt_status count_updates(bptt_trainer *t, bptt_error *e)
{
    if (t->config.iterations) return BPTT_OK;
    const double n = ceil(t->config.epochs * (double)t->windows);
    if (!(n >= 1 && n < MOST_ITERATIONS))
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`epochs` is %g: with %zu windows an epoch this is no valid number of updates",
                         t->config.epochs, t->windows);
    t->config.iterations = (uint64_t)n;
    return BPTT_OK;
}

bptt_status trainer_finish_open(bptt_trainer *t, bptt_error *e)
{
    t->windows = trainer_stream(t) / t->config.steps;
    bptt_status s = check_length(t, e);
    if (!s) s = count_updates(t, e);
    if (!s && !is_dense(t)) s = find_documents(t, e);
    if (!s) s = open_window(t, e);
    if (!s && !is_dense(t)) s = bptt_model_set_vocabulary(t->model, t->corpus.byte, t->corpus.V, e);
    return s ? s : open_runs(t, e);
}

bptt_status trainer_open(bptt_trainer *made, bptt_trainer **t, bptt_error *e)
{
    const bptt_model_config *m = &made->config.model;
    choice ch;
    bptt_status s = pick_device(&m->compute, m->type, &ch, e);
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

// A trainer with a checked configuration, without data.
static bptt_status new_trainer(const bptt_trainer_config *c, bool dense, bptt_trainer **t, bptt_error *e)
{
    bptt_trainer_config whole;
    bptt_status s = trainer_config_in(&whole, c, e);
    if (!s) s = trainer_check(&whole, dense, e);
    if (s) return s;
    *t = calloc(1, sizeof **t);
    if (!*t) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a trainer");
    (*t)->config = whole;
    return BPTT_OK;
}

bptt_status bptt_trainer_open(const bptt_trainer_config *c, const void *text, size_t n, bptt_trainer **t, bptt_error *e)
{
    if (!c || !t) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_trainer_open needs a configuration and an output pointer");
    bptt_trainer *made = NULL;
    bptt_status s = new_trainer(c, false, &made, e);
    if (!s) s = corpus_open(text, n, made->config.valid, &made->corpus, e);
    if (!s) {
        made->config.model.vocab = made->corpus.V;
        return trainer_open(made, t, e);
    }
    bptt_trainer_close(made);
    return s;
}

bptt_status bptt_trainer_open_dense(const bptt_trainer_config *c, const float *x, const float *y, size_t n,
                                    bptt_trainer **t, bptt_error *e)
{
    if (!c || !t)
        return bptt_fail(e, BPTT_BAD_INPUT, "bptt_trainer_open_dense needs a configuration and an output pointer");
    bptt_trainer *made = NULL;
    bptt_status s = new_trainer(c, true, &made, e);
    if (!s) s = model_check(&made->config.model, e);
    if (!s) s = sequence_open(x, y, n, &made->config, &made->sequence, e);
    if (!s && made->config.model.loss == BPTT_BINARY) s = sequence_check_probabilities(&made->sequence, e);
    if (!s) {
        made->config.model.vocab = 0;
        return trainer_open(made, t, e);
    }
    bptt_trainer_close(made);
    return s;
}

void bptt_trainer_close(bptt_trainer *t)
{
    if (!t) return;
    bptt_run_close(t->run);
    bptt_run_close(t->validation_run);
    bptt_model_close(t->model);
    corpus_close(&t->corpus);
    sequence_close(&t->sequence);
    free(t->x);
    free(t->y);
    free(t->first_weight);
    free(t->token);
    free(t->target);
    free(t->keep);
    free(t);
}

void bptt_trainer_get_info_sized(const bptt_trainer *t, bptt_trainer_info *info, size_t size)
{
    const bptt_trainer_info whole = {
        .text = trainer_steps(t),
        .vocab = t->corpus.V,
        .n_train = trainer_train_steps(t),
        .n_valid = trainer_steps(t) - trainer_train_steps(t),
        .stream = trainer_stream(t),
        .windows = t->windows,
        .parameters = bptt_model_parameters(t->model),
        .iteration = t->iteration,
        .iterations = t->config.iterations,
        .memory = t->memory,
        .best_loss = t->best_loss,
        .best_iteration = t->best_iteration,
        .documents = t->documents,
        .valid_power = t->sequence.valid_power,
    };
    struct_out(info, size, &whole, sizeof whole);
}

void bptt_trainer_get_config_sized(const bptt_trainer *t, bptt_trainer_config *c, size_t size, size_t model_size)
{
    trainer_config_out(c, size, model_size, &t->config);
}

bptt_model *bptt_trainer_model(bptt_trainer *t) { return t->model; }

// Window k of a sequence.
static bptt_window dense_window(bptt_trainer *t, size_t k)
{
    sequence_window(&t->sequence, t->config.batch, t->config.steps, k, t->x, t->y);
    for (size_t b = 0; t->keep && b < t->config.batch; b++) t->keep[b] = k > 0;
    return (bptt_window){.size = sizeof(bptt_window),
                         .dense = t->x,
                         .dense_type = BPTT_F32,
                         .dense_target = t->y,
                         .dense_target_type = BPTT_F32,
                         .weight = k == 0 ? t->first_weight : NULL,
                         .keep = t->keep};
}

bptt_window trainer_window(bptt_trainer *t, size_t k)
{
    if (is_dense(t)) return dense_window(t, k);
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
        return bptt_fail(e, BPTT_BAD_INPUT, "the %s has no validation part: %zu of its %zu %s are for training",
                         is_dense(t) ? "sequence" : "text", trainer_train_steps(t), trainer_steps(t),
                         is_dense(t) ? "steps" : "bytes");
    const bptt_status rest = trainer_require_idle(t, e);
    if (rest) return rest;
    stop_callback s = {stop, user};
    const sequence *q = &t->sequence;
    if (is_dense(t))
        return score_sequence(t->validation_run, q->x + q->n_train * q->I, q->y + q->n_train * q->M, q->n - q->n_train,
                              t->config.burn_in, stop ? call_stop : NULL, &s, report, e);
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
