// Contestants timed in turn or one by one: opened, compared with the reference, repeated until a round is full.
#include "layers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TIMES_MOST = 100000, WARM_UP = 3 };

// Clears the times of `what` and of the parts after it; keeps the first reason.
static void lose(contestant *c, layers_timed what, const bptt_error *e)
{
    for (; what < TIMED; what++) c->row.times[what] = 0;
    if (!*c->row.why)
        (void)snprintf(c->row.why, sizeof c->row.why, "%s", *e->words ? e->words : bptt_status_text(e->code));
    if (c->own && !c->row.times[FORWARD]) {
        c->kind->close(c->own);
        c->own = NULL;
    }
}

static bptt_status outcome_once(contestant *c, const problem *p, const outcome *out, uint64_t *hash, bptt_error *e)
{
    double seconds = 0;
    bptt_status s = c->kind->restart(c->own, e);
    if (!s) s = c->kind->go(c->own, BOTH, 1, &seconds, e);
    if (!s) s = c->kind->read(c->own, out, e);
    if (!s) *hash = hash_of(p, out);
    return s;
}

static size_t times_in(double seconds, double once)
{
    const double times = ceil(seconds / fmax(once, 1e-12));
    return times < 1 ? 1 : times > TIMES_MOST ? TIMES_MOST : (size_t)times;
}

// Measures the number of runs of a part that fill a round.
static bptt_status fill_round(contestant *c, layers_timed what, double fill, bptt_error *e)
{
    double seconds = 0;
    if (!(c->kind->timed >> what & 1)) return BPTT_OK;
    bptt_status s = c->kind->go(c->own, what, WARM_UP, &seconds, e);
    if (!s) s = c->kind->go(c->own, what, WARM_UP, &seconds, e);
    if (!s) c->row.times[what] = times_in(fill, seconds / WARM_UP);
    return s;
}

// Opens a contestant, compares two outcomes with the reference and each other. Forward comes first: cuDNN's SMALL_H
// has shapes of which it refuses only the backward pass.
static void prepare(contestant *c, const problem *p, const outcome *reference, const outcome *out, double fill)
{
    layers_row *row = &c->row;
    bptt_error e = {0};
    row->error_y = row->error_dx = row->error_dw = (double)NAN;
    row->clock = c->kind->clock;
    bptt_status s = c->kind->open(p, &row->name, &c->own, row->device, &e);
    if (!s) s = c->kind->restart(c->own, &e);
    if (!s) s = fill_round(c, FORWARD, fill, &e);
    if (s) {
        lose(c, FORWARD, &e);
        return;
    }
    s = outcome_once(c, p, out, &row->hash, &e);
    if (!s) s = outcome_once(c, p, out, &row->hash_again, &e);
    if (!s && reference) {
        row->error_y = worst_of(out->y, reference->y, p->window);
        row->error_dx = worst_of(out->dx, reference->dx, p->window);
        row->error_dw = worst_tensor(p, out->dw, reference->dw);
    }
    for (layers_timed what = BOTH; !s && what < TIMED; what++) s = fill_round(c, what, fill, &e);
    if (s) lose(c, BOTH, &e);
}

static void time_round(contestant *c, size_t round)
{
    for (layers_timed what = FORWARD; c->own && what < TIMED; what++) {
        double seconds = 0;
        bptt_error e = {0};
        const size_t times = c->row.times[what];
        if (times == 0) continue;
        if (c->kind->go(c->own, what, times, &seconds, &e))
            lose(c, what, &e);
        else
            c->row.ms[what][round] = 1e3 * seconds / (double)times;
    }
}

// The clocks of a GPU rise within tenths of a second of work.
static void warm_up(contestant *c, const race_rules *rules)
{
    double seconds = 0;
    bptt_error e = {0};
    if (c->own && c->kind->go(c->own, FORWARD, times_in(rules->warm_up, rules->seconds / (double)c->row.times[FORWARD]),
                              &seconds, &e))
        lose(c, FORWARD, &e);
}

static size_t finish(contestant *c, const race_rules *rules, const problem *p)
{
    const bool ran = c->own != NULL;
    c->row.rounds = rules->rounds;
    if (rules->json)
        row_as_json(p, &c->row);
    else
        row_as_text(p, &c->row);
    if (ran) c->kind->close(c->own);
    c->own = NULL;
    return ran;
}

static size_t heat(const race_rules *rules, contestant *c, size_t n, const problem *p, const outcome *reference,
                   const outcome *out)
{
    size_t ran = 0;
    for (size_t i = 0; i < n; i++) prepare(&c[i], p, reference, out, rules->seconds);
    if (rules->warm_up > 0) warm_up(&c[0], rules);
    for (size_t round = 0; round < rules->rounds; round++)
        for (size_t i = 0; i < n; i++) time_round(&c[i], round);
    for (size_t i = 0; i < n; i++) ran += finish(&c[i], rules, p);
    return ran;
}

size_t race(const race_rules *rules, contestant *c, size_t n, const problem *p, const outcome *reference,
            const outcome *out)
{
    race_rules own = *rules;
    const size_t together = rules->one_by_one ? 1 : n;
    size_t ran = 0;
    for (size_t i = 0; i < n; i += together, own.warm_up = 0) ran += heat(&own, c + i, together, p, reference, out);
    return ran;
}
