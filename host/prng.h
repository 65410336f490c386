// SplitMix64 (Steele, Lea & Flood 2014): the one generator of the project.
#ifndef PRNG_H
#define PRNG_H

#include <stdint.h>

uint64_t splitmix_next(uint64_t *state);
double splitmix_uniform24(uint64_t *state); // in [0, 1), a multiple of 2^-24: the top 24 bits of a draw
double splitmix_uniform53(uint64_t *state); // in [0, 1), a multiple of 2^-53

#endif
