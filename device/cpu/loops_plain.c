// Inner loops for any processor, with the vectors of gcc and clang.
#define LOOPS(name) plain_##name
#define LOOPS_NAME "plain C"

#include "loops_text.h"

#include "gates_text.h"

typedef float vector __attribute__((vector_size(16)));
typedef float anywhere __attribute__((vector_size(16), aligned(4), may_alias));

static inline vector load(const float *p) { return *(const anywhere *)p; }

static inline void store(float *p, vector x) { *(anywhere *)p = x; }

static inline vector load_first(const float *p, size_t n)
{
    vector x = {0};
    for (size_t l = 0; l < n; l++) x[l] = p[l];
    return x;
}

static inline void store_first(float *p, vector x, size_t n)
{
    for (size_t l = 0; l < n; l++) p[l] = x[l];
}

// Without a fused multiply-add for vectors: two roundings.
enum { WIDTH = 4, ROWS = 4 };
#define TILES(X) X(1) X(2) X(3) X(4)
#define VEC vector
#define VEC_ZERO ((vector){0})
#define VEC_SPLAT(x) ((vector){x, x, x, x})
#define VEC_FMA(a, b, c) ((a) * (b) + (c))
#define VEC_LOAD(p) load(p)
#define VEC_STORE(p, x) store(p, x)
#define VEC_LOAD_N(p, n) load_first(p, n)
#define VEC_STORE_N(p, x, n) store_first(p, x, n)

#include "multiply_text.h"

#include "loops_table.h"

const loops *loops_plain(void) { return &plain_table; }
