// Whole-number nets: memory, and drawing until all sums are small enough.
#include "device_exact.h"

#include "prng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t whole_below(uint64_t *random, size_t n) { return (size_t)(splitmix_next(random) % n); }
int64_t whole_draw(uint64_t *random, int64_t most) { return (int64_t)whole_below(random, 2 * (size_t)most + 1) - most; }

// ---- memory ---------------------------------------------------------------------------------------------------------

// Next `count` words. A first pass without memory counts the words; a second pass assigns them.
static int64_t *carve_words(whole_net *n, size_t count)
{
    const size_t at = n->used;
    n->used += count;
    return n->words ? n->words + at : NULL;
}

static void deal_window(whole_net *n, whole_window *w)
{
    const whole_shape *s = &n->s;
    const size_t N = n->N, LBW = s->L * s->B * n->W;
    w->token = (int32_t *)carve_words(n, N), w->target = (int32_t *)carve_words(n, N);
    w->x = carve_words(n, N * s->I), w->dx = carve_words(n, N * s->I);
    w->off = carve_words(n, N * s->M), w->y = carve_words(n, N * s->M);
    w->keep = s->masked ? carve_words(n, N) : NULL;
    w->weight = s->masked || (N & (N - 1)) ? carve_words(n, N) : NULL;
    w->last = s->last ? carve_words(n, LBW) : NULL;
    w->h = carve_words(n, LBW * (s->T + 1)), w->dz = carve_words(n, s->L * N * n->ZH);
    w->u = carve_words(n, n->cell->mix ? s->L * N * s->H : 0), w->dh0 = carve_words(n, LBW);
    for (size_t i = 0; i < n->tensors; i++) w->g[i] = carve_words(n, n->size[i]);
}

static void deal(whole_net *n)
{
    const whole_shape *s = &n->s;
    n->used = 0;
    for (size_t i = 0; i < n->tensors; i++) n->w[i] = carve_words(n, n->size[i]);
    n->h0 = carve_words(n, s->L * s->B * n->W);
    for (size_t k = 0; k < WHOLE_WINDOWS; k++) deal_window(n, &n->win[k]);
    n->logit = carve_words(n, n->O), n->dlogit = carve_words(n, n->N * n->O), n->dh = carve_words(n, n->N * n->W);
    n->below = carve_words(n, n->N * (s->H > s->I ? s->H : s->I)), n->kept = carve_words(n, n->N * n->W);
    n->sums = (whole_terms *)carve_words(n, 2 * ((WHOLE_BLOCKS + WHOLE_STATES) * s->H + s->I));
}

void whole_blocks(const whole_cell *c, int biases, layer_tensor which, char blocks[2 * WHOLE_BLOCKS + 1])
{
    const bool all = which == BIAS_HH && biases == 2;
    const char *const one = which == WEIGHT_IH || which == BIAS_IH ? c->input
                            : which == WEIGHT_HH                   ? c->hidden
                            : which == WEIGHT_MIXED                ? c->mixed
                                                                   : c->alone;
    (void)snprintf(blocks, 2 * WHOLE_BLOCKS + 1, "%s%s", all ? c->hidden : one, all ? c->mixed : "");
}

static void add_tensor(whole_net *n, layer_tensor kind, size_t size)
{
    n->kind[n->tensors] = kind;
    n->size[n->tensors++] = size;
}

static void set_sizes(whole_net *n, const whole_shape *s)
{
    *n = (whole_net){.s = *s, .N = s->T * s->B, .O = s->M ? s->M : s->V};
    n->unit = s->M ? 2 * WHOLE_APART : WHOLE_APART;
    n->cell = whole_cell_of(s->gated ? s->gated : BPTT_WHOLE);
    n->W = n->cell->states * s->H, n->ZH = n->cell->blocks * s->H;
    while ((size_t)(n->unit / WHOLE_APART) < n->O) n->unit *= 2;
    for (size_t l = 0; l < s->L; l++)
        for (layer_tensor k = WEIGHT_IH; k <= BIAS_HH; k++) {
            char blocks[2 * WHOLE_BLOCKS + 1];
            whole_blocks(n->cell, s->biases, k, blocks);
            const size_t width = k >= BIAS_IH ? 1 : k != WEIGHT_IH || l ? s->H : s->I ? s->I : s->V;
            if (*blocks) add_tensor(n, k, strlen(blocks) * s->H * width);
        }
    add_tensor(n, LAYER_TENSORS, n->O * s->H);
    add_tensor(n, LAYER_TENSORS, n->O);
}

void whole_free(whole_net *n)
{
    free(n->words);
    n->words = NULL;
}

// ---- drawing --------------------------------------------------------------------------------------------------------

// Draws x from -most .. most; all but one in `rarely` elements are 0.
static void some(uint64_t *random, size_t rarely, int64_t most, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = whole_below(random, rarely) ? 0 : whole_draw(random, most);
}

static int64_t sign(uint64_t *random) { return whole_below(random, 2) ? 1 : -1; }

// +-1 in one of n elements. The order of the draws is the same with every compiler.
static void draw_sign(uint64_t *random, int64_t *x, size_t n)
{
    const size_t at = whole_below(random, n);
    x[at] = sign(random);
}

// w [H][width]: one +-1 in each row, in randomly ordered columns, distinct while there are enough; then `more` further
// entries of +-1 anywhere. order: room for `width`.
static void permutation(uint64_t *random, int64_t *w, size_t H, size_t width, size_t more, int64_t *order)
{
    for (size_t k = 0; k < width; k++) {
        const size_t other = whole_below(random, k + 1);
        order[k] = order[other], order[other] = (int64_t)k;
    }
    memset(w, 0, H * width * sizeof *w);
    for (size_t j = 0; j < H; j++) w[j * width + (size_t)order[j % width]] = sign(random);
    for (size_t i = 0; i < more; i++) draw_sign(random, w, H * width);
}

