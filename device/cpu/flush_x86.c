// Flushes subnormals on x86: FTZ and DAZ of MXCSR.
#include "flush.h"

#include <xmmintrin.h>

enum { FTZ = 0x8000, DAZ = 0x0040 };

unsigned flush_on(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | FTZ | DAZ);
    return before;
}

void flush_restore(unsigned before) { _mm_setcsr(before); }
