// Element types and matrix views: sizes, blocks, transposes, conversion.
#include "backend.h"

#include <string.h>

size_t bptt_type_size(bptt_type t)
{
    switch ((int)t) {
    case BPTT_F32:
    case BPTT_I32: return 4;
    case BPTT_F64:
    case BPTT_FP: return 8;
    case BPTT_BF16:
    case BPTT_F16: return 2;
    case BPTT_C128:
    case BPTT_DUAL: return 16;
    }
    return 0;
}

bptt_mat bptt_rows(bptt_mat m, size_t first, size_t count)
{
    m.at += m.t ? first : first * m.ld;
    m.narrow = m.narrow || (m.t && count < m.rows);
    m.rows = count;
    return m;
}

bptt_mat bptt_cols(bptt_mat m, size_t first, size_t count)
{
    m.at += m.t ? first * m.ld : first;
    m.narrow = m.narrow || (!m.t && count < m.cols);
    m.cols = count;
    return m;
}

bptt_mat bptt_flip(bptt_mat m)
{
    const size_t rows = m.rows;
    m.rows = m.cols;
    m.cols = rows;
    m.t = !m.t;
    return m;
}

void bptt_convert(void *dst, bptt_type dst_type, size_t to, const void *src, bptt_type src_type, size_t from)
{
    const size_t n = bptt_type_size(dst_type), m = bptt_type_size(src_type);
    char *const d = (char *)dst + to * n;
    const char *const s = (const char *)src + from * m;
    if (dst_type == src_type) {
        memcpy(d, s, n);
        return;
    }
    double x[2] = {0, 0};
    float f;
    if (src_type == BPTT_F32) {
        memcpy(&f, s, sizeof f);
        x[0] = (double)f;
    } else
        memcpy(x, s, sizeof x[0]);
    if (dst_type == BPTT_F32) {
        f = (float)x[0];
        memcpy(d, &f, sizeof f);
    } else
        memcpy(d, x, n);
}
