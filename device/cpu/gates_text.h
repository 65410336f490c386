// The source text of the loops of the gated cells, after loops_text.h: a row of each op, from the functions of
// gated_cells.h. A piece is LANES neighbouring units; the blocks of its units lie H elements apart, in z and in the
// states. The choice of cell stands outside the loop over pieces.

// The first n of LANES units of each block, the others 0.
INLINE void load_blocks(size_t blocks, size_t H, size_t n, const float *x, float t[][LANES])
{
    for (size_t k = 0; k < blocks; k++) {
        for (size_t l = 0; l < LANES; l++) t[k][l] = 0;
        memcpy(t[k], x + k * H, n * sizeof *x);
    }
}

INLINE void store_blocks(size_t blocks, size_t H, size_t n, float t[][LANES], float *x)
{
    for (size_t k = 0; k < blocks; k++) memcpy(x + k * H, t[k], n * sizeof *x);
}

INLINE void add_blocks(size_t blocks, size_t H, size_t n, const float *x, float t[][LANES])
{
    for (size_t k = 0; k < blocks; k++) {
        float xt[1][LANES];
        load_blocks(1, H, n, x + k * H, xt);
        for (size_t l = 0; l < LANES; l++) t[k][l] += xt[0][l];
    }
}

// One unit out of, and back into, the lanes of a piece.
#define TAKE(blocks, t, unit) _Pragma("GCC unroll 8") for (size_t k_ = 0; k_ < (blocks); k_++)(unit)[k_] = (t)[k_][l]
#define PUT(blocks, t, unit) _Pragma("GCC unroll 8") for (size_t k_ = 0; k_ < (blocks); k_++)(t)[k_][l] = (unit)[k_]

// function_row and function_whole_row: function_piece over the units of a row, the last piece shorter, for a cell and
// for its cell of whole numbers.
#define ROWS(function, parameters, ...) \
    ROW(function##_row, function##_piece, parameters, 0, __VA_ARGS__) \
    ROW(function##_whole_row, function##_piece, parameters, 1, __VA_ARGS__)
#define ROW(row, piece, parameters, whole, ...) \
    static void row parameters \
    { \
        size_t j = 0; \
        for (; j + LANES <= H; j += LANES) piece(LANES, whole, __VA_ARGS__); \
        if (j < H) piece(H - j, whole, __VA_ARGS__); \
    }

#define GATES_PIECES(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    INLINE void forward##_piece(size_t n, int whole, size_t H, float *z, const float *b, size_t blocks, \
                                const float *b2, size_t blocks2, const float *before, float *after) \
    { \
        float zt[Z][LANES], old[S][LANES], new[S][LANES]; \
        load_blocks(Z, H, n, z, zt); \
        load_blocks(S, H, n, before, old); \
        if (b) add_blocks(blocks, H, n, b, zt); \
        if (b2) add_blocks(blocks2, H, n, b2, zt + (Z - blocks2)); \
        for (size_t l = 0; l < LANES; l++) { \
            float unit[Z], from[S], to[S]; \
            TAKE(Z, zt, unit); \
            TAKE(S, old, from); \
            forward(whole, unit, from, to); \
            PUT(Z, zt, unit); \
            PUT(S, new, to); \
        } \
        store_blocks(Z, H, n, zt, z); \
        store_blocks(S, H, n, new, after); \
    } \
    ROWS(forward, \
         (size_t H, float *z, const float *b, size_t blocks, const float *b2, size_t blocks2, const float *before, \
          float *after), \
         H, z + j, b ? b + j : NULL, blocks, b2 ? b2 + j : NULL, blocks2, before + j, after + j) \
    INLINE void backward##_piece(size_t n, int whole, size_t H, float *z, const float *before, const float *after, \
                                 const float *dafter, float *dbefore) \
    { \
        float zt[Z][LANES], old[S][LANES], new[S][LANES], dnew[S][LANES], dold[S][LANES]; \
        load_blocks(Z, H, n, z, zt); \
        load_blocks(S, H, n, before, old); \
        load_blocks(S, H, n, after, new); \
        load_blocks(S, H, n, dafter, dnew); \
        load_blocks(S, H, n, dbefore, dold); \
        for (size_t l = 0; l < LANES; l++) { \
            float unit[Z], from[S], to[S], dto[S], dfrom[S]; \
            TAKE(Z, zt, unit); \
            TAKE(S, old, from); \
            TAKE(S, new, to); \
            TAKE(S, dnew, dto); \
            backward(whole, unit, from, to, dto, dfrom); \
            PUT(Z, zt, unit); \
            _Pragma("GCC unroll 8") for (size_t k = 0; k < (S); k++) dold[k][l] += dfrom[k]; \
        } \
        store_blocks(Z, H, n, zt, z); \
        store_blocks(S, H, n, dold, dbefore); \
    } \
    ROWS(backward, (size_t H, float *z, const float *before, const float *after, const float *dafter, float *dbefore), \
         H, z + j, before + j, after + j, dafter + j, dbefore + j)
