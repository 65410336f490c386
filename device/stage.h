// Between packed matrices of the host and views as they lie in a device's memory: what the backends with memory of
// their own share.
#ifndef STAGE_H
#define STAGE_H

#include "lower/view.h"

// Whether bptt_convert goes between the two: reals (F32, F64), indices.
bool convertible(bptt_type a, bptt_type b);
// Between packed rows x cols elements of type `as` and a view's elements at `at`, whose lines are ld apart. into:
// towards `at`.
void move_elements(bool into, void *at, size_t ld, const bptt_mat *m, void *rows, bptt_type as);

#endif
