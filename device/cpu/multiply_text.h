// GEMM for few rows, c = a b + beta c, or for few rows and columns of c, c = a' b + beta c; a and b are read in place
// (not packed), accumulators are in registers. The including file defines LOOPS(name), VEC and its WIDTH in floats,
// VEC_ZERO VEC_SPLAT VEC_FMA VEC_LOAD VEC_STORE, VEC_LOAD_N and VEC_STORE_N for the first n < WIDTH lanes (others are
// loaded as zero and not stored), ROWS: most rows of a register tile, and TILES(X): X(1) .. X(ROWS).
#include <stddef.h>

enum { AHEAD = 8 }; // prefetch distance in rows of b: the stride is too long for the hardware prefetcher

// R rows by V vectors of c, the last vector n lanes wide (n = WIDTH: all). AT(r, k): element of a, or of a'.
#define PLAIN_AT(r, k) a[(r)*lda + (k)]
#define FLIPPED_AT(r, k) a[(k)*lda + (r)]
#define TILE(name, AT, R, V) \
    static inline void name##_##R##_##V(size_t K, const float *a, size_t lda, const float *b, size_t ldb, int beta, \
                                        float *c, size_t ldc, size_t n) \
    { \
        VEC sum[R][V]; \
        _Pragma("GCC unroll 16") for (size_t r = 0; r < (R); r++) \
            _Pragma("GCC unroll 2") for (size_t v = 0; v < (V); v++) sum[r][v] = \
                !beta                       ? VEC_ZERO \
                : v + 1 < (V) || n == WIDTH ? VEC_LOAD(c + r * ldc + v * WIDTH) \
                                            : VEC_LOAD_N(c + r * ldc + v * WIDTH, n); \
        for (size_t k = 0; k < K; k++) { \
            VEC bk[V]; \
            _Pragma("GCC unroll 2") for (size_t v = 0; v < (V); v++) \
                __builtin_prefetch(b + (k + AHEAD) * ldb + v * WIDTH); \
            _Pragma("GCC unroll 2") for (size_t v = 0; v < (V); v++) bk[v] = \
                v + 1 < (V) || n == WIDTH ? VEC_LOAD(b + k * ldb + v * WIDTH) \
                                          : VEC_LOAD_N(b + k * ldb + v * WIDTH, n); \
            _Pragma("GCC unroll 16") for (size_t r = 0; r < (R); r++) \
            { \
                const VEC ar = VEC_SPLAT(AT(r, k)); \
                _Pragma("GCC unroll 2") for (size_t v = 0; v < (V); v++) sum[r][v] = VEC_FMA(ar, bk[v], sum[r][v]); \
            } \
        } \
        _Pragma("GCC unroll 16") for (size_t r = 0; r < (R); r++) \
            _Pragma("GCC unroll 2") for (size_t v = 0; v < (V); v++) if (v + 1 < (V) || n == WIDTH) \
                VEC_STORE(c + r * ldc + v * WIDTH, sum[r][v]); \
        else VEC_STORE_N(c + r * ldc + v * WIDTH, sum[r][v], n); \
    }

// A strip of one or two vectors of columns, the last n lanes wide.
#define STRIP(name, AT, R) \
    TILE(name, AT, R, 1) \
    TILE(name, AT, R, 2) \
    static void name##_strip_##R(size_t columns, size_t K, const float *a, size_t lda, const float *b, size_t ldb, \
                                 int beta, float *c, size_t ldc) \
    { \
        if (columns == 2 * WIDTH) \
            name##_##R##_2(K, a, lda, b, ldb, beta, c, ldc, WIDTH); \
        else if (columns > WIDTH) \
            name##_##R##_2(K, a, lda, b, ldb, beta, c, ldc, columns - WIDTH); \
        else \
            name##_##R##_1(K, a, lda, b, ldb, beta, c, ldc, columns); \
    }
#define PLAIN_STRIP(R) STRIP(plain, PLAIN_AT, R)
#define FLIPPED_STRIP(R) STRIP(flipped, FLIPPED_AT, R)
TILES(PLAIN_STRIP)
TILES(FLIPPED_STRIP)

typedef void strip_function(size_t columns, size_t K, const float *a, size_t lda, const float *b, size_t ldb, int beta,
                            float *c, size_t ldc);
#define PLAIN_NAME(R) plain_strip_##R,
#define FLIPPED_NAME(R) flipped_strip_##R,
static strip_function *const plain_strip[] = {NULL, TILES(PLAIN_NAME)};
static strip_function *const flipped_strip[] = {NULL, TILES(FLIPPED_NAME)};

// Rows are split into tiles of nearly equal height. next: distance of the elements of a, or of a', of two rows.
static void over_tiles(strip_function *const *strip, size_t next, size_t N, size_t M, size_t K, const float *a,
                       size_t lda, const float *b, size_t ldb, int beta, float *c, size_t ldc)
{
    const size_t tiles = (N + ROWS - 1) / ROWS;
    for (size_t j = 0; j < M; j += 2 * WIDTH) {
        const size_t columns = M - j < 2 * WIDTH ? M - j : 2 * WIDTH;
        for (size_t i = 0; i < tiles; i++) {
            const size_t first = N * i / tiles, rows = N * (i + 1) / tiles - first;
            strip[rows](columns, K, a + first * next, lda, b + j, ldb, beta, c + first * ldc + j, ldc);
        }
    }
}

static void LOOPS(multiply)(size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b, size_t ldb,
                            int beta, float *c, size_t ldc)
{
    over_tiles(plain_strip, lda, N, M, K, a, lda, b, ldb, beta, c, ldc);
}

// DEEP rows of a and of b stay in cache while all tiles of c take them.
static void LOOPS(multiply_flipped)(size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b,
                                    size_t ldb, int beta, float *c, size_t ldc)
{
    enum { DEEP = 256 };
    size_t k = 0;
    do {
        const size_t depth = K - k < DEEP ? K - k : DEEP;
        over_tiles(flipped_strip, 1, N, M, depth, a + k * lda, lda, b + k * ldb, ldb, beta || k > 0, c, ldc);
        k += depth;
    } while (k < K);
}