GATED_CELL_LIST(GATES_PIECES)

#define MIX_PIECES(number, Z, mix, mix_backward) \
    INLINE void mix##_piece(size_t n, int whole, size_t H, float *z, const float *h, float *u) \
    { \
        float zt[Z][LANES], ht[1][LANES], ut[1][LANES]; \
        load_blocks(Z, H, n, z, zt); \
        load_blocks(1, H, n, h, ht); \
        for (size_t l = 0; l < LANES; l++) { \
            float unit[Z]; \
            TAKE(Z, zt, unit); \
            ut[0][l] = mix(whole, unit, ht[0][l]); \
            PUT(Z, zt, unit); \
        } \
        store_blocks(Z, H, n, zt, z); \
        store_blocks(1, H, n, ut, u); \
    } \
    ROWS(mix, (size_t H, float *z, const float *h, float *u), H, z + j, h + j, u + j) \
    INLINE void mix_backward##_piece(size_t n, int whole, size_t H, float *z, const float *h, const float *du, \
                                     float *dh) \
    { \
        float zt[Z][LANES], ht[1][LANES], dut[1][LANES], dht[1][LANES]; \
        load_blocks(Z, H, n, z, zt); \
        load_blocks(1, H, n, h, ht); \
        load_blocks(1, H, n, du, dut); \
        load_blocks(1, H, n, dh, dht); \
        for (size_t l = 0; l < LANES; l++) { \
            float unit[Z]; \
            TAKE(Z, zt, unit); \
            dht[0][l] += mix_backward(whole, unit, ht[0][l], dut[0][l]); \
            PUT(Z, zt, unit); \
        } \
        store_blocks(Z, H, n, zt, z); \
        store_blocks(1, H, n, dht, dh); \
    } \
    ROWS(mix_backward, (size_t H, float *z, const float *h, const float *du, float *dh), H, z + j, h + j, du + j, \
         dh + j)
MIXED_CELL_LIST(MIX_PIECES)

#define CALL_ROW(number, function, ...) \
    if (cell == (number)) function##_row(__VA_ARGS__); \
    if (cell == (number) + BPTT_WHOLE) function##_whole_row(__VA_ARGS__);

#define FORWARD_CASE(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    CALL_ROW(number, forward, H, z, b, blocks, b2, blocks2, before, after)
static void LOOPS(gates_forward)(bptt_cell cell, size_t H, float *z, const float *b, size_t blocks, const float *b2,
                                 size_t blocks2, const float *before, float *after)
{
    (void)cell, (void)H, (void)z, (void)b, (void)blocks, (void)b2, (void)blocks2, (void)before, (void)after;
    GATED_CELL_LIST(FORWARD_CASE)
}

#define BACKWARD_CASE(number, word, Z, S, input, hidden, mixed, one, forward, backward) \
    CALL_ROW(number, backward, H, z, before, after, dafter, dbefore)
static void LOOPS(gates_backward)(bptt_cell cell, size_t H, float *z, const float *before, const float *after,
                                  const float *dafter, float *dbefore)
{
    (void)cell, (void)H, (void)z, (void)before, (void)after, (void)dafter, (void)dbefore;
    GATED_CELL_LIST(BACKWARD_CASE)
}

#define MIX_CASE(number, Z, mix, mix_backward) CALL_ROW(number, mix, H, z, h, u)
static void LOOPS(mix)(bptt_cell cell, size_t H, float *z, const float *h, float *u)
{
    (void)cell, (void)H, (void)z, (void)h, (void)u;
    MIXED_CELL_LIST(MIX_CASE)
}

#define MIX_BACKWARD_CASE(number, Z, mix, mix_backward) CALL_ROW(number, mix_backward, H, z, h, du, dh)
static void LOOPS(mix_backward)(bptt_cell cell, size_t H, float *z, const float *h, const float *du, float *dh)
{
    (void)cell, (void)H, (void)z, (void)h, (void)du, (void)dh;
    MIXED_CELL_LIST(MIX_BACKWARD_CASE)
}
