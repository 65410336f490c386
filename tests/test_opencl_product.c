// A library's products in place of our own: it is tried before it is trusted. The library here is a plain loop on the
// host, right or wrong on command; the real one only where it is installed.
#include "cl_blast.h"
#include "opencl_rig.h"

enum { TRANSPOSED = 112, REFUSED = -1024 };

enum { RIGHT, NO_BETA, NO_TRANSPOSE, LARGE_WRONG, NOTHING, NOT_A_NUMBER, REFUSES };

static struct {
    bptt_device *d;
    int how;
    size_t calls;
} library;

// A matrix of the library: rows x cols as read.
static float *matrix(cl_mem memory, size_t at, size_t ld, size_t rows, size_t cols, bool t, bptt_mat *m, bptt_buf *b)
{
    float *x = must_alloc(rows * cols, sizeof *x);
    *b = (bptt_buf){.memory = memory};
    *m = (bptt_mat){.buf = b, .at = at, .rows = rows, .cols = cols, .ld = ld, .type = BPTT_F32, .t = t};
    CK_DONE(cl_read(library.d, x, BPTT_F32, *m, error));
    return x;
}

static int sgemm(int layout, int a_t, int b_t, size_t m, size_t n, size_t k, float alpha, cl_mem a, size_t a_at,
                 size_t a_ld, cl_mem b, size_t b_at, size_t b_ld, float beta, cl_mem c, size_t c_at, size_t c_ld,
                 cl_command_queue *queue, cl_event *event)
{
    ck_assert_int_eq(layout, 101);
    ck_assert_ptr_nonnull(queue);
    ck_assert_ptr_null(event);
    library.calls++;
    if (library.how == REFUSES) return REFUSED;
    if (library.how == NOTHING) return 0;
    const bool flip = a_t == TRANSPOSED && !(library.how == NO_TRANSPOSE && m == k);
    bptt_mat am, bm, cm;
    bptt_buf ab, bb, cb;
    float *x = matrix(a, a_at, a_ld, m, k, flip, &am, &ab);
    float *y = matrix(b, b_at, b_ld, k, n, b_t == TRANSPOSED, &bm, &bb);
    float *z = matrix(c, c_at, c_ld, m, n, false, &cm, &cb);
    double *sum = reals(n);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) sum[j] = library.how == NO_BETA ? 0 : (double)(beta * z[i * n + j]);
        for (size_t l = 0; l < k; l++)
            for (size_t j = 0; j < n; j++) sum[j] += (double)(alpha * x[i * k + l]) * (double)y[l * n + j];
        for (size_t j = 0; j < n; j++) z[i * n + j] = (float)sum[j];
    }
    if (library.how == LARGE_WRONG && m > 1000) z[m * n - 1] += 1e-3f;
    if (library.how == NOT_A_NUMBER) z[m * n / 2] = NAN;
    CK_DONE(cl_write(library.d, cm, z, BPTT_F32, error));
    free(sum), free(x), free(y), free(z);
    return 0;
}

START_TEST(a_library_is_tried_before_it_is_trusted)
{
    size_t size = 0;
    char *text = small_text(&size);
    library.d = open_device(&(cl_setup){.text = text, .text_size = size}, &(bptt_compute){0});
    cl_of(library.d)->sgemm = sgemm;
    library.how = RIGHT;
    CK_DONE(clblast_try(library.d, error));
    ck_assert_uint_eq(library.calls, 16); // four shapes, four transpositions
    const size_t used = cl_of(library.d)->used;
    for (int how = NO_BETA; how <= NOT_A_NUMBER; how++) {
        library.how = how;
        CK_FAILS(clblast_try(library.d, error), BPTT_DEVICE, "wrongly");
    }
    library.how = REFUSES;
    CK_FAILS(clblast_try(library.d, error), BPTT_DEVICE, "-1024");
    ck_assert_uint_eq(cl_of(library.d)->used, used); // and gives its memory back
    close_device(library.d);
    free(text);
}
END_TEST

// The library gets only products that it supports; a later refusal is remembered.
START_TEST(products_go_to_the_library_and_its_failures_stick)
{
    size_t size = 0;
    char *text = small_text(&size);
    bptt_device *d = library.d = open_device(&(cl_setup){.text = text, .text_size = size}, &(bptt_compute){0});
    enum { N = 7, K = 5, M = 3 };
    float x[N * K], y[K * M], z[N * M], got[N * M];
    for (size_t i = 0; i < N * K; i++) x[i] = (float)i - 8;
    for (size_t i = 0; i < K * M; i++) y[i] = 3 - (float)i;
    const bptt_mat a = tight(must_have(d, sizeof x), N, K, BPTT_F32), b = tight(must_have(d, sizeof y), K, M, BPTT_F32);
    const bptt_mat c = tight(must_have(d, sizeof z), N, M, BPTT_F32);
    CK_DONE(cl_write(d, a, x, BPTT_F32, error));
    CK_DONE(cl_write(d, b, y, BPTT_F32, error));
    cl_of(d)->sgemm = sgemm, library.how = RIGHT, library.calls = 0;
    const bptt_op s = {.opcode = BPTT_GEMM, .alpha = -1, .arg = {a, b, c}};
    d->backend.op[BPTT_GEMM](d, &s, &(bptt_slots){0});
    CK_DONE(cl_read(d, got, BPTT_F32, c, error));
    for (size_t i = 0; i < N * M; i++) {
        z[i] = 0;
        for (size_t k = 0; k < K; k++) z[i] -= x[i / M * K + k] * y[k * M + i % M];
        ck_assert_float_eq(got[i], z[i]); // whole numbers
    }
    ck_assert_uint_eq(library.calls, 1);
    launch across = {.kernel = TUNED_MULTIPLY, .arg = {a, b, bptt_flip(c)}};
    ck_assert(!clblast_queued(cl_of(d), &across, NULL));
    library.how = REFUSES;
    d->backend.op[BPTT_GEMM](d, &s, &(bptt_slots){0});
    CK_FAILS(d->backend.sync(d, error), BPTT_DEVICE, "BlastSgemm");
    d->backend.free(d, a.buf), d->backend.free(d, b.buf), d->backend.free(d, c.buf);
    close_device(d);
    free(text);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_library_is_tried_before_it_is_trusted);
    tcase_add_test(c, products_go_to_the_library_and_its_failures_stick);
}

int main(void) { return run_opencl_suite("opencl product", add, 240); }
