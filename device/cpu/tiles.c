// Splits ops into tiles.
#include "tiles.h"

#include <string.h>

enum {
    ELEMENTS = 1 << 14,     // least elements of an elementwise tile: some microseconds
    MOST = 64,              // most tiles of an op
    PRODUCT_WORK = 4 << 20, // least multiply-adds of a tile of a GEMM
    PRODUCT_SIDE = 64,      // least side of a tile of a GEMM, whose operands each tile packs
    SHARES = 4,             // tiles for each thread, so that one that is interrupted holds up no other for long
    SCATTER_SIDE = 32,
    LOOP_ROWS = 8,       // least rows of a tile of a loop: the GEMM for few rows is slow below,
    LOOP_ROWS_WIDE = 16, // and already here if its matrix
    WIDE = 1 << 19,      // has more elements than a core's cache
    LOOP_ROWS_MOST = 64  // most rows of a tile of a loop, if it can be split
};

// The operand whose shape is split: the last one written.
static const bptt_mat *output(const bptt_op *s)
{
    const char *roles = bptt_opcode_roles[s->opcode];
    for (size_t i = strlen(roles); i-- > 0;)
        if (roles[i] == '=' || roles[i] == '+') return &s->arg[i];
    return &s->arg[strlen(roles) - 1];
}

size_t op_rows(const bptt_op *s) { return output(s)->rows; }

void cut(size_t n, size_t tiles, size_t i, size_t *first, size_t *count)
{
    *first = n * i / tiles;
    *count = n * (i + 1) / tiles - *first;
}

static size_t at_most(size_t a, size_t b) { return a < b ? a : b; }
static size_t at_least_one(size_t a) { return a > 0 ? a : 1; }

static tiling product(const bptt_op *s, size_t most)
{
    const size_t N = s->arg[2].rows, M = s->arg[2].cols, K = at_least_one(s->arg[0].cols);
    tiling t = {1, 1};
    while (t.rows * t.cols < most && N / t.rows * (M / t.cols) * K > 2 * (size_t)PRODUCT_WORK) {
        const bool down = N / t.rows >= M / t.cols;
        if ((down ? N / t.rows : M / t.cols) < 2 * PRODUCT_SIDE) break;
        *(down ? &t.rows : &t.cols) *= 2;
    }
    return t;
}

tiling tiling_of(const bptt_op *s, size_t threads)
{
    const size_t shares = threads > 1 ? SHARES * threads : 1;
    switch (s->opcode) {
    case BPTT_GEMM: return product(s, shares);
    case BPTT_SUM:
    case BPTT_SUMSQ: return (tiling){1, 1};
    case BPTT_UPDATE: return (tiling){1, at_least_one(at_most(s->arg[0].cols / ELEMENTS, MOST))};
    case BPTT_SCATTER:
    case BPTT_COLSUM: return (tiling){1, at_least_one(at_most(output(s)->cols / SCATTER_SIDE, shares))};
    default: {
        if (strchr(bptt_opcode_roles[s->opcode], 'O')) return (tiling){1, 1}; // the output has rows of its own
        const bptt_mat *y = output(s);
        const size_t tiles = y->rows * y->cols / ELEMENTS;
        return (tiling){at_least_one(at_most(at_most(tiles, MOST), y->rows)), 1};
    }
    }
}

static bptt_mat across(bptt_mat m, tiling t, size_t i)
{
    size_t first, count;
    cut(m.cols, t.cols, i, &first, &count);
    return m.buf ? bptt_cols(m, first, count) : m;
}

bptt_op tile_of(const bptt_op *s, tiling t, size_t i)
{
    const char *roles = bptt_opcode_roles[s->opcode];
    bptt_op part = *s;
    size_t first, count;
    cut(op_rows(s), t.rows, i / t.cols, &first, &count);
    for (size_t k = 0; roles[k]; k++) {
        if (!s->arg[k].buf) continue;
        if (t.rows > 1 && strchr("r=+", roles[k])) part.arg[k] = bptt_rows(part.arg[k], first, count);
        if (t.cols == 1) continue;
        const bool index = s->opcode == BPTT_SCATTER && k == 0; // ids have one column, read by all tiles
        const bool stat = s->opcode == BPTT_UPDATE && k == 4;
        const bool left = s->opcode == BPTT_GEMM && k == 0; // a is split by rows only, b by columns
        if (!index && !stat && !left) part.arg[k] = across(part.arg[k], t, i % t.cols);
    }
    return part;
}

void next_step(bptt_op *op)
{
    for (size_t k = 0; k < BPTT_OPERANDS; k++) op->arg[k].at += (size_t)op->arg[k].move[0];
}

size_t loop_tiles(const bptt_op *s, size_t n, size_t wanted)
{
    const size_t rows = op_rows(s);
    size_t tiles = 1, lowest = LOOP_ROWS;
    for (size_t i = 0; i < n; i++)
        if (s[i].opcode == BPTT_GEMM && s[i].arg[1].rows * s[i].arg[1].cols > WIDE) lowest = LOOP_ROWS_WIDE;
    while (tiles < MOST && rows / (2 * tiles) >= lowest && (tiles < wanted || rows > LOOP_ROWS_MOST * tiles))
        tiles *= 2;
    return tiles;
}
