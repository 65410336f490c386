// Sampling of a token from log-probabilities.
#include "prng.h"

#include "bptt.h"

#include <string.h>

static int32_t argmax(const float *logp, size_t V)
{
    size_t best = 0;
    for (size_t v = 1; v < V; v++)
        if (logp[v] > logp[best]) best = v;
    return (int32_t)best;
}

// exp(x), x <= 0, within an ulp; 0 below -700. With x = k ln 2 + r, 2^k times the series of exp(r) to its 13th power;
// unlike the C library's it is the same everywhere, and compilers compute several at once.
static inline double exp_below_0(double x)
{
    static const double log2_e = 0x1.71547652b82fep0, ln2 = 0x1.62e42feep-1, ln2_rest = 0x1.a39ef35793c76p-33;
    static const double shift = 0x1.8p52; // a number near it has its integer part in its last bits
    const double at_least = x < -700 ? -700 : x, shifted = at_least * log2_e + shift, k = shifted - shift;
    const double r = (at_least - k * ln2) - k * ln2_rest;
    double sum = 1.0 / 6227020800;
    static const double factorial[] = {1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600};
    for (int i = 12; i >= 0; i--) sum = sum * r + 1 / factorial[i];
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52; // 2^k
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < -700 ? 0 : sum * scale;
}

// w[i]: the probability of token i times a constant. Returns their sum.
static double weights(const float *logp, size_t n, double top, double temperature, double *w)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) w[i] = exp_below_0(((double)logp[i] - top) / temperature);
    for (size_t i = 0; i < n; i++) sum += w[i];
    return sum;
}

// Inverts the cumulative distribution. If rounding leaves its end below the draw, the last token of probability > 0.
int32_t bptt_pick(const float *logp, size_t V, double temperature, uint64_t *random)
{
    enum { PIECE = 256 }; // all bytes
    const size_t best = (size_t)argmax(logp, V);
    if (!(temperature > 0)) return (int32_t)best;
    const double top = (double)logp[best];
    double w[PIECE], sum = 0;
    for (size_t i = 0; i < V; i += PIECE) sum += weights(logp + i, V - i < PIECE ? V - i : PIECE, top, temperature, w);
    double left = splitmix_uniform53(random) * sum;
    size_t last = best;
    for (size_t v = 0; v < V; v++) {
        if (v % PIECE == 0 && V > PIECE) (void)weights(logp + v, V - v < PIECE ? V - v : PIECE, top, temperature, w);
        if (!(w[v % PIECE] > 0)) continue;
        last = v;
        left -= w[v % PIECE];
        if (left < 0) break;
    }
    return (int32_t)last;
}
