// Fused recurrence: one kernel runs a layer through all steps of time. A group takes a tile of batch rows from step to
// step; row i of every result depends on row i only, so groups need no synchronization. The bits are those of the ops:
//
//   forward, t ascending     kept = keep(t) h(t), or h(t)        h(t+1) = f(h(t+1) + kept W + b + b2)
//   backward, t descending   dz(t) = dh(t+1) f'(h(t+1))          dh(t) += dz(t) back, through keep(t) and dkept if
//                                                                there is one
//
// On entry h(t+1) holds x(t) W_ih, and dz the gradient from the layer above. Macros from tile_options: those of
// multiply.cl and WINDOW_ROWS.

// A row of an operand that may be absent.
INLINE __global const float *row_of(__global const float *b, view v) { return v.rows ? b + v.at : 0; }

#ifdef ONE_LANE

// The rows of a group are split into tiles of at most LANE_ROWS.

// sums = a w for a piece of the columns of w.
INLINE void sum_piece(count rows, piece p, __global const float *a, ulong down, __global const float *w, view wv,
                      float *sums)
{
    if (wv.across == 1 && wv.cols >= VECTOR_WIDTH) {
        sum_in_place(rows, p.width, wv.rows, a, down, 1, w + p.at, wv.down, false, sums);
        return;
    }
    for (count i = 0; i < rows; i++)
        for (count j = 0; j < p.width; j++) {
            float sum = 0.0f;
            for (count k = 0; k < wv.rows; k++)
                sum = fma(a[i * down + k], w[(ulong)k * wv.down + (ulong)(p.at + j) * wv.across], sum);
            sums[i * LANE_COLS + j] = sum;
        }
}

INLINE piece piece_of(count j, view wv)
{
    if (wv.across == 1 && wv.cols >= VECTOR_WIDTH) return piece_at(j, wv.cols);
    piece p;
    p.at = j;
    p.width = min(wv.cols - j, (count)LANE_COLS);
    p.skip = 0;
    return p;
}

INLINE void scale_tile(count rows, count H, __global const float *keep, ulong keep_down, __global const float *x,
                       ulong x_down, __global float *y, ulong y_down)
{
    for (count i = 0; i < rows; i++) {
        const float k = keep[i * keep_down];
        for (count j = 0; j < H; j++) y[i * y_down + j] = k * x[i * x_down + j];
    }
}

#define PIECE_FORWARD(number, forward, backward) \
    if (cell == number) \
        for (count j = 0; j < p.width; j++) x[j] = forward(x[j]);
#define PIECE_BACKWARD(number, forward, backward) \
    if (s->cell == number) \
        for (count j = 0; j < p.width; j++) x[j] = backward(y[j], x[j]);

// z: first row, first column of the piece.
INLINE void cells_forward(const float *sums, count rows, piece p, __global float *z, ulong down,
                          __global const float *b, __global const float *b2, int cell)
{
    for (count i = 0; i < rows; i++) {
        float x[LANE_COLS];
        for (count j = 0; j < p.width; j++) x[j] = z[i * down + j] + sums[i * LANE_COLS + j];
        if (b)
            for (count j = 0; j < p.width; j++) x[j] = x[j] + b[p.at + j];
        if (b2)
            for (count j = 0; j < p.width; j++) x[j] = x[j] + b2[p.at + j];
        CELL_LIST(PIECE_FORWARD)
        for (count j = p.skip; j < p.width; j++) z[i * down + j] = x[j];
    }
}

