// The running parity of a stream of random bits: after each bit the network must say if the number of ones so far is
// odd. It is trained on windows of 2, 4, .. 64 bits, whose length doubles when all answers are right; then on endless
// streams in windows of 64 bits, whose state is carried on. It answers fresh streams of 64, 512 and 4096 bits.
//
//   parity [--cell tanh] [--hidden 16] [--rate 5e-3] [--updates 3000] [--seed 1]
//
// Exit code 1 if one of the 16 * 4672 answers is wrong.
#include <bptt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 16, TRAINED = 64, LONGEST = 4096, TRIES = 5 };

static const char *const cells[] = {"tanh", "relu", "gru", "lstm", "mlstm", "mingru", "gru-before"}; // as in bptt_cell

typedef struct settings {
    size_t hidden, updates, cell;
    uint64_t seed;
    double rate;
} settings;

static int32_t bit[LONGEST][BATCH], odd[LONGEST][BATCH]; // bits and parities of all streams
static float logp[LONGEST][BATCH][2];

static const bptt_window window = {.size = sizeof(bptt_window), .token = bit[0], .target = odd[0]};

// Draws T bits for each stream (a linear congruential generator, Knuth's MMIX). The parity goes on from that of the
// last window, which had `before` bits; 0: it starts at even.
static void draw(size_t T, size_t before, uint64_t *random)
{
    for (size_t b = 0; b < BATCH; b++) {
        int32_t parity = before ? odd[before - 1][b] : 0;
        for (size_t t = 0; t < T; t++) {
            *random = *random * 6364136223846793005u + 1442695040888963407u;
            bit[t][b] = (int32_t)(*random >> 63);
            odd[t][b] = parity ^= bit[t][b];
        }
    }
}

// Trains on windows of T bits until 20 in a row, 200 with `endless`, have losses below 0.01 nats. A window starts from
// the zero state and even parity, or with `endless` where the last one ended. A run has a fixed T: each length has its
// own run.
static bptt_status train(bptt_model *m, size_t T, int endless, const settings *s, uint64_t *random, size_t *updates,
                         bptt_error *e)
{
    bptt_run_config c;
    bptt_run_defaults(&c);
    c.batch = BATCH, c.steps = T, c.gradient = 1;
    bptt_run *r = NULL;
    bptt_status status = bptt_run_open(m, &c, &r, e);
    for (size_t n = 0, good = 0; status == BPTT_OK && good < (endless ? 200 : 20) && *updates < s->updates;
         n++, ++*updates) {
        bptt_report report;
        draw(T, endless && n ? T : 0, random);
        if (!endless) status = bptt_run_reset(r, e);
        if (status == BPTT_OK) status = bptt_run_train(r, &window, s->rate, &report, e);
        good = report.loss < 0.01 ? good + 1 : 0;
    }
    bptt_run_close(r);
    return status;
}

// Counts wrong answers in fresh streams of T bits.
static bptt_status count_errors(bptt_model *m, size_t T, uint64_t *random, size_t *errors, bptt_error *e)
{
    bptt_run_config c;
    bptt_run_defaults(&c);
    c.batch = BATCH, c.steps = T;
    bptt_run *r = NULL;
    draw(T, 0, random);
    bptt_status status = bptt_run_open(m, &c, &r, e);
    if (status == BPTT_OK) status = bptt_run_predict(r, &window, logp[0][0], e);
    *errors = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t b = 0; b < BATCH; b++) *errors += (logp[t][b][1] > logp[t][b][0]) != odd[t][b];
    bptt_run_close(r);
    return status;
}

// Trains a model from the seed's initial weights through all lengths and counts its errors for 64, 512, 4096 bits.
static bptt_status attempt(const settings *s, uint64_t seed, size_t *updates, size_t errors[3], bptt_error *e)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.cell = (bptt_cell)s->cell, c.vocab = 2, c.hidden = s->hidden, c.seed = seed, c.clip = 1;
    c.compute.backend = "cpu", c.compute.threads = 1;
    bptt_model *m = NULL;
    uint64_t random = seed;
    bptt_status status = bptt_model_open(&c, &m, e);
    *updates = 0;
    for (size_t T = 2; status == BPTT_OK && T <= TRAINED; T *= 2) status = train(m, T, 0, s, &random, updates, e);
    if (status == BPTT_OK) status = train(m, TRAINED, 1, s, &random, updates, e);
    for (size_t i = 0, T = TRAINED; status == BPTT_OK && i < 3; i++, T *= 8)
        status = count_errors(m, T, &random, &errors[i], e);
    bptt_model_close(m);
    return status;
}

// Some initial weights never learn the parity of two bits: TRIES seeds one after another.
static int run(const settings *s)
{
    size_t updates = 0, errors[3] = {1};
    uint64_t seed = s->seed;
    bptt_error e;
    for (; errors[0] + errors[1] + errors[2] && seed < s->seed + TRIES; seed++)
        if (attempt(s, seed, &updates, errors, &e)) return fprintf(stderr, "parity: %s\n", e.words), 1;
    const int exact = errors[0] + errors[1] + errors[2] == 0;
    printf("parity, %s: %zu, %zu, %zu errors in %d streams of 64, 512, 4096 bits: %s after %zu updates (seed %d), %.0f "
           "s\n",
           cells[s->cell], errors[0], errors[1], errors[2], BATCH, exact ? "reached" : "missed", updates, (int)seed - 1,
           (double)clock() / CLOCKS_PER_SEC);
    return !exact;
}

int main(int argc, char **argv)
{
    settings s = {.hidden = 16, .updates = 3000, .seed = 1, .rate = 5e-3};
    int wrong = argc % 2 == 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--cell") == 0)
            for (s.cell = 0; s.cell < 7 && strcmp(cells[s.cell], value); s.cell++) continue;
        else if (strcmp(argv[i], "--hidden") == 0)
            s.hidden = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--updates") == 0)
            s.updates = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            s.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--rate") == 0)
            s.rate = atof(value);
        else
            wrong = 1;
    }
    if (wrong || s.cell == 7)
        return fprintf(stderr, "usage: parity [--cell C] [--hidden H] [--rate R] [--updates N] [--seed S]\n"), 64;
    return run(&s);
}
