// Complete results of a few windows on a backend, for comparing two backends bit for bit.
#ifndef PAST_H
#define PAST_H

#include "model.h"
#include "nets.h"

enum { WINDOWS = 3 }; // two that train, one that is evaluated

typedef struct past {
    snapshot model;
    double *state;
    bptt_report report[WINDOWS];
    float *logp;
    size_t states, logps;
} past;

// As net_open, which looks the table up by name.
static inline void net_open_on(net *n, const bptt_backend *b, const bptt_model_config *c, size_t batch, size_t steps)
{
    *n = (net){.c = *c,
               .rc = {.size = sizeof(bptt_run_config), .batch = batch, .steps = steps, .gradient = 1, .keep = 1}};
    n->rc.input_gradient = c->input > 0;
    const size_t N = steps * batch;
    bptt_error e = {0};
    CK_TRUE(bptt_model_open_on(b, c, &n->m, &e) == BPTT_OK, "%s: %s", b->name, e.words);
    CK_TRUE(bptt_run_open(n->m, &n->rc, &n->r, &e) == BPTT_OK, "%s: %s", b->name, e.words);
    n->dense = reals(N * c->input), n->dense_target = reals(N * c->output);
    n->token = must_alloc(N, sizeof *n->token), n->target = must_alloc(N, sizeof *n->target);
    n->weight = must_alloc(N, sizeof *n->weight), n->keep = must_alloc(N, sizeof *n->keep);
}

// The second window has weight and keep; the third is evaluated. Then one step by itself and an end to the state.
static inline past live(net *n)
{
    const size_t states = bptt_cell_row_of(n->c.cell)->states;
    past p = {.states = n->c.layers * n->rc.batch * states * n->c.hidden, .logps = n->rc.batch * n->m->O};
    for (uint64_t k = 0; k < WINDOWS; k++) {
        bptt_error e = {0};
        net_random_window(n, 40 + k);
        if (k & 1) n->w.keep = n->keep, n->w.weight = n->weight;
        const bptt_status s = k + 1 == WINDOWS ? bptt_run_evaluate(n->r, &n->w, &p.report[k], &e)
                                               : bptt_run_train(n->r, &n->w, 0.02, &p.report[k], &e);
        CK_TRUE(s == BPTT_OK, "window %d: %s", (int)k, e.words);
        n->w.keep = n->w.weight = NULL;
    }
    p.logp = must_alloc(p.logps, sizeof *p.logp);
    CK_OK(n->c.input ? bptt_run_next_dense(n->r, n->dense, BPTT_F64, p.logp, NULL)
                     : bptt_run_next(n->r, n->token, p.logp, NULL));
    p.state = net_state(n->r, p.states);
    p.model = snapshot_of(n->m);
    CK_OK(bptt_run_reset(n->r, NULL));
    double *none = net_state(n->r, p.states);
    for (size_t i = 0; i < p.states; i++) CK_TRUE(none[i] == 0, "a state that was reset is not 0");
    free(none);
    return p;
}

// Frees both. Returns NULL if they are equal, else the name of a difference.
static inline const char *other_past(past *a, past *b)
{
    static const char *const part[] = {"weights", "gradient", "first moments", "second moments"};
    const char *other = memcmp(a->report, b->report, sizeof a->report) != 0 ? "losses or norms" : NULL;
    for (int i = 0; i < 4; i++) {
        const double *x = a->model.part[i], *y = b->model.part[i];
        if (!x != !y || (x && !same_bits(x, y, a->model.n))) other = part[i];
        free(a->model.part[i]), free(b->model.part[i]);
    }
    if (a->model.updates != b->model.updates) other = "updates";
    if (!same_bits(a->state, b->state, a->states)) other = "states";
    if (memcmp(a->logp, b->logp, a->logps * sizeof *a->logp) != 0) other = "log-probabilities";
    free(a->state), free(b->state), free(a->logp), free(b->logp);
    return other;
}

// The same for two tables. NULL: the same bits.
static inline const char *other_bits(const bptt_backend *one, const bptt_backend *two, const bptt_model_config *c,
                                     size_t batch, size_t steps)
{
    net n, m;
    net_open_on(&n, one, c, batch, steps);
    net_open_on(&m, two, c, batch, steps);
    past a = live(&n), b = live(&m);
    net_close(&n), net_close(&m);
    return other_past(&a, &b);
}

#endif
