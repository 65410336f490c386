// The training loop: update, validate, save, sample, and the handling of signals and failures.
#include "error.h"
#include "signals.h"
#include "train.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SAVE_AT_LEAST = 500 }; // maximum number of updates between saves

#define SAMPLE_LENGTH 200

static uint64_t iteration_now(const train *w)
{
    bptt_trainer_info info;
    bptt_trainer_get_info(w->trainer, &info);
    return info.iteration;
}

// True every `every` updates; 0: never.
static bool due(uint64_t every, uint64_t iteration) { return every > 0 && iteration % every == 0; }

// ---- saving --------------------------------------------------------------------------------------------------------

// A failed save prints a message and sets save_failed; training continues, since the next save may succeed.
static void save(train *w, uint64_t iteration)
{
    bptt_error e = {0};
    w->save_failed = bptt_trainer_save(w->trainer, w->output, &e) != BPTT_OK;
    if (!w->save_failed) w->saved = iteration;
    if (!w->save_failed) return;
    progress_clear(&w->progress);
    complain("not saved: %s", e.words);
}

static void save_best(train *w)
{
    bptt_error e = {0};
    w->best_failed = bptt_model_save(bptt_trainer_model(w->trainer), w->best, &e) != BPTT_OK;
    if (!w->best_failed) w->best_there = true;
    if (!w->best_failed) return;
    progress_clear(&w->progress);
    complain("the best model is not saved: %s", e.words);
}

// Exit code if nothing else failed: missing output files are a failure.
static exit_code written(const train *w)
{
    return w->save_failed || w->best_failed || w->log_failed || w->trace_failed ? CODE_IO : CODE_OK;
}

// ---- updates --------------------------------------------------------------------------------------------------------

// Submits the next update. It is in flight while the loop waits for the report of the one before.
static bptt_status submit_update(train *w, bptt_error *e)
{
    if (iteration_now(w) == w->done) w->since = bptt_seconds();
    return bptt_trainer_submit(w->trainer, e);
}

// Characters, or steps of a sequence, per second over the last updates, including the one that took `seconds`; excludes
// pauses between updates.
static double recent_rate(train *w, double seconds)
{
    const double chars = (double)w->config.batch * (double)w->config.steps;
    double sum = 0;
    w->took[w->timed++ % RATE_OF] = seconds;
    for (size_t i = 0; i < RATE_OF; i++) sum += w->took[i];
    return chars * (double)(w->timed < RATE_OF ? w->timed : RATE_OF) / sum;
}

// Processes the report of an update.
static void process_report(train *w, const bptt_report *r)
{
    const double now = bptt_seconds();
    log_step(w, ++w->done, r, recent_rate(w, now - w->since));
    progress_update(&w->progress, w->done, r);
    w->since = now;
}

// Collects the oldest update in flight.
static bptt_status collect_update(train *w, bptt_error *e)
{
    bptt_report r;
    const bptt_status s = bptt_trainer_collect(w->trainer, &r, e);
    if (s == BPTT_OK) process_report(w, &r);
    return s;
}

// Collects updates until at most `behind` are in flight.
static bptt_status collect_down_to(train *w, uint64_t behind, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    while (s == BPTT_OK && iteration_now(w) - w->done > behind) s = collect_update(w, e);
    return s;
}

// Runs the traced update synchronously. A failed trace prints a message and sets trace_failed; training continues.
static bptt_status trace_update(train *w, bptt_error *e)
{
    bptt_error kept = {0};
    bptt_report r;
    char words[ERROR_WORDS];
    bptt_status s = collect_down_to(w, 0, e);
    if (s != BPTT_OK) return s;
    w->since = bptt_seconds();
    s = bptt_trainer_trace(w->trainer, w->trace, &r, &kept, e);
    if (s != BPTT_OK) return s;
    w->trace_failed = kept.code != BPTT_OK;
    process_report(w, &r);
    if (w->trace_failed || !w->quiet) progress_clear(&w->progress);
    if (w->trace_failed)
        complain("no trace of update %" PRIu64 ": %s", w->done, parameters_to_flags(kept.words, words));
    else if (!w->quiet)
        complain("trace of update %" PRIu64 " written to %s", w->done, w->trace);
    return BPTT_OK;
}

// Submits the next update, or runs it synchronously if it is traced.
static bptt_status next_update(train *w, bptt_error *e)
{
    return w->trace && iteration_now(w) + 1 == w->trace_at ? trace_update(w, e) : submit_update(w, e);
}

// ---- failures and signals ------------------------------------------------------------------------------------------

