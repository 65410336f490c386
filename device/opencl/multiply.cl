// Tiled GEMM: c = beta c + alpha a b, any strides. It replaces gemm of kernels.h. Each output is the same sequence of
// fma over ascending k from 0 in every tile, so the bits are those of gemm. K is never split. Nothing outside the three
// views is read or written.
// Macros from tile_options: ONE_LANE if a group is one work-item; LANE_ROWS, LANE_COLS outputs of a work-item at a
// time; GROUP_ROWS, GROUP_COLS work-items of a group; DEPTH of a block of k; VECTOR_WIDTH.

#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b

// The first of n things that a group takes; its range ends at first_of the next group.
INLINE count share(count n, size_t group, size_t groups) { return (count)((ulong)n * group / groups); }

INLINE void put(__global float *c, float sum, float alpha, int beta)
{
    const float x = alpha * sum;
    *c = beta ? *c + x : x;
}

#ifdef ONE_LANE

// One work-item keeps up to LANE_ROWS rows by two vectors in registers: LANE_COLS is 2 VECTOR_WIDTH. It stores the sums
// to private memory, LANE_COLS floats a row.
#define VEC JOIN(float, VECTOR_WIDTH)
#define VEC_LOAD(p) JOIN(vload, VECTOR_WIDTH)(0, p)
#define VEC_STORE(x, p) JOIN(vstore, VECTOR_WIDTH)(x, 0, p)

// sums = a b for R rows of a and V vectors of columns of b; with `more`, sums += a b.
#define TILE(NAME, R, V, SPACE) \
    INLINE void NAME##_##R##_##V(count K, SPACE const float *a, ulong down, ulong across, SPACE const float *b, \
                                 ulong ld, bool more, float *sums) \
    { \
        VEC s[R][V]; \
        _Pragma("unroll") for (int r = 0; r < (R); r++) \
            _Pragma("unroll") for (int v = 0; v < (V); v++) \
                s[r][v] = more ? VEC_LOAD(sums + r * LANE_COLS + v * VECTOR_WIDTH) : (VEC)(0.0f); \
        for (count k = 0; k < K; k++) { \
            VEC bk[V]; \
            _Pragma("unroll") for (int v = 0; v < (V); v++) bk[v] = VEC_LOAD(b + v * VECTOR_WIDTH); \
            _Pragma("unroll") for (int r = 0; r < (R); r++) \
            { \
                const VEC ar = (VEC)(a[r * down]); \
                _Pragma("unroll") for (int v = 0; v < (V); v++) s[r][v] = fma(ar, bk[v], s[r][v]); \
            } \
            a += across; \
            b += ld; \
        } \
        _Pragma("unroll") for (int r = 0; r < (R); r++) \
            _Pragma("unroll") for (int v = 0; v < (V); v++) \
                VEC_STORE(s[r][v], sums + r * LANE_COLS + v * VECTOR_WIDTH); \
    }

#define UP_TO_4(X) X(1) X(2) X(3) X(4)
#define UP_TO_6(X) UP_TO_4(X) X(5) X(6)
#define UP_TO_8(X) UP_TO_6(X) X(7) X(8)
#define UP_TO_10(X) UP_TO_8(X) X(9) X(10)
#define UP_TO_12(X) UP_TO_10(X) X(11) X(12)
#define UP_TO_14(X) UP_TO_12(X) X(13) X(14)
#define EACH_HEIGHT JOIN(UP_TO_, LANE_ROWS)

// sums = a b for `rows` <= LANE_ROWS rows and `width` = VECTOR_WIDTH or LANE_COLS columns, in one address space.
#define HEIGHT(NAME, R) \
    case R: \
        if (width == LANE_COLS) \
            NAME##_##R##_2(K, a, down, across, b, ld, more, sums); \
        else \
            NAME##_##R##_1(K, a, down, across, b, ld, more, sums); \
        break;
#define SUM(NAME, SPACE, EACH) \
    INLINE void sum_##NAME(count rows, count width, count K, SPACE const float *a, ulong down, ulong across, \
                           SPACE const float *b, ulong ld, bool more, float *sums) \
    { \
        switch (rows) { EACH_HEIGHT(EACH) } \
    }

