// The stand-in for cuBLAS: its products against plain sums in double, and its requirements.
#include "standin_rig.h"

#include <pthread.h>

enum { M = 33, N = 7, K = 50, LD = 56, ROOM = LD * LD };

// Both operands [ROOM] in every type, and their values after rounding to it.
typedef struct numbers {
    float single[ROOM];
    uint16_t half[ROOM], brain[ROOM];
    double as_half[ROOM], as_brain[ROOM], as_tf32[ROOM], as_single[ROOM];
} numbers;

static numbers A, B;
static float C[ROOM];

// x rounded to nearest, ties to even, to `bits` bits after the first. |x| is in the middle of all types' ranges.
static double rounded(double x, int bits)
{
    int e;
    const double m = frexp(x, &e), unit = ldexp(1, bits + 1);
    return ldexp(rint(m * unit) / unit, e);
}

static void draw(numbers *x, uint64_t seed)
{
    for (size_t i = 0; i < ROOM; i++) {
        double v = random_real(&seed);
        if (fabs(v) < 0.01) v += 0.25;                               // no subnormal of binary16
        if (i % 7 == 0) v = 1 + (double)(2 * (i % 5) + 1) * 0x1p-11; // between two numbers of 10 bits
        x->single[i] = (float)v;
        x->as_single[i] = (double)x->single[i];
        x->as_half[i] = rounded(v, 10), x->as_brain[i] = rounded(v, 7), x->as_tf32[i] = rounded(x->as_single[i], 10);
        int e;
        const double m = frexp(x->as_half[i], &e); // m in [0.5, 1): 1.fraction * 2^(e - 1)
        x->half[i] = (uint16_t)((m < 0) << 15 | (e + 14) << 10 | ((int)(fabs(m) * 2048) & 1023));
        const float brain = (float)x->as_brain[i];
        uint32_t u;
        memcpy(&u, &brain, sizeof u);
        x->brain[i] = (uint16_t)(u >> 16);
    }
}

typedef struct product_case {
    int type, compute, a_op, b_op;
    float alpha, beta;
} product_case;

static void check_product(const product_case *c, const float *got)
{
    const bool tf32 = c->compute == BLAS_COMPUTE_32F_FAST_TF32;
    const double *a = c->type == BLAS_F16    ? A.as_half
                      : c->type == BLAS_BF16 ? A.as_brain
                      : tf32                 ? A.as_tf32
                                             : A.as_single;
    const double *b = c->type == BLAS_F16    ? B.as_half
                      : c->type == BLAS_BF16 ? B.as_brain
                      : tf32                 ? B.as_tf32
                                             : B.as_single;
    for (size_t j = 0; j < LD; j++)
        for (size_t i = 0; i < LD; i++) {
            double sum = 0, sizes = 0;
            if (i >= M || j >= N) {
                MUST(got[j * LD + i] == C[j * LD + i]);
                continue;
            }
            for (size_t k = 0; k < K; k++) {
                const double p = a[c->a_op ? i * LD + k : k * LD + i] * b[c->b_op ? k * LD + j : j * LD + k];
                sum += p, sizes += fabs(p);
            }
            const double old = (double)C[j * LD + i], alpha = (double)c->alpha, beta = (double)c->beta;
            const double want = alpha * sum + (c->beta == 0 ? 0 : beta * old);
            const double bound = gamma_of(K + 3, U32) * (fabs(alpha) * sizes + fabs(beta * old));
            MUST(fabs((double)got[j * LD + i] - want) <= bound);
        }
}

typedef struct bench {
    standin_rig r;
    blas_handle h;
    cu_memory a, b, c, workspace;
} bench;

static bench bench_open(void)
{
    bench x = {.r = rig_open()};
    draw(&A, 1), draw(&B, 2);
    for (size_t i = 0; i < ROOM; i++) C[i] = (float)(i % 17) / 4;
    x.a = rig_memory(&x.r, ROOM), x.b = rig_memory(&x.r, ROOM), x.c = rig_memory(&x.r, ROOM);
    x.workspace = rig_memory(&x.r, 1024);
    GOOD(x.r.blas.Create(&x.h));
    GOOD(x.r.blas.SetStream(x.h, x.r.main));
    GOOD(x.r.blas.SetWorkspace(x.h, (void *)(uintptr_t)x.workspace, 4096));
    return x;
}

