// Packs and unpacks matrix rows for transfers between the host and a device.
#ifndef STAGE_H
#define STAGE_H

#include "lower/view.h"

// True if bptt_convert converts between the two: both are F32 or F64, or both are indices.
bool convertible(bptt_type a, bptt_type b);
// Copies between packed rows x cols elements of type `as` and the elements of a view at `at`, with leading dimension
// ld. into: from `rows` to `at`; else from `at` to `rows`.
void move_elements(bool into, void *at, size_t ld, const bptt_mat *m, void *rows, bptt_type as);

#endif
