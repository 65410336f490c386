// Every op of backend.h as device kernels: one text for OpenCL C 1.2, CUDA C and host C, included after a prelude_*.h.
// Kernels are in the order of KERNEL_LIST in launch.h, which defines their arguments. Order as one flat text: prelude,
// f32.h, number_device.h, cells.h, losses.h, optimizer_list.h, optimizers.h, statistics.h, kernel_args.h, this file.
//
// Kernels use only + - * and fma, comparisons, integer and bit operations, and sums in one fixed order, so all
// compilers, grids and numbers of lanes give the same bits. A work-item owns its outputs: no atomics.
#ifndef KERNELS_H
#define KERNELS_H

#include "f32.h"
#include "number_device.h"

#include "cells.h"
#include "optimizers.h"

#include "kernel_args.h"
#include "statistics.h"

// Operands: x is the buffer, x_view the layout of the matrix in it.
#define IN(x) GLOBAL const float *x, const view x##_view
#define IDS(x) GLOBAL const int *x, const view x##_view
#define OUT(x) GLOBAL float *x, const view x##_view
#define CONSTANTS UNUSED const op_constants o, UNUSED GLOBAL const float *slots
#define AT(x, i, j) x[x##_view.at + (i)*x##_view.down + (j)*x##_view.across]
#define PRESENT(x) (x##_view.rows != 0)

// Strided loops: EACH_ROW and EACH_COLUMN over the work-items of GRID_ELEMENTS, EACH_LANE over the lanes of a group.
#define EACH_ROW(i, n) for (word i = ROW; i < (n); i += ROWS)
#define EACH_COLUMN(j, n) INDEPENDENT for (word j = COLUMN; j < (n); j += COLUMNS)
#define EACH_LANE(l, n) INDEPENDENT for (count l = LANE; l < (n); l += LANES)
// A loop over a constant number of values in registers: PoCL 3.1 vectorizes the loop around it only if it is unrolled.
#define EACH_OF(k, n) UNROLL for (word k = 0; k < (n); k++)

#define WIDTH 64 // partial results of a group, for any number of lanes

KERNEL(copy)(ITEM IN(x), OUT(y), CONSTANTS)
{
    EACH_ROW (i, y_view.rows)
        EACH_COLUMN (j, y_view.cols) AT(y, i, j) = AT(x, i, j);
}

KERNEL(fill)(ITEM OUT(y), CONSTANTS)
{
    EACH_ROW (i, y_view.rows)
        EACH_COLUMN (j, y_view.cols) AT(y, i, j) = o.value;
}

// One fused multiply-add for each k, ascending: every faster GEMM keeps this order.
KERNEL(gemm)(ITEM IN(a), IN(b), OUT(c), CONSTANTS)
{
    const float alpha = o.alpha < 0 ? -1.0f : 1.0f;
    EACH_ROW (i, c_view.rows)
        EACH_COLUMN (j, c_view.cols) {
            float sum = 0.0f;
            for (word k = 0; k < a_view.cols; k++) sum = F32_FMA(AT(a, i, k), AT(b, k, j), sum);
            AT(c, i, j) = o.beta ? AT(c, i, j) + alpha * sum : alpha * sum;
        }
}

KERNEL(gather)(ITEM IDS(id), IN(w), OUT(z), CONSTANTS)
{
    EACH_ROW (i, z_view.rows) {
        const word v = (word)AT(id, i, 0);
        EACH_COLUMN (j, z_view.cols) AT(z, i, j) = o.beta ? AT(z, i, j) + AT(w, v, j) : AT(w, v, j);
    }
}

// Each row of dw scans all ids, so that its sum has a fixed order.
KERNEL(scatter)(ITEM IDS(id), IN(dz), OUT(dw), CONSTANTS)
{
    EACH_ROW (v, dw_view.rows) {
        if (!o.beta)
            EACH_COLUMN (j, dw_view.cols) AT(dw, v, j) = 0.0f;
        for (word i = 0; i < dz_view.rows; i++)
            if ((word)AT(id, i, 0) == v)
                EACH_COLUMN (j, dw_view.cols) AT(dw, v, j) += AT(dz, i, j);
    }
}