static void draw_weights(whole_net *n, uint64_t *random, size_t k)
{
    const size_t H = n->s.H, O = n->O, more = (H / 8 + 1) >> (k / 3);
    for (size_t i = 0; i + 2 < n->tensors; i++) {
        const bool table = i == 0 && n->s.I == 0; // of which a token picks a column: nothing adds up
        const size_t width = n->kind[i] == WEIGHT_IH && i == 0 ? n->s.I : H, each = H * width;
        if (n->kind[i] >= BIAS_IH || table || n->s.full)
            some(random, 1, 2, n->w[i], n->size[i]);
        else
            for (size_t at = 0; at < n->size[i]; at += each)
                permutation(random, n->w[i] + at, H, width, more, n->below);
    }
    int64_t *const out = n->w[n->tensors - 2], *const bias = n->w[n->tensors - 1];
    memset(out, 0, O * H * sizeof *out);
    for (size_t v = 0; v < O; v++) {
        bias[v] = n->s.loss == BPTT_BINARY ? 2 * (int64_t)v + 1 : (int64_t)v; // odd: products are even
        for (size_t i = 0; i < 3 + H / O; i++) draw_sign(random, out + v * H, H);
    }
}

// Weights 0..2 whose sum is a power of two: draws them, then removes the excess.
static void draw_masks(const whole_net *n, whole_window *w, uint64_t *random)
{
    static const int64_t keeps[8] = {0, 0, 1, 1, 1, 1, 2, -1};
    for (size_t i = 0; w->keep && i < n->N; i++) w->keep[i] = keeps[whole_below(random, 8)];
    w->weights = (int64_t)n->N;
    if (!w->weight) return;
    int64_t sum = 0;
    for (size_t i = 0; i < n->N; i++) sum += w->weight[i] = n->s.masked ? (int64_t)whole_below(random, 3) : 1;
    if (sum == 0) sum = w->weight[0] = 1;
    for (w->weights = 1; 2 * w->weights <= sum;) w->weights *= 2;
    for (size_t i = whole_below(random, n->N); sum > w->weights; i = (i + 1) % n->N)
        if (w->weight[i] > 0) w->weight[i]--, sum--;
}

// Tokens come from half of the vocabulary, so that they repeat.
static void draw_window(const whole_net *n, whole_window *w, uint64_t *random, size_t k)
{
    for (size_t i = 0; i < n->N; i++) {
        w->token[i] = (int32_t)(2 * whole_below(random, (n->s.V + 1) / 2) % n->s.V);
        w->target[i] = (int32_t)whole_below(random, n->s.V);
    }
    for (size_t i = 0; i < n->N * n->s.M; i++)
        w->off[i] = n->s.loss == BPTT_BINARY ? (int64_t)whole_below(random, 2) : whole_draw(random, 1);
    some(random, 2 + k, 3, w->x, n->N * n->s.I);
    draw_masks(n, w, random);
    if (w->last) some(random, 2 + k, 2, w->last, n->s.L * n->s.B * n->W);
}

// ---- a good one -----------------------------------------------------------------------------------------------------

// A few elements may all be zeros by chance.
static bool enough_nonzero(const int64_t *x, size_t n, size_t one_in)
{
    size_t alive = 0;
    for (size_t i = 0; i < n; i++) alive += x[i] != 0;
    return n < 16 || (alive > 0 && alive * one_in >= n);
}

static bool good(const whole_net *n)
{
    const whole_shape *s = &n->s;
    bool is = !n->beyond && (s->full || n->operand <= WHOLE_OPERAND);
    for (size_t k = 0; k < WHOLE_WINDOWS; k++) {
        const whole_window *const w = &n->win[k];
        is = is && enough_nonzero(w->h, s->L * (s->T + 1) * s->B * n->W, 4) &&
             enough_nonzero(w->dz, s->L * n->N * n->ZH, 50);
        is = is && enough_nonzero(w->dh0, s->L * s->B * n->W, 100) && enough_nonzero(w->dx, n->N * s->I, 100);
        for (size_t i = 0; is && i < n->tensors; i++) is = enough_nonzero(w->g[i], n->size[i], 100);
    }
    return is;
}

bptt_status whole_make(whole_net *n, const whole_shape *s, uint64_t seed, bptt_error *e)
{
    set_sizes(n, s);
    deal(n);
    n->words = calloc(n->used, sizeof *n->words);
    if (!n->words) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a net in whole numbers");
    deal(n);
    for (size_t k = 0; k < WHOLE_TRIES; k++) {
        draw_weights(n, &seed, k);
        some(&seed, 2, 2, n->h0, s->L * s->B * n->W);
        for (size_t i = 0; i < WHOLE_WINDOWS; i++) draw_window(n, &n->win[i], &seed, k);
        whole_compute_reference(n);
        if (good(n)) return BPTT_OK;
        n->refused++;
    }
    return bptt_fail(
        e, BPTT_BAD_CONFIG,
        "no net of %s V %zu I %zu H %zu L %zu B %zu T %zu M %zu in whole numbers: sums to %lld, operands to %lld",
        n->cell->word, s->V, s->I, s->H, s->L, s->B, s->T, s->M, (long long)n->sum, (long long)n->operand);
}
