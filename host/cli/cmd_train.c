// bptt train: checks the options, opens the trainer, prints the summary; train_loop.c trains.
#define _POSIX_C_SOURCE 200809L

#include "atomic.h"
#include "dense_data.h"
#include "error.h"
#include "default_text.h"
#include "number.h"
#include "safetensors.h"
#include "train.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- checks before any work ----------------------------------------------------------------------------------------

// Tests before training that the output can be written: creates and removes the temporary file of a save.
static exit_code check_output(const char *output, const train *w)
{
    atomic_file *f = NULL;
    bptt_error e = {0};
    int fd = -1;
    if (same_file(output, w->text_name) || same_file(output, w->data_name)) {
        complain("%s is the %s; name another file with --output", output, w->dense ? "data" : "text");
        return CODE_USAGE;
    }
    if (atomic_open(output, &f, &fd, &e) != BPTT_OK) {
        complain("%s", e.words);
        return CODE_CREATE;
    }
    atomic_abort(f);
    return CODE_OK;
}

// Checks of --trace before any work: the folder and a file in it can be created, and the update will be made.
static exit_code check_trace(train *w)
{
    const option_value *v = w->o->value;
    w->trace = v[OPT_TRACE].text;
    if (!w->trace) return CODE_OK;
    if (mkdir(w->trace, 0777) != 0 && errno != EEXIST) {
        complain("cannot make the folder %s: %s", w->trace, strerror(errno));
        return CODE_CREATE;
    }
    const size_t room = strlen(w->trace) + sizeof "/trace.safetensors";
    char *const path = malloc(room);
    if (!path) return CODE_MEMORY;
    (void)snprintf(path, room, "%s/trace.safetensors", w->trace);
    exit_code code = check_output(path, w);
    if (code == CODE_OK && (same_file(path, w->output) || same_file(path, w->best))) {
        complain("%s is also the output; name another folder", path);
        code = CODE_USAGE;
    }
    free(path);
    return code;
}

// Checks of --trace after the number of updates is known.
static exit_code check_trace_at(train *w)
{
    const option_value *v = w->o->value;
    const uint64_t first = w->info.iteration + 1, last = w->info.iterations;
    w->trace_at = v[OPT_TRACE_AT].given ? v[OPT_TRACE_AT].count : last;
    if (!w->trace || (w->trace_at >= first && w->trace_at <= last)) return CODE_OK;
    if (first > last)
        complain("no update is left to trace; raise --iterations or --epochs");
    else
        complain("--trace-at %" PRIu64 " is out of range: this run makes updates %" PRIu64 " to %" PRIu64, w->trace_at,
                 first, last);
    return CODE_USAGE;
}

// Checks the file to resume, before the output.
static exit_code check_resumed(const char *path, const train *w)
{
    if (same_file(path, w->text_name) || same_file(path, w->data_name)) {
        complain("%s is the %s, not a model; --resume takes a checkpoint of bptt train", path,
                 w->dense ? "data" : "TEXT");
        return CODE_USAGE;
    }
    if (access(path, R_OK) == 0) return CODE_OK;
    complain("cannot read %s: %s", path, strerror(errno));
    return CODE_NO_INPUT;
}

// Checks that the log is not one of the other files.
static exit_code check_log_path(const train *w, const char *log)
{
    const char *const taken[] = {w->output, w->best, w->text_name, w->data_name, w->o->value[OPT_RESUME].text};
    for (size_t i = 0; log && i < sizeof taken / sizeof taken[0]; i++)
        if (same_file(log, taken[i])) {
            complain("--log %s is also the %s or an output; name another file", log, w->dense ? "data" : "text");
            return CODE_USAGE;
        }
    return CODE_OK;
}

// ---- opening -------------------------------------------------------------------------------------------------------

// The configuration of a new run: defaults for the data, then the options.
static void configure(const train *w, size_t n, const dense_data *d, bptt_trainer_config *c)
{
    config_apply(w->o, c); // the sizes depend on cell, validation part and burn-in
    if (w->dense)
        bptt_trainer_sizes_for_dense(c, n);
    else
        bptt_trainer_sizes_for_text(c, n);
    if (w->dense) c->model.loss = BPTT_SQUARED;
    config_apply(w->o, c);
    if (w->dense) c->model.input = d->inputs, c->model.output = d->targets;
}