KERNEL(scale_rows)(ITEM IN(k), IN(x), OUT(y), CONSTANTS)
{
    EACH_ROW (i, y_view.rows) {
        const float ki = AT(k, i, 0);
        EACH_COLUMN (j, y_view.cols) {
            const float kx = ki * AT(x, i, j);
            AT(y, i, j) = o.beta ? AT(y, i, j) + kx : kx;
        }
    }
}

// The choice of cell and biases stands outside the loop over columns: not all compilers hoist it, and with a branch
// inside they do not vectorize (PoCL 3.1: 0.3 ms instead of 1.9 for 2500 x 128).
#define FORWARD(number, forward, x) \
    if (o.cell == number) \
        EACH_COLUMN (j, h_view.cols) AT(h, i, j) = forward(x);
#define FORWARD_0(number, forward, backward) FORWARD(number, forward, AT(z, i, j))
#define FORWARD_1(number, forward, backward) FORWARD(number, forward, AT(z, i, j) + AT(b, 0, j))
#define FORWARD_2(number, forward, backward) FORWARD(number, forward, AT(z, i, j) + AT(b2, 0, j))
#define FORWARD_3(number, forward, backward) FORWARD(number, forward, AT(z, i, j) + AT(b, 0, j) + AT(b2, 0, j))

KERNEL(cell_forward)(ITEM IN(z), IN(b), IN(b2), OUT(h), CONSTANTS)
{
    EACH_ROW (i, h_view.rows) {
        if (PRESENT(b) && PRESENT(b2)) {
            CELL_LIST(FORWARD_3)
        } else if (PRESENT(b)) {
            CELL_LIST(FORWARD_1)
        } else if (PRESENT(b2)) {
            CELL_LIST(FORWARD_2)
        } else {
            CELL_LIST(FORWARD_0)
        }
    }
}

KERNEL(cell_backward)(ITEM IN(y), IN(dy), OUT(dz), CONSTANTS)
{
    EACH_ROW (i, dz_view.rows)
        EACH_COLUMN (j, dz_view.cols) {
            const float d = AT(dy, i, j), yij = AT(y, i, j);
            AT(dz, i, j) = cell_backward(o.cell, yij, d);
        }
}

// One work-item for each unit; its blocks of z are in columns j, j + H, ..., its states likewise. The list may be
// empty. Each cell stands twice, as itself and as a cell of whole numbers, so that no choice is left inside.
#define WHOLE_CELL 64
#define GATES_FORWARD(number, name, Z, S, input, hidden, mixed, one, forward, backward) \
    GATES_FORWARD_AS(number, 0, Z, S, forward) GATES_FORWARD_AS(number + WHOLE_CELL, 1, Z, S, forward)
#define GATES_FORWARD_AS(number, whole, Z, S, forward) \
    if (o.cell == number) \
        EACH_COLUMN (j, after_view.cols / S) { \
            const word H = after_view.cols / S, end = b_view.cols / H, first = Z - b2_view.cols / H; \
            float zij[Z], old[S], now[S]; \
            EACH_OF (k, Z) { \
                zij[k] = AT(z, i, k * H + j); \
                if (PRESENT(b) && k < end) zij[k] = zij[k] + AT(b, 0, k * H + j); \
                if (PRESENT(b2) && k >= first) zij[k] = zij[k] + AT(b2, 0, (k - first) * H + j); \
            } \
            EACH_OF (k, S) old[k] = AT(before, i, k * H + j); \
            forward(whole, zij, old, now); \
            EACH_OF (k, Z) AT(z, i, k *H + j) = zij[k]; \
            EACH_OF (k, S) AT(after, i, k *H + j) = now[k]; \
        }