static void *pointer(cu_memory m) { return (void *)(uintptr_t)m; }

static blas_result multiply(bench *x, const product_case *c, cu_memory to)
{
    return x->r.blas.GemmEx(x->h, c->a_op, c->b_op, M, N, K, &c->alpha, pointer(x->a), c->type, LD, pointer(x->b),
                            c->type, LD, &c->beta, pointer(to), BLAS_F32, LD, c->compute, BLAS_DEFAULT_ALGORITHM);
}

static void load_operands(bench *x, int type)
{
    const size_t bytes = ROOM * (type == BLAS_F32 ? 4 : 2);
    rig_put(&x->r, x->a, type == BLAS_F32 ? (void *)A.single : type == BLAS_F16 ? A.half : A.brain, bytes);
    rig_put(&x->r, x->b, type == BLAS_F32 ? (void *)B.single : type == BLAS_F16 ? B.half : B.brain, bytes);
}

static void products(void)
{
    static const int kind[4][2] = {{BLAS_F32, BLAS_COMPUTE_32F},
                                   {BLAS_F32, BLAS_COMPUTE_32F_FAST_TF32},
                                   {BLAS_F16, BLAS_COMPUTE_32F},
                                   {BLAS_BF16, BLAS_COMPUTE_32F}};
    bench x = bench_open();
    float got[ROOM];
    for (size_t n = 0; n < 4 * 4 * 3; n++) {
        const size_t t = n % 4, s = n / 16;
        const product_case c = {kind[t][0],  kind[t][1], n / 4 % 2, n / 8 % 2, s == 1 ? -1 : s == 2 ? 0.75f : 1,
                                s ? 1.5f : 0};
        load_operands(&x, c.type);
        memcpy(got, C, sizeof got);
        for (size_t i = 0; i < M * N && s == 0; i++) got[i / M * LD + i % M] = NAN; // is not read
        rig_put(&x.r, x.c, got, sizeof got);
        GOOD(multiply(&x, &c, x.c));
        rig_get(&x.r, got, x.c, sizeof got);
        check_product(&c, got);
    }
}

START_TEST(products_of_every_type_and_transposition_are_within_rounding) { expect_fine("", products); }
END_TEST

// Row-major c = alpha a b + beta c is column-major c' = alpha b' a' + beta c'.
static void same_bits(void)
{
    bench x = bench_open();
    float got[ROOM], want[ROOM];
    cu_memory other = rig_memory(&x.r, ROOM);
    load_operands(&x, BLAS_F32);
    for (int n = 0; n < 4; n++) {
        const op_constants k = {.alpha = n & 1 ? -1 : 1, .beta = n >> 1};
        product_case c = {.type = BLAS_F32, .compute = BLAS_COMPUTE_32F};
        c.alpha = (float)k.alpha, c.beta = (float)k.beta;
        cu_memory at[3] = {x.b, x.a, other};
        view lies[3] = {rig_view(0, N, K, LD), rig_view(0, K, M, LD), rig_view(0, N, M, LD)};
        rig_put(&x.r, x.c, C, sizeof C);
        rig_put(&x.r, other, C, sizeof C);
        GOOD(multiply(&x, &c, x.c));
        GOOD(rig_launch(&x.r, "bptt_gemm", x.r.main, 3, at, lies, k));
        rig_get(&x.r, got, x.c, sizeof got);
        rig_get(&x.r, want, other, sizeof want);
        MUST(memcmp(got, want, sizeof got) == 0);
    }
}

START_TEST(a_product_of_floats_has_the_bits_of_the_kernel) { expect_fine("", same_bits); }
END_TEST

