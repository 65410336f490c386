// One step of each gated cell modulo p.
#include "gated_steps.h"

#include "field.h"
#include "modp.h"

#include <string.h>

static uint64_t sigma(uint64_t z) { return field_any(FIELD_SIGMOID, z); }
static uint64_t hyperbolic(uint64_t z) { return field_any(FIELD_TANH, z); }
// a where u is 0, b where u is 1.
static uint64_t between(uint64_t a, uint64_t b, uint64_t u)
{
    return modp_add(modp_mul(modp_sub(1, u), a), modp_mul(u, b));
}

// The tensors of a layer. bh has the rows bh_first .. bh_end - 1 of the products with weight_hh and weight_mixed.
typedef struct tensors {
    size_t I, H, bh_first, bh_end;
    const uint64_t *ih, *hh, *mixed, *bi, *bh;
    uint64_t *room;
} tensors;

static uint64_t second_bias(const tensors *w, size_t row)
{
    return row >= w->bh_first && row < w->bh_end ? w->bh[row - w->bh_first] : 0;
}

// Row i of weight_ih x + bias_ih.
static uint64_t from_input(const tensors *w, size_t i, const uint64_t *x)
{
    return modp_add(modp_dot(w->ih + i * w->I, x, w->I), w->bi[i]);
}

// Row i of weight_hh h + bias_hh.
static uint64_t from_state(const tensors *w, size_t i, const uint64_t *h)
{
    return modp_add(modp_dot(w->hh + i * w->H, h, w->H), second_bias(w, i));
}

// Row i of weight_mixed u + bias_hh, of which the first `hidden` rows belong to weight_hh.
static uint64_t from_mixed(const tensors *w, size_t i, size_t hidden, const uint64_t *u)
{
    return modp_add(modp_dot(w->mixed + i * w->H, u, w->H), second_bias(w, hidden + i));
}

// torch.nn.GRU
static void gru(const tensors *w, const uint64_t *x, const uint64_t *h, uint64_t *after)
{
    const size_t H = w->H;
    for (size_t j = 0; j < H; j++) {
        const uint64_t r = sigma(modp_add(from_input(w, j, x), from_state(w, j, h)));
        const uint64_t z = sigma(modp_add(from_input(w, H + j, x), from_state(w, H + j, h)));
        const uint64_t recurrent = modp_mul(r, from_state(w, 2 * H + j, h));
        after[j] = between(hyperbolic(modp_add(from_input(w, 2 * H + j, x), recurrent)), h[j], z);
    }
}

// The end of a step of an LSTM, from the pre-activations of unit j.
static void lstm_unit(const uint64_t z[4], uint64_t c, uint64_t *h_after, uint64_t *c_after)
{
    const uint64_t written = modp_mul(sigma(z[0]), hyperbolic(z[2]));
    *c_after = modp_add(modp_mul(c, sigma(z[1])), written);
    *h_after = modp_mul(hyperbolic(*c_after), sigma(z[3]));
}

// torch.nn.LSTM
static void lstm(const tensors *w, const uint64_t *x, const uint64_t *h, uint64_t *after)
{
    const size_t H = w->H;
    for (size_t j = 0; j < H; j++) {
        uint64_t z[4];
        for (size_t k = 0; k < 4; k++) z[k] = modp_add(from_state(w, k * H + j, h), from_input(w, k * H + j, x));
        lstm_unit(z, h[H + j], &after[j], &after[H + j]);
    }
}

// Krause et al. 2016: m = (W_mx x) * (W_mh h), and gates of x and m.
static void mlstm(const tensors *w, const uint64_t *x, const uint64_t *h, uint64_t *after)
{
    const size_t H = w->H;
    uint64_t *const m = w->room;
    for (size_t j = 0; j < H; j++) m[j] = modp_mul(from_state(w, j, h), from_input(w, j, x));
    for (size_t j = 0; j < H; j++) {
        uint64_t z[4];
        for (size_t k = 0; k < 4; k++)
            z[k] = modp_add(from_input(w, (k + 1) * H + j, x), from_mixed(w, k * H + j, H, m));
        lstm_unit(z, h[H + j], &after[j], &after[H + j]);
    }
}

// Feng et al. 2024, section 3.1: z from x, a candidate without tanh from x.
static void mingru(const tensors *w, const uint64_t *x, const uint64_t *h, uint64_t *after)
{
    for (size_t j = 0; j < w->H; j++) after[j] = between(h[j], from_input(w, w->H + j, x), sigma(from_input(w, j, x)));
}

// Cho et al. 2014, equations 5 to 8: the reset gate multiplies h before the product.
static void gru_before(const tensors *w, const uint64_t *x, const uint64_t *h, uint64_t *after)
{
    const size_t H = w->H;
    uint64_t *const reset = w->room;
    for (size_t j = 0; j < H; j++) reset[j] = modp_mul(h[j], sigma(modp_add(from_input(w, j, x), from_state(w, j, h))));
    for (size_t j = 0; j < H; j++) {
        const uint64_t z = sigma(modp_add(from_input(w, H + j, x), from_state(w, H + j, h)));
        const uint64_t n = modp_add(from_input(w, 2 * H + j, x), from_mixed(w, j, 2 * H, reset));
        after[j] = between(hyperbolic(n), h[j], z);
    }
}

// Blocks of H rows of each tensor; alone: of the second bias where `biases` is 1.
static const struct {
    const char *word;
    size_t ih, hh, mixed, alone;
    void (*step)(const tensors *w, const uint64_t *x, const uint64_t *h, uint64_t *after);
} CELL[] = {
    {"gru", 3, 3, 0, 1, gru},
    {"lstm", 4, 4, 0, 0, lstm},
    {"mlstm", 5, 1, 4, 1, mlstm},
    {"mingru", 2, 0, 0, 0, mingru},
    {"gru-before", 3, 2, 1, 0, gru_before},
};
enum { CELLS = sizeof CELL / sizeof CELL[0] };

static size_t place_of(bptt_cell cell)
{
    size_t i = 0;
    while (i < CELLS && strcmp(CELL[i].word, bptt_cell_row_of(cell)->word) != 0) i++;
    return i;
}

// Blocks of the second bias; *first: the block of the products with h and u that the first of them adds to.
static size_t second_blocks(const gated_layer *l, size_t *first)
{
    const size_t i = place_of(l->cell);
    *first = l->biases == 2 || CELL[i].mixed ? 0 : CELL[i].hh - CELL[i].alone;
    return l->biases == 2 ? CELL[i].hh + CELL[i].mixed : CELL[i].alone;
}

bool gated_steps_have(bptt_cell cell) { return place_of(cell) < CELLS; }

size_t gated_layer_parameters(const gated_layer *l)
{
    const size_t i = place_of(l->cell), H = l->H;
    size_t first;
    return H * (CELL[i].ih * (l->I + 1) + (CELL[i].hh + CELL[i].mixed) * H + second_blocks(l, &first));
}

void gated_layer_step(const gated_layer *l, const uint64_t *x, const uint64_t *before, uint64_t *after, uint64_t *room)
{
    const size_t i = place_of(l->cell), H = l->H;
    tensors w = {.I = l->I, .H = H, .ih = l->parameters, .room = room};
    w.hh = w.ih + CELL[i].ih * H * l->I;
    w.mixed = w.hh + CELL[i].hh * H * H;
    w.bi = w.mixed + CELL[i].mixed * H * H;
    w.bh = w.bi + CELL[i].ih * H;
    w.bh_end = H * second_blocks(l, &w.bh_first);
    w.bh_first *= H, w.bh_end += w.bh_first;
    CELL[i].step(&w, x, before, after);
}