KERNEL(window_forward)(__global const float *keep, view keep_v, __global float *h, view hv,
                       __global float *kept, view kept_v, __global const float *w, view wv,
                       __global const float *b, view bv, __global const float *b2, view b2v,
                       layer_constants a, __global const float *slots)
{
    float sums[LANE_ROWS * LANE_COLS];
    const count i = share(a.B, get_group_id(0), get_num_groups(0));
    const count rows = share(a.B, get_group_id(0) + 1, get_num_groups(0)) - i;
    const count tiles = (rows + LANE_ROWS - 1) / LANE_ROWS;
    for (count t = 0; t < a.T; t++) {
        const ulong at = hv.at + t * a.stride_h + (ulong)i * hv.down;
        __global const float *from = h + at;
        __global float *z = h + (at + a.stride_h);
        ulong down = hv.down;
        if (a.masked) {
            __global float *k = kept + (kept_v.at + t * a.stride_kept + (ulong)i * kept_v.down);
            scale_tile(rows, a.H, keep + (keep_v.at + t * a.stride_keep + (ulong)i * keep_v.down), keep_v.down, from,
                       hv.down, k, kept_v.down);
            from = k;
            down = kept_v.down;
        }
        for (count j = 0; j < a.H;) {
            const piece p = piece_of(j, wv);
            for (count n = 0; n < tiles; n++) { // the piece of w stays in cache for all tiles
                const ulong r = share(rows, n, tiles);
                const count height = share(rows, n + 1, tiles) - (count)r;
                sum_piece(height, p, from + r * down, down, w + wv.at, wv, sums);
                cells_forward(sums, height, p, z + (r * hv.down + p.at), hv.down, row_of(b, bv), row_of(b2, b2v),
                              a.cell);
            }
            j = p.at + p.width;
        }
    }
}

// Adds a product to dz of the step before, or to the gradient of the initial state. Pointers are to the first row of
// the group.
typedef struct step_back {
    __global float *into, *dkept;
    __global const float *y, *keep; // y, dkept, keep: 0 if not used
    ulong into_down, y_down, dkept_down, keep_down;
    int cell;
} step_back;

// first: the first row of the sums in the group.
INLINE void cells_backward(const float *sums, ulong first, count rows, piece p, const step_back *s)
{
    for (ulong i = first; i < first + rows; i++, sums += LANE_COLS) {
        __global float *into = s->into + i * s->into_down + p.at;
        float x[LANE_COLS];
        for (count j = 0; j < p.width; j++) x[j] = sums[j];
        if (s->dkept)
            for (count j = p.skip; j < p.width; j++) s->dkept[i * s->dkept_down + p.at + j] = x[j];
        if (s->keep)
            for (count j = 0; j < p.width; j++) x[j] = s->keep[i * s->keep_down] * x[j];
        for (count j = 0; j < p.width; j++) x[j] = into[j] + x[j];
        if (s->y) {
            __global const float *y = s->y + i * s->y_down + p.at;
            CELL_LIST(PIECE_BACKWARD)
        }
        for (count j = p.skip; j < p.width; j++) into[j] = x[j];
    }
}

KERNEL(window_backward)(__global const float *keep, view keep_v, __global const float *y, view yv,
                        __global float *dz, view dv, __global const float *w, view wv,
                        __global float *dkept, view dkept_v, layer_constants a, __global const float *slots)
{
    float sums[LANE_ROWS * LANE_COLS];
    const count i = share(a.B, get_group_id(0), get_num_groups(0));
    const count rows = share(a.B, get_group_id(0) + 1, get_num_groups(0)) - i;
    const count tiles = (rows + LANE_ROWS - 1) / LANE_ROWS;
    keep += keep_v.at + (ulong)i * keep_v.down, y += yv.at + (ulong)i * yv.down, dz += dv.at + (ulong)i * dv.down;
    dkept += dkept_v.at + (ulong)i * dkept_v.down, w += wv.at;
    for (ulong r = 0; r < rows; r++)
        for (count j = 0; j < a.H; j++) {
            __global float *d = dz + r * dv.down + j;
            *d = cell_backward(a.cell, y[r * yv.down + j], *d);
        }
    for (count t = 0; t < a.T; t++) { // from the last step to the first
        const bool first = t + 1 == a.T;
        const step_back s = {dz + (t + 1) * a.stride_dz,
                             first && a.masked ? dkept : 0,
                             first ? 0 : y + (t + 1) * a.stride_h,
                             a.masked ? keep + t * a.stride_keep : 0,
                             dv.down,
                             yv.down,
                             dkept_v.down,
                             keep_v.down,
                             a.cell};
        for (count j = 0; j < a.H;) {
            const piece p = piece_of(j, wv);
            for (count n = 0; n < tiles; n++) {
                const ulong r = share(rows, n, tiles);
                const count height = share(rows, n + 1, tiles) - (count)r;
                sum_piece(height, p, dz + t * a.stride_dz + r * dv.down, dv.down, w, wv, sums);
                cells_backward(sums, r, height, p, &s);
            }
            j = p.at + p.width;
        }
    }
}

