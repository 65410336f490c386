// The cells of whole numbers over 64-bit integers.
#include "device_cells.h"

#include <stdlib.h>
#include <string.h>

int64_t whole_value(int64_t z) { return (z % 5 + 7) % 5 - 2; }
int64_t whole_slope(int64_t y) { return y == 0 ? 0 : y == 1 || y == -1 ? 1 : -1; }

// Sizes are recorded twice as large as they are, so that a sum of two recorded ones is within the bound as well.
static void record_size(double *size, double x)
{
    if (2 * x > *size) *size = 2 * x;
}

// For a y of any size.
static int64_t slope(int64_t y, double *size)
{
    record_size(size, (double)y * (double)y);
    return whole_slope(whole_value(y));
}

// The value of the product of three; all partial products are at most the product of the larger ones of 1 and |x|.
static int64_t product(int64_t a, int64_t b, int64_t c, double *size)
{
    const double x[3] = {(double)llabs(a), (double)llabs(b), (double)llabs(c)};
    double all = 1;
    for (int i = 0; i < 3; i++) all *= x[i] > 1 ? x[i] : 1;
    record_size(size, all);
    return whole_value(whole_value(a) * whole_value(b) * whole_value(c));
}

// The value of a sum of two, each a number as it is or the value of a product.
static int64_t sum(int64_t a, int64_t b, double *size)
{
    record_size(size, (double)llabs(a) + (double)llabs(b));
    return whole_value(whole_value(a) + whole_value(b));
}

// ---- elementwise ----------------------------------------------------------------------------------------------------

static void plain_forward(int64_t *z, const int64_t *before, int64_t *after, double *size)
{
    (void)before, (void)size;
    after[0] = whole_value(z[0]);
}

static void plain_backward(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter,
                           int64_t *dbefore, double *size)
{
    (void)before, (void)size;
    z[0] = dafter[0] * whole_slope(after[0]);
    dbefore[0] = 0;
}

// ---- gru, gru-before, mingru: h' = (1 - u) n + u h ------------------------------------------------------------------

// The difference a - b as it is, for products whose size counts it whole.
static int64_t apart(int64_t a, int64_t b, double *size)
{
    record_size(size, (double)llabs(a) + (double)llabs(b));
    return a - b;
}

static int64_t blend(int64_t n, int64_t u, int64_t h, double *size)
{
    return sum(n, product(u, apart(h, n, size), 1, size), size);
}

static void gru_forward(int64_t *z, const int64_t *before, int64_t *after, double *size)
{
    const int64_t r = whole_value(z[1]), u = whole_value(z[2]);
    const int64_t n = sum(z[0], product(r, z[3], 1, size), size);
    z[0] = n, z[1] = r, z[2] = u;
    after[0] = blend(n, u, before[0], size);
}

static void gru_backward(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter,
                         int64_t *dbefore, double *size)
{
    const int64_t n = z[0], r = z[1], u = z[2], m = z[3], d = dafter[0];
    const int64_t through_n = product(d, apart(1, u, size), slope(n, size), size);
    (void)after;
    z[3] = product(through_n, r, 1, size);
    z[2] = product(d, apart(before[0], n, size), slope(u, size), size);
    z[1] = product(through_n, m, slope(r, size), size);
    z[0] = through_n;
    dbefore[0] = product(u, d, 1, size);
}

static int64_t gru_before_mix(int64_t *z, int64_t h, double *size)
{
    z[0] = whole_value(z[0]);
    return product(h, z[0], 1, size);
}

static int64_t gru_before_mix_backward(int64_t *z, int64_t h, int64_t du, double *size)
{
    const int64_t through_r = product(du, z[0], 1, size);
    z[0] = product(du, h, slope(z[0], size), size);
    return through_r;
}

static void gru_before_forward(int64_t *z, const int64_t *before, int64_t *after, double *size)
{
    z[2] = whole_value(z[2]), z[1] = whole_value(z[1]);
    after[0] = blend(z[2], z[1], before[0], size);
}