static bptt_status open_or_resume(train *w, const unsigned char *text, size_t n, const dense_data *d, bptt_error *e)
{
    const option_value *v = w->o->value;
    const char *const path = v[OPT_RESUME].text;
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    if (!v[OPT_RESUME].given) {
        configure(w, n, d, &c);
        return w->dense ? bptt_trainer_open_dense(&c, d->x, d->y, n, &w->trainer, e)
                        : bptt_trainer_open(&c, text, n, &w->trainer, e);
    }
    c.iterations = 0;
    c.epochs = 0;
    config_apply(w->o, &c);
    if (!w->dense) return bptt_trainer_resume(path, &c, text, n, &w->trainer, e);
    c.model.input = d->inputs, c.model.output = d->targets;
    return bptt_trainer_resume_dense(path, &c, d->x, d->y, n, &w->trainer, e);
}

// text [n], or with --data and --wav d, of n steps.
static exit_code open_trainer(train *w, const unsigned char *text, size_t n, const dense_data *d)
{
    bptt_error e = {0};
    bptt_status s = open_or_resume(w, text, n, d, &e);
    if (s == BPTT_OK && w->o->value[OPT_SAMPLE_EVERY].given)
        s = sampler_open(&w->sampler, bptt_trainer_model(w->trainer), &e);
    if (s != BPTT_OK) return complain_of(&e);
    bptt_trainer_get_config(w->trainer, &w->config);
    bptt_model_get_config(bptt_trainer_model(w->trainer), &w->config.model);
    bptt_trainer_get_info(w->trainer, &w->info);
    w->validates = w->info.n_valid >= (w->dense ? 1 : 2);
    bptt_model_device(bptt_trainer_model(w->trainer), &w->device);
    return CODE_OK;
}

static exit_code open_log(train *w)
{
    const option_value *v = w->o->value;
    const char *path = v[OPT_LOG].text;
    bptt_error e = {0};
    if (!path) return CODE_OK;
    const bptt_status s =
        v[OPT_RESUME].given ? log_resume(path, w->info.iteration, &w->log, &e) : log_open(path, &w->log, &e);
    if (s == BPTT_OK) return CODE_OK;
    complain("%s", e.words);
    return s == BPTT_NO_MEMORY ? CODE_MEMORY : CODE_CREATE;
}

// ---- summary at the start ------------------------------------------------------------------------------------------

// Value of a line of /proc/self/status in bytes: "VmRSS: %llu kB" is the resident memory, "VmHWM: %llu kB" its peak.
// 0 if unknown.
static size_t process_memory(const char *format)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, format, &kilobytes) == 1) break;
    fclose(f);
    return (size_t)kilobytes * 1024;
}

// Estimate of the peak memory of the process. At open all memory of model, runs and text was touched, for a moment with
// a second copy of the text. Files need one more tensor at a time; the first update needs pages of code.
static size_t forecast_bytes(const train *w)
{
    enum { FIRST_USE = 4 << 20, OPENED = 1 << 20 };
    bptt_tensor t;
    size_t largest = 0;
    for (size_t i = 0; i < bptt_model_tensors(bptt_trainer_model(w->trainer)); i++)
        if (bptt_model_tensor(bptt_trainer_model(w->trainer), i, &t, NULL) == BPTT_OK && t.rows * t.cols > largest)
            largest = t.rows * t.cols;
    const size_t later = process_memory("VmRSS: %llu kB") + largest * sizeof(float) + FIRST_USE;
    const size_t so_far = process_memory("VmHWM: %llu kB") + OPENED;
    return later > so_far ? later : so_far;
}

