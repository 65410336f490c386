// A function of device/f32.h with a mistake: the text with one piece replaced (tests/CMakeLists.txt), under a name of
// its own.
#include PLANTED_TEXT
#include "planted_f32.h"

void PLANTED_NAME(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = PLANTED_FUNCTION(x[i]);
}
