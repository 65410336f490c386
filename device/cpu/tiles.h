// How an op is cut into tiles that threads may take in any order: functions of the shape alone, so that results do not
// depend on the number of threads.
#ifndef TILES_H
#define TILES_H

#include "backend.h"

typedef struct tiling {
    size_t rows, cols; // tiles down and across; an op is rows * cols tiles
} tiling;

tiling tiling_of(const bptt_op *s);                    // of one op by itself
bptt_op tile_of(const bptt_op *s, tiling t, size_t i); // the i-th part of an op, as an op
void next_step(bptt_op *op);                           // its views moved on by one step of the loop
size_t loop_tiles(const bptt_op *s, size_t n);         // of a loop with a body of n ops: into how many its rows are cut
size_t op_rows(const bptt_op *s);                      // of its output
void cut(size_t n, size_t tiles, size_t i, size_t *first, size_t *count);

#endif
