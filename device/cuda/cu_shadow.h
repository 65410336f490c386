// Which parts of the device's float memory have an up-to-date copy in 16 bits, and which hold gradients. A shadow lies
// beside its buffer, element for element: (i, j) of a view is at the same place in both.
#ifndef CU_SHADOW_H
#define CU_SHADOW_H

#include "backend.h"

typedef struct span_set { // disjoint, ascending by buffer and place, neighbours of one kind joined
    size_t n, room;
    struct span {
        const bptt_buf *buf;
        size_t first, end; // elements
        bool scaled;       // the copy is that of scale times the number
    } * at;
    bool failed; // no memory
} span_set;

void spans_free(span_set *s);
// The elements between the first and the last of a view, the padding of its rows included: all of it is taken out of
// the set; it is put in. A view of some columns of wider rows does not fill its span, so `put` leaves it out.
void spans_take(span_set *s, const bptt_mat *m);
void spans_put(span_set *s, const bptt_mat *m, bool scaled, size_t whole_ld);
// Whether all of the view is in the set, and of which kind it is.
bool spans_have(const span_set *s, const bptt_mat *m, bool *scaled);

#endif
