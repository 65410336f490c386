// Dense inputs and targets: predicts the next value of a sum of two sines from the current one, then runs freely: each
// prediction is the next input. The phases of every stream are random, so the network must find them in what it heard.
#include <bptt.h>

#include <math.h>
#include <stdio.h>

enum { BATCH = 32, STEPS = 50, UPDATES = 6000, HEARD = 100, FREE = 200 };

static const double pi = 3.14159265358979323846;

static int fail(const bptt_error *e) { return fprintf(stderr, "sine: %s\n", e->words), 1; }

// Value at time t of the stream with phases p and q; periods 20 and 31.
static float value(double t, double p, double q)
{
    return (float)(0.6 * sin(2 * pi * (t / 20 + p)) + 0.4 * sin(2 * pi * (t / 31 + q)));
}

// Trains on windows [T][B] of endless streams: the state is carried from window to window.
static bptt_status train(bptt_run *r, double *loss, bptt_error *e)
{
    float x[STEPS][BATCH], y[STEPS][BATCH];
    const bptt_window w = {.size = sizeof w, .dense = x, .dense_target = y};
    for (int n = 0; n < UPDATES; n++) {
        for (int t = 0; t < STEPS; t++)
            for (int b = 0; b < BATCH; b++) { // phases of the streams: multiples of irrational numbers, modulo 1
                const double p = b * 0.618033988, q = b * 0.754877666;
                x[t][b] = value(n * STEPS + t, p, q), y[t][b] = value(n * STEPS + t + 1, p, q);
            }
        bptt_report report;
        const double rate = 5e-3 * (1 - 0.98 * n / UPDATES); // falls in a line
        if (bptt_run_train(r, &w, rate, &report, e)) return e->code;
        *loss = report.loss;
    }
    return BPTT_OK;
}

// Hears HEARD values of a new stream, then goes on alone; the largest deviation from the true values.
static bptt_status run_freely(bptt_model *m, double *deviation, bptt_error *e)
{
    bptt_run_config one;
    bptt_run_defaults(&one); // one stream, one step at a time
    bptt_run *r = NULL;
    bptt_status status = bptt_run_open(m, &one, &r, e);
    const double p = 0.123, q = 0.456;
    float x = value(0, p, q), next = 0;
    for (int t = 0; status == BPTT_OK && t < HEARD + FREE; t++) {
        status = bptt_run_next_dense(r, &x, BPTT_F32, &next, e);
        const float truth = value(t + 1, p, q);
        if (t >= HEARD) *deviation = fmax(*deviation, fabs((double)(next - truth)));
        x = t < HEARD ? truth : next;
    }
    bptt_run_close(r);
    return status;
}

int main(void)
{
    bptt_model_config c;
    bptt_run_config rc;
    bptt_model_defaults(&c), bptt_run_defaults(&rc);
    c.input = 1, c.output = 1, c.loss = BPTT_SQUARED,
    c.skip = 1; // skip: the layers compute the difference to the input
    c.hidden = 48, c.clip = 1, c.compute.backend = "cpu", c.compute.threads = 1;
    rc.batch = BATCH, rc.steps = STEPS, rc.gradient = 1;
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_error e;
    double loss = 0, deviation = 0;
    if (bptt_model_open(&c, &m, &e) || bptt_run_open(m, &rc, &r, &e) || train(r, &loss, &e) ||
        run_freely(m, &deviation, &e))
        return fail(&e);
    bptt_run_close(r);
    bptt_model_close(m);
    const int reached = deviation < 0.2;
    printf("sine: squared error of one step %.1e; largest deviation in %d free steps %.3f, allowed 0.2: %s\n", loss,
           FREE, deviation, reached ? "reached" : "missed");
    return !reached;
}
