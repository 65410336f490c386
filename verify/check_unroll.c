// `bptt verify unroll`: the net over a window of time.
#include "identity.h"
#include "ref_numbers.h"
#include "report.h"
#include "step.h"

#include <math.h>

// V I H L B T, biases, masked, flipped, padding. T and B of 1, one to three layers, tokens and dense input, more steps
// than a forward-only run takes at a time, more rows than a decoder block. Gated cells, several times as large, leave
// the last ones out.
static const net_case shape[] = {
    {0, 2, 0, 1, 1, 1, 1, 1, false, false, 0, TOKENS},
    {0, 5, 0, 4, 1, 1, 7, 1, false, true, 0, TOKENS},
    {0, 3, 1, 1, 3, 2, 5, 2, true, false, 3, TOKENS},
    {0, 4, 0, 7, 2, 5, 1, 2, true, true, 1, TOKENS},
    {0, 9, 33, 7, 3, 3, 33, 2, true, true, 5, TOKENS},
    {0, 33, 0, 33, 3, 3, 40, 2, true, false, 0, TOKENS},
    {0, 2, 5, 4, 2, 3, 33, 2, true, true, 1, {5, BPTT_SQUARED, true}},
    {0, 4, 0, 7, 1, 5, 9, 1, true, false, 3, {9, BPTT_ABSOLUTE, false}},
    {0, 2, 9, 7, 2, 3, 33, 2, true, true, 5, {4, BPTT_BINARY, true}},
    {0, 33, 0, 50, 2, 1, 65, 1, false, false, 0, TOKENS},
    {0, 7, 65, 33, 1, 7, 50, 1, true, true, 3, TOKENS},
    {0, 65, 65, 128, 1, 8, 128, 1, false, false, 0, TOKENS},
};
enum { SHAPES = sizeof shape / sizeof shape[0], GATED_SHAPES = 9 };

static size_t shapes_of(bptt_cell cell) { return bptt_cell_is_gated(cell) ? GATED_SHAPES : SHAPES; }

static size_t pad_0(size_t cols) { return cols; }
static size_t pad_1(size_t cols) { return cols + 1; }
static size_t pad_3(size_t cols) { return cols + 3; }
static size_t pad_5(size_t cols) { return cols + 5; }

static net_tables tables_for(const net_case *c)
{
    size_t (*const pad)(size_t) = c->extra == 5 ? pad_5 : c->extra == 3 ? pad_3 : c->extra == 1 ? pad_1 : pad_0;
    net_tables t = {bptt_ref_fp(), bptt_ref_dual()};
    t.fp.pad = t.dual.pad = pad;
    t.fp.transposed_copies = c->flipped;
    t.fp.logits_at_a_time = 1; // the smallest decoder blocks there are
    return t;
}

static const char *const claim[NET_CLAIMS] = {
    [NET_CELLS] = "a network is that step repeated: each state comes from the one before and the input or layer below",
    [NET_CARRY] = "the last states go on to the next window, which starts from them",
    [NET_LAYERS] = "gradients through all layers and steps are right, for any gradient of the states",
    [NET_LOSS] = "the gradient of every loss is right, with decoder and weights of positions",
};

static bptt_status check_net_identity(const verify_options *o, size_t *failures, bptt_error *e)
{
    bool holds[NET_CLAIMS];
    double degree = 0;
    for (int i = 0; i < NET_CLAIMS; i++) holds[i] = true;
    size_t nets = 0;
    for (size_t cell = 0; cell < bptt_cells; cell++)
        for (size_t i = 0; i < shapes_of((bptt_cell)cell); i++, nets++) {
            net_case c = shape[i];
            c.cell = (bptt_cell)cell;
            const net_tables judged = tables_for(&c);
            bool held[NET_CLAIMS];
            const bptt_status s = identity_net(&judged, &c, held, e);
            if (s) return s;
            for (int k = 0; k < NET_CLAIMS; k++) holds[k] = holds[k] && held[k];
            degree = net_degree(&c) > degree ? net_degree(&c) : degree;
        }
    for (int k = 0; k < NET_CLAIMS; k++)
        report_line(
            o, failures, (verify_line){"unroll", claim[k], EVIDENCE_EXACT, holds[k], 0},
            k >= NET_LAYERS
                ? "dW, db, dx, dh0 together: <J d, s> = <d, J' s> modulo p = 2^61 - 1 in %zu networks of %zu cells; an "
                  "error would pass with probability below %.0e"
                : "every element, in integers modulo p = 2^61 - 1; %zu networks of %zu cells to T 128, B 8, "
                  "I 65, H 128, L 3",
            nets, bptt_cells, pow(10, ceil(log10(degree / 0x1p61))));
    return BPTT_OK;
}