#else

// WINDOW_ROWS rows of the operand of a step's GEMM are in local memory, one vector for each column. Two tiles alternate
// (double buffering), so that one barrier a step is enough. A lane owns the columns lane, lane + lanes, ...; no other
// lane accesses them in global memory.
#define TILE_COLUMN JOIN(float, WINDOW_ROWS)
#define COLUMN_LOAD(p) JOIN(vload, WINDOW_ROWS)(0, p)
#define COLUMN_STORE(x, p) JOIN(vstore, WINDOW_ROWS)(x, 0, p)

// One column of the product, with a prefetch distance of AHEAD rows of w.
#define AHEAD 8
#define SUM_COLUMN(NAME, SPACE) \
    INLINE TILE_COLUMN NAME(count K, __local const TILE_COLUMN *tile, SPACE const float *w, ulong down) \
    { \
        TILE_COLUMN sum = (TILE_COLUMN)(0.0f); \
        count k = 0; \
        for (; k + AHEAD <= K; k += AHEAD) { \
            float wk[AHEAD]; \
            _Pragma("unroll") for (int n = 0; n < AHEAD; n++) wk[n] = w[(k + n) * down]; \
            _Pragma("unroll") for (int n = 0; n < AHEAD; n++) sum = fma(tile[k + n], (TILE_COLUMN)(wk[n]), sum); \
        } \
        for (; k < K; k++) sum = fma(tile[k], (TILE_COLUMN)(w[k * down]), sum); \
        return sum; \
    }
SUM_COLUMN(sum_resident, __local)
SUM_COLUMN(sum_streamed, __global)

// sum[r]: the product of row r of the tile with column j of w.
INLINE void sum_rows(int resident, count H, __local const TILE_COLUMN *tile, __local const float *near,
                     __global const float *w, view wv, count j, float *sum)
{
    if (resident)
        COLUMN_STORE(sum_resident(H, tile, near + j, H), sum);
    else
        COLUMN_STORE(sum_streamed(H, tile, w + (ulong)j * wv.across, wv.down), sum);
}

// Copies w to local memory (near).
INLINE void make_resident(count H, __local float *near, __global const float *w, view wv)
{
    for (count k = 0; k < H; k++)
        for (count j = (count)get_local_id(0); j < H; j += (count)get_local_size(0))
            near[k * H + j] = w[(ulong)k * wv.down + (ulong)j * wv.across];
}