// alpha and beta are read when the product runs.
static void device_scalars(void)
{
    bench x = bench_open();
    float got[ROOM], *s = rig_pinned(&x.r, 8);
    const product_case c = {.type = BLAS_F32, .compute = BLAS_COMPUTE_32F, .alpha = 0.5f, .beta = 2};
    load_operands(&x, BLAS_F32);
    rig_put(&x.r, x.c, C, sizeof C);
    cu_memory scalars = rig_memory(&x.r, 2);
    s[0] = 9, s[1] = 9;
    GOOD(x.r.blas.SetPointerMode(x.h, BLAS_POINTERS_DEVICE));
    GOOD(x.r.cu.MemcpyHtoDAsync(scalars, s, 8, x.r.main));
    GOOD(x.r.blas.GemmEx(x.h, BLAS_N, BLAS_N, M, N, K, pointer(scalars), pointer(x.a), BLAS_F32, LD, pointer(x.b),
                         BLAS_F32, LD, pointer(scalars + 4), pointer(x.c), BLAS_F32, LD, BLAS_COMPUTE_32F, -1));
    s[0] = c.alpha, s[1] = c.beta;
    rig_get(&x.r, got, x.c, sizeof got);
    check_product(&c, got);
}

START_TEST(scalars_on_the_device_are_read_late) { expect_fine("STANDIN_MODE=lazy", device_scalars); }
END_TEST

static const product_case PLAIN = {.type = BLAS_F32, .compute = BLAS_COMPUTE_32F, .alpha = 1};

static void cold(void)
{
    bench x = bench_open();
    GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    multiply(&x, &PLAIN, x.c);
}

static void warmed_up(void)
{
    bench x = bench_open();
    cu_graph g;
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.cu.StreamEndCapture(x.r.main, &g));
}

// The second time b is a float further on.
static void warmed_up_elsewhere(void)
{
    bench x = bench_open();
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    x.b += 4;
    GOOD(multiply(&x, &PLAIN, x.c));
}

static void no_workspace(void)
{
    bench x = bench_open();
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.blas.SetStream(x.h, x.r.main));
    GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    multiply(&x, &PLAIN, x.c);
}

// Two streams, two handles, one workspace. warm: both have multiplied before.
static void two_handles(bool warm)
{
    bench x = bench_open(), y = x;
    cu_graph g;
    cu_exec e;
    cu_memory other = rig_memory(&x.r, ROOM);
    GOOD(x.r.blas.Create(&y.h));
    GOOD(x.r.blas.SetStream(y.h, x.r.side));
    GOOD(x.r.blas.SetWorkspace(y.h, pointer(x.workspace), 4096));
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.cu.StreamSynchronize(x.r.main));
    if (warm) GOOD(multiply(&y, &PLAIN, other));
    GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    rig_fork(&x.r);
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(multiply(&y, &PLAIN, other));
    rig_join(&x.r);
    GOOD(x.r.cu.StreamEndCapture(x.r.main, &g));
    x.r.cu.GraphInstantiate(&e, g, 0);
}
static void shared_workspace(void) { two_handles(true); }
static void cold_handle(void) { two_handles(false); }

static void *destroy(void *x)
{
    bench *b = x;
    GOOD(b->r.cu.CtxPushCurrent(b->r.context));
    GOOD(b->r.blas.Destroy(b->h));
    return NULL;
}

static void destroyed_in_another_thread(bool captures)
{
    bench x = bench_open();
    pthread_t thread;
    if (captures) GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    MUST(pthread_create(&thread, NULL, destroy, &x) == 0 && pthread_join(thread, NULL) == 0);
}
static void destroyed(void) { destroyed_in_another_thread(false); }
static void destroyed_beside_a_capture(void) { destroyed_in_another_thread(true); }

static void in_place(void)
{
    bench x = bench_open();
    multiply(&x, &PLAIN, x.a);
}

static void odd_halves(void)
{
    bench x = bench_open();
    x.a += 1;
    const product_case c = {.type = BLAS_F16, .compute = BLAS_COMPUTE_32F, .alpha = 1};
    multiply(&x, &c, x.c);
}

