// A tanh with a mistake: device/f32.h with one piece of text replaced (tests/CMakeLists.txt), under a name of its own.
#include PLANTED_TEXT
#include "planted_f32.h"

void PLANTED_NAME(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = f32_tanh(x[i]);
}
