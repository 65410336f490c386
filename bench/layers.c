// bptt_layers: benchmarks recurrent layers of bptt and cuDNN in one process, alternating, on the same numbers.
// README.md in this folder explains the columns of a row.
#include "layers.h"

#include "prng.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTESTANTS = 32 };

static const char USAGE[] =
    "usage: bptt_layers [--cell tanh|relu|gru|lstm] [--hidden H] [--layers L] [--batch B] [--steps T]\n"
    "                   [--precision fp32,tf32,bf16,fp16] [--contestants NAME,NAME,...] [--rounds N]\n"
    "                   [--seconds-each S] [--warm-up S] [--one-by-one] [--threads N] [--no-reference] [--json]\n"
    "\n"
    "NAME   bptt:BACKEND[:auto|never|always]                            never: kernel by kernel\n"
    "       cudnn:standard|static|small|dynamic[:graph|eager][:packed]  neither graph nor eager: both\n"
    "       cudnn:small+standard...                                     forward by the first, backward by the second\n"
    "Times forward, and forward with all gradients, in turn (A B A B ...), N rounds, each run as often in a round as\n"
    "fits S seconds; median and quartiles over rounds. One line a contestant; one that cannot run says why.\n"
    "--warm-up runs the first contestant for S seconds before the first round. --one-by-one runs all rounds of a\n"
    "contestant and prints its line before the next contestant opens.\n"
    "Several precisions are raced one after the other and judged by one reference.\n";

typedef struct options {
    size_t cell, H, L, B, T, threads;
    race_rules rules;
    bool precision[4], reference;
    const char *names;
} options;

// ---- command line ---------------------------------------------------------------------------------------------------

static void refuse(const char *what, const char *value)
{
    fprintf(stderr, "bptt_layers: %s%s%s%s\n%s", what, value ? " \"" : "", value ? value : "", value ? "\"" : "",
            USAGE);
    exit(64); // EX_USAGE
}

static size_t count(const char *name, const char *value, size_t most)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long n = strtoull(value, &end, 10);
    if (errno || *end || end == value || *value == '-' || n < 1 || n > most) refuse(name, value);
    return (size_t)n;
}

static size_t one_of(const char *name, const char *value, const char *const *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(value, word[i]) == 0) return i;
    refuse(name, value);
    return 0;
}

static void take_precisions(options *o, const char *value)
{
    memset(o->precision, 0, sizeof o->precision);
    while (*value) {
        char word[8];
        const size_t long_ = strcspn(value, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)long_, value);
        o->precision[one_of("--precision", word, layers_precision_word, 4)] = true;
        value += long_ + (value[long_] == ',');
    }
}

static void take(options *o, const char *name, const char *value)
{
    static const char *const size[] = {"--hidden", "--layers", "--batch", "--steps", "--rounds", "--threads"};
    static const size_t most[] = {65536, 64, 1 << 20, 1 << 20, ROUNDS_MAX, 1024};
    size_t *const place[] = {&o->H, &o->L, &o->B, &o->T, &o->rules.rounds, &o->threads};
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++)
        if (strcmp(name, size[i]) == 0) {
            *place[i] = count(name, value, most[i]);
            return;
        }
    if (strcmp(name, "--cell") == 0)
        o->cell = one_of(name, value, layers_cell_word, LAYERS_CELLS);
    else if (strcmp(name, "--precision") == 0)
        take_precisions(o, value);
    else if (strcmp(name, "--contestants") == 0)
        o->names = value;
    else if (strcmp(name, "--seconds-each") == 0)
        o->rules.seconds = strtod(value, NULL);
    else if (strcmp(name, "--warm-up") == 0)
        o->rules.warm_up = strtod(value, NULL);
    else
        refuse("there is no option", name);
    if (!(o->rules.seconds > 0 && o->rules.seconds <= 60)) refuse(name, value);
    if (!(o->rules.warm_up >= 0 && o->rules.warm_up <= 60)) refuse(name, value);
}

static options options_of(int argc, char **argv)
{
    options o = {.H = 512,
                 .L = 1,
                 .B = 64,
                 .T = 100,
                 .rules = {.rounds = 7, .seconds = 0.05},
                 .threads = 1,
                 .reference = true,
                 .precision = {true},
                 .names = "bptt:cuda,bptt:cuda:never,cudnn:standard,cudnn:static,cudnn:small,cudnn:dynamic"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(USAGE, stdout);
            exit(0);
        }
        if (strcmp(argv[i], "--json") == 0) {
            o.rules.json = true;
        } else if (strcmp(argv[i], "--one-by-one") == 0) {
            o.rules.one_by_one = true;
        } else if (strcmp(argv[i], "--no-reference") == 0) {
            o.reference = false;
        } else {
            if (i + 1 == argc) refuse("there is no value after", argv[i]);
            take(&o, argv[i], argv[i + 1]);
            i++;
        }
    }
    return o;
}

