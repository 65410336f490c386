// Inner loops for x86 processors with AVX2 and FMA.
#define LOOPS(name) avx2_##name
#define LOOPS_NAME "AVX2"

#include "loops_text.h"

#include "gates_text.h"

#include <immintrin.h>

// A mask of the first n of 8 lanes.
static inline __m256i mask_of(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

enum { WIDTH = 8, ROWS = 6 };
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define VEC __m256
#define VEC_ZERO _mm256_setzero_ps()
#define VEC_SPLAT(x) _mm256_set1_ps(x)
#define VEC_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define VEC_LOAD(p) _mm256_loadu_ps(p)
#define VEC_STORE(p, x) _mm256_storeu_ps(p, x)
#define VEC_LOAD_N(p, n) _mm256_maskload_ps(p, mask_of(n))
#define VEC_STORE_N(p, x, n) _mm256_maskstore_ps(p, mask_of(n), x)

#include "multiply_text.h"

#include "loops_table.h"

const loops *loops_avx2(void) { return &avx2_table; }
