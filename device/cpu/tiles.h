// Splits an op into tiles, which threads may take in any order. The bits of an element do not depend on the tile it is
// in, so results do not depend on the number of threads.
#ifndef TILES_H
#define TILES_H

#include "backend.h"

typedef struct tiling {
    size_t rows, cols; // tiles down and across; an op is rows * cols tiles
} tiling;

tiling tiling_of(const bptt_op *s, size_t threads);    // of an op that is not part of a loop
bptt_op tile_of(const bptt_op *s, tiling t, size_t i); // the i-th tile of an op, as an op
void next_step(bptt_op *op);                           // moves its views to the next step of the loop
// Number of row tiles of a loop whose body is n ops: as many as are wanted, as far as the shape allows. Fewer tiles
// read the weights less often.
size_t loop_tiles(const bptt_op *s, size_t n, size_t wanted);
size_t op_rows(const bptt_op *s); // rows of its output
void cut(size_t n, size_t tiles, size_t i, size_t *first, size_t *count);

#endif
