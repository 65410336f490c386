// Packs and unpacks matrix rows for transfers.
#include "stage.h"

#include <string.h>

static bool real(bptt_type t) { return t == BPTT_F32 || t == BPTT_F64; }

bool convertible(bptt_type a, bptt_type b) { return (real(a) && real(b)) || (a == BPTT_I32 && b == BPTT_I32); }

void move_elements(bool into, void *at, size_t ld, const bptt_mat *m, void *rows, bptt_type as)
{
    const size_t each = bptt_type_size(as);
    for (size_t i = 0; i < m->rows; i++) {
        if (m->type == as && !m->t) {
            char *const there = (char *)at + i * ld * each, *const here = (char *)rows + i * m->cols * each;
            memcpy(into ? there : here, into ? here : there, m->cols * each);
            continue;
        }
        for (size_t j = 0; j < m->cols; j++) {
            const size_t there = m->t ? j * ld + i : i * ld + j, here = i * m->cols + j;
            if (into)
                bptt_convert(at, m->type, there, rows, as, here);
            else
                bptt_convert(rows, as, here, at, m->type, there);
        }
    }
}
