// Transfers to and from memory of exact numbers.
#include "exact.h"

#include "field.h"
#include "host_memory.h"

#include <string.h>

static size_t element_index(bptt_mat m, size_t i, size_t j) { return m.at + (m.t ? j * m.ld + i : i * m.ld + j); }

static uint64_t load_element(const void *src, bptt_type as, size_t i)
{
    double x = 0;
    if (as == BPTT_FP) return ((const uint64_t *)src)[i];
    bptt_convert(&x, BPTT_F64, 0, src, as, i);
    return field_of(x);
}

bptt_status exact_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e)
{
    if (as == dst.type) return host_write(d, dst, src, as, e);
    if ((as != BPTT_F32 && as != BPTT_F64 && as != BPTT_FP) || dst.type == BPTT_I32)
        return bptt_fail(e, BPTT_BAD_INPUT, "%s: no such conversion", d->backend.name);
    uint64_t *const to = dst.buf->data;
    const size_t words = bptt_type_size(dst.type) / sizeof *to;
    for (size_t i = 0; i < dst.rows; i++)
        for (size_t j = 0; j < dst.cols; j++) {
            memset(to + element_index(dst, i, j) * words, 0, words * sizeof *to);
            to[element_index(dst, i, j) * words] = load_element(src, as, i * dst.cols + j);
        }
    return BPTT_OK;
}

bptt_status exact_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e)
{
    if (as == src.type) return host_read(d, dst, as, src, e);
    if (as != BPTT_F64 || src.type == BPTT_I32)
        return bptt_fail(e, BPTT_BAD_INPUT, "%s: no such conversion", d->backend.name);
    const uint64_t *const from = src.buf->data;
    const size_t words = bptt_type_size(src.type) / sizeof *from;
    for (size_t i = 0; i < src.rows; i++)
        for (size_t j = 0; j < src.cols; j++)
            ((double *)dst)[i * src.cols + j] = (double)from[element_index(src, i, j) * words];
    return BPTT_OK;
}
