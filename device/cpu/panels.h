// Weights of the GEMMs of a loop, packed once for all its steps and tiles: read in place, the rows of a panel of
// columns lie on as many pages. The results have the same bits.
#ifndef PANELS_H
#define PANELS_H

#include "loops.h"

#include "pool.h"

// Floats that the packed weights of a plan's loops take at most at the same time.
size_t panels_room(const loops *l, const bptt_plan *p);
// Packs the weights of a loop into memory of that many floats. body: its ops at the first step. at [n]: the packed
// weights of each op, or NULL.
void panels_pack(const loops *l, pool *p, const bptt_op *body, size_t n, size_t T, float *memory, const float **at);

#endif
