// The GEMM of backend cpu: with whole numbers exactly what integers give, for sizes on both sides of each of its
// blocks, with operands packed and in place; with others the same bits from all loops that fuse, however it is split.
#include "suite.h"

#include "loops.h"

#include <stdlib.h>
#include <string.h>

enum { EDGE = 3, ISAS = 4 }; // floats around c that must stay

typedef struct sizes {
    size_t N, M, K;
} sizes;

static const sizes EACH[] = {{1, 1, 1},      {1, 300, 40},   {2, 17, 7},      {3, 33, 255},   {13, 16, 256},
                             {14, 32, 257},  {15, 65, 300},  {28, 31, 513},   {64, 129, 64},  {128, 512, 9},
                             {129, 513, 8},  {130, 128, 77}, {192, 40, 260},  {193, 530, 16}, {200, 64, 5},
                             {385, 200, 20}, {65, 1100, 30}, {400, 130, 530}, {29, 700, 600}, {100, 1030, 300}};
enum { SIZES = sizeof EACH / sizeof EACH[0] };

static uint64_t state;
static int draw(int n) // 0 .. n - 1
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (unsigned)n);
}

static float whole(void) { return (float)(draw(7) - 3); }
static float real(void) { return (float)(draw(2000001) - 1000000) / 999983.0f; }

static float *floats(size_t n, float (*value)(void))
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++) x[i] = value();
    return x;
}

// Operands of one product. Rows of a, b and c lie further apart than they are long.
typedef struct product {
    sizes s;
    bool flipped;
    size_t lda, ldb, ldc;
    float *a, *b, *c;
} product;

static product product_of(sizes s, bool flipped, float (*value)(void))
{
    product p = {.s = s, .flipped = flipped, .lda = (flipped ? s.N : s.K) + 2, .ldb = s.M + 1, .ldc = s.M + EDGE};
    p.a = floats((flipped ? s.K : s.N) * p.lda, value);
    p.b = floats(s.K * p.ldb, value);
    p.c = floats(s.N * p.ldc, value);
    return p;
}

static void product_free(product *p) { free(p->a), free(p->b), free(p->c); }

// c of the product by these loops, all N rows of it or rows `first` to `first + rows` only; b packed or in place.
static float *computed(const loops *l, const product *p, bool packed, int beta, size_t first, size_t rows)
{
    const sizes s = p->s;
    static _Alignas(64) float room[1 << 18];
    float *c = malloc(s.N * p->ldc * sizeof *c), *b = malloc((l->packed_floats(s.K, s.M) + 1) * sizeof *b);
    ck_assert(l->room <= sizeof room / sizeof *room && c && b);
    memcpy(c, p->c, s.N * p->ldc * sizeof *c);
    for (size_t i = 0; packed && i < l->packed_blocks(s.K, s.M); i++) l->pack(s.K, s.M, p->b, p->ldb, i, b);
    l->product(p->flipped, rows, s.M, s.K, p->a + first * (p->flipped ? 1 : p->lda), p->lda, packed ? b : p->b,
               packed ? 0 : p->ldb, beta, c + first * p->ldc, p->ldc, room);
    free(b);
    return c;
}

static const loops *loops_at(int isa) { return loops_of((bptt_isa)isa); }

START_TEST(whole_numbers_are_exact)
{
    const loops *const l = loops_at(_i);
    for (size_t k = 0; l && k < 4 * SIZES; k++) {
        const bool packed = k / SIZES & 1, flipped = k / SIZES & 2;
        state = k + 1;
        product p = product_of(EACH[k % SIZES], flipped, whole);
        const int beta = draw(2);
        float *const c = computed(l, &p, packed, beta, 0, p.s.N);
        for (size_t i = 0; i < p.s.N; i++)
            for (size_t j = 0; j < p.ldc; j++) {
                long sum = j < p.s.M && !beta ? 0 : (long)p.c[i * p.ldc + j];
                for (size_t t = 0; j < p.s.M && t < p.s.K; t++)
                    sum += (long)p.a[flipped ? t * p.lda + i : i * p.lda + t] * (long)p.b[t * p.ldb + j];
                ck_assert_msg(c[i * p.ldc + j] == (float)sum, "%s: %zu x %zu x %zu%s%s: (%zu, %zu) is %g, not %ld",
                              l->name, p.s.N, p.s.M, p.s.K, flipped ? ", a'" : "", packed ? ", packed" : "", i, j,
                              (double)c[i * p.ldc + j], sum);
            }
        free(c);
        product_free(&p);
    }
}
END_TEST

static void same(const product *p, const float *a, const float *b, const char *what)
{
    ck_assert_msg(memcmp(a, b, p->s.N * p->ldc * sizeof *a) == 0, "%zu x %zu x %zu%s: other bits %s", p->s.N, p->s.M,
                  p->s.K, p->flipped ? ", a'" : "", what);
}

START_TEST(bits_do_not_depend_on_packing_rows_and_vectors)
{
    const loops *const best = loops_of(BPTT_ISA_AUTO), *const avx2 = loops_at(BPTT_ISA_AVX2);
    for (size_t k = 0; k < 2 * SIZES; k++) {
        state = k + 1;
        product p = product_of(EACH[k % SIZES], k >= SIZES, real);
        float *const c = computed(best, &p, false, 1, 0, p.s.N), *const packed = computed(best, &p, true, 1, 0, p.s.N);
        same(&p, c, packed, "with b packed");
        for (size_t i = 0; i < p.s.N; i += 1 + p.s.N / 3) {
            float *const one = computed(best, &p, k & 1, 1, i, 1);
            ck_assert_msg(memcmp(c + i * p.ldc, one + i * p.ldc, p.ldc * sizeof *c) == 0, "row %zu alone", i);
            free(one);
        }
        float *const narrow = avx2 ? computed(avx2, &p, k & 1, 1, 0, p.s.N) : NULL;
        if (narrow) same(&p, c, narrow, "with AVX2");
        free(c), free(packed), free(narrow);
        product_free(&p);
    }
}
END_TEST

START_TEST(a_device_has_the_instructions_that_are_asked_for)
{
    const bptt_backend cpu = bptt_cpu();
    for (int isa = 0; isa <= ISAS; isa++) { // the last is none
        bptt_device *d = NULL;
        bptt_error e = {0};
        const bptt_status s = cpu.open(&cpu, &(bptt_compute){.threads = 1, .isa = (bptt_isa)isa}, &d, &e);
        if (!loops_at(isa)) {
            ck_assert_int_eq(s, BPTT_NO_BACKEND);
            ck_assert_ptr_nonnull(strstr(e.words, "`isa`"));
            continue;
        }
        ck_assert_int_eq(s, BPTT_OK);
        ck_assert_str_eq(cpu.describe(d), loops_at(isa)->name);
        ck_assert_str_eq(loops_at(isa)->name, isa == BPTT_ISA_PLAIN    ? "plain C"
                                              : isa == BPTT_ISA_AVX2   ? "AVX2"
                                              : isa == BPTT_ISA_AVX512 ? "AVX-512"
                                                                       : loops_of(BPTT_ISA_AUTO)->name);
        cpu.close(d);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, whole_numbers_are_exact, 0, ISAS);
    tcase_add_test(c, a_device_has_the_instructions_that_are_asked_for);
    tcase_add_test(c, bits_do_not_depend_on_packing_rows_and_vectors);
}

int main(void) { return run_suite("product", add, 120); }
