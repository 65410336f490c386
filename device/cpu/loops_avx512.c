// Inner loops for x86 processors with AVX-512 (F, DQ, VL, BW).
#define LOOPS(name) avx512_##name
#define LOOPS_NAME "AVX-512"

#include "loops_text.h"

#include "gates_text.h"

#include <immintrin.h>

enum { WIDTH = 16, ROWS = 14 };
#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define VEC __m512
#define VEC_ZERO _mm512_setzero_ps()
#define VEC_SPLAT(x) _mm512_set1_ps(x)
#define VEC_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VEC_LOAD(p) _mm512_loadu_ps(p)
#define VEC_STORE(p, x) _mm512_storeu_ps(p, x)
#define VEC_LOAD_N(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define VEC_STORE_N(p, x, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), x)

#include "multiply_text.h"

#include "loops_table.h"

const loops *loops_avx512(void) { return &avx512_table; }
