// The cpu backend by the width of its inner loops, for verify/ and tests.
#ifndef WIDTHS_H
#define WIDTHS_H

#include "backend.h"

// The backend with loops of one width, from plain C (0) to the widest that this processor runs, which is what
// bptt_cpu() takes; *name says which. False past the widest.
bool bptt_cpu_of_width(size_t width, bptt_backend *b, const char **name);
// y = sigmoid x of device/f32.h as the loops of such a width compute it; no cell has it yet.
void bptt_cpu_sigmoid(size_t width, size_t n, const float *x, float *y);

#endif