static void gru_before_backward(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter,
                                int64_t *dbefore, double *size)
{
    const int64_t u = z[1], n = z[2], d = dafter[0];
    (void)after;
    dbefore[0] = product(u, d, 1, size);
    z[1] = product(d, apart(before[0], n, size), slope(u, size), size);
    z[2] = product(d, apart(1, u, size), slope(n, size), size);
}

static void mingru_forward(int64_t *z, const int64_t *before, int64_t *after, double *size)
{
    z[0] = whole_value(z[0]), z[1] = whole_value(z[1]);
    after[0] = blend(before[0], z[0], z[1], size);
}

static void mingru_backward(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter,
                            int64_t *dbefore, double *size)
{
    const int64_t u = z[0], n = z[1], d = dafter[0];
    (void)after;
    dbefore[0] = product(d, apart(1, u, size), 1, size);
    z[1] = product(u, d, 1, size);
    z[0] = product(d, apart(n, before[0], size), slope(u, size), size);
}

// ---- lstm, mlstm ----------------------------------------------------------------------------------------------------

static void lstm_forward(int64_t *z, const int64_t *before, int64_t *after, double *size)
{
    for (int k = 0; k < 4; k++) z[k] = whole_value(z[k]);
    after[1] = sum(product(z[1], before[1], 1, size), product(z[0], z[2], 1, size), size);
    after[0] = product(z[3], after[1], 1, size);
}

static void lstm_backward(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter,
                          int64_t *dbefore, double *size)
{
    const int64_t i = z[0], f = z[1], g = z[2], o = z[3], y = whole_value(after[1]);
    const int64_t dc = sum(dafter[1], product(dafter[0], o, slope(y, size), size), size);
    z[3] = product(dafter[0], y, slope(o, size), size);
    z[2] = product(dc, i, slope(g, size), size);
    z[1] = product(dc, before[1], slope(f, size), size);
    z[0] = product(dc, g, slope(i, size), size);
    dbefore[0] = 0;
    dbefore[1] = product(f, dc, 1, size);
}

static int64_t mlstm_mix(int64_t *z, int64_t h, double *size)
{
    (void)h;
    return product(z[5], z[0], 1, size);
}

static int64_t mlstm_mix_backward(int64_t *z, int64_t h, int64_t du, double *size)
{
    const int64_t from_x = z[0], from_h = z[5];
    (void)h;
    z[5] = product(from_x, du, 1, size);
    z[0] = product(from_h, du, 1, size);
    return 0;
}

static void mlstm_forward(int64_t *z, const int64_t *before, int64_t *after, double *size)
{
    lstm_forward(z + 1, before, after, size);
}

static void mlstm_backward(int64_t *z, const int64_t *before, const int64_t *after, const int64_t *dafter,
                           int64_t *dbefore, double *size)
{
    lstm_backward(z + 1, before, after, dafter, dbefore, size);
}

// ---- the table ------------------------------------------------------------------------------------------------------

const whole_cell whole_cells[] = {
    {"", 1, 1, "0", "0", "", "", plain_forward, plain_backward, NULL, NULL},
    {"gru", 4, 1, "120", "123", "", "3", gru_forward, gru_backward, NULL, NULL},
    {"lstm", 4, 2, "0123", "0123", "", "", lstm_forward, lstm_backward, NULL, NULL},
    {"mlstm", 6, 2, "01234", "5", "1234", "5", mlstm_forward, mlstm_backward, mlstm_mix, mlstm_mix_backward},
    {"mingru", 2, 1, "01", "", "", "", mingru_forward, mingru_backward, NULL, NULL},
    {"gru-before", 3, 1, "012", "01", "2", "", gru_before_forward, gru_before_backward, gru_before_mix,
     gru_before_mix_backward},
};
const size_t whole_cell_count = sizeof whole_cells / sizeof *whole_cells;

const whole_cell *whole_cell_of(bptt_cell c)
{
    const char *const word = bptt_cell_is_gated(c) ? bptt_cell_row_of(c)->word : "";
    for (size_t i = 0; i < whole_cell_count; i++)
        if (strcmp(whole_cells[i].word, word) == 0) return &whole_cells[i];
    return NULL;
}