#define TILES_IN_PLACE(R) TILE(in_place, R, 1, __global) TILE(in_place, R, 2, __global)
#define HEIGHT_IN_PLACE(R) HEIGHT(in_place, R)
EACH_HEIGHT(TILES_IN_PLACE)
SUM(in_place, __global, HEIGHT_IN_PLACE)

#define TILES_PACKED(R) TILE(packed, R, 1, __private) TILE(packed, R, 2, __private)
#define HEIGHT_PACKED(R) HEIGHT(packed, R)
EACH_HEIGHT(TILES_PACKED)
SUM(packed, __private, HEIGHT_PACKED)

// Columns `at` .. at + width - 1. The last piece of a matrix is moved back to be a whole vector, so its first `skip`
// columns belong to the piece before.
typedef struct piece {
    count at, width, skip;
} piece;

// The piece that starts at column j of M >= VECTOR_WIDTH columns.
INLINE piece piece_at(count j, count M)
{
    piece p;
    p.width = M - j < LANE_COLS ? VECTOR_WIDTH : LANE_COLS;
    p.at = M - j < VECTOR_WIDTH ? M - VECTOR_WIDTH : j;
    p.skip = j - p.at;
    return p;
}

// c: the element in the first row and column of the sums.
INLINE void put_sums(const float *sums, count rows, piece p, __global float *c, ulong down, ulong across,
                     op_constants k)
{
    const float alpha = (float)k.alpha;
    for (count i = 0; i < rows; i++)
        if (across == 1 && p.skip == 0 && p.width % VECTOR_WIDTH == 0)
            for (count j = 0; j < p.width; j += VECTOR_WIDTH) {
                __global float *y = c + i * down + j;
                const VEC x = alpha * VEC_LOAD(sums + i * LANE_COLS + j);
                VEC_STORE(k.beta ? VEC_LOAD(y) + x : x, y);
            }
        else
            for (count j = p.skip; j < p.width; j++)
                put(c + i * down + j * across, sums[i * LANE_COLS + j], alpha, k.beta);
}

// Rows first .. last - 1 and columns left .. right - 1. The columns of b are contiguous, at least VECTOR_WIDTH of them.
INLINE void multiply_in_place(count first, count last, count left, count right, __global const float *a, view av,
                              __global const float *b, view bv, __global float *c, view cv, op_constants k)
{
    float sums[LANE_ROWS * LANE_COLS];
    const count tiles = (last - first + LANE_ROWS - 1) / LANE_ROWS;
    for (count tile = 0; tile < tiles; tile++) {
        const count i = first + share(last - first, tile, tiles);
        const count rows = first + share(last - first, tile + 1, tiles) - i;
        for (count j = left; j < right;) {
            const piece p = piece_at(j, cv.cols);
            sum_in_place(rows, p.width, av.cols, a + (ulong)i * av.down, av.down, av.across, b + p.at, bv.down, false,
                         sums);
            put_sums(sums, rows, p, c + (ulong)i * cv.down + (ulong)p.at * cv.across, cv.down, cv.across, k);
            j = p.at + p.width;
        }
    }
}

// Blocks of TALL x WIDE sums. DEPTH columns of a and DEPTH rows of b at a time are packed in the order in which the
// tiles read them.
#define TILES 8
#define STRIPS 8
#define TALL (TILES * LANE_ROWS)
#define WIDE (STRIPS * LANE_COLS)

// y = x for n floats.
INLINE void copy_run(count n, __global const float *x, float *y)
{
    count i = 0;
    for (; i + 4 <= n; i += 4) vstore4(vload4(0, x + i), 0, y + i);
    for (; i < n; i++) y[i] = x[i];
}

