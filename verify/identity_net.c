// Exact checks of the unrolled net: the adjoint identity, and its states against the cell.
#include "gated_steps.h"
#include "modp.h"
#include "net_pair.h"

#include <stdlib.h>
#include <string.h>

// For a gated cell n = 2T + L steps: a state is of degree 2n + 2 at most, since a step multiplies it by keep and a
// gate, and mingru's candidate is a product of the state below. A step of a path multiplies at most by keep, two
// weights, slopes and gates of degree 6 and two states, their keep and weight: 2 (2n + 2) + 12, in mlstm.
double net_degree(const net_case *c)
{
    const double n = (double)(2 * c->T + c->L);
    return bptt_cell_is_gated(c->cell) ? n * (4 * n + 16) + 12 : 4 * n + 12;
}

// <direction, gradient> over some of the leaves.
static uint64_t along(const net_pair *p, const uint64_t *gradient, leaf_kind i)
{
    return modp_dot(p->direction[i], gradient, p->n[i]);
}

static uint64_t along_all(const net_pair *p)
{
    uint64_t sum = 0;
    for (leaf_kind i = 0; i < LEAF_KINDS; i++) sum = modp_add(sum, along(p, p->gradient[i], i));
    return sum;
}

static uint64_t *words(size_t n, bptt_error *e)
{
    uint64_t *x = calloc(n, sizeof *x);
    if (!x) (void)bptt_fail(e, BPTT_NO_MEMORY, "no memory to check a net");
    return x;
}

// ---- the loss -------------------------------------------------------------------------------------------------------

// d/de of the weighted sum of losses = sum of weights * <direction, gradient of the mean>.
static bptt_status check_loss(net_pair *p, bool *holds, bptt_error *e)
{
    const bptt_window w = pair_window(p, false), dual_w = pair_window(p, true);
    uint64_t sum[BPTT_OUTPUTS], dual_sum[2 * BPTT_OUTPUTS], weight = 0;
    bptt_device *const d = p->m->device, *const dual_d = p->dual_m->device;
    bptt_status s = bptt_run_write_state(p->r, p->value[LEAF_STATE], BPTT_FP, e);
    if (!s) s = bptt_run_write_state(p->ahead, p->pair[LEAF_STATE], BPTT_DUAL, e);
    if (!s) s = bptt_run_gradient(p->r, &w, NULL, e);
    if (!s) s = bptt_run_evaluate(p->ahead, &dual_w, NULL, e);
    if (!s) s = pair_gradient(p, e);
    if (!s) s = d->backend.read(d, sum, BPTT_FP, p->r->mem.stat, e);
    if (!s) s = dual_d->backend.read(dual_d, dual_sum, BPTT_DUAL, p->ahead->mem.stat, e);
    if (s) return s;
    for (size_t i = 0; i < p->N; i++) weight = modp_add(weight, p->weight_at[i]);
    *holds = sum[STAT_LOSS] == dual_sum[STAT_LOSS] && dual_sum[1] == modp_mul(weight, along_all(p));
    return BPTT_OK;
}

// ---- the states -----------------------------------------------------------------------------------------------------

// Parameters of one layer in the cell's layout, W [H][I+H] and b [H], from PyTorch's tensors at *w. Advances *w.
static void pack_cell(const net_case *c, size_t I, const uint64_t **w, uint64_t *W, uint64_t *b)
{
    const size_t H = c->H;
    const uint64_t *const ih = *w, *const hh = ih + H * I, *const b_ih = hh + H * H, *const b_hh = b_ih + H;
    for (size_t j = 0; j < H; j++) {
        memcpy(W + j * (I + H), ih + j * I, I * sizeof *W);
        memcpy(W + j * (I + H) + I, hh + j * H, H * sizeof *W);
        b[j] = c->biases == 2 ? modp_add(b_ih[j], b_hh[j]) : b_ih[j];
    }
    *w = c->biases == 2 ? b_hh + H : b_hh;
}

// x [B][I]: input of layer 0 at step t.
static void lowest_input(const net_pair *p, size_t t, uint64_t *x)
{
    const size_t B = p->c.B, I = p->c.I ? p->c.I : p->c.V;
    memset(x, 0, B * I * sizeof *x);
    if (p->c.I) memcpy(x, p->value[LEAF_INPUT] + t * B * I, B * I * sizeof *x);
    for (size_t b = 0; !p->c.I && b < B; b++) x[b * I + (size_t)p->token[t * B + b]] = 1;
}