static exit_code broken(train *w, const bptt_error *e)
{
    (void)collect_down_to(w, 0,
                          NULL); // an update in flight may be good (submitted before the failure) or blocked (after it)
    const uint64_t iteration = iteration_now(w);
    char words[ERROR_WORDS];
    progress_clear(&w->progress);
    complain("after %" PRIu64 " update%s: %s", iteration, plural(iteration),
             parameters_to_flags(e->words[0] ? e->words : bptt_status_text(e->code), words));
    if (e->code == BPTT_NOT_FINITE)
        complain("a lower --lr may help, or %s", w->config.model.clip > 0 ? "a lower --clip" : "--clip 5");
    if (w->saved == NONE_SAVED)
        complain("%s was not written by this run", w->output);
    else
        complain("%s is intact: the state after %" PRIu64 " update%s", w->output, w->saved, plural(w->saved));
    log_end(w, iteration, e->code == BPTT_NOT_FINITE ? "not finite" : "failed");
    return exit_code_of(e->code);
}

// Prints an argument for a shell, quoted if necessary.
static void put_argument(const char *text)
{
    const bool plain = text[strcspn(text, " \t\n'\"\\$`&|;<>()*?[]#~!{}")] == '\0' && *text;
    fputs(plain ? " " : " '", stderr);
    for (const char *c = text; *c; c++)
        if (*c == '\'')
            fputs("'\\''", stderr);
        else
            fputc(*c, stderr);
    if (!plain) fputc('\'', stderr);
}

static exit_code interrupted(train *w, uint64_t iteration)
{
    char number[32];
    if (w->saved != iteration) save(w, iteration);
    log_end(w, iteration, "signal");
    progress_clear(&w->progress);
    if (w->save_failed) return CODE_IO;
    complain("saved after %s update%s; resume with", grouped(iteration, number), plural(iteration));
    fputs("  bptt train", stderr);
    if (w->text_name) put_argument(w->text_name);
    fputs(" --resume", stderr);
    put_argument(w->output);
    for (size_t i = 0; i < OPTIONS; i++) { // options that are not stored in the file
        const option_value *v = &w->o->value[i];
        if (!v->given || !option_table[i].resumable || i == OPT_RESUME || i == OPT_OUTPUT || i == OPT_PRECISION)
            continue;
        if ((i == OPT_TRACE || i == OPT_TRACE_AT) && iteration >= w->trace_at) continue; // the trace is written already
        fprintf(stderr, " --%s", option_table[i].name);
        if (option_table[i].kind != KIND_FLAG) put_argument(v->text);
    }
    fputc('\n', stderr);
    fflush(stdout);
    signals_end(signals_leave());
    return CODE_INTERNAL; // not reached: the default action of these signals ends the process
}

static int asked_to_leave(void *unused)
{
    (void)unused;
    return signals_leave() != 0;
}

// Stop callback for work that must finish: prints a message once, never stops.
static int say_finishing(void *user)
{
    bool *told = user;
    if (!*told && signals_leave()) complain("finishing the validation, then saving; repeat to exit at once");
    *told = *told || signals_leave();
    return 0;
}

// ---- validation, saves and samples between updates -----------------------------------------------------------------

double error_to_signal(const train *w, double loss)
{
    return w->config.model.loss == BPTT_SQUARED && w->info.valid_power > 0 ? loss / w->info.valid_power : -1;
}

// " bpc 1.2345" of a text, " ESR 0.0123" of a squared loss, else "".
static const char *second_figure(const train *w, double loss, char out[40])
{
    const double esr = error_to_signal(w, loss);
    out[0] = '\0';
    if (!w->dense)
        snprintf(out, 40, " bpc %.4f", loss / NATS_PER_BIT);
    else if (esr >= 0)
        snprintf(out, 40, " ESR %.4g", esr);
    return out;
}

// A scheduled validation changes the state (the best loss so far), so it finishes even after a signal: the resumed run
// would not repeat it.
static bptt_status validate(train *w, uint64_t iteration, bptt_error *e)
{
    bptt_report r;
    char figure[40];
    int best = 0;
    bool told = false;
    const bptt_status s = bptt_trainer_validate(w->trainer, say_finishing, &told, &r, e);
    if (s != BPTT_OK) return s;
    bptt_trainer_record_validation(w->trainer, r.loss, &best);
    w->validated = iteration;
    w->valid_loss = r.loss;
    log_valid(w, iteration, r.loss, true, best != 0);
    if (best) save_best(w);
    progress_clear(&w->progress);
    if (!w->quiet)
        fprintf(stderr, "%" PRIu64 " validation loss %.6f%s%s\n", iteration, r.loss, second_figure(w, r.loss, figure),
                best ? " (best)" : "");
    return BPTT_OK;
}

