// GEMM, c = a b + beta c or a' b + beta c, with accumulators in registers. What is read often is packed; b may be
// packed beforehand. The including file defines LOOPS(name), VEC, its WIDTH in floats, VEC_ZERO VEC_SPLAT VEC_FMA
// VEC_LOAD VEC_STORE, VEC_LOAD_N and VEC_STORE_N for the first n < WIDTH lanes (others are loaded as zero and not
// stored), ROWS: most rows of a register tile, at most WIDTH, and TILES(X): X(1) .. X(ROWS).
//
// A store of some lanes costs dozens of cycles on some processors: packing stores whole vectors, of which the next
// store overwrites the rest.
#include <stddef.h>

enum { LINE = 16 };  // floats in a line of the cache
enum { AHEAD = 32 }; // rows of b that are fetched before they are used: it may be in the third cache

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

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
        const size_t columns = least(M - j, ABREAST * WIDTH), before = (columns - 1) / WIDTH;
        of_width[before](K, a, K, b + j, ldb, beta, c + j, M, columns - before * WIDTH);
    }
}

typedef void strip_function(size_t columns, size_t K, const float *a, size_t lda, const float *b, size_t ldb, int beta,
                            float *c, size_t ldc);
#define PLAIN_NAME(R) plain_strip_##R,
#define FLIPPED_NAME(R) flipped_strip_##R,
static strip_function *const plain_strip[] = {NULL, TILES(PLAIN_NAME)};
static strip_function *const flipped_strip[] = {NULL, TILES(FLIPPED_NAME)};

// Blocks of HIGH x BROAD of c are summed over DEEP of K at a time: of b, DEEP x BROAD are packed, in panels of two
// vectors, which stay in the second cache, and of a' HIGH x DEEP, in tiles. A tile of a stays in the first cache while
// it meets all panels. Only what is read more than a few times is packed: b for more than PLACE rows of c, a' for more
// than PLACE columns. Packing goes GROUP rows at a time, so that it reads long pieces of memory.
enum { DEEP = 256, BROAD = 512, HIGH = 192, PLACE = 128, GROUP = 8 };
enum { LEFT = HIGH * DEEP + ((HIGH / ROWS + 2) * WIDTH + LINE) / LINE * LINE, RIGHT = BROAD * DEEP }; // floats
enum { SMALL = RIGHT / 2 }; // most floats of a b that is read in place once for each tile of rows

// n <= 2 WIDTH columns of K rows, the last vector filled up with zeros.
static void pack_panel(size_t K, size_t n, const float *from, size_t ld, float *to)
{
    if (n == 2 * WIDTH)
        for (size_t k = 0; k < K; k++, from += ld, to += 2 * WIDTH) {
            VEC_STORE(to, VEC_LOAD(from));
            VEC_STORE(to + WIDTH, VEC_LOAD(from + WIDTH));
        }
    else if (n > WIDTH)
        for (size_t k = 0; k < K; k++, from += ld, to += 2 * WIDTH) {
            VEC_STORE(to, VEC_LOAD(from));
            VEC_STORE(to + WIDTH, VEC_LOAD_N(from + WIDTH, n - WIDTH));
        }
    else
        for (size_t k = 0; k < K; k++, from += ld, to += WIDTH) VEC_STORE(to, VEC_LOAD_N(from, n));
}

// Leading dimension of a packed panel of some columns.
static inline size_t packed_ld(size_t columns) { return columns > WIDTH ? 2 * WIDTH : WIDTH; }

static inline size_t whole_vectors(size_t columns) { return (columns + WIDTH - 1) / WIDTH * WIDTH; }

// One block of b.
static void pack_right(size_t K, size_t M, const float *b, size_t ldb, float *to)
{
    for (size_t k = 0; k < K; k += GROUP)
        for (size_t j = 0; j < M; j += 2 * WIDTH) {
            const size_t columns = least(M - j, 2 * WIDTH);
            pack_panel(least(K - k, GROUP), columns, b + k * ldb + j, ldb, to + j * K + k * packed_ld(columns));
        }
}

// Position, among the packed blocks of the whole of b, of the one that begins at row k and column j.
static inline size_t packed_at(size_t K, size_t M, size_t k, size_t j)
{
    return j * K + k * whole_vectors(least(M - j, BROAD));
}

static size_t LOOPS(packed_floats)(size_t K, size_t M) { return K * whole_vectors(M); }

static size_t LOOPS(packed_blocks)(size_t K, size_t M) { return (K + DEEP - 1) / DEEP * ((M + BROAD - 1) / BROAD); }

static void LOOPS(pack)(size_t K, size_t M, const float *b, size_t ldb, size_t i, float *packed)
{
    const size_t deep = (K + DEEP - 1) / DEEP, k = i % deep * DEEP, j = i / deep * BROAD;
    pack_right(least(K - k, DEEP), least(M - j, BROAD), b + k * ldb + j, ldb, packed + packed_at(K, M, k, j));
}

