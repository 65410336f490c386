// The copying problem (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016, with K = 10): K symbols of eight, T - 1
// blanks, a marker, K blanks. The network must say blank up to the marker and then the K symbols, in order. Without
// memory the best is to guess them: K ln 8 / (T + 2 K) nats a position.
//
//   copy_memory [--cell tanh] [--steps 10] [--symbols 3] [--hidden 128] [--rate 2e-3] [--updates 8000] [--seed 1]
//
// At first one symbol is drawn and the others are blank; the next one joins when the loss is below a third of
// guessing. Initial weights hold the state: orthogonal W_hh for tanh and relu, biases of the forget gates for the
// others (none with mingru). The learning rate falls to 0 in a straight line over the updates. Trains until the loss
// on fresh sequences is below a tenth of guessing; exit code 1 if the updates do not suffice.
#include <bptt.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 32, CHECKS = 8, SYMBOLS = 8, BLANK = SYMBOLS, MARKER, VOCAB };

static const char *const cells[] = {"tanh", "relu", "gru", "lstm", "mlstm", "mingru", "gru-before"}; // as in bptt_cell

typedef struct settings {
    size_t steps, symbols, hidden, updates, cell;
    uint64_t seed;
    double rate;
} settings;

static int fail(const bptt_error *e) { return fprintf(stderr, "copy_memory: %s\n", e->words), 1; }

// The top bits of a linear congruential generator (Knuth's MMIX) as a number from [0, 1).
static double uniform(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) / 9007199254740992.0;
}

// Draws one sequence for each stream: token and target [T + 2 K][B]. Of the K symbols only `drawn` are not blank.
static void draw(int32_t *token, int32_t *target, const settings *s, size_t drawn, uint64_t *random)
{
    const size_t T = s->steps, K = s->symbols;
    for (size_t i = 0; i < (T + 2 * K) * BATCH; i++) token[i] = target[i] = BLANK;
    for (size_t i = 0; i < drawn * BATCH; i++)
        token[i] = target[(T + K) * BATCH + i] = (int32_t)(uniform(random) * SYMBOLS);
    for (size_t b = 0; b < BATCH; b++) token[(T + K - 1) * BATCH + b] = MARKER;
}

// Changes an array of initial weights, w [rows][cols], so that a new network keeps its state for `steps` steps.
static void set_memory(const bptt_tensor *t, float *w, const settings *s, size_t steps)
{
    static const int forget[] = {-1, -1, 1, 1, 2, -1, 1}; // blocks of H in bias_ih
    const size_t H = s->hidden;
    uint64_t random = s->seed;
    const int hh = strcmp(t->name, "rnn.weight_hh_l0") == 0, bias = strcmp(t->name, "rnn.bias_ih_l0") == 0;
    // A random orthogonal W_hh: a cyclic permutation with random signs.
    for (size_t j = 0; hh && s->cell <= BPTT_RELU && j < H; j++) {
        memset(w + j * H, 0, H * sizeof *w);
        w[j * H + (j + 1) % H] = uniform(&random) < 0.5 ? -1 : 1;
    }
    // A forget gate of bias ln n forgets in about n steps; n is uniform in 1 .. steps (Tallec & Ollivier 2018).
    for (size_t j = 0; bias && j < H; j++) {
        const float b = (float)log(1 + uniform(&random) * (double)(steps - 1));
        if (forget[s->cell] >= 0) w[(size_t)forget[s->cell] * H + j] = b;
    }
}

static bptt_status set_weights(bptt_model *m, const settings *s, bptt_error *e)
{
    bptt_status status = BPTT_OK;
    for (size_t i = 0; status == BPTT_OK && i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        if ((status = bptt_model_tensor(m, i, &t, e))) break;
        float *w = malloc(t.rows * t.cols * sizeof *w);
        if (!w) return BPTT_NO_MEMORY;
        status = bptt_model_read(m, BPTT_WEIGHTS, i, w, BPTT_F32, e);
        if (status == BPTT_OK) set_memory(&t, w, s, s->steps + 2 * s->symbols);
        if (status == BPTT_OK) status = bptt_model_write(m, BPTT_WEIGHTS, i, w, BPTT_F32, e);
        free(w);
    }
    return status;
}