#define GATES_BACKWARD(number, name, Z, S, input, hidden, mixed, one, forward, backward) \
    GATES_BACKWARD_AS(number, 0, Z, S, backward) GATES_BACKWARD_AS(number + WHOLE_CELL, 1, Z, S, backward)
#define GATES_BACKWARD_AS(number, whole, Z, S, backward) \
    if (o.cell == number) \
        EACH_COLUMN (j, after_view.cols / S) { \
            const word H = after_view.cols / S; \
            float zij[Z], old[S], now[S], dnow[S], dold[S]; \
            EACH_OF (k, Z) zij[k] = AT(z, i, k * H + j); \
            EACH_OF (k, S) { \
                old[k] = AT(before, i, k * H + j); \
                now[k] = AT(after, i, k * H + j); \
                dnow[k] = AT(dafter, i, k * H + j); \
            } \
            backward(whole, zij, old, now, dnow, dold); \
            EACH_OF (k, Z) AT(z, i, k *H + j) = zij[k]; \
            EACH_OF (k, S) AT(dbefore, i, k *H + j) = AT(dbefore, i, k * H + j) + dold[k]; \
        }

// Avoids warnings about unused parameters if there is no such cell.
#define UNUSED_OPERAND(x) \
    (void)x; \
    (void)x##_view;

KERNEL(gates_forward)(ITEM OUT(z), IN(b), IN(b2), IN(before), OUT(after), CONSTANTS)
{
    UNUSED_OPERAND(z)
    UNUSED_OPERAND(b)
    UNUSED_OPERAND(b2)
    UNUSED_OPERAND(before)
    UNUSED_OPERAND(after)
    EACH_ROW (i, after_view.rows) {
        GATED_CELL_LIST(GATES_FORWARD)
    }
}

KERNEL(gates_backward)(ITEM OUT(z), IN(before), IN(after), IN(dafter), OUT(dbefore), CONSTANTS)
{
    UNUSED_OPERAND(z)
    UNUSED_OPERAND(before)
    UNUSED_OPERAND(after)
    UNUSED_OPERAND(dafter)
    UNUSED_OPERAND(dbefore)
    EACH_ROW (i, after_view.rows) {
        GATED_CELL_LIST(GATES_BACKWARD)
    }
}

// All blocks of a unit of a mixed cell.
#define EACH_MIXED(number, Z, call) \
    if (o.cell == number) \
        EACH_COLUMN (j, H) { \
            float zij[Z]; \
            EACH_OF (k, Z) zij[k] = AT(z, i, k * H + j); \
            call; \
            EACH_OF (k, Z) AT(z, i, k *H + j) = zij[k]; \
        }
#define MIX_OF(whole, mix) AT(u, i, j) = mix(whole, zij, AT(h, i, j))
#define MIX_BACKWARD_OF(whole, mix_backward) \
    AT(dh, i, j) = AT(dh, i, j) + mix_backward(whole, zij, AT(h, i, j), AT(du, i, j))
#define MIX(number, Z, mix, mix_backward) \
    EACH_MIXED(number, Z, MIX_OF(0, mix)) EACH_MIXED(number + WHOLE_CELL, Z, MIX_OF(1, mix))
#define MIX_BACKWARD(number, Z, mix, mix_backward) \
    EACH_MIXED(number, Z, MIX_BACKWARD_OF(0, mix_backward)) \
    EACH_MIXED(number + WHOLE_CELL, Z, MIX_BACKWARD_OF(1, mix_backward))

KERNEL(mix)(ITEM OUT(z), IN(h), OUT(u), CONSTANTS)
{
    const word H = u_view.cols;
    UNUSED_OPERAND(z)
    UNUSED_OPERAND(h)
    UNUSED_OPERAND(u)
    EACH_ROW (i, u_view.rows) {
        (void)H;
        MIXED_CELL_LIST(MIX)
    }
}

