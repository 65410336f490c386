// bptt score: the mean loss of a text or a sequence under a model.
#define _POSIX_C_SOURCE 200809L

#include "dense_data.h"
#include "jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int show_score_progress(void *user, size_t done, size_t total)
{
    int *percent = user;
    const int now = total ? (int)((double)done / (double)total * 100) : 100;
    if (now != *percent) fprintf(stderr, "\r%3d%%", now);
    *percent = now;
    return 0;
}

// A loss in nats with bits beside it, or that of a sequence with its error-to-signal ratio (below 0: none).
typedef struct score {
    bool dense;
    bptt_report report;
    double esr;
} score;

static exit_code print_score(const options *o, const score *s)
{
    const double loss = s->report.loss, second = s->dense ? s->esr : loss / NATS_PER_BIT, n = s->report.weight;
    const char *const names[2][2] = {{"nats", "bpc"}, {"loss", "esr"}}, *const *const name = names[s->dense];
    if (!o->value[OPT_JSON].given) {
        printf("%s %.9f\n", name[0], loss);
        if (second >= 0) printf("%-4s %.9f\n", name[1], second);
        printf("n    %.0f\n", n);
        return CODE_OK;
    }
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_real(&j, name[0], loss);
    if (second >= 0) jsonl_real(&j, name[1], second);
    jsonl_count(&j, "n", (uint64_t)n);
    return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
}

typedef struct scoring {
    const options *o;
    bptt_model *m;
    int percent; // shown; -1: none
    int (*progress)(void *, size_t, size_t);
} scoring;

// The first step or byte that is scored.
static size_t first_of(const options *o, size_t n)
{
    return o->value[OPT_PART].given ? bptt_split(n, o->value[OPT_PART].real) : 0;
}

static exit_code score_text(scoring *w, score *s)
{
    unsigned char *text = NULL;
    size_t n = 0;
    bptt_error e = {0};
    const exit_code code = read_text(w->o->argument[1], &text, &n);
    if (code != CODE_OK) return code;
    const size_t first = first_of(w->o, n);
    const bptt_status status = bptt_score(w->m, text + first, n - first, w->progress, &w->percent, &s->report, &e);
    free(text);
    if (w->percent >= 0) fputs("\r    \r", stderr);
    return status == BPTT_OK ? CODE_OK : complain_of(&e);
}

static exit_code score_numbers(scoring *w, const bptt_model_config *c, const dense_data *d, score *s)
{
    const size_t first = first_of(w->o, d->n), burn_in = w->o->value[OPT_BURN_IN].count;
    const float *const y = d->y + first * c->output;
    bptt_error e = {0};
    const bptt_status status = bptt_score_dense(w->m, d->x + first * c->input, y, d->n - first, burn_in, w->progress,
                                                &w->percent, &s->report, &e);
    if (w->percent >= 0) fputs("\r    \r", stderr);
    if (status != BPTT_OK) return complain_of(&e);
    const double power = mean_square(y + burn_in * c->output, (d->n - first - burn_in) * c->output);
    s->esr = c->loss == BPTT_SQUARED && power > 0 ? s->report.loss / power : -1;
    return CODE_OK;
}

static exit_code score_dense(scoring *w, const bptt_model_config *c, score *s)
{
    const char *const model = w->o->argument[0], *const target = w->o->arguments > 1 ? w->o->argument[1] : NULL;
    dense_data d = {0};
    if (!c->input || !c->output) {
        complain("%s is a model of text: name a TEXT instead of --%s", model,
                 w->o->value[OPT_WAV].given ? "wav" : "data");
        return CODE_DATA;
    }
    exit_code code = dense_data_read(w->o, c->input, c->output, target, &d);
    if (code == CODE_OK) code = dense_data_suits(&d, c->input, c->output, model);
    if (code == CODE_OK) code = score_numbers(w, c, &d, s);
    dense_data_free(&d);
    return code;
}

exit_code run_score(const options *o)
{
    const bool watched = !o->value[OPT_QUIET].given && isatty(STDERR_FILENO);
    scoring w = {.o = o, .percent = -1, .progress = watched ? show_score_progress : NULL};
    score s = {.dense = is_dense(o)};
    bptt_trainer_config c;
    bptt_error e = {0};
    bptt_trainer_defaults(&c);
    config_apply(o, &c);
    if (bptt_model_load(o->argument[0], &c.model, &w.m, &e) != BPTT_OK) return complain_of(&e);
    bptt_model_get_config(w.m, &c.model);
    exit_code code = check_cell(o, bptt_model_cell_assumed(w.m));
    if (code == CODE_OK) code = s.dense ? score_dense(&w, &c.model, &s) : score_text(&w, &s);
    bptt_model_close(w.m);
    return code == CODE_OK ? print_score(o, &s) : code;
}
