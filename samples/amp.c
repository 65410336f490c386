// Audio through a distortion effect: an LSTM of 16 units with a skip connection learns the output of a soft clipper
// with memory from its input (after Wright et al. 2019). Both signals are made here: plucked tones with noise; a
// low-pass filter in front of tanh, whose bias follows the loudness. The result is the error-to-signal ratio on audio
// that is held out.
//
//   amp [UPDATES]
//   amp --write FILE      only writes the signals: float32, input and output alternating, for other programs
#include <bptt.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RATE = 16000, TRAINED = 20 * RATE, HELD_OUT = 4 * RATE, ALL = TRAINED + HELD_OUT };
enum { BATCH = 32, BURN_IN = 64, STEPS = 256 + BURN_IN }; // a window; its first BURN_IN steps only fill the state

static float input[ALL], output[ALL];

// A number from [-1, 1) (a linear congruential generator, Knuth's MMIX).
static double uniform(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) / 4503599627370496.0 - 1;
}

static void make_signals(void)
{
    double phase = 0, frequency = 0, loudness = 0, low = 0, follower = 0;
    uint64_t random = 1;
    for (int t = 0; t < ALL; t++) {
        if (t % (RATE / 4) == 0) { // a new tone
            frequency = 2 * acos(-1) * 80 * pow(2, 1.5 + 1.5 * uniform(&random)) / RATE;
            loudness = 0.6 + 0.4 * uniform(&random), phase = 0;
        }
        phase += frequency, loudness *= 0.9997;
        const double x =
            loudness * (0.5 * sin(phase) + 0.3 * sin(2 * phase) + 0.15 * sin(3.01 * phase) + 0.05 * uniform(&random));
        low += 0.5 * (x - low);
        follower += 0.005 * (fabs(low) - follower);
        input[t] = (float)x;
        output[t] = (float)(0.7 * tanh(5 * (low - 0.3 * follower)));
    }
}

// Trains on windows that start anywhere in the training part, from the zero state.
static bptt_status train(bptt_run *r, int updates, bptt_error *e)
{
    static float x[STEPS][BATCH], y[STEPS][BATCH];
    const bptt_window w = {.size = sizeof w, .dense = x, .dense_target = y};
    uint64_t random = 2;
    for (int n = 0; n < updates; n++) {
        for (int b = 0; b < BATCH; b++) {
            const int start = (int)((uniform(&random) + 1) / 2 * (TRAINED - STEPS));
            for (int t = 0; t < STEPS; t++) x[t][b] = input[start + t], y[t][b] = output[start + t];
        }
        bptt_report report;
        const double rate = 1e-2 * (1 - 0.95 * n / updates); // falls in a line
        if (bptt_run_reset(r, e) || bptt_run_train(r, &w, rate, &report, e)) return e->code;
        if ((n + 1) % 100 == 0) fprintf(stderr, "%d updates: squared error %.2e\n", n + 1, report.loss);
    }
    return BPTT_OK;
}

// The error-to-signal ratio on the part that is held out, in one piece: sum of (prediction - output)^2 / output^2.
static bptt_status test(bptt_model *m, double *ratio, bptt_error *e)
{
    static float prediction[HELD_OUT];
    const bptt_window w = {.size = sizeof w, .dense = input + TRAINED};
    bptt_run_config c;
    bptt_run_defaults(&c);
    c.steps = HELD_OUT;
    bptt_run *r = NULL;
    bptt_status status = bptt_run_open(m, &c, &r, e);
    if (status == BPTT_OK) status = bptt_run_predict(r, &w, prediction, e);
    double error = 0, signal = 0;
    for (int t = 0; t < HELD_OUT; t++) {
        const double truth = output[TRAINED + t], off = prediction[t] - truth;
        error += off * off, signal += truth * truth;
    }
    *ratio = error / signal;
    bptt_run_close(r);
    return status;
}

static int write_signals(const char *path)
{
    FILE *f = fopen(path, "wb");
    for (int t = 0; f && t < ALL; t++) fwrite(&input[t], sizeof(float), 1, f), fwrite(&output[t], sizeof(float), 1, f);
    if (f && !ferror(f) && fclose(f) == 0) return 0;
    return perror(path), 1;
}

int main(int argc, char **argv)
{
    make_signals();
    if (argc == 3 && strcmp(argv[1], "--write") == 0) return write_signals(argv[2]);
    const int updates = argc > 1 ? atoi(argv[1]) : 400;
    bptt_model_config c;
    bptt_run_config rc;
    bptt_model_defaults(&c), bptt_run_defaults(&rc);
    c.cell = BPTT_LSTM, c.hidden = 16, c.input = 1, c.output = 1, c.loss = BPTT_SQUARED;
    c.skip = 1; // the layers compute the difference to the input
    c.clip = 1, c.compute.backend = "cpu", c.compute.threads = 1;
    rc.batch = BATCH, rc.steps = STEPS, rc.burn_in = BURN_IN, rc.gradient = 1;
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_error e;
    double ratio = 1;
    if (bptt_model_open(&c, &m, &e) || bptt_run_open(m, &rc, &r, &e) || train(r, updates, &e) || test(m, &ratio, &e))
        return fprintf(stderr, "amp: %s\n", e.words), 1;
    bptt_run_close(r);
    bptt_model_close(m);
    const int reached = ratio < 0.01;
    printf("amp: error-to-signal ratio %.4f, allowed 0.01: %s after %d updates, %.0f s\n", ratio,
           reached ? "reached" : "missed", updates, (double)clock() / CLOCKS_PER_SEC);
    return !reached;
}