KERNEL(window_forward)(__global const float *keep, view keep_v, __global float *h, view hv,
                       __global float *kept, view kept_v, __global const float *w, view wv,
                       __global const float *b, view bv, __global const float *b2, view b2v,
                       layer_constants a, __global const float *slots, __local TILE_COLUMN *tiles)
{
    const count i = (count)get_group_id(0) * WINDOW_ROWS, lane = (count)get_local_id(0);
    const count lanes = (count)get_local_size(0), rows = min(a.B - i, (count)WINDOW_ROWS);
    __local float *near = (__local float *)(tiles + 2 * a.H);
    __global const float *bias = row_of(b, bv), *bias2 = row_of(b2, b2v);
    h += hv.at + (ulong)i * hv.down, kept += kept_v.at + (ulong)i * kept_v.down;
    keep += keep_v.at + (ulong)i * keep_v.down, w += wv.at;
    float x[WINDOW_ROWS], sum[WINDOW_ROWS];
    _Pragma("unroll") for (int r = 0; r < WINDOW_ROWS; r++) x[r] = 0.0f;
    if (a.resident) make_resident(a.H, near, w, wv);
    // Iteration t reads the tile that iteration t - 1 wrote, computes h(t), and writes the other tile.
    for (count t = 0; t <= a.T; t++) {
        __local const TILE_COLUMN *now = tiles + (t & 1 ? 0 : a.H);
        __local TILE_COLUMN *next = tiles + (t & 1 ? a.H : 0);
        for (count j = lane; j < a.H; j += lanes) {
            if (t > 0) sum_rows(a.resident, a.H, now, near, w, wv, j, sum);
            _Pragma("unroll") for (count r = 0; r < WINDOW_ROWS; r++)
            {
                if (r >= rows) continue; // a constant loop bound keeps x and sum in registers
                __global float *z = h + (t * a.stride_h + (ulong)r * hv.down + j);
                x[r] = *z;
                if (t > 0) {
                    x[r] = x[r] + sum[r];
                    if (bias) x[r] = x[r] + bias[j];
                    if (bias2) x[r] = x[r] + bias2[j];
                    x[r] = cell_forward(a.cell, x[r]);
                    *z = x[r];
                }
                if (t < a.T && a.masked) {
                    x[r] = keep[t * a.stride_keep + (ulong)r * keep_v.down] * x[r];
                    kept[t * a.stride_kept + (ulong)r * kept_v.down + j] = x[r];
                }
            }
            if (t < a.T) next[j] = COLUMN_LOAD(x);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

KERNEL(window_backward)(__global const float *keep, view keep_v, __global const float *y, view yv,
                        __global float *dz, view dv, __global const float *w, view wv,
                        __global float *dkept, view dkept_v, layer_constants a, __global const float *slots,
                        __local TILE_COLUMN *tiles)
{
    const count i = (count)get_group_id(0) * WINDOW_ROWS, lane = (count)get_local_id(0);
    const count lanes = (count)get_local_size(0), rows = min(a.B - i, (count)WINDOW_ROWS);
    __local float *near = (__local float *)(tiles + 2 * a.H);
    keep += keep_v.at + (ulong)i * keep_v.down, y += yv.at + (ulong)i * yv.down, dz += dv.at + (ulong)i * dv.down;
    dkept += dkept_v.at + (ulong)i * dkept_v.down, w += wv.at;
    float x[WINDOW_ROWS], sum[WINDOW_ROWS];
    _Pragma("unroll") for (int r = 0; r < WINDOW_ROWS; r++) x[r] = sum[r] = 0.0f;
    if (a.resident) make_resident(a.H, near, w, wv);
    // Iteration t multiplies dz of step T - t by the weights, and computes dz of step T - 1 - t from it; the last one
    // gives the gradient of the initial state.
    for (count t = 0; t <= a.T; t++) {
        __local const TILE_COLUMN *now = tiles + (t & 1 ? 0 : a.H);
        __local TILE_COLUMN *next = tiles + (t & 1 ? a.H : 0);
        const bool beyond = t == a.T;
        for (count j = lane; j < a.H; j += lanes) {
            if (t > 0) sum_rows(a.resident, a.H, now, near, w, wv, j, sum);
            _Pragma("unroll") for (count r = 0; r < WINDOW_ROWS; r++)
            {
                if (r >= rows) continue; // a constant loop bound keeps x and sum in registers
                __global float *into = dz + (t * a.stride_dz + (ulong)r * dv.down + j);
                if (beyond && a.masked) dkept[(ulong)r * dkept_v.down + j] = sum[r];
                if (t > 0 && a.masked) sum[r] = keep[(t - 1) * a.stride_keep + (ulong)r * keep_v.down] * sum[r];
                x[r] = t == 0 ? *into : *into + sum[r];
                if (!beyond) x[r] = cell_backward(a.cell, y[t * a.stride_h + (ulong)r * yv.down + j], x[r]);
                *into = x[r];
            }
            if (!beyond) next[j] = COLUMN_LOAD(x);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

#endif