// Prints the reason for the choice of device, on the same line if there is room.
static void print_device_line(const train *w)
{
    const bptt_device_info *d = &w->device;
    char line[400];
    int n = snprintf(line, sizeof line, "backend %s: %s, ", w->config.model.compute.backend, d->device);
    if (d->platform[0])
        n += snprintf(line + n, sizeof line - (size_t)n, "%s", d->platform);
    else
        n += snprintf(line + n, sizeof line - (size_t)n, "%u thread%s", w->config.model.compute.threads,
                      plural(w->config.model.compute.threads));
    const bool is_short = strlen(d->why) < 20; // a short reason such as "asked for" never gets its own line
    if (is_short || n + (int)strlen(d->why) <= 70) {
        complain_wrapped("%s (%s)", line, d->why);
    } else {
        complain_wrapped("%s", line);
        complain_wrapped("%s", d->why);
    }
}

static void print_text_line(const train *w)
{
    const bptt_trainer_info *i = &w->info;
    char n[32], held[32];
    if (i->n_valid > 0)
        complain("text: %s characters, %zu distinct; the last %s held out", grouped(i->text, n), i->vocab,
                 grouped(i->n_valid, held));
    else
        complain("text: %s characters, %zu distinct; none held out", grouped(i->text, n), i->vocab);
    if (i->documents > 0)
        complain("%s documents to train on, %s; the state starts anew at each", grouped(i->documents, n),
                 w->config.model.documents == BPTT_DOCUMENTS_LINE ? "one a line" : "separated by empty lines");
}

static void print_sequence_line(const train *w)
{
    const bptt_trainer_info *i = &w->info;
    const bptt_model_config *m = &w->config.model;
    char n[32], held[32];
    complain("data: %s step%s of %zu input%s and %zu target%s; %s%s held out", grouped(i->text, n), plural(i->text),
             m->input, plural(m->input), m->output, plural(m->output), i->n_valid > 0 ? "the last " : "",
             i->n_valid > 0 ? grouped(i->n_valid, held) : "none");
}

static void print_batch_line(const train *w)
{
    char updates[32], all[32];
    complain("batch %zu x %zu %s; %s update%s an epoch, %s in all", w->config.batch, w->config.steps,
             w->dense ? "steps" : "characters", grouped(w->info.windows, updates), plural(w->info.windows),
             grouped(w->info.iterations, all));
}

static void tell_resumed(const train *w)
{
    const bptt_trainer_info *i = &w->info;
    char done[32], all[32];
    (void)grouped(i->iteration, done);
    (void)grouped(i->iterations, all);
    if (i->iteration > i->iterations)
        complain("already trained for %s updates, more than %s%s", done,
                 w->o->value[OPT_ITERATIONS].given ? "--iterations " : "the ", all);
    else if (i->iteration == i->iterations)
        complain("already trained for all %s update%s; raise --iterations or --epochs to continue", done,
                 plural(i->iteration));
    else if (i->iteration > 0)
        complain("resumed after %s of %s updates", done, all);
}

static void print_summary(const train *w)
{
    const bptt_model_config *c = &w->config.model;
    const bool rounds = c->compute.precision != BPTT_PRECISION_FP32;
    char cell[32], precision[32] = "", parameters[32];
    if (w->quiet) return;
    print_device_line(w);
    if (w->dense)
        print_sequence_line(w);
    else
        print_text_line(w);
    print_batch_line(w);
    if (rounds) option_word(OPT_PRECISION, c->compute.precision, precision);
    complain("%s, %zu layer%s of %zu, %s%s%s parameters, about %.1f MB of memory", option_word(OPT_CELL, c->cell, cell),
             c->layers, plural(c->layers), c->hidden, precision, rounds ? ", " : "",
             grouped(w->info.parameters, parameters), (double)w->memory / 1e6);
    if (w->device.kind != BPTT_CPU) complain("about %.1f MB of the device's memory", (double)w->info.memory / 1e6);
    tell_resumed(w);
}

// ---- the command ---------------------------------------------------------------------------------------------------

// Prints the source of the text before reading it, since reading may block.
static void print_source(const train *w)
{
    char n[32];
    if (w->quiet || w->text_given || w->dense) return;
    if (w->text_name)
        complain("no TEXT was given: reading the text from standard input");
    else
        complain_wrapped("no TEXT was given: training on the built-in text, bptt's own source (%s characters)",
                         grouped(bptt_default_text_size, n));
}

