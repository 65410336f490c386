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

// *bytes: what the table takes in device memory, padding included. Reals are those of type b->real.
bptt_status layout_size(const bptt_backend *b, const shape *table, size_t n, size_t *bytes, bptt_error *e);
// Allocates the blocks (zeroed) and fills the views. On failure the caller frees what block[] holds.
bptt_status layout_alloc(bptt_device *d, const shape *table, size_t n, bptt_buf *block[LAYOUT_BLOCKS], bptt_error *e);
void layout_free(bptt_device *d, bptt_buf *block[LAYOUT_BLOCKS]);

#endif
