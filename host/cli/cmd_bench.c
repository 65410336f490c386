// bptt bench: training speed on random characters, and as a fraction of the GEMM rate.
#include "error.h"
#include "cli.h"
#include "jsonl.h"
#include "plan_text.h"
#include "prng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UPS 2
#define LEAST_TIMES 5 // minimum number of measurements
#define MOST_TIMES 1000000

// Time of one profile row over all measured updates.
typedef struct profile_row {
    const char *name; // static
    double seconds;
} profile_row;

typedef struct bench {
    bptt_trainer_config c; // model, B, T, rate
    bptt_model *model;
    bptt_run *run;
    int32_t *token; // [T+1][B]: inputs are rows 0..T-1, targets rows 1..T
    double *time;   // [times] seconds of one update, means of `together` updates; sorted after the measurement
    size_t times;
    size_t together;  // number of updates in one measurement
    unsigned threads; // of the device
    double gemm;      // GEMM rate in GFLOP/s; NaN: not measured
    bptt_device_info device;
    profile_row *row;      // [rows] of --profile, the largest first; NULL without it
    size_t rows, profiled; // profiled: number of updates in the rows
} bench;

// FLOP of one update; a multiply-add counts as 2. Forward and both gradients: 6NGH^2 for the recurrence of a layer with
// G gates, 6NGH^2 for the input of each layer above the first (whose input is a row gather), 6NHV for the output;
// N = B T.
static double flops(const bench *b)
{
    const bptt_trainer_config *c = &b->c;
    const double N = (double)c->batch * (double)c->steps, H = (double)c->model.hidden, V = (double)c->model.vocab;
    bptt_tensor weight_ih = {0};
    (void)bptt_model_tensor(b->model, 0, &weight_ih, NULL);
    const double GH = (double)weight_ih.rows;
    return 6 * N * GH * H + 12 * N * GH * H * (double)(c->model.layers - 1) + 6 * N * H * V;
}

static bptt_status bench_open(bench *b, const options *o, bptt_error *e)
{
    bptt_trainer_defaults(&b->c);
    config_apply(o, &b->c);
    b->c.model.vocab = (size_t)o->value[OPT_VOCAB].count;
    const size_t B = b->c.batch, T = b->c.steps;
    uint64_t random = b->c.model.seed;
    size_t bytes = 0;
    bptt_status s = bptt_model_open(&b->c.model, &b->model, e);
    if (s == BPTT_OK)
        s = bptt_run_open(b->model,
                          &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = B, .steps = T, .gradient = 1},
                          &b->run, e);
    if (s == BPTT_OK) s = bptt_size(T + 1, B, sizeof *b->token, &bytes, e);
    if (s != BPTT_OK) return s;
    bptt_model_get_config(b->model, &b->c.model);
    b->threads = b->c.model.compute.threads;
    bptt_model_device(b->model, &b->device);
    // A device with a queue may return the reports of all updates in flight at once.
    b->together = b->device.platform[0] ? BPTT_SUBMITTED : 1;
    b->token = malloc(bytes);
    b->time = malloc(MOST_TIMES * sizeof *b->time);
    if (!b->token || !b->time) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for windows of %zu x %zu", T, B);
    for (size_t i = 0; i < (T + 1) * B; i++) b->token[i] = (int32_t)(splitmix_next(&random) % b->c.model.vocab);
    return BPTT_OK;
}

static void bench_close(bench *b)
{
    bptt_run_close(b->run);
    bptt_model_close(b->model);
    free(b->token);
    free(b->time);
    free(b->row);
}

