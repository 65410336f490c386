// Fused recurrence of gated cells: one kernel runs a layer through all steps of time, like those of window.cl. A group
// takes its batch rows through the ops of a step in the order of the loop's body, with the text of their kernels, so
// the bits are those of the ops:
//
//   forward    kept = keep h   z += kept W   u = mix(z, kept)   z += u W_mixed   z, h(t+1) = gates(z, kept)
//   backward   dkept = 0   z, dkept = gates(z, kept, h(t+1), dh(t+1))   du = z W_mixed'   z, dkept += mix(z, kept, du)
//              dkept += z W'   dh(t) += keep dkept
//
// Without keep, kept is h and dkept is dh(t). Each product may be absent. The cell is a constant of the compiler,
// GATES_CELL: layer_constants.cell.
#ifdef GATES_CELL

// Loops over the rows of an operand, and over the units of a row, for the work-items of a group. A work-item takes the
// same units of the same rows in every op, so that barriers are needed around products only.
#undef EACH_ROW
#undef EACH_COLUMN
#ifdef ONE_LANE
#define EACH_ROW(i, n) for (word i = 0; i < (n); i++)
#define EACH_COLUMN(j, n) INDEPENDENT for (word j = 0; j < (n); j++)
#define TILE_PARAMETER
#define TILE_ARGUMENT
#else
#define ACROSS ((count)get_local_size(0) / WINDOW_ROWS) // work-items of a row
#define EACH_ROW(i, n) for (word i = (count)get_local_id(0) % WINDOW_ROWS; i < (n); i += WINDOW_ROWS)
#define EACH_COLUMN(j, n) for (word j = (count)get_local_id(0) / WINDOW_ROWS; j < (n); j += ACROSS)
#define TILE_PARAMETER , __local TILE_COLUMN *tile
#define TILE_ARGUMENT , tile
#endif

INLINE void zero_of_group(OUT(y), count H)
{
    EACH_ROW (i, y_view.rows)
        for (count k = 0; k < y_view.cols; k += H)
            EACH_COLUMN (j, H) AT(y, i, k + j) = 0.0f;
}

INLINE void scale_of_group(IN(k), IN(x), OUT(y), count H, int add)
{
    EACH_ROW (i, y_view.rows) {
        const float ki = AT(k, i, 0);
        for (count n = 0; n < y_view.cols; n += H)
            EACH_COLUMN (j, H) {
                const float kx = ki * AT(x, i, n + j);
                AT(y, i, n + j) = add ? AT(y, i, n + j) + kx : kx;
            }
    }
}

INLINE void gates_forward_of_group(OUT(z), IN(b), IN(b2), IN(before), OUT(after), op_constants o)
{
    EACH_ROW (i, after_view.rows) {
        GATED_CELL_LIST(GATES_FORWARD)
    }
}

INLINE void gates_backward_of_group(OUT(z), IN(before), IN(after), IN(dafter), OUT(dbefore), op_constants o)
{
    EACH_ROW (i, after_view.rows) {
        GATED_CELL_LIST(GATES_BACKWARD)
    }
}

INLINE void mix_of_group(OUT(z), IN(h), OUT(u), count H, op_constants o)
{
    EACH_ROW (i, u_view.rows) {
        MIXED_CELL_LIST(MIX)
    }
}

INLINE void mix_backward_of_group(OUT(z), IN(h), IN(du), OUT(dh), count H, op_constants o)
{
    EACH_ROW (i, du_view.rows) {
        MIXED_CELL_LIST(MIX_BACKWARD)
    }
}

// Of all rows, those of the group.
typedef struct group_rows {
    count first, rows;
} group_rows;

// product_of_group: c = a w + beta c for the rows of the group.
#ifdef ONE_LANE
INLINE group_rows rows_of_group(count B)
{
    group_rows g;
    g.first = share(B, get_group_id(0), get_num_groups(0));
    g.rows = share(B, get_group_id(0) + 1, get_num_groups(0)) - g.first;
    return g;
}

INLINE void product_of_group(IN(a), IN(w), OUT(c), op_constants o)
{
    float sums[LANE_ROWS * LANE_COLS];
    const count rows = c_view.rows, tiles = (rows + LANE_ROWS - 1) / LANE_ROWS;
    for (count j = 0; j < w_view.cols;) {
        const piece p = piece_of(j, w_view);
        for (count n = 0; n < tiles; n++) { // the piece of w stays in cache for all tiles
            const ulong r = share(rows, n, tiles);
            const count height = share(rows, n + 1, tiles) - (count)r;
            sum_piece(height, p, a + (a_view.at + r * a_view.down), a_view.down, w + w_view.at, w_view, sums);
            put_sums(sums, height, p, c + (c_view.at + r * c_view.down + p.at), c_view.down, 1, o);
        }
        j = p.at + p.width;
    }
}
#else
INLINE group_rows rows_of_group(count B)
{
    group_rows g;
    g.first = (count)get_group_id(0) * WINDOW_ROWS;
    g.rows = min(B - g.first, (count)WINDOW_ROWS);
    return g;
}

