// The products of a training step on one thread: the GEMM of backend cpu beside those of libraries.
//
//   build/bptt_products [--isa plain|avx2|avx512] [--seconds S] [LIBRARY...]
//
// LIBRARY: a file with cblas_sgemm or dnnl_sgemm, loaded by name: libopenblas.so.0, libblis.so.4, libdnnl.so.2. Debian
// has these. Each is to use one thread: OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1.
// Prints GFLOP/s, the best of S seconds (default 0.3) a product, in turn; rows lie as far apart as in training.
#include "loops.h"
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void cblas(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                   int ldb, float beta, float *c, int ldc);
typedef int dnnl(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float beta, float *c, int64_t ldc); // row-major too

typedef struct contestant {
    const char *name;
    library file;
    cblas *as_cblas; // one of the two; none: ours
    dnnl *as_dnnl;
    double best; // seconds
} contestant;

typedef struct product {
    const char *what;
    bool flipped; // a' for a
    size_t N, M, K;
} product;

static const product EACH[] = {
    {"A: h W_hh", false, 50, 128, 128},   {"A: dW_hh", true, 128, 128, 2500},
    {"A: h W_ih", false, 2500, 128, 128}, {"A: decoder", false, 2500, 65, 128},
    {"A: its dW", true, 128, 65, 2500},   {"A: its dh", false, 2500, 128, 65},
    {"B: h W_hh", false, 64, 512, 512},   {"B: dW_hh", true, 512, 512, 4096},
    {"B: decoder", false, 4096, 65, 512}, {"B: its dW", true, 512, 65, 4096},
    {"B: its dh", false, 4096, 512, 65},  {"C: h W_hh", false, 128, 1024, 1024},
    {"C: dW_hh", true, 1024, 1024, 6400}, {"D: h W_hh", false, 32, 2048, 2048},
    {"D: dW_hh", true, 2048, 2048, 1600}, {"square 1024", false, 1024, 1024, 1024},
};
enum { PRODUCTS = sizeof EACH / sizeof EACH[0], MOST = 8 };

static float *floats(size_t n)
{
    float *x = aligned_alloc(64, (n + 16) / 16 * 16 * sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000 - 1;
    return x;
}

static size_t padded(size_t cols)
{
    bptt_backend cpu = bptt_cpu();
    return cpu.pad(cols);
}

// One product by one contestant. packed: b for ours, as a loop over time packs it beforehand, or NULL.
static void multiply(const contestant *t, const loops *l, const product *p, const float *a, const float *b,
                     const float *packed, float *c, float *room)
{
    const size_t lda = padded(p->flipped ? p->N : p->K), ldb = padded(p->M);
    if (t->as_cblas)
        t->as_cblas(101, p->flipped ? 112 : 111, 111, (int)p->N, (int)p->M, (int)p->K, 1, a, (int)lda, b, (int)ldb, 0,
                    c, (int)ldb);
    else if (t->as_dnnl)
        (void)t->as_dnnl(p->flipped ? 'T' : 'N', 'N', (int64_t)p->N, (int64_t)p->M, (int64_t)p->K, 1, a, (int64_t)lda,
                         b, (int64_t)ldb, 0, c, (int64_t)ldb);
    else
        l->product(p->flipped, p->N, p->M, p->K, a, lda, packed ? packed : b, packed ? 0 : ldb, 0, c, ldb, room);
}

// Times all contestants with one product and prints its row. False: no memory.
static bool race(contestant *t, size_t n, const loops *l, const product *p, double seconds)
{
    const size_t lda = padded(p->flipped ? p->N : p->K), ldb = padded(p->M);
    float *a = floats((p->flipped ? p->K : p->N) * lda), *b = floats(p->K * ldb), *c = floats(p->N * ldb);
    float *room = floats(l->room), *packed = floats(l->packed_floats(p->K, p->M));
    const bool enough = a && b && c && room && packed, loop = !p->flipped && p->N <= 128;
    for (size_t i = 0; enough && i < l->packed_blocks(p->K, p->M); i++) l->pack(p->K, p->M, b, ldb, i, packed);
    for (size_t i = 0; i < n; i++) t[i].best = 0;
    for (double spent = 0; enough && spent < seconds * (double)n;)
        for (size_t i = 0; i < n; i++) {
            const double start = bptt_seconds();
            multiply(&t[i], l, p, a, b, loop ? packed : NULL, c, room);
            const double took = bptt_seconds() - start;
            spent += took;
            if (t[i].best == 0 || took < t[i].best) t[i].best = took;
        }
    printf("| %s | %zu x %zu x %zu |", p->what, p->N, p->M, p->K);
    for (size_t i = 0; enough && i < n; i++)
        printf(" %.0f |", 2e-9 * (double)p->N * (double)p->M * (double)p->K / t[i].best);
    puts("");
    free(a), free(b), free(c), free(room), free(packed);
    return enough;
}

static bool load(contestant *t, const char *file)
{
    static const char *const symbol[] = {"cblas_sgemm", "dnnl_sgemm"};
    const char *const list[] = {file, NULL};
    t->name = file;
    if (!library_open(&t->file, list)) return false;
    if (library_find(&t->file, &symbol[0], 1, &t->as_cblas)) t->as_cblas = NULL;
    if (!t->as_cblas && library_find(&t->file, &symbol[1], 1, &t->as_dnnl)) t->as_dnnl = NULL;
    return t->as_cblas || t->as_dnnl;
}

int main(int argc, char **argv)
{
    static const char *const word[] = {"auto", "plain", "avx2", "avx512"};
    contestant t[MOST] = {{.name = "bptt"}};
    const loops *l = loops_of(BPTT_ISA_AUTO);
    size_t n = 1;
    double seconds = 0.3;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            i++, l = NULL;
            for (int k = 0; k < 4; k++)
                if (strcmp(argv[i], word[k]) == 0) l = loops_of((bptt_isa)k);
        } else if (n == MOST || !load(&t[n++], argv[i])) {
            fprintf(stderr, "bptt_products: %s: no such library, or it has neither cblas_sgemm nor dnnl_sgemm\n",
                    argv[i]);
            return 69;
        }
    }
    if (!l || !(seconds > 0)) {
        fputs("bptt_products: --isa is unknown or this processor lacks it, or --seconds is no time\n", stderr);
        return 64;
    }
    printf("| product | N x M x K | bptt, %s |", l->name);
    for (size_t i = 1; i < n; i++) printf(" %s |", t[i].name);
    printf("\n|---|---|---|");
    for (size_t i = 1; i < n; i++) printf("---|");
    puts("");
    for (size_t k = 0; k < PRODUCTS; k++)
        if (!race(t, n, l, &EACH[k], seconds)) return 71;
    return 0;
}