static int train(bptt_run *r, int32_t *token, int32_t *target, const settings *s, bptt_error *e)
{
    const double one = log(SYMBOLS) / (double)(s->steps + 2 * s->symbols), baseline = one * (double)s->symbols;
    const bptt_window w = {.size = sizeof w, .token = token, .target = target};
    uint64_t random = s->seed;
    double loss = INFINITY;
    size_t n = 0, drawn = 1;
    while (n < s->updates && !(drawn == s->symbols && loss < baseline / 10)) {
        draw(token, target, s, drawn, &random);
        const double rate = s->rate * (1 - (double)n / (double)s->updates);
        if (bptt_run_reset(r, e) || bptt_run_train(r, &w, rate, NULL, e)) return fail(e);
        if (++n % 100) continue;
        loss = 0;
        for (int i = 0; i < CHECKS; i++) {
            draw(token, target, s, drawn, &random);
            bptt_report report;
            if (bptt_run_reset(r, e) || bptt_run_evaluate(r, &w, &report, e)) return fail(e);
            loss += report.loss / CHECKS;
        }
        if (n % 500 == 0) fprintf(stderr, "%zu updates, %zu symbols: loss %.4f\n", n, drawn, loss);
        if (drawn < s->symbols && loss < one * (double)drawn / 3) drawn++, loss = INFINITY;
    }
    const int reached = drawn == s->symbols && loss < baseline / 10;
    printf("copy T %zu K %zu, %s: loss %.4f with %zu symbols; baseline %.4f, goal %.4f: %s after %zu updates, %.0f s\n",
           s->steps, s->symbols, cells[s->cell], loss, drawn, baseline, baseline / 10, reached ? "reached" : "missed",
           n, (double)clock() / CLOCKS_PER_SEC);
    return !reached;
}

static int run(const settings *s)
{
    bptt_model_config c;
    bptt_run_config rc;
    bptt_model_defaults(&c), bptt_run_defaults(&rc);
    c.cell = (bptt_cell)s->cell, c.vocab = VOCAB, c.hidden = s->hidden, c.seed = s->seed, c.clip = 1;
    c.compute.backend = "cpu", c.compute.threads = 1;
    rc.batch = BATCH, rc.steps = s->steps + 2 * s->symbols, rc.gradient = 1;

    int32_t *token = malloc(rc.steps * BATCH * sizeof *token), *target = malloc(rc.steps * BATCH * sizeof *target);
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_error e = {.words = "not enough memory"};
    int failed = 1;
    if (!token || !target || bptt_model_open(&c, &m, &e) || set_weights(m, s, &e) || bptt_run_open(m, &rc, &r, &e))
        fail(&e);
    else
        failed = train(r, token, target, s, &e);
    bptt_run_close(r);
    bptt_model_close(m);
    free(token), free(target);
    return failed;
}

int main(int argc, char **argv)
{
    settings s = {.steps = 10, .symbols = 3, .hidden = 128, .updates = 8000, .seed = 1, .rate = 2e-3};
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
        else if (strcmp(argv[i], "--symbols") == 0)
            s.symbols = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            s.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--rate") == 0)
            s.rate = atof(value);
        else
            s.steps = 0;
    }
    if (argc % 2 == 0 || s.cell == 7 || s.steps < 1 || s.symbols < 1)
        return fprintf(stderr, "usage: copy_memory [--cell C] [--steps T] [--symbols K] [--hidden H] [--rate R] "
                               "[--updates N] [--seed S]\n"),
               64;
    return run(&s);
}