// One layer's states h [T+1][B][H] against the cell, step by step; below NULL: the lowest. room: for x, h, y, W, b.
static bptt_status layer_is_cells(const net_pair *p, size_t I, const uint64_t **w, const uint64_t *h,
                                  const uint64_t *below, uint64_t *room, bool *holds, bptt_error *e)
{
    const size_t B = p->c.B, H = p->c.H;
    uint64_t *const W = room, *const b = W + H * (I + H), *const x = b + H, *const kept = x + B * I,
                    *const y = kept + B * H;
    pack_cell(&p->c, I, w, W, b);
    const bptt_elman cell = {BPTT_FP, p->c.cell, B, I, H, W, b};
    for (size_t t = 0; t < p->c.T; t++) {
        if (!below) lowest_input(p, t, x);
        for (size_t i = 0; i < B * H; i++) kept[i] = modp_mul(p->keep_at[t * B + i / H], h[t * B * H + i]);
        const void *const in = below ? below + (t + 1) * B * H : x;
        const bptt_status s = bptt_elman_forward(&cell, in, kept, NULL, NULL, y, e);
        if (s) return s;
        *holds = *holds && memcmp(y, h + (t + 1) * B * H, B * H * sizeof *y) == 0;
    }
    return BPTT_OK;
}

// The same for a gated cell, h [T+1][B][S*H], and its independent formulas.
static void layer_is_gated_steps(const net_pair *p, size_t I, const uint64_t **w, const uint64_t *h,
                                 const uint64_t *below, uint64_t *room, bool *holds)
{
    const size_t B = p->c.B, W = p->m->S * p->c.H;
    const gated_layer layer = {p->c.cell, I, p->c.H, p->c.biases, *w};
    uint64_t *const kept = room, *const y = kept + W, *const x = y + W + p->c.H;
    for (size_t t = 0; t < p->c.T; t++) {
        if (!below) lowest_input(p, t, x);
        for (size_t b = 0; b < B; b++) {
            const uint64_t *const before = h + (t * B + b) * W, *const after = before + B * W;
            for (size_t i = 0; i < W; i++) kept[i] = modp_mul(p->keep_at[t * B + b], before[i]);
            gated_layer_step(&layer, below ? below + ((t + 1) * B + b) * W : x + b * I, kept, y, y + W);
            *holds = *holds && memcmp(y, after, W * sizeof *y) == 0;
        }
    }
    *w += gated_layer_parameters(&layer);
}

// Call after check_loss: checks the states of r, and the carried states of r and of the forward-only run.
static bptt_status check_states(net_pair *p, bool holds[NET_CLAIMS], bptt_error *e)
{
    const size_t B = p->c.B, H = p->c.H, BW = B * p->m->S * H, each = (p->c.T + 1) * BW;
    const size_t most = p->c.I > p->c.V ? p->c.I : p->c.V, widest = most > H ? most : H;
    const size_t need = (H + B) * (widest + H) + H + B * H + 2 * p->m->S * H;
    const bool gated = bptt_cell_is_gated(p->c.cell);
    uint64_t *const h = words(p->c.L * each + 3 * p->n[LEAF_STATE] + need, e);
    if (!h) return BPTT_NO_MEMORY;
    uint64_t *const carried = h + p->c.L * each, *const ahead = carried + p->n[LEAF_STATE],
                    *const room = ahead + 2 * p->n[LEAF_STATE];
    bptt_status s = bptt_run_read(p->r, BPTT_STATES, h, BPTT_FP, e);
    if (!s) s = bptt_run_read_state(p->r, carried, BPTT_FP, e);
    if (!s) s = bptt_run_read_state(p->ahead, ahead, BPTT_DUAL, e);
    const uint64_t *w = p->value[LEAF_WEIGHTS];
    holds[NET_CELLS] = !gated || gated_steps_have(p->c.cell);
    holds[NET_CARRY] = true;
    for (size_t l = 0; !s && l < p->c.L; l++) {
        const size_t I = l ? H : p->c.I ? p->c.I : p->c.V;
        const uint64_t *const states = h + l * each, *const last = states + p->c.T * BW;
        const uint64_t *const below = l ? states - each : NULL;
        if (!gated)
            s = layer_is_cells(p, I, &w, states, below, room, &holds[NET_CELLS], e);
        else if (gated_steps_have(p->c.cell))
            layer_is_gated_steps(p, I, &w, states, below, room, &holds[NET_CELLS]);
        holds[NET_CARRY] &= memcmp(last, carried + l * BW, BW * sizeof *h) == 0;
        holds[NET_CARRY] &= memcmp(states, p->value[LEAF_STATE] + l * BW, BW * sizeof *h) == 0;
    }
    for (size_t i = 0; i < p->n[LEAF_STATE]; i++) holds[NET_CARRY] &= ahead[2 * i] == carried[i];
    free(h);
    return s;
}

// ---- the layers -----------------------------------------------------------------------------------------------------

