// Causality (later inputs do not influence earlier results), and packed windows against their documents one by one.
#include "builders_net.h"

#include <string.h>

enum { ROOM = 1 << 17 };

// ---- causality ------------------------------------------------------------------------------------------------------

// Changes every token, target and input from step k on.
static void change_from(small_net *n, size_t k)
{
    for (size_t i = k * n->B; i < n->T * n->B; i++) {
        n->token[i] = (int32_t)(((size_t)n->token[i] + 1 + i % (n->V - 1)) % n->V);
        n->target[i] = (int32_t)(((size_t)n->target[i] + 1) % n->V);
        for (size_t j = 0; j < n->I; j++) n->x[i * n->I + j] += 0.5;
    }
}

// Compares two windows that are equal before step k; only positions before k have weight.
static bptt_status causal_at(small_net *n, size_t k, scratch *mem, tally t[WINDOW_LAWS], bptt_error *e)
{
    const size_t BH = n->B * n->H, N = n->T * n->B, K = k * n->B;
    outcome was = outcome_make(n, n->T, n->B, mem), is = outcome_make(n, n->T, n->B, mem);
    const window_piece p = {.T = n->T, .B = n->B, .h0 = n->h0, .weight = n->weight};
    for (size_t i = 0; i < N; i++) n->weight[i] = i < K ? 0.25f + (float)(i % 3) : 0;
    bptt_status s = small_net_go(n, &p, &was, mem, e);
    change_from(n, k);
    if (!s) s = small_net_go(n, &p, &is, mem, e);
    if (s) return s;
    for (size_t l = 0; l < n->L; l++) {
        const size_t at = l * (n->T + 1) * BH;
        tally_same(&t[CAUSAL_FORWARD], 1, is.states + at, was.states + at, (k + 1) * BH, "states up to k");
        const bool moved = memcmp(is.states + at + (k + 1) * BH, was.states + at + (k + 1) * BH,
                                  (n->T - k) * BH * sizeof(double)) != 0;
        tally_note(&t[CAUSAL_FORWARD], moved, "states after k do not depend on the input at k");
    }
    tally_same(&t[CAUSAL_FORWARD], 1, &is.loss, &was.loss, 1, "the loss of positions before k");
    for (size_t i = 0; i < n->tensors; i++)
        tally_same(&t[CAUSAL_BACK], 1, is.g[i], was.g[i], n->size[i], "a gradient of the loss before k");
    tally_same(&t[CAUSAL_BACK], 1, is.dh0, was.dh0, n->L * BH, "dh(0) of the loss before k");
    if (n->I == 0) return s;
    tally_same(&t[CAUSAL_BACK], 1, is.dx, was.dx, K * n->I, "gradients of inputs before k");
    tally_same(&t[CAUSAL_BACK], 0, is.dx + K * n->I, is.dx + K * n->I, (N - K) * n->I, "gradients of later inputs");
    return s;
}

bptt_status causal_laws(const compute_place *p, tally t[WINDOW_LAWS], bptt_error *e)
{
    scratch mem;
    bptt_status s = scratch_open(&mem, ROOM, e);
    for (int dense = 0; !s && dense < 2; dense++) {
        uint64_t random = 3;
        small_net n = {.V = 6, .I = dense ? 5 : 0, .H = 9, .L = 2, .B = 3, .T = 6};
        mem.used = 0;
        s = small_net_open(&n, p, dense ? BPTT_RELU : BPTT_TANH, &mem, e);
        if (s) break;
        small_net_tokens(&n, &random);
        fill_real(&random, 1, n.x, n.T * n.B * n.I), fill_real(&random, 1, n.h0, n.L * n.B * n.H);
        for (size_t k = 1; !s && k < n.T; k++) {
            const size_t used = mem.used;
            s = causal_at(&n, k, &mem, t, e);
            mem.used = used;
        }
        small_net_close(&n);
    }
    scratch_close(&mem);
    return s;
}

// ---- documents ------------------------------------------------------------------------------------------------------

enum { DOCUMENTS_IN_ALL = 8, WEIGHT_EACH = 16 }; // powers of two: sums of weights divide exactly

typedef struct document {
    size_t row, first, T;
} document;

