// The adding problem (Hochreiter & Schmidhuber 1997): each step gives a number from [0, 1) and a mark, 1 at two steps
// of the sequence and 0 elsewhere. After the last step the network must say the sum of the two marked numbers. The
// answer 1, which needs no memory, has a squared error of 1/6.
//
//   adding [--cell tanh] [--steps 30] [--hidden 64] [--rate 1e-3] [--updates 10000] [--seed 1]
//
// Trains until the squared error on fresh sequences is below 0.01; exit code 1 if the updates do not suffice.
#include <bptt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 32, CHECKS = 16 }; // CHECKS: batches of fresh sequences for the squared error

static const char *const cells[] = {"tanh", "relu", "gru", "lstm", "mlstm", "mingru", "gru-before"}; // as in bptt_cell

typedef struct settings {
    size_t steps, hidden, updates, cell;
    uint64_t seed;
    double rate;
} settings;

// A window: inputs [T][B][2], targets [T][B][1], weights [T][B].
typedef struct sequences {
    float *x, *y, *weight;
    uint64_t random;
} sequences;

static int fail(const bptt_error *e) { return fprintf(stderr, "adding: %s\n", e->words), 1; }

// The top bits of a linear congruential generator (Knuth's MMIX) as a number from [0, 1).
static double uniform(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) / 9007199254740992.0;
}

// Draws one sequence for each stream: a mark in the first half and one in the second.
static bptt_window draw(sequences *q, size_t T)
{
    for (size_t b = 0; b < BATCH; b++) {
        const size_t first = (size_t)(uniform(&q->random) * (double)(T / 2)),
                     second = T / 2 + (size_t)(uniform(&q->random) * (double)(T - T / 2));
        float sum = 0;
        for (size_t t = 0; t < T; t++) {
            float *x = q->x + (t * BATCH + b) * 2;
            x[0] = (float)uniform(&q->random), x[1] = t == first || t == second;
            sum += x[0] * x[1];
            q->y[t * BATCH + b] = sum;
            q->weight[t * BATCH + b] = t == T - 1; // only the last step counts
        }
    }
    return (bptt_window){.size = sizeof(bptt_window), .dense = q->x, .dense_target = q->y, .weight = q->weight};
}

static int train(bptt_run *r, sequences *q, const settings *s, bptt_error *e)
{
    const double goal = 0.01;
    double error = 1;
    size_t n = 0;
    while (n < s->updates && !(error < goal)) {
        const bptt_window w = draw(q, s->steps);
        if (bptt_run_reset(r, e) || bptt_run_train(r, &w, s->rate, NULL, e)) return fail(e);
        if (++n % 100) continue;
        error = 0;
        for (int i = 0; i < CHECKS; i++) {
            const bptt_window fresh = draw(q, s->steps);
            bptt_report report;
            if (bptt_run_reset(r, e) || bptt_run_evaluate(r, &fresh, &report, e)) return fail(e);
            error += report.loss / CHECKS;
        }
        if (n % 500 == 0) fprintf(stderr, "%zu updates: squared error %.4f\n", n, error);
    }
    const int reached = error < goal;
    printf("adding T %zu, %s: squared error %.4f; baseline 0.1667, goal %.4f: %s after %zu updates, %.0f s\n", s->steps,
           cells[s->cell], error, goal, reached ? "reached" : "missed", n, (double)clock() / CLOCKS_PER_SEC);
    return !reached;
}

static int run(const settings *s)
{
    bptt_model_config c;
    bptt_run_config rc;
    bptt_model_defaults(&c), bptt_run_defaults(&rc);
    c.cell = (bptt_cell)s->cell, c.input = 2, c.output = 1, c.loss = BPTT_SQUARED, c.hidden = s->hidden;
    c.clip = 1, c.seed = s->seed, c.compute.backend = "cpu", c.compute.threads = 1;
    rc.batch = BATCH, rc.steps = s->steps, rc.gradient = 1;

    const size_t N = s->steps * BATCH;
    sequences q = {malloc(2 * N * sizeof(float)), malloc(N * sizeof(float)), malloc(N * sizeof(float)), s->seed};
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_error e = {.words = "not enough memory"};
    int failed = 1;
    if (!q.x || !q.y || !q.weight || bptt_model_open(&c, &m, &e) || bptt_run_open(m, &rc, &r, &e))
        fail(&e);
    else
        failed = train(r, &q, s, &e);
    bptt_run_close(r);
    bptt_model_close(m);
    free(q.x), free(q.y), free(q.weight);
    return failed;
}

int main(int argc, char **argv)
{
    settings s = {.steps = 30, .hidden = 64, .updates = 10000, .seed = 1, .rate = 1e-3};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--cell") == 0)
            for (s.cell = 0; s.cell < 7 && strcmp(cells[s.cell], value); s.cell++) continue;
        else if (strcmp(argv[i], "--steps") == 0)
            s.steps = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--hidden") == 0)
            s.hidden = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--updates") == 0)
            s.updates = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            s.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--rate") == 0)
            s.rate = atof(value);
        else
            s.steps = 0;
    }
    if (argc % 2 == 0 || s.cell == 7 || s.steps < 2)
        return fprintf(stderr,
                       "usage: adding [--cell C] [--steps T] [--hidden H] [--rate R] [--updates N] [--seed S]\n"),
               64;
    return run(&s);
}