// One window forward over dual numbers, from the state that is there: adds <J d, cotangents> to *left. last: cotangent
// of the last states, which go to `carried` as dual numbers.
static bptt_status forward_window(net_pair *p, const uint64_t *cotangent, const uint64_t *last, uint64_t *carried,
                                  uint64_t *left, bptt_error *e)
{
    const size_t n = p->N * p->c.H;
    bptt_device *const d = p->dual_m->device;
    bptt_status s = pair_layers(p->dual_r, LAYERS_FORWARD, (bptt_mat){0}, e);
    uint64_t *const y = s ? NULL : words(2 * n, e);
    if (!y) return s ? s : BPTT_NO_MEMORY;
    const bptt_mat after = bptt_cols(bptt_rows(p->dual_r->mem.h[p->c.L - 1], p->c.B, p->N), 0, p->c.H);
    s = d->backend.read(d, y, BPTT_DUAL, after, e);
    if (!s) s = bptt_run_read_state(p->dual_r, carried, BPTT_DUAL, e);
    for (size_t i = 0; i < n; i++) *left = modp_add(*left, modp_mul(y[2 * i + 1], cotangent[i]));
    for (size_t i = 0; i < p->n[LEAF_STATE]; i++) *left = modp_add(*left, modp_mul(carried[2 * i + 1], last[i]));
    free(y);
    return s;
}

// One window forward and back from state h0; the gradient goes to p->gradient.
static bptt_status reverse_window(net_pair *p, const uint64_t *h0, const uint64_t *cotangent, const uint64_t *last,
                                  bptt_error *e)
{
    bptt_device *const d = p->m->device;
    bptt_status s = bptt_run_write_state(p->r, h0, BPTT_FP, e);
    if (!s) s = bptt_run_write_last_gradient(p->r, last, BPTT_FP, e);
    if (!s) s = d->backend.write(d, p->cotangent_at, cotangent, BPTT_FP, e);
    if (!s) s = pair_layers(p->r, LAYERS_BOTH, p->cotangent_at, e);
    return s ? s : pair_gradient(p, e);
}

// <direction, gradient> over the inputs of the layers alone; excludes the decoder, whose gradient is from an earlier
// run.
static uint64_t along_layers(const net_pair *p, bool with_state)
{
    const size_t n = p->n[LEAF_WEIGHTS] - p->m->O * (p->c.H + 1);
    uint64_t sum = modp_dot(p->direction[LEAF_WEIGHTS], p->gradient[LEAF_WEIGHTS], n);
    sum = modp_add(sum, along(p, p->gradient[LEAF_INPUT], LEAF_INPUT));
    return with_state ? modp_add(sum, along(p, p->gradient[LEAF_STATE], LEAF_STATE)) : sum;
}

// Two windows, the second from the states that the first carried on. The cotangents are those of the top layer's h
// after each step and of all last states of all layers; to those of the first window the second window's gradient of
// its first states is added, so the derivative goes through both windows in every state.
static bptt_status check_layers(net_pair *p, bool *holds, bptt_error *e)
{
    const size_t n = p->n[LEAF_STATE];
    uint64_t *const carried = words(4 * n, e);
    uint64_t left = 0, right = 0;
    if (!carried) return BPTT_NO_MEMORY;
    uint64_t *const middle = carried + 2 * n, *const passed = middle + n;
    bptt_status s = pair_input(p, e);
    if (!s) s = bptt_run_write_state(p->dual_r, p->pair[LEAF_STATE], BPTT_DUAL, e);
    if (!s) s = forward_window(p, p->cotangent[0], p->last[0], carried, &left, e);
    for (size_t i = 0; i < n; i++) middle[i] = carried[2 * i];
    if (!s) s = forward_window(p, p->cotangent[1], p->last[1], carried, &left, e);
    if (!s) s = reverse_window(p, middle, p->cotangent[1], p->last[1], e);
    if (!s) {
        right = along_layers(p, false);
        for (size_t i = 0; i < n; i++) passed[i] = modp_add(p->last[0][i], p->gradient[LEAF_STATE][i]);
        s = reverse_window(p, p->value[LEAF_STATE], p->cotangent[0], passed, e);
        right = modp_add(right, along_layers(p, true));
        *holds = left == right;
    }
    free(carried);
    return s;
}

bptt_status identity_net(const net_tables *judged, const net_case *c, bool holds[NET_CLAIMS], bptt_error *e)
{
    net_pair p;
    bptt_status s = pair_open(&p, judged, c, e);
    if (s) return s;
    s = check_loss(&p, &holds[NET_LOSS], e);
    if (!s) s = check_states(&p, holds, e);
    if (!s) s = check_layers(&p, &holds[NET_LAYERS], e);
    pair_close(&p);
    return s;
}
