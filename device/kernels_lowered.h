// Lowered kernels, which replace kernels of ops: those of LOWERED_LIST in launch.h, in its order, with their
// specification there. Included after kernels.h; the same rules apply.
#ifndef KERNELS_LOWERED_H
#define KERNELS_LOWERED_H

#include "half.h"

#include "kernels.h"

#define HALVES(x) GLOBAL half_bits *x, const view x##_view
#define SCALE_MOST 16777216.0f // 2^24
#define SCALE_GOOD 2000.0f     // windows until it is doubled

// The loss scale, its first element; absent: 1.
INLINE float scale_of(IN(scale)) { return PRESENT(scale) ? AT(scale, 0, 0) : 1.0f; }

KERNEL(cast)(ITEM IN(x), HALVES(y), IN(scale), CONSTANTS)
{
    const float by = scale_of(scale, scale_view);
    EACH_ROW (i, y_view.rows)
        EACH_COLUMN (j, y_view.cols) AT(y, i, j) = half_of(o.half_kind, by * AT(x, i, j));
}

// The sum in the order of cell_forward. Absent biases are not added as zeros, since -0 + 0 is +0.
KERNEL(cell_forward_cast)(ITEM IN(z), IN(b), IN(b2), OUT(h), HALVES(y), CONSTANTS)
{
    EACH_ROW (i, h_view.rows)
        EACH_COLUMN (j, h_view.cols) {
            float sum = AT(z, i, j);
            if (PRESENT(b)) sum = sum + AT(b, 0, j);
            if (PRESENT(b2)) sum = sum + AT(b2, 0, j);
            const float hij = cell_forward(o.cell, sum);
            AT(h, i, j) = hij;
            AT(y, i, j) = half_of(o.half_kind, hij);
        }
}

KERNEL(cell_backward_cast)(ITEM IN(y), IN(dy), OUT(dz), HALVES(x), IN(scale), CONSTANTS)
{
    const float by = scale_of(scale, scale_view);
    EACH_ROW (i, dz_view.rows)
        EACH_COLUMN (j, dz_view.cols) {
            const float d = AT(dy, i, j), yij = AT(y, i, j), dzij = cell_backward(o.cell, yij, d);
            AT(dz, i, j) = dzij;
            AT(x, i, j) = half_of(o.half_kind, by * dzij);
        }
}

// order: row numbers of dz sorted by id (stable); start [v]: the first of id v, and the end. Each row of dw reads only
// the rows of dz with its id.
KERNEL(scatter_sorted)(ITEM IDS(order), IDS(start), IN(dz), OUT(dw), CONSTANTS)
{
    EACH_ROW (v, dw_view.rows) {
        const word first = (word)AT(start, v, 0), end = (word)AT(start, v + 1, 0);
        EACH_COLUMN (j, dw_view.cols) {
            float sum = o.beta ? AT(dw, v, j) : 0.0f;
            for (word n = first; n < end; n++) sum += AT(dz, (word)AT(order, n, 0), j);
            AT(dw, v, j) = sum;
        }
    }
}

// stat: as in statistics.h; scale: the loss scale, and the good windows since it last changed.
KERNEL(rescale)(ITEM OUT(stat), OUT(scale), CONSTANTS)
{
    EACH_ROW (i, 1)
        EACH_COLUMN (j, 1) {
            const int loss = is_finite(AT(stat, i, STAT_LOSS)), gradient = is_finite(AT(stat, i, STAT_SUMSQ));
            const float old = AT(scale, i, j), windows = AT(scale, i, j + 1) + 1.0f;
            AT(stat, i, STAT_SKIPPED) = 0.0f;
            if (!(AT(stat, i, STAT_BLOCKED) == 0.0f)) continue;
            if (loss && gradient) {
                const int grow = windows >= SCALE_GOOD;
                const float twice = LESS(SCALE_MOST, 2.0f * old) ? SCALE_MOST : 2.0f * old;
                AT(scale, i, j) = grow ? twice : old;
                AT(scale, i, j + 1) = grow ? 0.0f : windows;
            } else if (loss && old > 1.0f) {
                AT(scale, i, j) = 0.5f * old;
                AT(scale, i, j + 1) = 0.0f;
                AT(stat, i, STAT_SKIPPED) = 1.0f;
            } else
                AT(stat, i, STAT_BLOCKED) = 1.0f;
        }
}

// The scale is a power of two, so its inverse is exact.
KERNEL(invert)(ITEM IN(scale), OUT(per), CONSTANTS)
{
    EACH_ROW (i, 1)
        EACH_COLUMN (j, 1) {
            const float inverse = f32_divide(1.0f, AT(scale, i, j));
            AT(per, i, j) = inverse;
            AT(per, i, j + 1) = -inverse;
        }
}

#endif
