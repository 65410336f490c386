// Selects the inner loops by the instruction sets of an x86 processor.
#include "loops.h"

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}

const loops *loops_of(bptt_isa isa)
{
    if (has_avx512() && (isa == BPTT_ISA_AUTO || isa == BPTT_ISA_AVX512)) return loops_avx512();
    if (has_avx2() && (isa == BPTT_ISA_AUTO || isa == BPTT_ISA_AVX2)) return loops_avx2();
    return isa == BPTT_ISA_AUTO || isa == BPTT_ISA_PLAIN ? loops_plain() : NULL;
}
