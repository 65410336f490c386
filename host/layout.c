// Blocks of device memory laid out from a table of shapes.
#include "layout.h"

// Offsets between views are multiples of this many elements, which aligns every view on any device.
enum { GRAIN = 64 };

// Block of a type: reals, sums, indices.
static size_t block_of_type(const bptt_backend *b, bptt_type t) { return t == BPTT_I32 ? 2 : t == b->real ? 0 : 1; }

static size_t leading(const bptt_backend *b, const shape *s)
{
    return s->type == b->real && s->cols > 1 ? b->pad(s->cols) : s->cols;
}

// Number of elements of each block; with views, also their offsets.
static bptt_status place_all(const bptt_backend *b, const shape *table, size_t n, size_t elements[LAYOUT_BLOCKS],
                             bptt_buf *const *block, bptt_error *e)
{
    for (size_t k = 0; k < LAYOUT_BLOCKS; k++) elements[k] = 0;
    for (size_t i = 0; i < n; i++) {
        const shape *s = &table[i];
        if (s->rows == 0) continue;
        const size_t k = block_of_type(b, s->type), ld = leading(b, s);
        size_t bytes;
        bptt_status st = bptt_size(s->rows, ld, 2 * bptt_type_size(s->type), &bytes, e);
        if (!st && (s->rows * ld > SIZE_MAX / 64 || elements[k] > SIZE_MAX / 64 - s->rows * ld))
            st =
                bptt_fail(e, BPTT_NO_MEMORY,
                          "the requested sizes exceed the address space; lower `hidden`, `layers`, `batch` or `steps`");
        if (st) return st;
        if (block)
            *s->view = (bptt_mat){
                .buf = block[k], .at = elements[k], .rows = s->rows, .cols = s->cols, .ld = ld, .type = s->type};
        elements[k] += (s->rows * ld + GRAIN - 1) / GRAIN * GRAIN;
    }
    return BPTT_OK;
}

static size_t element_size(const bptt_backend *b, size_t k)
{
    return k == 2 ? bptt_type_size(BPTT_I32) : bptt_type_size(k == 0 ? b->real : b->sum);
}

bptt_status layout_size(const bptt_backend *b, const shape *table, size_t n, size_t *bytes, bptt_error *e)
{
    size_t elements[LAYOUT_BLOCKS];
    const bptt_status s = place_all(b, table, n, elements, NULL, e);
    if (s) return s;
    *bytes = 0;
    for (size_t k = 0; k < LAYOUT_BLOCKS; k++) *bytes += elements[k] * element_size(b, k);
    return BPTT_OK;
}

bptt_status layout_alloc(bptt_device *d, const shape *table, size_t n, bptt_buf *block[LAYOUT_BLOCKS], bptt_error *e)
{
    const bptt_backend *b = &d->backend;
    size_t elements[LAYOUT_BLOCKS];
    bptt_status s = place_all(b, table, n, elements, NULL, e);
    for (size_t k = 0; !s && k < LAYOUT_BLOCKS; k++)
        if (elements[k] && !block[k]) s = b->alloc(d, elements[k] * element_size(b, k), &block[k], e);
    return s ? s : place_all(b, table, n, elements, block, e);
}

void layout_free(bptt_device *d, bptt_buf *block[LAYOUT_BLOCKS])
{
    for (size_t k = 0; k < LAYOUT_BLOCKS; k++) {
        d->backend.free(d, block[k]);
        block[k] = NULL;
    }
}