// Packs a panel: panel[k][i] = x[i][k], `pitch` floats for each k, zeros from `wide` on.
INLINE void pack(count wide, count pitch, count deep, __global const float *x, ulong down, ulong across, float *panel)
{
    if (wide == pitch && down == 1) { // the common case has a constant length
        for (count k = 0; k < deep; k++) copy_run(pitch, x + k * across, panel + k * pitch);
        return;
    }
    if (wide < pitch)
        for (count n = 0; n < deep * pitch; n++) panel[n] = 0.0f;
    if (down == 1)
        for (count k = 0; k < deep; k++) copy_run(wide, x + k * across, panel + k * pitch);
    else
        for (count i = 0; i < wide; i++)
            for (count k = 0; k < deep; k++) panel[k * pitch + i] = x[i * down + k * across];
}

typedef struct block {
    count i, j, rows, cols; // position and size in c
} block;

INLINE void multiply_block(block c, __global const float *a, view av, __global const float *b, view bv,
                           float *sums)
{
    float as[TALL * DEPTH], bs[LANE_COLS * DEPTH];
    for (count d = 0; d < av.cols; d += DEPTH) {
        const count deep = min(av.cols - d, (count)DEPTH);
        for (count i = 0; i < c.rows; i += LANE_ROWS)
            pack(min(c.rows - i, (count)LANE_ROWS), LANE_ROWS, deep,
                 a + (ulong)(c.i + i) * av.down + (ulong)d * av.across, av.down, av.across, as + i * DEPTH);
        for (count j = 0; j < c.cols; j += LANE_COLS) {
            const count cols = min(c.cols - j, (count)LANE_COLS);
            const count width = cols > VECTOR_WIDTH ? LANE_COLS : VECTOR_WIDTH;
            pack(cols, LANE_COLS, deep, b + (ulong)d * bv.down + (ulong)(c.j + j) * bv.across, bv.across, bv.down, bs);
            for (count i = 0; i < c.rows; i += LANE_ROWS)
                sum_packed(min(c.rows - i, (count)LANE_ROWS), width, deep, as + i * DEPTH, 1, LANE_ROWS, bs, LANE_COLS,
                           d > 0, sums + j * TALL + i * LANE_COLS);
        }
    }
}

// The same for any strides and any K.
INLINE void multiply_packed(count first, count last, count left, count right, __global const float *a, view av,
                            __global const float *b, view bv, __global float *c, view cv, op_constants k)
{
    float sums[TALL * WIDE]; // one strip after another, LANE_COLS floats a row
    for (count i = first; i < last; i += TALL)
        for (count j = left; j < right; j += WIDE) {
            const block at = {i, j, min(last - i, (count)TALL), min(right - j, (count)WIDE)};
            multiply_block(at, a, av, b, bv, sums);
            for (count x = 0; x < at.cols; x += LANE_COLS) {
                const piece p = {j + x, min(at.cols - x, (count)LANE_COLS), 0};
                put_sums(sums + x * TALL, at.rows, p, c + (ulong)i * cv.down + (ulong)p.at * cv.across, cv.down,
                         cv.across, k);
            }
        }
}

#define DEEP 512 // largest K for which a strip of b is read in place: a longer one does not fit in cache

// Groups along id 0 divide the strips of LANE_COLS columns, groups along id 1 the rows.
KERNEL(multiply)(__global const float *a, view av, __global const float *b, view bv, __global float *c, view cv,
                 op_constants k, __global const float *slots)
{
    const count strips = (cv.cols + LANE_COLS - 1) / LANE_COLS;
    const count first = share(cv.rows, get_group_id(1), get_num_groups(1));
    const count last = share(cv.rows, get_group_id(1) + 1, get_num_groups(1));
    const count left = LANE_COLS * share(strips, get_group_id(0), get_num_groups(0));
    const count right = min(cv.cols, LANE_COLS * share(strips, get_group_id(0) + 1, get_num_groups(0)));
    a += av.at, b += bv.at, c += cv.at;
    if (av.across == 1 && bv.across == 1 && cv.cols >= VECTOR_WIDTH && av.cols <= DEEP)
        multiply_in_place(first, last, left, right, a, av, b, bv, c, cv, k);
    else
        multiply_packed(first, last, left, right, a, av, b, bv, c, cv, k);
}

