// Selects the inner loops by the instruction sets of an x86 processor.
#include "loops.h"

const loops *loops_best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return loops_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return loops_avx2();
    return loops_plain();
}

// Processors with AVX-512 also have AVX2 and FMA.
const loops *loops_of(size_t width)
{
    const loops *const all[] = {loops_plain(), loops_avx2(), loops_avx512()};
    size_t best = 0;
    while (all[best] != loops_best()) best++;
    return width <= best ? all[width] : NULL;
}
