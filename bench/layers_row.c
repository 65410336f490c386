// Computes the numbers of a result row from times and outcomes.
#include "layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const layers_cell_word[LAYERS_CELLS] = {"tanh", "relu", "gru", "lstm"};
const char *const layers_precision_word[4] = {"fp32", "tf32", "bf16", "fp16"};

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_part(const double *x, size_t n, double part)
{
    const double at = part * (double)(n - 1);
    const size_t i = (size_t)at, next = i + 1 < n ? i + 1 : i;
    return x[i] + (at - (double)i) * (x[next] - x[i]);
}

quartiles quartiles_of(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return (quartiles){at_part(x, n, 0.25), at_part(x, n, 0.5), at_part(x, n, 0.75)};
}

// The simplest lowering: one product and one pointwise kernel for each step of time, all in one CUDA graph, and the
// time-independent products over the whole window. This is a model, not a bound: a ratio above 1 is time that the model
// does not explain, a ratio below 1 is faster than this design. Figures of an H100 SXM:
//   a kernel node of a graph 1.014 us, two a step; 150 cycles at 1.755 GHz in which a step's first loads, last products
//   and stores wait for nothing else; products at 800 (bf16, fp16), 400 (tf32), 60 (fp32) TFLOP/s, or, in the loop
//   over time, as fast as all its processors together read the weights from L2, 3942 bytes a cycle.
double v0_seconds(const problem *p, bool both)
{
    static const double rate[4] = {60e12, 400e12, 800e12, 800e12};
    const double node = 1.014e-6, clock = 1.755e9, H = (double)p->H, W = (double)(p->G * p->H);
    const double B = (double)p->B, T = (double)p->T, s = p->precision <= BPTT_PRECISION_TF32 ? 4 : 2;
    const double multiply = 2 * B * H * W / rate[p->precision], load = H * W * s / (3942 * clock);
    const double loop = T * (2 * node + fmax(multiply, load) + 150 / clock), window = node + T * multiply;
    // forward: x W_ih', the loop; backward: the loop, dW_hh, dW_ih, dx
    return (double)p->L * (both ? 2 * loop + 4 * window : loop + window);
}

double worst_of(const double *got, const double *want, size_t n)
{
    double off = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(got[i] - want[i]);
        scale = fmax(scale, fabs(want[i]));
        if (!(d <= off)) off = d; // a NaN stays
        if (isnan(off)) return NAN;
    }
    return off > 0 ? off / scale : 0;
}

double worst_tensor(const problem *p, const double *got, const double *want)
{
    const size_t W = p->G * p->H, size[4] = {W * p->H, W * p->H, W, W};
    double worst = 0;
    for (size_t i = 0, at = 0; i < 4 * p->L; at += size[i % 4], i++) {
        const double one = worst_of(got + at, want + at, size[i % 4]);
        if (!(one <= worst)) worst = one;
        if (isnan(worst)) return NAN;
    }
    return worst;
}

static uint64_t fnv(uint64_t h, const double *x, size_t n)
{
    const unsigned char *byte = (const void *)x;
    for (size_t i = 0; i < n * sizeof *x; i++) h = (h ^ byte[i]) * UINT64_C(0x100000001B3);
    return h;
}

uint64_t hash_of(const problem *p, const outcome *o)
{
    return fnv(fnv(fnv(UINT64_C(0xCBF29CE484222325), o->y, p->window), o->dx, p->window), o->dw, p->weights);
}

// ---- printing -------------------------------------------------------------------------------------------------------

static void put_text(const char *key, const char *text)
{
    printf("\"%s\": \"", key);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\') putchar('\\');
        putchar((unsigned char)*c < ' ' ? ' ' : *c);
    }
    printf("\", ");
}

static void put_real(const char *key, double x)
{
    if (isfinite(x))
        printf("\"%s\": %.6g, ", key, x);
    else
        printf("\"%s\": null, ", key);
}