START_TEST(what_cublas_leaves_undefined_ends_the_program)
{
    expect_fine("", warmed_up);
    expect_abort("", cold, "not warmed up");
    expect_fine("STANDIN_WARM=shape", warmed_up_elsewhere);
    expect_abort("STANDIN_WARM=aligned", warmed_up_elsewhere, "not warmed up");
    expect_abort("", no_workspace, "no workspace was set");
    expect_abort("", shared_workspace, "the other adds to workspace");
    expect_abort("", shared_workspace, "race between node 0 (product nn 33x7x50 f32");
    expect_abort("", cold_handle, "its handle never multiplied outside of a capture");
    expect_fine("", destroyed);
    expect_abort("", destroyed_beside_a_capture, "Destroy: may wait for a context in which another thread captures");
    expect_abort("", in_place, "c overlaps a");
    expect_abort("", odd_halves, "not aligned to 2 bytes");
}
END_TEST

static void refused(void)
{
    bench x = bench_open();
    product_case c = PLAIN;
    GIVES(14, multiply(&x, &c, x.c)); // STANDIN_FAIL
    GOOD(multiply(&x, &c, x.c));
    c.compute = 64;
    GIVES(15, multiply(&x, &c, x.c));
    c.compute = BLAS_COMPUTE_32F_FAST_TF32, c.type = BLAS_F16;
    GIVES(15, multiply(&x, &c, x.c));
    GIVES(7, x.r.blas.SetWorkspace(x.h, pointer(x.workspace + 4), 1024));
    const float one = 1;
    GIVES(7, x.r.blas.GemmEx(x.h, BLAS_N, BLAS_N, M, N, K, &one, pointer(x.a), BLAS_F32, M - 1, pointer(x.b), BLAS_F32,
                             LD, &one, pointer(x.c), BLAS_F32, LD, BLAS_COMPUTE_32F, -1));
    MUST(strcmp(x.r.blas.GetStatusName(15), "CUBLAS_STATUS_NOT_SUPPORTED") == 0);
}

START_TEST(what_cublas_refuses_is_refused) { expect_fine("STANDIN_FAIL=GemmEx:1:14", refused); }
END_TEST

static void logged(void)
{
    bench x = bench_open();
    cu_graph g;
    cu_exec e;
    char line[3][200];
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.cu.StreamBeginCapture(x.r.main, CU_CAPTURE_THREAD_LOCAL));
    GOOD(rig_fill(&x.r, x.r.main, x.a, rig_view(0, 3, 5, 5), 1));
    GOOD(multiply(&x, &PLAIN, x.c));
    GOOD(x.r.cu.StreamEndCapture(x.r.main, &g));
    GOOD(x.r.cu.GraphInstantiate(&e, g, 0));
    FILE *f = fopen(getenv("STANDIN_LOG"), "r");
    MUST(f && fgets(line[0], 200, f) && fgets(line[1], 200, f) && fgets(line[2], 200, f));
    fclose(f);
    MUST(strstr(line[0], ": 2 nodes") && strstr(line[1], "fill 3x5; after\n"));
    MUST(strstr(line[2], "product nn 33x7x50 f32 alpha 1 beta 0; after 0\n"));
}

START_TEST(a_graph_is_logged_when_it_is_instantiated)
{
    char file[] = "/tmp/standin_log_XXXXXX", settings[100];
    const int f = mkstemp(file);
    ck_assert_int_ge(f, 0);
    close(f);
    snprintf(settings, sizeof settings, "STANDIN_LOG=%s", file);
    expect_fine(settings, logged);
    unlink(file);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, products_of_every_type_and_transposition_are_within_rounding);
    tcase_add_test(c, a_product_of_floats_has_the_bits_of_the_kernel);
    tcase_add_test(c, scalars_on_the_device_are_read_late);
    tcase_add_test(c, what_cublas_leaves_undefined_ends_the_program);
    tcase_add_test(c, what_cublas_refuses_is_refused);
    tcase_add_test(c, a_graph_is_logged_when_it_is_instantiated);
}

int main(void) { return run_suite("standin_blas", add, 60); }