KERNEL(mix_backward)(ITEM OUT(z), IN(h), IN(du), OUT(dh), CONSTANTS)
{
    const word H = du_view.cols;
    UNUSED_OPERAND(z)
    UNUSED_OPERAND(h)
    UNUSED_OPERAND(du)
    UNUSED_OPERAND(dh)
    EACH_ROW (i, du_view.rows) {
        (void)H;
        MIXED_CELL_LIST(MIX_BACKWARD)
    }
}

INLINE word least(word a, word b) { return a < b ? a : b; }

// Partial sums [chunk][column] of COLSUM_ROWS rows each.
KERNEL(colsum_chunks)(ITEM IN(dz), OUT(part), CONSTANTS)
{
    EACH_ROW (c, part_view.rows) {
        const word first = c * COLSUM_ROWS, end = least(first + COLSUM_ROWS, dz_view.rows);
        for (word j0 = COLUMN * SIDE; j0 < part_view.cols; j0 += COLUMNS * SIDE) {
            const count n = (count)least(SIDE, part_view.cols - j0);
            float sum[SIDE];
            for (count l = 0; l < SIDE; l++) sum[l] = 0.0f;
            for (word i = first; i < end; i++)
                for (count l = 0; l < n; l++) sum[l] += AT(dz, i, j0 + l);
            for (count l = 0; l < n; l++) AT(part, c, j0 + l) = sum[l];
        }
    }
}

KERNEL(colsum)(ITEM IN(part), OUT(db), CONSTANTS)
{
    EACH_ROW (i, db_view.rows)
        EACH_COLUMN (j, db_view.cols) {
            float sum = o.beta ? AT(db, i, j) : 0.0f;
            for (word c = 0; c < part_view.rows; c++) sum += AT(part, c, j);
            AT(db, i, j) = sum;
        }
}

KERNEL(add_row)(ITEM IN(b), OUT(x), CONSTANTS)
{
    EACH_ROW (i, x_view.rows)
        EACH_COLUMN (j, x_view.cols) AT(x, i, j) += AT(b, 0, j);
}

// Reductions over the lanes of a group: the sum or the maximum of part, in a tree. All lanes get the result, and part
// may be reused. The code of a single lane is behind an `if`: PoCL 3.1 fails to compile a loop over one lane after
// these.
INLINE float sum_of_lanes(ITEM LOCAL_POINTER float *part)
{
    BARRIER;
    for (count reach = WIDTH / 2; reach > 0; reach /= 2) {
        EACH_LANE (l, reach) part[l] += part[l + reach];
        BARRIER;
    }
    const float sum = part[0];
    BARRIER;
    return sum;
}

INLINE float largest_of_lanes(ITEM LOCAL_POINTER float *part)
{
    BARRIER;
    for (count reach = WIDTH / 2; reach > 0; reach /= 2) {
        EACH_LANE (l, reach) part[l] = LESS(part[l], part[l + reach]) ? part[l + reach] : part[l];
        BARRIER;
    }
    const float top = part[0];
    BARRIER;
    return top;
}

// Lane l of WIDTH owns columns l, l + WIDTH, ...; EACH_OWN loops over the owners of columns j .. j + WIDTH - 1.
#define OWN_COLUMNS(j, n) for (word j = 0; j < (n); j += WIDTH)
#define EACH_OWN(l, j, n) EACH_LANE (l, (count)least(WIDTH, (n) - (j)))

// The maximum of a row; NaN is ignored.
INLINE float largest_of_row(ITEM LOCAL_POINTER float *part, GLOBAL const float *x, const view x_view, word i)
{
    EACH_LANE (l, WIDTH) part[l] = F32_FROM_BITS(0xff800000u);
    OWN_COLUMNS (j, x_view.cols)
        EACH_OWN (l, j, x_view.cols) part[l] = LESS(part[l], AT(x, i, j + l)) ? AT(x, i, j + l) : part[l];
    return largest_of_lanes(SAME_ITEM part);
}

