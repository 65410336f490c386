// Compares the arithmetic of a device with the host's when it is opened.
#include "cl_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS = PROBE_FUNCTIONS * PROBE_INPUTS, MOST_ULP = 16 };

// The number of arguments (of a, b, c) of each function.
static const struct {
    const char *name;
    int reads;
} function[PROBE_FUNCTIONS] = {{"tanh", 1},   {"exp", 1},  {"log", 1},          {"sigmoid", 1},
                               {"divide", 2}, {"sqrt", 1}, {"multiply-add", 3}, {"fma", 3}};
enum { UNFUSED = 6 };

static float from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// 32 random bits (SplitMix64, Steele et al. 2014).
static uint32_t random_bits(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

// Pairs of special values; every exponent with both signs; any bits at all; then numbers that networks meet.
static float input_of(size_t i, size_t k, uint64_t *random)
{
    static const uint32_t special[16] = {0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
                                         0x7fc00000, 0x7f7fffff, 0x00800000, 0x80800000, 0x00000001, 0x807fffff,
                                         0x3f0ccccd, 0xc2aeac4f, 0x42b17217, 0x41200000};
    enum { PAIRS = 256, EXPONENTS = PAIRS + 512, ANYTHING = EXPONENTS + 1024 };
    const uint32_t r = random_bits(random);
    if (i < PAIRS) return from_bits(special[k == 0 ? i / 16 : k == 1 ? i % 16 : r % 16]);
    if (i < EXPONENTS && k == 0) return from_bits((uint32_t)(i - PAIRS) << 23 | (r & 0x007fffff));
    if (i < ANYTHING) return from_bits(r);
    return ((float)(r >> 8) * 0x1p-23f - 1) * (i % 4 == 0 ? 100.0f : i % 4 == 1 ? 10.0f : i % 4 == 2 ? 1.0f : 0.01f);
}

static bool subnormal(float x) { return fpclassify(x) == FP_SUBNORMAL; }

// True if a device without subnormal numbers may give another result.
static bool excused(size_t f, const float *in, float want)
{
    bool small = subnormal(want) || (function[f].reads == 3 && subnormal(in[0] * in[1]));
    for (int k = 0; k < function[f].reads; k++) small = small || subnormal(in[k]);
    return small;
}

// The difference of got and want in units of want's last place; for a sum, of the larger summand's.
static double ulps(size_t f, const float *in, float got, float want)
{
    if (memcmp(&got, &want, sizeof got) == 0 || (isnan(got) && isnan(want))) return 0;
    if (!isfinite(got) || !isfinite(want)) return (double)INFINITY;
    const double scale = f == UNFUSED ? fmax(fabs((double)in[0] * (double)in[1]), fabs((double)in[2])) : (double)want;
    int exponent = 0;
    (void)frexp(fmax(fabs(scale), 0x1p-126), &exponent);
    return fabs((double)got - (double)want) / ldexp(1, exponent - 24);
}

typedef struct verdict {
    double worst[PROBE_FUNCTIONS]; // ulp
    size_t at[PROBE_FUNCTIONS];
    bool subnormals; // differ, nothing being said about by how much
} verdict;

static void compare(const float *in, const float *got, const float *want, verdict *v)
{
    *v = (verdict){0};
    for (size_t i = 0; i < RESULTS; i++) {
        const size_t f = i / PROBE_INPUTS, k = i % PROBE_INPUTS;
        const bool same = memcmp(&got[i], &want[i], sizeof *got) == 0 || (isnan(got[i]) && isnan(want[i]));
        if (same) continue;
        if (excused(f, &in[3 * k], want[i])) {
            v->subnormals = true;
            continue;
        }
        // a zero of the other sign is 0 ulp off, but not the same bits
        const double off = fmax(ulps(f, &in[3 * k], got[i], want[i]), 0x1p-20);
        if (off > v->worst[f]) v->worst[f] = off, v->at[f] = k;
    }
}

static bptt_status judge(cl_state *c, const verdict *v, const float *in, const float *got, const float *want,
                         bptt_error *e)
{
    double worst = 0;
    char names[96] = "";
    for (size_t f = 0; f < PROBE_FUNCTIONS; f++) {
        const size_t at = f * PROBE_INPUTS + v->at[f];
        if (v->worst[f] > MOST_ULP)
            return bptt_fail(e, BPTT_DEVICE,
                             "%s cannot be used: its %s of %.9g, %.9g, %.9g is %.9g and should be %.9g; update its "
                             "driver or use another --device",
                             c->base.device, function[f].name, (double)in[3 * v->at[f]], (double)in[3 * v->at[f] + 1],
                             (double)in[3 * v->at[f] + 2], (double)got[at], (double)want[at]);
        if (v->worst[f] == 0) continue;
        const size_t n = strlen(names);
        (void)snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", function[f].name);
        worst = fmax(worst, v->worst[f]);
    }
    if (worst > 0)
        (void)snprintf(c->bits, sizeof c->bits, "within %.0f ulp (%s)", ceil(worst), names);
    else
        (void)snprintf(c->bits, sizeof c->bits, "same bits%s", v->subnormals ? " but for subnormal numbers" : "");
    return BPTT_OK;
}

// Work-items of the kernel: it takes any number.
static size_t lanes_for(const cl_state *c)
{
    const size_t lanes = c->tiles->lanes_of_rows, largest = c->common.largest_group[TUNED_PROBE];
    return lanes > largest ? largest : lanes;
}

static bptt_status run_probe(bptt_device *d, bptt_mat in, bptt_mat out, bptt_error *e)
{
    cl_state *c = cl_of(d);
    const cl_kernel probe = c->common.kernel[TUNED_PROBE];
    const size_t local[2] = {lanes_for(c), 1}, global[2] = {local[0] > 1 ? PROBE_INPUTS / local[0] * local[0] : 1, 1};
    cl_int code = c->api.SetKernelArg(probe, 0, sizeof(cl_mem), &in.buf->memory);
    if (!code) code = c->api.SetKernelArg(probe, 1, sizeof(cl_mem), &out.buf->memory);
    if (!code) code = c->api.EnqueueNDRangeKernel(c->queue, probe, 2, NULL, global, local, 0, NULL, NULL);
    if (code) cl_failed(c, "EnqueueNDRangeKernel", "probe", code);
    return fault_report(&c->base.fault, e);
}

bptt_status cl_probe(bptt_device *d, const cl_setup *s, bptt_error *e)
{
    float *in = malloc((3 * PROBE_INPUTS + 2 * RESULTS) * sizeof *in);
    if (!in) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to compare its arithmetic with the device's");
    float *const got = in + 3 * PROBE_INPUTS, *const want = got + RESULTS;
    uint64_t random = 1;
    for (size_t i = 0; i < 3 * PROBE_INPUTS; i++) in[i] = input_of(i / 3, i % 3, &random);
    bptt_mat x = {.rows = 1, .cols = 3 * PROBE_INPUTS, .ld = 3 * PROBE_INPUTS, .type = BPTT_F32};
    bptt_mat y = {.rows = 1, .cols = RESULTS, .ld = RESULTS, .type = BPTT_F32};
    bptt_status status = cl_alloc(d, x.cols * sizeof *in, &x.buf, e);
    if (!status) status = cl_alloc(d, y.cols * sizeof *in, &y.buf, e);
    if (!status) status = cl_write(d, x, in, BPTT_F32, e);
    if (!status) status = run_probe(d, x, y, e);
    if (!status) status = cl_read(d, got, BPTT_F32, y, e);
    if (!status) {
        verdict v;
        (s->host ? s->host : cl_probe_host)(in, want);
        compare(in, got, want, &v);
        status = judge(cl_of(d), &v, in, got, want, e);
    }
    cl_free(d, x.buf);
    cl_free(d, y.buf);
    free(in);
    d->spent[BPTT_TRANSFER_IN] = d->spent[BPTT_TRANSFER_OUT] = 0;
    return status;
}
