// BPTT over [0, T) against [0, k) and [k, T), joined by the gradient dh(k) of the state between them, for every k.
#include "builders_net.h"

#include <math.h>
#include <string.h>

enum { ROOM = 1 << 17 };

// One cut at step k: results of the whole window and of its two pieces.
typedef struct cut {
    small_net *n;
    size_t k;
    float *weight; // [T][B]
    double scale;  // a piece's gradient over the whole's: the whole's sum of weights over the piece's, a power of two
    outcome whole, first, rest;
} cut;

// light_joint: position k - 1 has no weight. Both pieces have the same sum of weights, a power of two (or the first has
// sum 0). Gradients of a piece are then exactly `scale` times those of the whole, and dh(k) needs no rescaling.
static bptt_status cut_at(cut *c, small_net *n, size_t k, bool light_joint, uint64_t *random, scratch *mem,
                          bptt_error *e)
{
    const size_t N = n->T * n->B, K = k * n->B, light = light_joint ? K - n->B : K, sum = 64;
    *c = (cut){.n = n, .k = k, .weight = (float *)scratch_take(mem, N)};
    if (light > 0) weights_that_sum(random, c->weight, light, sum);
    weights_that_sum(random, c->weight + K, N - K, sum);
    c->scale = light > 0 ? 2 : 1;
    c->whole = outcome_make(n, n->T, n->B, mem), c->first = outcome_make(n, k, n->B, mem);
    c->rest = outcome_make(n, n->T - k, n->B, mem);
    double *const between = scratch_take(mem, n->L * n->B * n->H);
    // The second piece runs before the first, which needs its dh0.
    window_piece p = {.T = n->T, .B = n->B, .h0 = n->h0, .weight = c->weight};
    bptt_status s = small_net_go(n, &p, &c->whole, mem, e);
    for (size_t l = 0; !s && l < n->L; l++) // the state before step k
        memcpy(between + l * n->B * n->H, c->whole.states + (l * (n->T + 1) + k) * n->B * n->H,
               n->B * n->H * sizeof *between);
    p.first = k, p.T = n->T - k, p.h0 = between;
    if (!s) s = small_net_go(n, &p, &c->rest, mem, e);
    p.first = 0, p.T = k, p.h0 = n->h0, p.dlast = c->rest.dh0;
    return s ? s : small_net_go(n, &p, &c->first, mem, e);
}

// States, dz (the gradient of the input, see bits) and dh(0).
static void same_tensors(const cut *c, tally *t)
{
    const small_net *n = c->n;
    const size_t BH = n->B * n->H, K = c->k * n->B * n->I, rest = n->T * n->B * n->I - K;
    for (size_t l = 0; l < n->L; l++) {
        const double *whole = c->whole.states + l * (n->T + 1) * BH;
        tally_same(t, 1, c->first.states + l * (c->k + 1) * BH, whole, (c->k + 1) * BH, "states of [0, k)");
        tally_same(t, 1, c->rest.states + l * (n->T - c->k + 1) * BH, whole + c->k * BH, (n->T - c->k + 1) * BH,
                   "states of [k, T)");
        tally_same(t, 1, c->first.last + l * BH, whole + c->k * BH, BH, "state carried on by [0, k)");
    }
    tally_same(t, 1, c->rest.last, c->whole.last, n->L * BH, "state carried on by [k, T)");
    tally_same(t, c->scale, c->whole.dx, c->first.dx, K, "dz of [0, k)");
    tally_same(t, c->scale, c->whole.dx + K, c->rest.dx, rest, "dz of [k, T)");
    tally_same(t, c->scale, c->whole.dh0, c->first.dh0, n->L * BH, "dh(0)");
}

// dW of the first layer is a sum of T*B products of an input and a dz, both known to the last bit: formed here in
// double, by the whole and by the pieces.
static void near_sums(const cut *c, const compute_place *p, tally *t)
{
    const small_net *n = c->n;
    const size_t H = n->H, N = n->T * n->B;
    const double *const in[3] = {n->x, c->whole.states, NULL}; // W_ih, W_hh, b; layer 0's states begin at t = 0
    const char *const what[3] = {"dW_ih", "dW_hh", "db"};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < n->size[i]; k++) {
            const size_t width = i == 2 ? 1 : H, j = k / width;
            double sum = 0, size = 0;
            for (size_t r = 0; r < N; r++) {
                const double term = c->whole.dx[r * H + j] * (in[i] ? in[i][r * H + k % width] : 1);
                sum += term, size += fabs(term);
            }
            const double bound = 2 * rounding_of(N + 2, p->type) * size;
            tally_near(t, c->whole.g[i][k], sum, bound, what[i]);
            tally_near(t, c->first.g[i][k] + c->rest.g[i][k], c->scale * sum, c->scale * bound, what[i]);
        }
}