INLINE void product_of_group(IN(a), IN(w), OUT(c), op_constants o TILE_PARAMETER)
{
    const count lane = (count)get_local_id(0), lanes = (count)get_local_size(0);
    float x[WINDOW_ROWS];
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (count k = lane; k < w_view.rows; k += lanes) {
        _Pragma("unroll") for (count r = 0; r < WINDOW_ROWS; r++) x[r] = r < c_view.rows ? AT(a, r, k) : 0.0f;
        tile[k] = COLUMN_LOAD(x);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (count j = lane; j < w_view.cols; j += lanes) {
        COLUMN_STORE(sum_streamed(w_view.rows, tile, w + (w_view.at + (ulong)j * w_view.across), w_view.down), x);
        _Pragma("unroll") for (count r = 0; r < WINDOW_ROWS; r++) if (r < c_view.rows)
            put(&AT(c, r, j), x[r], (float)o.alpha, o.beta);
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
}
#endif

// These rows of an operand, `steps` elements further.
INLINE view at_step(view v, group_rows g, ulong steps)
{
    v.at += steps + (ulong)g.first * v.down;
    v.rows = g.rows;
    v.across = 1; // a constant for the compiler
    return v;
}

// Columns first .. first + cols - 1.
INLINE view columns_of(view v, count first, count cols)
{
    v.at += first;
    v.cols = cols;
    return v;
}

INLINE op_constants constants_of_loop(void)
{
    op_constants o = {0};
    o.alpha = 1;
    o.cell = GATES_CELL;
    return o;
}

__kernel void bptt_gates_window_forward(__global const float *keep, view keep_v, __global float *h, view hv,
                                        __global float *kept, view kept_v, __global float *z, view zv,
                                        __global const float *w, view wv, __global float *u, view uv,
                                        __global const float *mixed, view mixed_v, __global const float *b, view bv,
                                        __global const float *b2, view b2v, layer_constants a,
                                        __global const float *slots TILE_PARAMETER)
{
    const group_rows g = rows_of_group(a.B);
    op_constants o = constants_of_loop();
    o.beta = 1;
    bv.across = b2v.across = 1;
    for (count t = 0; t < a.T; t++) {
        const view before = at_step(hv, g, t * a.stride_h), after = at_step(hv, g, (t + 1) * a.stride_h);
        const view from_v = a.masked ? at_step(kept_v, g, t * a.stride_kept) : before;
        const view h_of_from = columns_of(from_v, 0, a.H), ut = at_step(uv, g, t * a.stride_u);
        const view zt = at_step(zv, g, t * a.stride_z);
        __global const float *from = a.masked ? kept : h;
        if (a.masked)
            scale_of_group(keep, at_step(keep_v, g, t * a.stride_keep), h, before, kept, from_v, a.H, 0);
        // One copy of the product's code, which is long. No `continue`: PoCL 3.1 then computes other values.
        for (int second = wv.rows == 0; second <= (mixed_v.rows != 0); second++) {
            const view weight = second ? mixed_v : wv;
            if (second) mix_of_group(z, zt, from, h_of_from, u, ut, a.H, o);
            product_of_group(second ? u : from, second ? ut : h_of_from, second ? mixed : w, weight, z,
                             columns_of(zt, second ? a.mixed_at : a.hidden_at, weight.cols), o TILE_ARGUMENT);
        }
        gates_forward_of_group(z, zt, b, bv, b2, b2v, from, from_v, h, after, o);
    }
}

__kernel void bptt_gates_window_backward(__global const float *keep, view keep_v, __global const float *h, view hv,
                                         __global const float *kept, view kept_v, __global float *z, view zv,
                                         __global const float *w, view wv, __global float *u, view uv,
                                         __global const float *mixed, view mixed_v, __global float *dz, view dv,
                                         __global float *dkept, view dkept_v, layer_constants a,
                                         __global const float *slots TILE_PARAMETER)
{
    const group_rows g = rows_of_group(a.B);
    op_constants o = constants_of_loop();
    for (count t = 0; t < a.T; t++) { // from the last step to the first
        const view from = at_step(kept_v, g, t * a.stride_kept), to = at_step(hv, g, t * a.stride_h);
        const view d = at_step(dv, g, t * a.stride_dz), before = at_step(dv, g, (t + 1) * a.stride_dz);
        const view zt = at_step(zv, g, t * a.stride_z), du = at_step(uv, g, t * a.stride_u);
        const view into_v = a.masked ? at_step(dkept_v, g, 0) : before, into_h = columns_of(into_v, 0, a.H);
        __global float *into = a.masked ? dkept : dz;
        if (a.masked) zero_of_group(dkept, into_v, a.H);
        gates_backward_of_group(z, zt, kept, from, h, to, dz, d, into, into_v, o);
        for (int first = mixed_v.rows != 0; first >= (wv.rows == 0); first--) {
            const view weight = first ? mixed_v : wv;
            o.beta = !first;
            product_of_group(z, columns_of(zt, first ? a.mixed_at : a.hidden_at, weight.rows), first ? mixed : w,
                             weight, first ? u : into, first ? du : into_h, o TILE_ARGUMENT);
            if (first) mix_backward_of_group(z, zt, kept, columns_of(from, 0, a.H), u, du, into, into_h, a.H, o);
        }
        if (a.masked)
            scale_of_group(keep, at_step(keep_v, g, t * a.stride_keep), dkept, into_v, dz, before, a.H, 1);
    }
}

#endif
