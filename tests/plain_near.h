// Comparisons of a net with the plain net in double (plain_rnn.h), within bounds counted from roundings.
#ifndef PLAIN_NEAR_H
#define PLAIN_NEAR_H

#include "nets.h"
#include "plain_rnn.h"

// Roundings that a term of a gradient meets on its way: sums of H + I + V + M + B terms in each of T steps of L layers.
static double roundings(const net *n)
{
    const double terms = (double)(n->c.hidden + n->c.input + n->c.vocab + n->c.output + n->rc.batch + 20);
    return (double)(n->rc.steps * n->c.layers) * terms * (n->c.type == BPTT_F64 ? U64 : U32);
}

// Checks |got - want| within the rounding of terms with the sum of absolute values `size`.
static void near_sum(const net *n, const double *got, const double *want, const double *size, size_t count,
                     const char *what)
{
    double *bound = reals(count);
    char says[200];
    for (size_t i = 0; i < count; i++) bound[i] = 2 * roundings(n) * size[i];
    snprintf(says, sizeof says, "%s %d cell %d loss %d skip %d %s: V %zu I %zu M %zu H %zu L %zu B %zu T %zu",
             n->c.compute.backend, (int)n->c.type, (int)n->c.cell, (int)n->c.loss, n->c.skip, what, n->c.vocab,
             n->c.input, n->c.output, n->c.hidden, n->c.layers, n->rc.batch, n->rc.steps);
    CK_NEAR(near_all(got, want, bound, count), says);
    free(bound);
}

// p: the plain net's gradient, s: the sizes of its terms.
static void check_gradient(net *n, const plain_rnn *p, const plain_rnn *s)
{
    for (size_t i = 0; i < p->tensors; i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(n->m, i, &t, NULL));
        double *g = reals(p->size[i]);
        CK_OK(bptt_model_read(n->m, BPTT_GRADIENT, i, g, BPTT_F64, NULL));
        near_sum(n, g, p->dw[i], s->dw[i], p->size[i], t.name);
        free(g);
    }
    double *got = reals(p->L * p->B * p->H + p->T * p->B * p->I);
    CK_OK(bptt_run_read(n->r, BPTT_GRAD_STATE, got, BPTT_F64, NULL));
    near_sum(n, got, p->dh0, s->dh0, p->L * p->B * p->H, "gradient of the first state");
    if (n->rc.input_gradient) CK_OK(bptt_run_read(n->r, BPTT_GRAD_INPUT, got, BPTT_F64, NULL));
    if (n->rc.input_gradient) near_sum(n, got, p->dx, s->dx, p->T * p->B * p->I, "gradient of the input");
    free(got);
}

#endif