// Eight documents in three rows of twelve steps. The ends of rows are padding: weight 0, with tokens. The third row
// starts with padding; only the reset keeps its state from the document after it.
static const document PACKED[DOCUMENTS_IN_ALL] = {{0, 0, 5}, {0, 5, 1}, {0, 6, 6}, {1, 0, 2},
                                                  {1, 2, 7}, {2, 2, 3}, {2, 5, 4}, {2, 9, 2}};

static void pack(small_net *n, uint64_t *random)
{
    for (size_t i = 0; i < n->T * n->B; i++) n->weight[i] = 0, n->keep[i] = 1;
    for (size_t d = 0; d < DOCUMENTS_IN_ALL; d++) {
        float weight[16];
        weights_that_sum(random, weight, PACKED[d].T, WEIGHT_EACH);
        for (size_t t = 0; t < PACKED[d].T; t++) n->weight[(PACKED[d].first + t) * n->B + PACKED[d].row] = weight[t];
        n->keep[PACKED[d].first * n->B + PACKED[d].row] = 0;
    }
    n->keep[2] = 0; // the padding, too: no gradient reaches the state before the window
}

// Runs the d-th document alone from a zero state, compares its states with the window's, adds its gradient to sum.
static bptt_status alone(small_net *n, const document *d, const outcome *packed, outcome *sum, scratch *mem, tally *t,
                         bptt_error *e)
{
    const size_t used = mem->used, H = n->H;
    outcome o = outcome_make(n, d->T, 1, mem);
    const window_piece p = {
        .first = d->first, .T = d->T, .row = d->row, .B = 1, .h0 = scratch_take(mem, n->L * H), .weight = n->weight};
    const bptt_status s = small_net_go(n, &p, &o, mem, e);
    for (size_t l = 0; !s && l < n->L; l++)
        for (size_t i = 1; i <= d->T; i++)
            tally_same(t, 1, packed->states + ((l * (n->T + 1) + d->first + i) * n->B + d->row) * H,
                       o.states + (l * (d->T + 1) + i) * H, H, "states of a document");
    for (size_t i = 0; !s && i < n->tensors; i++)
        for (size_t k = 0; k < n->size[i]; k++) sum->g[i][k] += o.g[i][k] / DOCUMENTS_IN_ALL;
    sum->loss += o.loss / DOCUMENTS_IN_ALL;
    mem->used = used;
    return s;
}

bptt_status document_laws(const compute_place *p, tally t[WINDOW_LAWS], bptt_error *e)
{
    scratch mem;
    uint64_t random = 5;
    small_net n = {.V = 4, .H = 7, .L = 2, .B = 3, .T = 12};
    bptt_status s = scratch_open(&mem, ROOM, e);
    if (!s) s = small_net_open(&n, p, BPTT_RELU, &mem, e);
    if (!s) {
        small_net_whole(&n, &random);
        small_net_tokens(&n, &random);
        pack(&n, &random);
        s = small_net_write(&n, e);
    }
    for (int round = 0; !s && round < 2; round++) { // the second with other weights of the same sum
        outcome packed = outcome_make(&n, n.T, n.B, &mem), sum = outcome_make(&n, n.T, n.B, &mem);
        const window_piece all = {.T = n.T, .B = n.B, .h0 = n.h0, .weight = n.weight, .keep = true};
        if (round > 0) pack(&n, &random);
        s = small_net_go(&n, &all, &packed, &mem, e);
        for (size_t d = 0; !s && d < DOCUMENTS_IN_ALL; d++)
            s = alone(&n, &PACKED[d], &packed, &sum, &mem, &t[DOCUMENTS], e);
        if (s) break;
        for (size_t i = 0; i < n.tensors; i++)
            tally_same(&t[DOCUMENTS], 1, packed.g[i], sum.g[i], n.size[i], "the sum of the documents' gradients");
        tally_same(&t[DOCUMENTS], 1, &packed.loss, &sum.loss, 1, "the mean of the documents' losses");
        tally_same(&t[DOCUMENTS], 0, packed.dh0, packed.dh0, n.L * n.B * n.H, "the gradient of the state before");
        const size_t H = n.H, hh = 3 * n.L - 2; // W_hh of the last layer
        size_t alive = 0;
        for (size_t i = 0; i < H * H; i++) alive += packed.g[hh][i] != 0;
        tally_note(&t[DOCUMENTS], 4 * alive > H * H, "the gradient is nearly all zeros: it shows nothing");
    }
    small_net_close(&n);
    scratch_close(&mem);
    return s;
}
