// Gated cells on the CUDA module in every precision: gradients of small nets against `ref` in double, within the
// rounding of GEMM operands. The decoder's weights are so small that dz underflows in fp16 unless it is scaled. With
// SMALL_H the rows of z and of its blocks of columns have the same padded width; T 9 gives two pieces.
#include "nets.h"
#include "suite.h"

enum { B = 3, T = 9, H = 33, SMALL_H = 9, L = 2, V = 9, M = 4 };

static const double UNIT[] = {0x1p-24, 0x1p-11, 0x1p-8, 0x1p-11}; // of the operands, by precision

// Roundings on the longest path from a weight to a gradient: two operands of each product, there and back.
static double roundings(bptt_cell cell)
{
    const double products = *bptt_cell_row_of(cell)->mixed ? 2 : 1;
    return 2 * 2 * (T * L * products + L + 1);
}

static bptt_model_config config(size_t i, const char *backend, bptt_type type, bptt_precision precision)
{
    const bool dense = i / 2 % 2;
    bptt_model_config c = net_config(backend, type, dense ? 0 : V, dense ? H : SMALL_H, L);
    c.cell = (bptt_cell)(BPTT_GRU + i / 4), c.biases = 1 + (int)(i % 2);
    if (dense) c.input = 5, c.output = M, c.loss = BPTT_SQUARED, c.skip = 1;
    c.compute.backend = backend, c.compute.device = NULL, c.compute.precision = precision;
    return c;
}

// The weights of from, the decoder's made small; in both.
static void share_weights(bptt_model *from, bptt_model *to)
{
    const size_t n = bptt_model_tensors(from);
    for (size_t i = 0; i < n; i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(from, i, &t, NULL));
        double *w = reals(t.rows * t.cols);
        CK_OK(bptt_model_read(from, BPTT_WEIGHTS, i, w, BPTT_F64, NULL));
        for (size_t k = 0; i + 2 == n && k < t.rows * t.cols; k++) w[k] *= 0x1p-16;
        CK_OK(bptt_model_write(from, BPTT_WEIGHTS, i, w, BPTT_F64, NULL));
        CK_OK(bptt_model_write(to, BPTT_WEIGHTS, i, w, BPTT_F64, NULL));
        free(w);
    }
}

static double norm(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (x[i] - (y ? y[i] : 0)) * (x[i] - (y ? y[i] : 0));
    return sqrt(sum);
}

static void compare_gradients(net *n, net *ref, size_t i, int precision)
{
    size_t at = 0;
    double *got = net_part(n->m, BPTT_GRADIENT), *want = net_part(ref->m, BPTT_GRADIENT);
    const double bound = roundings(n->c.cell) * UNIT[precision] + (T * L) * (H + 20) * UNIT[0];
    for (size_t k = 0; k < bptt_model_tensors(n->m); k++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(n->m, k, &t, NULL));
        const size_t size = t.rows * t.cols;
        const double off = norm(got + at, want + at, size), of = norm(want + at, NULL, size);
        CK_TRUE(off <= bound * of && of > 0, "%s, case %zu, precision %d, %s: off by %g of %g, bound %g",
                bptt_cell_row_of(n->c.cell)->word, i, precision, t.name, off, of, bound * of);
        at += size;
    }
    free(got), free(want);
}

START_TEST(gradients_of_gated_cells_are_those_of_double)
{
    const bptt_run_config rc = {.batch = B, .steps = T, .gradient = 1, .keep = 1};
    for (size_t i = 0; i < 4 * (bptt_cells - BPTT_GRU); i++) {
        net n, ref;
        bptt_model_config c = config(i, "cuda", BPTT_F32, (bptt_precision)_i);
        c.compute.lowering = i % 3 == 2 ? BPTT_LOWER_NEVER : BPTT_LOWER_ALWAYS;
        net_open(&n, &c, &rc);
        c = config(i, "ref", BPTT_F64, BPTT_PRECISION_FP32);
        net_open(&ref, &c, &rc);
        share_weights(n.m, ref.m);
        if (i % 4 == 1) n.w.keep = n.keep, ref.w.keep = ref.keep;
        CK_OK(bptt_run_gradient(n.r, &n.w, NULL, NULL));
        CK_OK(bptt_run_gradient(ref.r, &ref.w, NULL, NULL));
        compare_gradients(&n, &ref, i, _i);
        net_close(&n), net_close(&ref);
    }
}
END_TEST

static void add(TCase *c) { tcase_add_loop_test(c, gradients_of_gated_cells_are_those_of_double, 0, BPTT_PRECISIONS); }

int main(void) { return run_suite("cuda cells", add, 300); }