// ---- with rounding --------------------------------------------------------------------------------------------------

// V I H L B T, biases, masked.
static const net_case rounded[] = {
    {0, 5, 0, 4, 1, 1, 9, 1, false, false, 0, TOKENS},
    {0, 4, 0, 3, 3, 2, 4, 2, true, false, 0, TOKENS},
    {0, 7, 3, 5, 2, 3, 1, 1, true, false, 0, TOKENS},
    {0, 7, 0, 33, 1, 1, 33, 1, false, false, 0, TOKENS},
    {0, 5, 33, 17, 3, 2, 7, 2, true, false, 0, TOKENS},
    {0, 33, 0, 7, 3, 3, 33, 1, true, false, 0, TOKENS},
    {0, 2, 7, 5, 2, 3, 9, 1, true, false, 0, {7, BPTT_SQUARED, true}},
    {0, 5, 0, 4, 1, 2, 9, 2, true, false, 0, {3, BPTT_ABSOLUTE, false}},
    {0, 2, 5, 7, 2, 3, 7, 1, true, false, 0, {4, BPTT_BINARY, true}},
};
enum { ROUNDED = sizeof rounded / sizeof rounded[0] };

static bptt_status steps(const verify_options *o, size_t *failures, bptt_error *e)
{
    enum { ELEMENTS = 50, GATED_ELEMENTS = 15 }; // of a tensor
    const bptt_backend judged = bptt_ref_f64();
    const double allowed = 1e-13;
    step_found f = {0};
    for (size_t cell = 0; cell < bptt_cells; cell++)
        for (size_t i = 0; i < ROUNDED; i++) {
            net_case c = rounded[i];
            c.cell = (bptt_cell)cell;
            const size_t few = bptt_cell_is_gated(c.cell) ? GATED_ELEMENTS : ELEMENTS;
            const bptt_status s = step_net(&judged, &c, o->exhaustive ? SIZE_MAX : few, &f, e);
            if (s) return s;
        }
    report_line(
        o, failures,
        (verify_line){"unroll", "in double, each gradient equals a complex step through the forward pass",
                      EVIDENCE_SAMPLED, f.worst <= allowed, 0},
        "%zu elements of %zu networks to H 33, T 33, L 3: off by %.1e of its tensor's largest at most, allowed %.0e; "
        "there: %s",
        f.elements, bptt_cells * ROUNDED, f.worst, allowed, f.where);
    return BPTT_OK;
}

static bptt_status check_taylor(const verify_options *o, size_t *failures, bptt_error *e)
{
    const bptt_backend judged = bptt_ref_f64();
    double lowest = 2, highest = 2;
    for (size_t i = 0; i < ROUNDED; i++) {
        double least = 0, largest = 0;
        const bptt_status s = taylor_net(&judged, &rounded[i], &least, &largest, e);
        if (s) return s;
        lowest = fmin(lowest, least), highest = fmax(highest, largest);
    }
    report_line(
        o, failures,
        (verify_line){"unroll",
                      "in double, the gradient predicts what a small step does to the loss, but for its square",
                      EVIDENCE_SAMPLED, lowest >= 1.95 && highest <= 2.05, 0},
        "%d networks of tanh, one random direction each: halving a step divides the rest by 2 to the power %.3f to "
        "%.3f, allowed 1.95 to 2.05",
        (int)ROUNDED, lowest, highest);
    return BPTT_OK;
}

bptt_status verify_unroll(const verify_options *o, size_t *failures, bptt_error *e)
{
    bptt_status s = check_net_identity(o, failures, e);
    if (!s) s = steps(o, failures, e);
    return s ? s : check_taylor(o, failures, e);
}
