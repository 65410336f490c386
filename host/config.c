// The configuration of a model: defaults and ranges.
#include "config.h"
#include "sized.h"

#include <float.h>
#include <math.h>

void bptt_model_defaults_sized(bptt_model_config *c, size_t size)
{
    const bptt_model_config whole = {
        .cell = BPTT_TANH,
        .hidden = 128,
        .layers = 1,
        .biases = 1,
        .type = BPTT_F32,
        .init = BPTT_INIT_REFERENCE,
        .seed = 1,
        .optimizer = BPTT_ADAM,
        .decay = 0.95,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .clip_mode = BPTT_CLIP_NORM,
        .clip = 5,
    };
    model_config_out(c, size, &whole);
}

static bptt_status in_range(const char *what, size_t x, size_t least, size_t most, bptt_error *e)
{
    if (x >= least && x <= most) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_CONFIG, "%s is %zu, but must be from %zu to %zu", what, x, least, most);
}

static bptt_status check_numbers(const bptt_model_config *c, bptt_error *e)
{
    const struct {
        const char *what;
        double x;
        double least, below;
    } real[] = {
        {"momentum", c->momentum, 0, 1},
        {"decay", c->decay, 0, 1},
        {"beta1", c->beta1, 0, 1},
        {"beta2", c->beta2, 0, 1},
        {"epsilon", c->epsilon, 0, INFINITY},
        {"clip", c->clip, 0, INFINITY},
    };
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        if (!(real[i].x >= real[i].least && real[i].x < real[i].below))
            return bptt_fail(e, BPTT_BAD_CONFIG, "%s is %g, but must be at least %g and below %g", real[i].what,
                             real[i].x, real[i].least, real[i].below);
    return BPTT_OK;
}

bptt_status model_check(const bptt_model_config *c, bptt_error *e)
{
    bptt_status s = in_range("vocab", c->vocab, 2, 65536, e);
    if (!s && c->input) s = in_range("input", c->input, 1, 65536, e);
    if (!s) s = in_range("hidden", c->hidden, 1, 65536, e);
    if (!s) s = in_range("layers", c->layers, 1, 64, e);
    if (!s) s = in_range("biases", (size_t)c->biases, 1, 2, e);
    if (!s) s = in_range("cell", (size_t)c->cell, 0, BPTT_CELLS - 1, e);
    if (!s) s = in_range("init", (size_t)c->init, BPTT_INIT_REFERENCE, BPTT_INIT_UNIFORM, e);
    if (!s) s = in_range("optimizer", (size_t)c->optimizer, BPTT_SGD, BPTT_ADAM, e);
    if (!s) s = in_range("clip_mode", (size_t)c->clip_mode, BPTT_CLIP_NORM, BPTT_CLIP_VALUE, e);
    // a gradient of zero would give 0 / 0; threads and devices may take subnormal numbers for zero
    if (!s && c->optimizer != BPTT_SGD && !((float)c->epsilon >= FLT_MIN))
        s = bptt_fail(e, BPTT_BAD_CONFIG, "epsilon is %g, but must be at least %.3g, the smallest normal number",
                      c->epsilon, (double)FLT_MIN);
    return s ? s : check_numbers(c, e);
}

bptt_status compute_check(const bptt_compute *c, bptt_error *e)
{
    bptt_status s = in_range("threads", c->threads, 0, 1024, e);
    if (!s) s = in_range("lowering", (size_t)c->lowering, BPTT_LOWER_AUTO, BPTT_LOWER_ALWAYS, e);
    if (!s) s = in_range("product", (size_t)c->product, BPTT_PRODUCT_OWN, BPTT_PRODUCT_LIBRARY, e);
    if (!s) s = in_range("precision", (size_t)c->precision, BPTT_PRECISION_FP32, BPTT_PRECISION_FP16, e);
    for (size_t i = 0; !s && i < sizeof c->reserved / sizeof c->reserved[0]; i++)
        if (c->reserved[i])
            s = bptt_fail(e, BPTT_BAD_CONFIG,
                          "compute.reserved[%zu] is %u, but must be 0 in this version (%s): clear the struct, or "
                          "install a newer bptt",
                          i, c->reserved[i], BPTT_VERSION);
    return s;
}