#else

// A group of GROUP_ROWS x GROUP_COLS work-items computes a tile of TILE_ROWS x TILE_COLS outputs. Blocks of DEPTH
// columns of a and DEPTH rows of b are copied to local memory. Work-item (row, col) owns the rows row + r GROUP_ROWS
// and the columns col + s GROUP_COLS, so that global accesses coalesce.
#define TILE_ROWS (GROUP_ROWS * LANE_ROWS)
#define TILE_COLS (GROUP_COLS * LANE_COLS)
#define GROUP_LANES (GROUP_ROWS * GROUP_COLS)

// Copies a block of `rows` x `deep` to local memory: tile[k * pitch + i] = x[i][k], i below `wide`, zeros beyond the
// block (no stored output depends on them). Reads coalesce for both layouts of x.
INLINE void fetch(LOCAL_POINTER float *tile, count pitch, count wide, __global const float *x, count rows, count deep,
                  ulong down, ulong across, count lane)
{
    for (count n = lane; n < wide * DEPTH; n += GROUP_LANES) {
        const count i = across == 1 ? n / DEPTH : n % wide, k = across == 1 ? n % DEPTH : n / wide;
        tile[k * pitch + i] = i < rows && k < deep ? x[i * down + k * across] : 0.0f;
    }
}

KERNEL(multiply)(__global const float *a, view av, __global const float *b, view bv, __global float *c, view cv,
                 op_constants k, __global const float *slots)
{
    // an odd pitch avoids bank conflicts between lanes that store successive columns of k
    LOCAL float as[DEPTH * (TILE_ROWS + 1)], bs[DEPTH * (TILE_COLS + 1)];
    const count row = (count)get_local_id(1), col = (count)get_local_id(0), lane = row * GROUP_COLS + col;
    const count i0 = (count)get_group_id(0) * TILE_ROWS, j0 = (count)get_group_id(1) * TILE_COLS, K = av.cols;
    const count rows = min(cv.rows - i0, (count)TILE_ROWS), cols = min(cv.cols - j0, (count)TILE_COLS);
    float sum[LANE_ROWS][LANE_COLS];
    for (count r = 0; r < LANE_ROWS; r++)
        for (count s = 0; s < LANE_COLS; s++) sum[r][s] = 0.0f;
    a += av.at + (ulong)i0 * av.down, b += bv.at + (ulong)j0 * bv.across;
    for (count d = 0; d < K; d += DEPTH) {
        const count deep = min(K - d, (count)DEPTH);
        fetch(as, TILE_ROWS + 1, TILE_ROWS, a + (ulong)d * av.across, rows, deep, av.down, av.across, lane);
        fetch(bs, TILE_COLS + 1, TILE_COLS, b + (ulong)d * bv.down, cols, deep, bv.across, bv.down, lane);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (count kk = 0; kk < deep; kk++) { // not beyond K: adding 0 * 0 would turn a sum of -0 into +0
            float ar[LANE_ROWS], bk[LANE_COLS];
            for (count r = 0; r < LANE_ROWS; r++) ar[r] = as[kk * (TILE_ROWS + 1) + row + r * GROUP_ROWS];
            for (count s = 0; s < LANE_COLS; s++) bk[s] = bs[kk * (TILE_COLS + 1) + col + s * GROUP_COLS];
            for (count r = 0; r < LANE_ROWS; r++)
                for (count s = 0; s < LANE_COLS; s++) sum[r][s] = fma(ar[r], bk[s], sum[r][s]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c += cv.at + (ulong)i0 * cv.down + (ulong)j0 * cv.across;
    for (count r = 0; r < LANE_ROWS; r++)
        for (count s = 0; s < LANE_COLS; s++) {
            const count i = row + r * GROUP_ROWS, j = col + s * GROUP_COLS;
            if (i < rows && j < cols)
                put(c + (ulong)i * cv.down + (ulong)j * cv.across, sum[r][s], (float)k.alpha, k.beta);
        }
}

#endif