// The sum of e^(x - top) over a row; keep: the exponentials overwrite the row.
INLINE float exponentials(ITEM LOCAL_POINTER float *part, OUT(x), word i, float top, int keep)
{
    EACH_LANE (l, WIDTH) part[l] = 0.0f;
    if (keep)
        OWN_COLUMNS (j, x_view.cols)
            EACH_OWN (l, j, x_view.cols) {
                const float e = f32_exp(AT(x, i, j + l) - top);
                part[l] += e;
                AT(x, i, j + l) = e;
            }
    else
        OWN_COLUMNS (j, x_view.cols)
            EACH_OWN (l, j, x_view.cols) part[l] += f32_exp(AT(x, i, j + l) - top);
    return sum_of_lanes(SAME_ITEM part);
}

// All lanes read x before any of them overwrites it: largest_of_row ends with a barrier. The row is overwritten first
// with the exponentials, then with the gradient.
KERNEL(softmax_xent)(ITEM IDS(id), IN(k), OUT(x), OUT(loss), CONSTANTS)
{
    LOCAL float part[WIDTH];
    for (word i = GROUP; i < x_view.rows; i += GROUPS) {
        const word target = (word)AT(id, i, 0);
        const float wanted = AT(x, i, target), ki = AT(k, i, 0);
        const float top = largest_of_row(SAME_ITEM part, x, x_view, i);
        const float sum = exponentials(SAME_ITEM part, x, x_view, i, top, o.gradient);
        if (LANE == 0) AT(loss, i, 0) = ki * (f32_log(sum) + (top - wanted));
        const float scale = ki * slots[SLOT_PER_WEIGHT], each = f32_divide(1.0f, sum);
        OWN_COLUMNS (j, o.gradient ? x_view.cols : 0)
            EACH_OWN (l, j, x_view.cols) {
                const float p = AT(x, i, j + l) * each;
                AT(x, i, j + l) = scale * (j + l == target ? p - 1.0f : p);
            }
    }
}

// The choice of loss stands outside the loops over columns. A lane overwrites only elements that it alone reads.
#define LOSS_ROW(number, NAME, word, value, slope) \
    if (o.loss == number) \
        OWN_COLUMNS (j, x_view.cols) \
            EACH_OWN (l, j, x_view.cols) { \
                const float xij = AT(x, i, j + l), yij = AT(y, i, j + l); \
                part[l] += value(xij, yij); \
                if (o.gradient) AT(x, i, j + l) = scale * slope(xij, yij); \
            }

KERNEL(dense_loss)(ITEM IN(y), IN(k), OUT(x), OUT(loss), CONSTANTS)
{
    LOCAL float part[WIDTH];
    for (word i = GROUP; i < x_view.rows; i += GROUPS) {
        const float ki = AT(k, i, 0), outputs = (float)x_view.cols;
        const float scale = f32_divide(ki * slots[SLOT_PER_WEIGHT], outputs);
        EACH_LANE (l, WIDTH) part[l] = 0.0f;
        LOSS_LIST(LOSS_ROW)
        const float sum = sum_of_lanes(SAME_ITEM part);
        if (LANE == 0) AT(loss, i, 0) = ki * f32_divide(sum, outputs);
    }
}

KERNEL(log_softmax)(ITEM OUT(x), CONSTANTS)
{
    LOCAL float part[WIDTH];
    for (word i = GROUP; i < x_view.rows; i += GROUPS) {
        const float top = largest_of_row(SAME_ITEM part, x, x_view, i);
        const float log_sum = f32_log(exponentials(SAME_ITEM part, x, x_view, i, top, 0));
        OWN_COLUMNS (j, x_view.cols)
            EACH_OWN (l, j, x_view.cols) AT(x, i, j + l) = AT(x, i, j + l) - top - log_sum;
    }
}