// Position of tile i of packed rows, the first of whose rows is `first`: a vector of room lies between tiles.
static inline size_t left_at(size_t K, size_t first, size_t i) { return first * K + i * WIDTH; }

// One block of a'.
static void pack_left(size_t K, size_t N, const float *a, size_t lda, float *to)
{
    const size_t tiles = (N + ROWS - 1) / ROWS;
    for (size_t k0 = 0; k0 < K; k0 += GROUP)
        for (size_t i = 0; i < tiles; i++) {
            const size_t first = N * i / tiles, rows = N * (i + 1) / tiles - first;
            float *const tile = to + left_at(K, first, i);
            for (size_t k = k0; k < K && k < k0 + GROUP; k++)
                VEC_STORE(tile + k * rows, VEC_LOAD_N(a + k * lda + first, rows));
        }
}

// A block of an operand; ld: its leading dimension, 0: packed.
typedef struct side {
    const float *at;
    size_t ld;
} side;

// A register tile of a block of N x M: rows `first` to `first + rows`, columns `j` to `j + columns`, the i-th of its
// rows of tiles. Rows are split into tiles of nearly equal height.
typedef struct tile {
    size_t i, first, rows, j, columns;
} tile;

static inline tile tile_at(size_t N, size_t M, bool by_rows, size_t x)
{
    const size_t tiles = (N + ROWS - 1) / ROWS, panels = (M + 2 * WIDTH - 1) / (2 * WIDTH);
    const size_t i = by_rows ? x / panels : x % tiles, j = (by_rows ? x % panels : x / tiles) * 2 * WIDTH;
    return (tile){i, N * i / tiles, N * (i + 1) / tiles - N * i / tiles, j, least(M - j, 2 * WIDTH)};
}

// A tile of c is fetched while the tile before it is computed: its rows are far apart.
static inline void fetch(tile t, const float *c, size_t ldc)
{
    for (size_t r = 0; r < t.rows; r++)
        for (size_t v = 0; v < t.columns; v += LINE) __builtin_prefetch(c + (t.first + r) * ldc + t.j + v, 1);
}

static void product_block(bool flipped, size_t N, size_t M, size_t K, side a, side b, int beta, float *c, size_t ldc)
{
    const size_t tiles = (N + ROWS - 1) / ROWS * ((M + 2 * WIDTH - 1) / (2 * WIDTH));
    const bool by_rows = !b.ld || K * M <= SMALL;
    for (size_t x = 0; x < tiles; x++) {
        const tile t = tile_at(N, M, by_rows, x);
        const float *const left = a.at + (!a.ld ? left_at(K, t.first, t.i) : flipped ? t.first : t.first * a.ld);
        const float *const right = b.at + (b.ld ? t.j : t.j * K);
        if (x + 1 < tiles) fetch(tile_at(N, M, by_rows, x + 1), c, ldc);
        (flipped ? flipped_strip : plain_strip)[t.rows](t.columns, K, left, a.ld ? a.ld : t.rows, right,
                                                        b.ld ? b.ld : packed_ld(t.columns), beta,
                                                        c + t.first * ldc + t.j, ldc);
    }
}

static void LOOPS(product)(bool flipped, size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b,
                           size_t ldb, int beta, float *c, size_t ldc, float *room)
{
    float *const left = room, *const right = room + LEFT;
    const bool pack_a = flipped && M > PLACE, pack_b = ldb && N > PLACE;
    const size_t blocks = (N + HIGH - 1) / HIGH;
    if (N == 1 && !flipped && ldb) {
        multiply_row(M, K, a, b, ldb, beta, c);
        return;
    }
    for (size_t j = 0; j < M; j += BROAD) {
        const size_t columns = least(M - j, BROAD);
        size_t k = 0;
        do {
            const size_t depth = least(K - k, DEEP);
            const side bk = pack_b ? (side){right, 0} : (side){b + (ldb ? k * ldb + j : packed_at(K, M, k, j)), ldb};
            if (pack_b) pack_right(depth, columns, b + k * ldb + j, ldb, right);
            for (size_t i = 0; i < blocks; i++) {
                const size_t first = N * i / blocks, rows = N * (i + 1) / blocks - first;
                const float *const ak = flipped ? a + k * lda + first : a + first * lda + k;
                if (pack_a) pack_left(depth, rows, ak, lda, left);
                product_block(flipped, rows, columns, depth, pack_a ? (side){left, 0} : (side){ak, lda}, bk,
                              beta || k > 0, c + first * ldc + j, ldc);
            }
            k += depth;
        } while (k < K);
    }
}
