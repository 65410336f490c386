// The cpu backend with a given width of its inner loops, for verify/ and tests.
#ifndef WIDTHS_H
#define WIDTHS_H

#include "backend.h"

// Makes the backend with the loops of one width, from 0 (plain C) to the widest that this processor supports, which
// bptt_cpu() uses. *name: the name of the loops. False past the widest.
bool bptt_cpu_of_width(size_t width, bptt_backend *b, const char **name);
// y = f32_sigmoid(x) by the loops of one width, for `bptt verify activation`: cells have it in loops of their own.
void bptt_cpu_sigmoid(size_t width, size_t n, const float *x, float *y);

#endif
