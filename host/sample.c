// Sampling of a token from log-probabilities.
#include "prng.h"

#include "bptt.h"

#include <math.h>

static int32_t argmax(const float *logp, size_t V)
{
    size_t best = 0;
    for (size_t v = 1; v < V; v++)
        if (logp[v] > logp[best]) best = v;
    return (int32_t)best;
}

// The probability of a token times a constant.
static double weight(const float *logp, size_t v, size_t top, double temperature)
{
    return exp(((double)logp[v] - (double)logp[top]) / temperature);
}

// Inverts the cumulative distribution. If rounding leaves its end below the draw, the last token of probability > 0.
int32_t bptt_pick(const float *logp, size_t V, double temperature, uint64_t *random)
{
    const size_t top = (size_t)argmax(logp, V);
    if (!(temperature > 0)) return (int32_t)top;
    enum { KEPT = 256 }; // all bytes
    double kept[KEPT], sum = 0;
    for (size_t v = 0; v < V; v++) {
        const double p = weight(logp, v, top, temperature);
        if (v < KEPT) kept[v] = p;
        sum += p;
    }
    double left = splitmix_uniform53(random) * sum;
    size_t last = top;
    for (size_t v = 0; v < V; v++) {
        const double p = v < KEPT ? kept[v] : weight(logp, v, top, temperature);
        if (!(p > 0)) continue;
        last = v;
        left -= p;
        if (left < 0) break;
    }
    return (int32_t)last;
}