// Sums of pieces of rows: out [row of x][piece of the row].
INLINE void sum_pieces(ITEM LOCAL_POINTER float *part, IN(x), OUT(out), const int square)
{
    for (word c = GROUP; c < (word)out_view.rows * out_view.cols; c += GROUPS) {
        const word i = c / out_view.cols, piece = c - i * out_view.cols, first = piece * SUM_PIECE;
        const word n = least(SUM_PIECE, x_view.cols - first);
        EACH_LANE (l, WIDTH) part[l] = 0.0f;
        OWN_COLUMNS (j, n)
            EACH_OWN (l, j, n) {
                const float xij = AT(x, i, first + j + l);
                part[l] += square ? xij * xij : xij;
            }
        const float sum = sum_of_lanes(SAME_ITEM part);
        if (LANE == 0) AT(out, i, piece) = sum;
    }
}

KERNEL(sum_chunks)(ITEM IN(x), OUT(out), CONSTANTS)
{
    LOCAL float part[WIDTH];
    sum_pieces(SAME_ITEM part, x, x_view, out, out_view, 0);
}

KERNEL(sumsq_chunks)(ITEM IN(x), OUT(out), CONSTANTS)
{
    LOCAL float part[WIDTH];
    sum_pieces(SAME_ITEM part, x, x_view, out, out_view, 1);
}

// x [1][n], summed by one group.
KERNEL(sum)(ITEM IN(x), OUT(out), CONSTANTS)
{
    LOCAL float part[WIDTH];
    for (word g = GROUP; g < 1; g += GROUPS) {
        EACH_LANE (l, WIDTH) part[l] = 0.0f;
        OWN_COLUMNS (j, x_view.cols)
            EACH_OWN (l, j, x_view.cols) part[l] += AT(x, 0, j + l);
        const float sum = sum_of_lanes(SAME_ITEM part);
        if (LANE == 0) AT(out, 0, 0) = o.beta ? AT(out, 0, 0) + sum : sum;
    }
}

INLINE int is_finite(float x) { return (F32_TO_BITS(x) & 0x7f800000u) != 0x7f800000u; }

#define UPDATE_CONSTANT(name, value) k.name = o.name;
#define UPDATE_LOOP(name, number, update, keeps_m, keeps_v) \
    if (o.optimizer == number) \
        EACH_COLUMN (j, w_view.cols) { \
            parameter p = {AT(w, i, j), 0.0f, 0.0f}; \
            if (keeps_m) p.m = AT(m, i, j); \
            if (keeps_v) p.v = AT(v, i, j); \
            p = update_element(number, k, AT(g, i, j), p); \
            if (keeps_m) AT(m, i, j) = p.m; \
            if (keeps_v) AT(v, i, j) = p.v; \
            AT(w, i, j) = p.w; \
        }

KERNEL(update)(ITEM OUT(w), IN(g), OUT(m), OUT(v), IN(stat), CONSTANTS)
{
    const float norm = f32_sqrt(AT(stat, 0, STAT_SUMSQ)), inf = F32_FROM_BITS(0x7f800000u);
    if (!is_finite(AT(stat, 0, STAT_LOSS)) || !is_finite(norm) || !(AT(stat, 0, STAT_BLOCKED) == 0.0f)) return;
    update_constants k;
    k.scale = o.by_norm && norm > o.clip ? f32_divide(o.clip, norm + 1e-6f) : 1.0f;
    k.limit = o.by_value ? o.clip : inf;
    k.rate = slots[SLOT_RATE], k.root = slots[SLOT_ROOT];
    RULE_CONSTANT_LIST(UPDATE_CONSTANT)
    EACH_ROW (i, w_view.rows) {
        OPTIMIZER_LIST(UPDATE_LOOP)
    }
}

KERNEL(guard)(ITEM OUT(stat), CONSTANTS)
{
    EACH_ROW (i, 1)
        EACH_COLUMN (j, 1)
            if (!is_finite(AT(stat, i, STAT_LOSS)) || !is_finite(AT(stat, i, STAT_SUMSQ)))
                AT(stat, i, STAT_BLOCKED) = 1.0f;
}

#endif