static void put_times(layers_row *r, layers_timed what, const char *key)
{
    char name[40];
    const bool there = r->times[what] > 0;
    const quartiles q = there ? quartiles_of(r->ms[what], r->rounds) : (quartiles){NAN, NAN, NAN};
    put_real(key, q.median);
    (void)snprintf(name, sizeof name, "%s_q1", key);
    put_real(name, q.q1);
    (void)snprintf(name, sizeof name, "%s_q3", key);
    put_real(name, q.q3);
    (void)snprintf(name, sizeof name, "%s_runs", key);
    printf("\"%s\": %zu, ", name, there ? r->times[what] : 0);
}

// eager: each kernel launched by itself; graph: the backend's or the driver's choice of doing it at once.
static const char *kind_of(const contestant_name *n)
{
    for (size_t i = 1; i < LAYERS_WORDS; i++)
        if (strcmp(n->word[i], "never") == 0 || strcmp(n->word[i], "eager") == 0) return "eager";
    return "graph";
}

static double median(layers_row *r, layers_timed what)
{
    return !r->times[what] ? (double)NAN : quartiles_of(r->ms[what], r->rounds).median;
}

void row_as_json(const problem *p, layers_row *r)
{
    const double forward = median(r, FORWARD), both = median(r, BOTH), steps = (double)(p->T * p->L);
    const bool cudnn = strcmp(r->name.word[0], "cudnn") == 0;
    printf("{");
    put_text("contestant", r->name.whole);
    put_text("kind", kind_of(&r->name));
    put_text("algorithm", cudnn ? r->name.word[1] : *r->name.word[2] ? r->name.word[2] : "auto");
    put_text("device", r->device);
    put_text("clock", r->clock);
    put_text("cell", layers_cell_word[p->cell]);
    put_text("precision", layers_precision_word[p->precision]);
    printf("\"H\": %zu, \"L\": %zu, \"B\": %zu, \"T\": %zu, \"rounds\": %zu, ", p->H, p->L, p->B, p->T, r->rounds);
    put_times(r, FORWARD, "ms_forward");
    put_times(r, BOTH, "ms_both");
    put_times(r, DATA, "ms_data");
    put_times(r, WEIGHTS, "ms_weights");
    put_real("us_per_step", 1e3 * forward / steps);
    put_real("us_per_step_both", 1e3 * both / steps);
    put_real("error_y", *r->why ? (double)NAN : r->error_y);
    put_real("error_dx", *r->why ? (double)NAN : r->error_dx);
    put_real("error_dw", *r->why ? (double)NAN : r->error_dw);
    put_real("model_ms_forward", 1e3 * v0_seconds(p, false));
    put_real("model_ms_both", 1e3 * v0_seconds(p, true));
    put_real("ratio_forward", forward / 1e3 / v0_seconds(p, false));
    put_real("ratio_both", both / 1e3 / v0_seconds(p, true));
    if (*r->why) {
        printf("\"hash\": null, \"same\": null, ");
        put_text("error", r->why);
    } else {
        printf("\"hash\": \"%016llx\", \"same\": %s, \"error\": null, ", (unsigned long long)r->hash,
               r->hash == r->hash_again ? "true" : "false");
    }
    printf("\"threads\": %u}\n", p->threads);
    (void)fflush(stdout);
}

void row_as_text(const problem *p, layers_row *r)
{
    if (*r->why) {
        printf("%-26s %s\n", r->name.whole, r->why);
        return;
    }
    const quartiles f = quartiles_of(r->ms[FORWARD], r->rounds), b = quartiles_of(r->ms[BOTH], r->rounds);
    const double steps = (double)(p->T * p->L);
    printf("%-26s forward %9.4f ms (%.4f .. %.4f) %8.2f us/step   both %9.4f ms (%.4f .. %.4f) %8.2f us/step   error y "
           "%.1e dx %.1e dw %.1e   %s\n",
           r->name.whole, f.median, f.q1, f.q3, 1e3 * f.median / steps, b.median, b.q1, b.q3, 1e3 * b.median / steps,
           r->error_y, r->error_dx, r->error_dw, r->hash == r->hash_again ? "repeats" : "DOES NOT REPEAT");
    (void)fflush(stdout);
}