static exit_code open_text(train *w)
{
    unsigned char *read = NULL;
    const unsigned char *text = bptt_default_text;
    size_t n = bptt_default_text_size;
    exit_code code = CODE_OK;
    print_source(w);
    if (w->text_name) {
        code = read_text(w->text_name, &read, &n);
        text = read;
    }
    if (code == CODE_OK && n == 0 && !w->text_given) {
        complain("standard input is empty: name a TEXT, or give </dev/null for the built-in text");
        code = CODE_NO_INPUT;
    }
    if (code == CODE_OK) code = open_trainer(w, text, n, NULL);
    free(read);
    return code;
}

// Reads the widths of a row from the checkpoint to resume.
static exit_code resumed_widths(const char *path, size_t *inputs, size_t *targets)
{
    st_reader *r = NULL;
    bptt_error e = {0};
    uint64_t n[2] = {0};
    const char *const key[2] = {"input", "output"};
    if (st_read_open(path, 0, &r, &e) != BPTT_OK) return complain_of(&e);
    for (int i = 0; i < 2; i++)
        if (!st_metadata(r, key[i]) || !parse_count(st_metadata(r, key[i]), &n[i]) || n[i] > 65536) n[i] = 0;
    st_read_close(r);
    *inputs = (size_t)n[0], *targets = (size_t)n[1];
    if (*inputs > 0 && *targets > 0) return CODE_OK;
    complain("%s is no checkpoint of a run on --data or --wav; give the TEXT that it was trained on", path);
    return CODE_DATA;
}

static exit_code open_sequence(train *w)
{
    const option_value *v = w->o->value;
    size_t inputs = v[OPT_INPUT].count, targets = v[OPT_TARGETS].count;
    dense_data d = {0};
    exit_code code = CODE_OK;
    if (v[OPT_RESUME].given) code = resumed_widths(v[OPT_RESUME].text, &inputs, &targets);
    if (code == CODE_OK) code = dense_data_read(w->o, inputs, targets, w->text_name, &d);
    if (code == CODE_OK && v[OPT_RESUME].given) code = dense_data_suits(&d, inputs, targets, v[OPT_RESUME].text);
    if (code == CODE_OK) code = open_trainer(w, NULL, d.n, &d);
    dense_data_free(&d);
    return code;
}

static exit_code set_up(train *w)
{
    exit_code code = w->dense ? open_sequence(w) : open_text(w);
    if (code == CODE_OK) code = open_log(w);
    if (code == CODE_OK) w->memory = forecast_bytes(w);
    return code;
}

exit_code run_train(const options *o)
{
    const option_value *v = o->value;
    const bool resumed = v[OPT_RESUME].given;
    train w = {.o = o, .quiet = v[OPT_QUIET].given, .saved = NONE_SAVED, .started = bptt_seconds()};
    w.dense = is_dense(o);
    w.data_name = v[OPT_DATA].given ? v[OPT_DATA].text : v[OPT_WAV].text;
    w.text_given = o->arguments > 0;
    w.text_name = w.text_given ? o->argument[0] : !w.dense && input_is_given() ? "-" : NULL;
    w.output = resumed && !v[OPT_OUTPUT].given ? v[OPT_RESUME].text : v[OPT_OUTPUT].text;
    w.best = beside(w.output, ".best");
    exit_code code = w.best ? CODE_OK : CODE_MEMORY;
    if (code == CODE_OK && resumed) code = check_resumed(v[OPT_RESUME].text, &w);
    if (code == CODE_OK) code = check_log_path(&w, v[OPT_LOG].text);
    if (code == CODE_OK) code = check_output(w.output, &w);
    if (code == CODE_OK) code = check_output(w.best, &w);
    if (code == CODE_OK) code = check_trace(&w);
    if (code == CODE_OK) code = set_up(&w);
    if (code == CODE_OK) code = check_trace_at(&w);
    if (code == CODE_OK) {
        if (resumed && same_file(w.output, v[OPT_RESUME].text)) {
            w.saved = w.info.iteration;
            w.best_there = access(w.best, F_OK) == 0;
        }
        print_summary(&w);
        code = train_loop(&w);
    }
    sampler_close(&w.sampler);
    bptt_trainer_close(w.trainer);
    log_close(w.log);
    jsonl_free(&w.line);
    free(w.best);
    return code;
}
