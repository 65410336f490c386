// Blocks of device memory laid out from a table of shapes.
#ifndef LAYOUT_H
#define LAYOUT_H

#include "backend.h"

// One row of the table: *view gets rows x cols elements of a type. rows = 0: absent, its buf stays NULL.
typedef struct shape {
    bptt_mat *view;
    size_t rows, cols;
    bptt_type type;
} shape;

// One block per element type used; block[] has room for LAYOUT_BLOCKS.
enum { LAYOUT_BLOCKS = 3 };

// *bytes: device memory of the table, padding included. Reals have type b->real.
bptt_status layout_size(const bptt_backend *b, const shape *table, size_t n, size_t *bytes, bptt_error *e);
// Allocates the blocks (zeroed) and fills the views. On failure the caller frees the blocks in block[].
bptt_status layout_alloc(bptt_device *d, const shape *table, size_t n, bptt_buf *block[LAYOUT_BLOCKS], bptt_error *e);
void layout_free(bptt_device *d, bptt_buf *block[LAYOUT_BLOCKS]);

#endif
