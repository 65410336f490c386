// Lines of a training log. "iteration" is the second member of each: log_resume searches for it.
#include "error.h"
#include "train.h"

static void start_line(train *w, const char *event, uint64_t iteration)
{
    jsonl_start(&w->line);
    jsonl_text(&w->line, "event", event);
    jsonl_count(&w->line, "iteration", iteration);
}

static void finish_line(train *w)
{
    bptt_error e = {0};
    if (log_append(w->log, &w->line, &e) == BPTT_OK) return;
    progress_clear(&w->progress);
    complain("%s; training continues without a log", e.words);
    w->log_failed = true;
    log_close(w->log);
    w->log = NULL;
}

void log_start(train *w)
{
    if (!w->log) return;
    jsonl *j = &w->line;
    start_line(w, "start", w->info.iteration);
    jsonl_text(j, "version", bptt_version());
    if (w->data_name) jsonl_text(j, "data", w->data_name);
    if (w->text_name) jsonl_text(j, w->dense ? "target" : "text", w->text_name);
    jsonl_text(j, "output", w->output);
    jsonl_config(j, &w->config);
    jsonl_text(j, "device", w->device.device);
    jsonl_text(j, "platform", w->device.platform);
    jsonl_text(j, "why", w->device.why);
    jsonl_count(j, w->dense ? "n_steps" : "n_text", w->info.text);
    jsonl_count(j, "n_train", w->info.n_train);
    jsonl_count(j, "n_valid", w->info.n_valid);
    jsonl_count(j, "stream", w->info.stream);
    jsonl_count(j, "windows", w->info.windows);
    jsonl_count(j, "parameters", w->info.parameters);
    jsonl_count(j, "memory", w->memory);
    finish_line(w);
}

void log_step(train *w, uint64_t iteration, const bptt_report *r, double rate)
{
    if (!w->log) return;
    start_line(w, "step", iteration);
    jsonl_real(&w->line, "loss", r->loss);
    jsonl_real(&w->line, "grad_norm", r->grad_norm);
    if (r->skipped) jsonl_flag(&w->line, "skipped", true);
    jsonl_real(&w->line, w->dense ? "steps_per_s" : "chars_per_s", rate);
    finish_line(w);
}

void log_valid(train *w, uint64_t iteration, double loss, bool scheduled, bool best)
{
    if (!w->log) return;
    start_line(w, "valid", iteration);
    jsonl_real(&w->line, "loss", loss);
    if (!w->dense) jsonl_real(&w->line, "bpc", loss / NATS_PER_BIT);
    if (error_to_signal(w, loss) >= 0) jsonl_real(&w->line, "esr", error_to_signal(w, loss));
    jsonl_flag(&w->line, "best", best);
    jsonl_flag(&w->line, "scheduled", scheduled);
    finish_line(w);
}

void log_sample(train *w, uint64_t iteration, const void *text, size_t n)
{
    if (!w->log) return;
    start_line(w, "sample", iteration);
    jsonl_bytes(&w->line, "text", text, n);
    finish_line(w);
}

void log_end(train *w, uint64_t iteration, const char *reason)
{
    if (!w->log) return;
    start_line(w, "end", iteration);
    jsonl_text(&w->line, "reason", reason);
    jsonl_real(&w->line, "seconds", bptt_seconds() - w->started);
    jsonl_flag(&w->line, "saved", w->saved == iteration);
    finish_line(w);
}
