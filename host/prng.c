// SplitMix64.
#include "prng.h"

uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

double splitmix_uniform24(uint64_t *state) { return (double)(splitmix_next(state) >> 40) * 0x1p-24; }
double splitmix_uniform53(uint64_t *state) { return (double)(splitmix_next(state) >> 11) * 0x1p-53; }