// ---- the problem ----------------------------------------------------------------------------------------------------

static void *must(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (p) return p;
    fprintf(stderr, "bptt_layers: no memory for %zu numbers\n", n);
    exit(71); // EX_OSERR
}

static float *uniform(uint64_t *random, double most, size_t n)
{
    float *x = must(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(most * (2 * splitmix_uniform24(random) - 1));
    return x;
}

static problem problem_of(const options *o)
{
    static const size_t gates[LAYERS_CELLS] = {1, 1, 3, 4};
    uint64_t random = 1;
    problem p = {.cell = (layers_cell)o->cell,
                 .H = o->H,
                 .L = o->L,
                 .B = o->B,
                 .T = o->T,
                 .G = gates[o->cell],
                 .threads = (unsigned)o->threads};
    size_t all = 0;
    if (bptt_size(o->T, o->B, o->H, &all, NULL) || all > SIZE_MAX / 64) refuse("sizes are too large", NULL);
    p.window = all;
    p.weights = o->L * (2 * p.G * o->H * o->H + 2 * p.G * o->H);
    p.x = uniform(&random, 1, p.window);
    p.dy = uniform(&random, 1, p.window);
    p.w = uniform(&random, 1 / sqrt((double)o->H), p.weights);
    return p;
}

static outcome outcome_of(const problem *p)
{
    return (outcome){must(p->window, sizeof(double)), must(p->window, sizeof(double)),
                     must(p->weights, sizeof(double))};
}

static void outcome_free(outcome *o) { free(o->y), free(o->dx), free(o->dw); }

// ---- contestants ----------------------------------------------------------------------------------------------------

static void add_contestant(contestant *c, size_t *n, const char *name)
{
    if (*n == CONTESTANTS) refuse("too many contestants; no room for", name);
    contestant_name *to = &c[*n].row.name;
    const char *at = name;
    (void)snprintf(to->whole, sizeof to->whole, "%s", name);
    for (size_t i = 0; i < LAYERS_WORDS && *at; i++) {
        const size_t long_ = strcspn(at, ":");
        (void)snprintf(to->word[i], sizeof to->word[i], "%.*s", (int)long_, at);
        at += long_ + (at[long_] == ':');
    }
    if (*at || strlen(name) >= sizeof to->whole) refuse("too long a contestant", name);
    c[*n].kind = strcmp(to->word[0], "bptt") == 0 ? &layers_bptt : &layers_cudnn;
    if (strcmp(to->word[0], c[*n].kind->name) != 0) refuse("there is no contestant", name);
    (*n)++;
}

static size_t contestants_of(const char *names, contestant *c)
{
    size_t n = 0;
    for (const char *at = names; *at;) {
        char name[100];
        const size_t long_ = strcspn(at, ",");
        (void)snprintf(name, sizeof name - 8, "%.*s", (int)long_, at);
        at += long_ + (at[long_] == ',');
        const bool either = strncmp(name, "cudnn:", 6) == 0 && !strstr(name, ":graph") && !strstr(name, ":eager");
        const size_t end = strlen(name);
        strcpy(name + end, either ? ":eager" : "");
        add_contestant(c, &n, name);
        if (!either) continue;
        strcpy(name + end, ":graph");
        add_contestant(c, &n, name);
    }
    if (n == 0) refuse("no contestants", NULL);
    return n;
}

int main(int argc, char **argv)
{
    const options o = options_of(argc, argv);
    problem p = problem_of(&o);
    outcome reference = outcome_of(&p), out = outcome_of(&p);
    bptt_error e = {0};
    const bool judged = o.reference && !layers_reference(&p, &reference, &e);
    if (o.reference && !judged) fprintf(stderr, "bptt_layers: no reference: %s\n", e.words);
    size_t ran = 0;
    for (p.precision = BPTT_PRECISION_FP32; p.precision <= BPTT_PRECISION_FP16; p.precision++) {
        if (!o.precision[p.precision]) continue;
        if (!o.rules.json) printf("%s\n", layers_precision_word[p.precision]);
        static contestant c[CONTESTANTS];
        memset(c, 0, sizeof c);
        const size_t n = contestants_of(o.names, c);
        ran += race(&o.rules, c, n, &p, judged ? &reference : NULL, &out);
    }
    outcome_free(&reference), outcome_free(&out);
    free(p.x), free(p.dy), free(p.w);
    return ran > 0 ? 0 : 69; // EX_UNAVAILABLE
}