// tanh. W_ih is the identity, so the gradient of the input equals dz; each logit reads one unit, so the order of
// summation does not matter there. The only sums are products with W_hh, of the same shape in both cases. A backend may
// add such a sum to its accumulator first or last, with different rounding: so with one layer, position k - 1 has no
// weight and the accumulator is 0. The double reference adds it last; there two layers have weights everywhere.
static const struct {
    size_t V, H, B, T;
} SHAPE[] = {{5, 13, 3, 7}, {2, 3, 1, 9}, {7, 50, 5, 4}};
enum { SHAPES = sizeof SHAPE / sizeof SHAPE[0] };

static bptt_status bits(const compute_place *p, size_t shape, scratch *mem, tally t[WINDOW_LAWS], bptt_error *e)
{
    const bool adds_last = p->type == BPTT_F64;
    const size_t V = SHAPE[shape].V, H = SHAPE[shape].H;
    uint64_t random = 7;
    small_net n = {.V = V, .I = H, .H = H, .L = adds_last ? 2 : 1, .B = SHAPE[shape].B, .T = SHAPE[shape].T};
    bptt_status s = small_net_open(&n, p, BPTT_TANH, mem, e);
    if (s) return s;
    memset(n.w[0], 0, n.size[0] * sizeof(double));
    for (size_t j = 0; j < H; j++) n.w[0][j * H + j] = 1;
    memset(n.w[3 * n.L], 0, n.size[3 * n.L] * sizeof(double));
    for (size_t v = 0; v < V; v++) n.w[3 * n.L][v * H + v * (H - 1) / (V - 1)] = 1 + 0.25 * (double)v;
    for (size_t l = 0; l < n.L; l++) fill_real(&random, 0.6, n.w[3 * l + 1], n.size[3 * l + 1]);
    fill_real(&random, 1, n.x, n.T * n.B * n.I), fill_real(&random, 1, n.h0, n.L * n.B * H);
    small_net_tokens(&n, &random);
    s = small_net_write(&n, e);
    for (size_t k = 1; !s && k < n.T; k++) {
        const size_t used = mem->used;
        cut c;
        s = cut_at(&c, &n, k, !adds_last, &random, mem, e);
        if (!s) same_tensors(&c, &t[GLUE_BITS]), near_sums(&c, p, &t[GLUE_SUMS]);
        mem->used = used;
    }
    small_net_close(&n);
    return s;
}

static bool eighth_nonzero(const double *x, size_t n)
{
    size_t alive = 0;
    for (size_t i = 0; i < n; i++) alive += x[i] != 0;
    return 8 * alive >= n;
}

// relu, whole numbers, two layers, a weight on every position: all results are exact in any order of summation.
static bptt_status whole_numbers(const compute_place *p, scratch *mem, tally *t, bptt_error *e)
{
    uint64_t random = 11;
    small_net n = {.V = 4, .I = 6, .H = 7, .L = 2, .B = 3, .T = 6};
    bptt_status s = small_net_open(&n, p, BPTT_RELU, mem, e);
    if (s) return s;
    small_net_whole(&n, &random);
    small_net_tokens(&n, &random);
    s = small_net_write(&n, e);
    for (size_t k = 1; !s && k < n.T; k++) {
        const size_t used = mem->used;
        cut c;
        s = cut_at(&c, &n, k, false, &random, mem, e);
        if (!s) same_tensors(&c, t);
        for (size_t i = 0; !s && i < n.tensors; i++) {
            for (size_t j = 0; j < n.size[i]; j++) c.first.g[i][j] += c.rest.g[i][j];
            tally_same(t, c.scale, c.whole.g[i], c.first.g[i], n.size[i], "a gradient of the weights");
            tally_note(t, eighth_nonzero(c.whole.g[i], n.size[i]), "gradient %zu is nearly all zeros: it shows nothing",
                       i);
        }
        const double sum = c.first.loss + c.rest.loss;
        if (!s) tally_same(t, c.scale, &c.whole.loss, &sum, 1, "the loss");
        mem->used = used;
    }
    small_net_close(&n);
    return s;
}

bptt_status glue_laws(const compute_place *p, tally t[WINDOW_LAWS], bptt_error *e)
{
    scratch mem;
    bptt_status s = scratch_open(&mem, ROOM, e);
    for (size_t i = 0; !s && i < SHAPES; i++) s = bits(p, i, &mem, t, e), mem.used = 0;
    if (!s) s = whole_numbers(p, &mem, &t[GLUE_WHOLE], e);
    scratch_close(&mem);
    return s;
}
