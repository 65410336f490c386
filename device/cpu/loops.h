// The inner loops of the cpu backend, on one thread, contiguous rows: one text (loops_text.h) compiled for several
// instruction sets, one of them chosen when the device is opened. All give the same bits: lanes and order are fixed by
// the text, fused multiply-adds are written out.
#ifndef LOOPS_H
#define LOOPS_H

#include "backend.h"

typedef struct loops {
    const char *name;          // "AVX-512", ...
    const char *openblas_core; // the kernels of OpenBLAS for such processors, in its words; NULL: no matter
    // h[j] = f(z[j] + b[j] + b2[j]), j < n; b, b2 may be NULL; h may be z
    void (*cell_forward)(bptt_cell cell, size_t n, const float *z, const float *b, const float *b2, float *h);
    void (*cell_backward)(bptt_cell cell, size_t n, const float *y, const float *dy, float *dz);
    void (*add)(size_t n, const float *x, float *y); // y += x
    // -k log softmax(x)[target]; with gradient x becomes scale (softmax(x) - onehot(target))
    double (*xent)(size_t n, float *x, size_t target, double k, bool gradient, float scale);
    double (*sumsq)(size_t n, const float *x);
    void (*sigmoid)(size_t n, const float *x, float *y); // of f32.h; no cell has it yet
    void (*update)(const struct bptt_rule *o, size_t n, float *w, const float *g, float *m, float *v, float scale,
                   float limit, float rate, float root);
    // c [N][M] = a [N][K] b [K][M] + beta c, rows of lda, ldb, ldc; made for few rows and a b that stays in cache.
    // Each element is one chain of fused multiply-adds in ascending k, whatever N and M are. NULL: leave it to BLAS.
    void (*multiply)(size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b, size_t ldb, int beta,
                     float *c, size_t ldc);
} loops;

const loops *loops_plain(void);
const loops *loops_avx2(void);
const loops *loops_avx512(void);
const loops *loops_best(void);       // for the processor this runs on
const loops *loops_of(size_t width); // the width-th it runs, from plain C to the best; NULL past that

#endif
