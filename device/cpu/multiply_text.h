// GEMM for few rows, c = a b + beta c, with a read in place and b too unless it is packed, and for a large K,
// c = a' b + beta c, with a and b packed; accumulators are in registers. The including file defines LOOPS(name), VEC,
// its WIDTH in floats, VEC_ZERO VEC_SPLAT VEC_FMA VEC_LOAD VEC_STORE, VEC_LOAD_N and VEC_STORE_N for the first
// n < WIDTH lanes (others are loaded as zero and not stored), ROWS: most rows of a register tile, and TILES(X):
// X(1) .. X(ROWS).
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
            _Pragma("GCC unroll 8") for (size_t v = 0; v < (V); v++) sum[r][v] = \
                !beta                       ? VEC_ZERO \
                : v + 1 < (V) || n == WIDTH ? VEC_LOAD(c + r * ldc + v * WIDTH) \
                                            : VEC_LOAD_N(c + r * ldc + v * WIDTH, n); \
        for (size_t k = 0; k < K; k++) { \
            VEC bk[V]; \
            _Pragma("GCC unroll 8") for (size_t v = 0; v < (V); v++) \
                __builtin_prefetch(b + (k + AHEAD) * ldb + v * WIDTH); \
            _Pragma("GCC unroll 8") for (size_t v = 0; v < (V); v++) bk[v] = \
                v + 1 < (V) || n == WIDTH ? VEC_LOAD(b + k * ldb + v * WIDTH) \
                                          : VEC_LOAD_N(b + k * ldb + v * WIDTH, n); \
            _Pragma("GCC unroll 16") for (size_t r = 0; r < (R); r++) \
            { \
                const VEC ar = VEC_SPLAT(AT(r, k)); \
                _Pragma("GCC unroll 8") for (size_t v = 0; v < (V); v++) sum[r][v] = VEC_FMA(ar, bk[v], sum[r][v]); \
            } \
        } \
        _Pragma("GCC unroll 16") for (size_t r = 0; r < (R); r++) \
            _Pragma("GCC unroll 8") for (size_t v = 0; v < (V); v++) if (v + 1 < (V) || n == WIDTH) \
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

// One row alone takes up to ABREAST vectors of columns: with two, each fma would wait for the one before.
enum { ABREAST = 8 };
TILE(plain, PLAIN_AT, 1, 3)
TILE(plain, PLAIN_AT, 1, 4)
TILE(plain, PLAIN_AT, 1, 5)
TILE(plain, PLAIN_AT, 1, 6)
TILE(plain, PLAIN_AT, 1, 7)
TILE(plain, PLAIN_AT, 1, 8)

static void multiply_row(size_t M, size_t K, const float *a, const float *b, size_t ldb, int beta, float *c)
{
    typedef void tile(size_t K, const float *a, size_t lda, const float *b, size_t ldb, int beta, float *c, size_t ldc,
                      size_t n);
    static tile *const of_width[ABREAST] = {plain_1_1, plain_1_2, plain_1_3, plain_1_4,
                                            plain_1_5, plain_1_6, plain_1_7, plain_1_8};
    for (size_t j = 0; j < M; j += ABREAST * WIDTH) {
        const size_t columns = M - j < ABREAST * WIDTH ? M - j : ABREAST * WIDTH, before = (columns - 1) / WIDTH;
        of_width[before](K, a, K, b + j, ldb, beta, c + j, M, columns - before * WIDTH);
    }
}

typedef void strip_function(size_t columns, size_t K, const float *a, size_t lda, const float *b, size_t ldb, int beta,
                            float *c, size_t ldc);
#define PLAIN_NAME(R) plain_strip_##R,
#define FLIPPED_NAME(R) flipped_strip_##R,
static strip_function *const plain_strip[] = {NULL, TILES(PLAIN_NAME)};
static strip_function *const flipped_strip[] = {NULL, TILES(FLIPPED_NAME)};

// n columns of K rows.
static void LOOPS(pack)(size_t K, size_t n, const float *from, size_t ld, float *to)
{
    size_t j = 0;
    for (; j + WIDTH <= n; j += WIDTH)
        for (size_t k = 0; k < K; k++) VEC_STORE(to + k * n + j, VEC_LOAD(from + k * ld + j));
    if (j < n)
        for (size_t k = 0; k < K; k++) VEC_STORE_N(to + k * n + j, VEC_LOAD_N(from + k * ld + j, n - j), n - j);
}

// Rows are split into tiles of nearly equal height.
static void LOOPS(multiply)(size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b, size_t ldb,
                            int beta, float *c, size_t ldc)
{
    const size_t tiles = (N + ROWS - 1) / ROWS;
    if (N == 1 && ldb) {
        multiply_row(M, K, a, b, ldb, beta, c);
        return;
    }
    for (size_t j = 0; j < M; j += 2 * WIDTH) {
        const size_t columns = M - j < 2 * WIDTH ? M - j : 2 * WIDTH;
        for (size_t i = 0; i < tiles; i++) {
            const size_t first = N * i / tiles, rows = N * (i + 1) / tiles - first;
            plain_strip[rows](columns, K, a + first * lda, lda, ldb ? b + j : b + j * K, ldb ? ldb : columns, beta,
                              c + first * ldc + j, ldc);
        }
    }
}

// Panels of a and of b are copied so that their rows follow each other: read in place, DEEP rows lie on as many pages
// and on a few sets of the cache. A panel of a serves all columns of c, a panel of b HIGH rows.
enum { DEEP = 128, HIGH = 8 * ROWS }; // 73 KiB of stack with AVX-512

// c = a' b + beta c for at most HIGH rows of c and a K of at most DEEP.
static void flipped_block(size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b, size_t ldb,
                          int beta, float *c, size_t ldc)
{
    float left[HIGH * DEEP], right[2 * WIDTH * DEEP];
    const size_t tiles = (N + ROWS - 1) / ROWS;
    for (size_t i = 0; i < tiles; i++) {
        const size_t first = N * i / tiles, rows = N * (i + 1) / tiles - first;
        LOOPS(pack)(K, rows, a + first, lda, left + first * K);
    }
    for (size_t j = 0; j < M; j += 2 * WIDTH) {
        const size_t columns = M - j < 2 * WIDTH ? M - j : 2 * WIDTH;
        LOOPS(pack)(K, columns, b + j, ldb, right);
        for (size_t i = 0; i < tiles; i++) {
            const size_t first = N * i / tiles, rows = N * (i + 1) / tiles - first;
            flipped_strip[rows](columns, K, left + first * K, rows, right, columns, beta, c + first * ldc + j, ldc);
        }
    }
}

static void LOOPS(multiply_flipped)(size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b,
                                    size_t ldb, int beta, float *c, size_t ldc)
{
    const size_t blocks = (N + HIGH - 1) / HIGH;
    size_t k = 0;
    do {
        const size_t depth = K - k < DEEP ? K - k : DEEP;
        for (size_t i = 0; i < blocks; i++) {
            const size_t first = N * i / blocks, rows = N * (i + 1) / blocks - first;
            flipped_block(rows, M, depth, a + k * lda + first, lda, b + k * ldb, ldb, beta || k > 0, c + first * ldc,
                          ldc);
        }
        k += depth;
    } while (k < K);
}