static int ascending(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static int descending(const void *x, const void *y)
{
    const double a = ((const profile_row *)x)->seconds, b = ((const profile_row *)y)->seconds;
    return (a < b) - (a > b);
}

// Reads all rows of the profile and resets them.
static bptt_status read_profile(bench *b, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    size_t rows = 0;
    while (bptt_model_profile(b->model, rows, 0, NULL, NULL, NULL) == BPTT_OK) rows++;
    free(b->row);
    b->row = calloc(rows + 1, sizeof *b->row);
    if (!b->row) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for %zu rows of a profile", rows);
    for (b->rows = 0; s == BPTT_OK && b->rows < rows; b->rows++) {
        profile_row *row = &b->row[b->rows];
        s = bptt_model_profile(b->model, b->rows, 1, &row->name, &row->seconds, e);
    }
    qsort(b->row, b->rows, sizeof *b->row, descending);
    return s;
}

// One update is always in flight, as in training; a time is the interval between two reports.
static bptt_status measure(bench *b, double seconds, bptt_error *e)
{
    const bptt_window w = {.size = sizeof(bptt_window), .token = b->token, .target = b->token + b->c.batch};
    bptt_report report;
    double start = 0, before = 0;
    bptt_status s = bptt_run_submit(b->run, &w, b->c.rate, e);
    for (size_t i = 0; s == BPTT_OK && i < WARM_UPS + MOST_TIMES; i++) {
        if (i == WARM_UPS - 1 && b->c.model.compute.profile)
            s = read_profile(b, e); // resets the profile; synchronizes, so these updates are not timed
        if (i == WARM_UPS) start = before = bptt_seconds();
        if (i >= WARM_UPS + LEAST_TIMES && before - start >= seconds) break;
        for (size_t k = 0; s == BPTT_OK && k < b->together; k++) {
            s = bptt_run_submit(b->run, &w, b->c.rate, e);
            if (s == BPTT_OK) s = bptt_run_collect(b->run, &report, e);
        }
        const double now = bptt_seconds();
        if (i >= WARM_UPS) b->time[b->times++] = (now - before) / (double)b->together;
        before = now;
    }
    if (s == BPTT_OK && b->c.model.compute.profile) s = read_profile(b, e);
    b->profiled = (b->times + 1) * b->together;
    if (s == BPTT_OK) s = bptt_run_collect(b->run, &report, e);
    qsort(b->time, b->times, sizeof *b->time, ascending);
    return s;
}

// Quantile of the sorted times by linear interpolation; part in 0..1.
static double quantile(const bench *b, double part)
{
    const double at = part * (double)(b->times - 1);
    const size_t i = (size_t)at, next = i + 1 < b->times ? i + 1 : i;
    return b->time[i] + (at - (double)i) * (b->time[next] - b->time[i]);
}

typedef struct summary {
    double median, least, q1, q3; // seconds of one update
    double chars, gflops, share;  // characters/s, GFLOP/s, fraction of the GEMM rate
} summary;

// Fraction of the total; 0 if the total is 0.
static double share_of(const bench *b, const profile_row *row)
{
    double sum = 0;
    for (size_t i = 0; i < b->rows; i++) sum += b->row[i].seconds;
    return sum > 0 ? row->seconds / sum : 0;
}

static void print_profile(const bench *b)
{
    printf("profile   ms an update, share\n");
    for (size_t i = 0; i < b->rows; i++)
        if (b->row[i].seconds > 0)
            printf("  %-16s %10.4f %6.1f%%\n", b->row[i].name, b->row[i].seconds / (double)b->profiled * 1e3,
                   100 * share_of(b, &b->row[i]));
}

static void add_profile(const bench *b, jsonl *j)
{
    jsonl_open(j, "profile", '[');
    for (size_t i = 0; i < b->rows; i++) {
        if (!(b->row[i].seconds > 0)) continue;
        jsonl_open(j, NULL, '{');
        jsonl_text(j, "name", b->row[i].name);
        jsonl_real(j, "seconds", b->row[i].seconds / (double)b->profiled);
        jsonl_real(j, "share", share_of(b, &b->row[i]));
        jsonl_close(j, '}');
    }
    jsonl_close(j, ']');
}

static void print_bench_table(const bench *b, const summary *r)
{
    const bptt_trainer_config *c = &b->c;
    char cell[32], optimizer[32], precision[32];
    option_word(OPT_CELL, c->model.cell, cell);
    option_word(OPT_OPTIMIZER, c->model.optimizer, optimizer);
    option_word(OPT_PRECISION, c->model.compute.precision, precision);
    printf("backend   %s (%s)\n", c->model.compute.backend, b->device.why);
    if (b->device.platform[0])
        printf("device    %s, %s\n", b->device.device, b->device.platform);
    else
        printf("device    %s, %u thread%s\n", b->device.device, b->threads, b->threads == 1 ? "" : "s");
    printf("model     %s, V %zu, H %zu, L %zu, B %zu, T %zu, %s, %s\n", cell, c->model.vocab, c->model.hidden,
           c->model.layers, c->batch, c->steps, optimizer, precision);
    printf("update    %.4g ms (median of %zu; least %.4g, quartiles %.4g and %.4g)\n", r->median * 1e3, b->times,
           r->least * 1e3, r->q1 * 1e3, r->q3 * 1e3);
    printf("speed     %.0f characters/s, %.4g GFLOP/s\n", r->chars, r->gflops);
    if (isfinite(b->gemm))
        printf("gemm      %.4g GFLOP/s alone; training reaches %.1f%% of it\n", b->gemm, 100 * r->share);
    if (b->row) print_profile(b);
}

static exit_code print_bench_json(const bench *b, const summary *r)
{
    const bptt_trainer_config *c = &b->c;
    char word[32];
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_text(&j, "backend", c->model.compute.backend);
    jsonl_text(&j, "cell", option_word(OPT_CELL, c->model.cell, word));
    jsonl_count(&j, "vocab", c->model.vocab);
    jsonl_count(&j, "hidden", c->model.hidden);
    jsonl_count(&j, "layers", c->model.layers);
    jsonl_count(&j, "batch", c->batch);
    jsonl_count(&j, "steps", c->steps);
    jsonl_count(&j, "threads", b->threads);
    jsonl_text(&j, "optimizer", option_word(OPT_OPTIMIZER, c->model.optimizer, word));
    jsonl_count(&j, "iterations", b->times * b->together);
    jsonl_real(&j, "ms_per_step", r->median * 1e3);
    jsonl_real(&j, "ms_min", r->least * 1e3);
    jsonl_real(&j, "ms_q1", r->q1 * 1e3);
    jsonl_real(&j, "ms_q3", r->q3 * 1e3);
    jsonl_real(&j, "chars_per_s", r->chars);
    jsonl_real(&j, "gflops", r->gflops);
    jsonl_real(&j, "sgemm_gflops", b->gemm);
    jsonl_real(&j, "share", r->share);
    jsonl_text(&j, "device", b->device.device);
    jsonl_text(&j, "platform", b->device.platform);
    jsonl_text(&j, "why", b->device.why);
    jsonl_text(&j, "lowering", option_word(OPT_LOWERING, c->model.compute.lowering, word));
    jsonl_text(&j, "product", option_word(OPT_PRODUCT, c->model.compute.product, word));
    jsonl_text(&j, "precision", option_word(OPT_PRECISION, c->model.compute.precision, word));
    if (b->row) add_profile(b, &j);
    jsonl_text(&j, "version", bptt_version());
    return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
}

static exit_code print_bench(const bench *b, bool as_json)
{
    summary r = {.median = quantile(b, 0.5), .least = b->time[0], .q1 = quantile(b, 0.25), .q3 = quantile(b, 0.75)};
    r.chars = (double)b->c.batch * (double)b->c.steps / r.median;
    r.gflops = flops(b) / r.median / 1e9;
    r.share = r.gflops / b->gemm;
    if (as_json) return print_bench_json(b, &r);
    print_bench_table(b, &r);
    return CODE_OK;
}

// Maximum of the GEMM rates before and after the updates: other load on the machine can only lower a rate.
static void measure_product(bench *b, double seconds)
{
    double rate = 0;
    bptt_error e = {0};
    if (bptt_gemm_rate(&b->c.model.compute, seconds, &rate, &e) != BPTT_OK)
        complain("the GEMM rate was not measured: %s", e.words);
    else if (!(b->gemm >= rate))
        b->gemm = rate;
}

exit_code run_bench(const options *o)
{
    const double seconds = o->value[OPT_SECONDS].real, part = seconds < 4 ? seconds / 8 : 0.5;
    bench b = {.gemm = NAN};
    bptt_error e = {0};
    bptt_status s = bench_open(&b, o, &e);
    if (s == BPTT_OK && o->value[OPT_PLAN].given) {
        run_write_plan(b.run, stdout);
        bench_close(&b);
        return CODE_OK;
    }
    if (s == BPTT_OK) measure_product(&b, part);
    if (s == BPTT_OK) s = measure(&b, seconds, &e);
    if (s == BPTT_OK) measure_product(&b, part);
    const exit_code code = s == BPTT_OK ? print_bench(&b, o->value[OPT_JSON].given) : complain_of(&e);
    bench_close(&b);
    return code;
}