static bptt_status sample(train *w, uint64_t iteration, bptt_error *e)
{
    unsigned char text[SAMPLE_LENGTH];
    const double temperature = w->o->value[OPT_TEMPERATURE].real; // the default of bptt sample
    uint64_t random = w->config.model.seed + iteration;
    bptt_status s = sampler_prime(&w->sampler, "", 0, e);
    for (size_t i = 0; i < sizeof text && s == BPTT_OK; i++)
        s = sampler_draw(&w->sampler, temperature, &random, &text[i], e);
    if (s != BPTT_OK) return s;
    progress_clear(&w->progress);
    printf("---- after %" PRIu64 " update%s\n", iteration, plural(iteration));
    fwrite(text, 1, sizeof text, stdout);
    putchar('\n');
    fflush(stdout); // main checks ferror(stdout) and prints the message
    log_sample(w, iteration, text, sizeof text);
    return BPTT_OK;
}

// True if work after this update needs its result.
static bool pauses(train *w, uint64_t iteration, bool *save_now, bool *scheduled)
{
    const option_value *v = w->o->value;
    const uint64_t often = v[OPT_SAVE_EVERY].given ? v[OPT_SAVE_EVERY].count : SAVE_AT_LEAST;
    *scheduled = bptt_trainer_validation_due(w->trainer) != 0;
    *save_now = signals_save() || *scheduled || due(often, iteration);
    return *save_now || due(v[OPT_SAMPLE_EVERY].count, iteration) || signals_leave();
}

// Prints the output files and marks the best.
static void tell_files(const train *w, uint64_t iteration, double loss)
{
    char number[32], figure[32];
    bptt_trainer_info i;
    bptt_trainer_get_info(w->trainer, &i);
    if (w->quiet || w->saved != iteration) return;
    if (!w->validates) {
        complain("%s: last state", w->output);
        return;
    }
    complain("%s: last state, loss %s", w->output, loss_figure(w->dense, loss, figure));
    if (!w->best_there || w->best_failed || i.best_iteration == 0) return;
    complain("%s: %s%s after %s update%s%s", w->best, i.best_loss <= loss ? "best, " : "",
             loss_figure(w->dense, i.best_loss, figure), grouped(i.best_iteration, number), plural(i.best_iteration),
             i.best_loss <= loss ? "" : ", not as good as the last");
}

static void print_result(const train *w, uint64_t iteration, double loss)
{
    const double esr = error_to_signal(w, loss);
    printf("%" PRIu64 " update%s, validation loss %.9f", iteration, plural(iteration), loss);
    if (!w->dense)
        printf(" nats, %.6f bpc\n", loss / NATS_PER_BIT);
    else if (esr >= 0)
        printf(", ESR %.6f\n", esr);
    else
        putchar('\n');
}

// Final validation: printed and logged, but not recorded in the state.
static exit_code finish_training(train *w, uint64_t iteration)
{
    bptt_error e = {0};
    bptt_report r = {.loss = w->valid_loss};
    if (w->saved != iteration) save(w, iteration);
    if (w->validates && w->validated != iteration) {
        const bptt_status s = bptt_trainer_validate(w->trainer, asked_to_leave, NULL, &r, &e);
        if (s == BPTT_CANCELLED) return interrupted(w, iteration);
        if (s != BPTT_OK) return broken(w, &e);
        log_valid(w, iteration, r.loss, false, false);
    }
    progress_clear(&w->progress);
    if (w->validates)
        print_result(w, iteration, r.loss);
    else
        printf("%" PRIu64 " update%s\n", iteration, plural(iteration));
    log_end(w, iteration, "done");
    tell_files(w, iteration, r.loss);
    return written(w);
}

exit_code train_loop(train *w)
{
    const uint64_t samples = w->o->value[OPT_SAMPLE_EVERY].count;
    bptt_error e = {0};
    bptt_status s = BPTT_OK;
    w->done = w->info.iteration;
    signals_catch();
    progress_start(&w->progress, w->quiet, &w->info, w->config.batch * w->config.steps);
    w->progress.dense = w->dense;
    log_start(w);
    while (iteration_now(w) < w->info.iterations && !signals_leave()) {
        bool save_now = false, scheduled = false;
        if ((s = next_update(w, &e)) != BPTT_OK) return broken(w, &e);
        const uint64_t iteration = iteration_now(w);
        const bool pause = pauses(w, iteration, &save_now, &scheduled);
        if ((s = collect_down_to(w, pause ? 0 : 1, &e)) != BPTT_OK) return broken(w, &e);
        if (scheduled && (s = validate(w, iteration, &e)) != BPTT_OK) return broken(w, &e);
        if (save_now) save(w, iteration);
        if (due(samples, iteration) && (s = sample(w, iteration, &e)) != BPTT_OK) return broken(w, &e);
    }
    if ((s = collect_down_to(w, 0, &e)) != BPTT_OK) return broken(w, &e);
    return signals_leave() ? interrupted(w, w->done) : finish_training(w, w->done);
}
