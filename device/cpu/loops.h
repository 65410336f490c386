// The inner loops of the cpu backend, for one thread and contiguous rows. One source text (loops_text.h) is compiled
// for several instruction sets, and one of them is selected when the device is opened. All give the same bits: the text
// fixes the lanes and the order of sums and writes fused multiply-adds explicitly.
#ifndef LOOPS_H
#define LOOPS_H

#include "backend.h"

typedef struct loops {
    const char *name; // "AVX-512", ...
    // h[j] = f(z[j] + b[j] + b2[j]), j < n; b, b2 may be NULL; h may be z
    void (*cell_forward)(bptt_cell cell, size_t n, const float *z, const float *b, const float *b2, float *h);
    void (*cell_backward)(bptt_cell cell, size_t n, const float *y, const float *dy, float *dz);
    // A row of a gated cell with H units, as GATES_FORWARD to MIX_BACKWARD in backend.h: blocks of z and of the
    // states lie H elements apart. b has `blocks` blocks, b2 has blocks2; both may be NULL
    void (*gates_forward)(bptt_cell cell, size_t H, float *z, const float *b, size_t blocks, const float *b2,
                          size_t blocks2, const float *before, float *after);
    void (*gates_backward)(bptt_cell cell, size_t H, float *z, const float *before, const float *after,
                           const float *dafter, float *dbefore);
    void (*mix)(bptt_cell cell, size_t H, float *z, const float *h, float *u);
    void (*mix_backward)(bptt_cell cell, size_t H, float *z, const float *h, const float *du, float *dh);
    void (*add)(size_t n, const float *x, float *y); // y += x
    // -k log softmax(x)[target]; with gradient x becomes scale (softmax(x) - onehot(target))
    double (*xent)(size_t n, float *x, size_t target, double k, bool gradient, float scale);
    void (*log_softmax)(size_t n, float *x);
    double (*sumsq)(size_t n, const float *x);
    void (*sigmoid)(size_t n, const float *x, float *y); // f32_sigmoid, for `bptt verify activation`
    void (*update)(const struct bptt_rule *o, size_t n, float *w, const float *g, float *m, float *v, float scale,
                   float limit, float rate, float root);
    // GEMM: c [N][M] = a [N][K] b [K][M] + beta c, leading dimensions lda, ldb, ldc; flipped: a', with a stored as
    // [K][N]. Each element is one sequence of fused multiply-adds in ascending k, for any N and M. ldb 0: b is packed.
    // room: that many floats.
    void (*product)(bool flipped, size_t N, size_t M, size_t K, const float *a, size_t lda, const float *b, size_t ldb,
                    int beta, float *c, size_t ldc, float *room);
    size_t room;
    // Packing of b [K][M]: floats it takes; its number of blocks; packs block i.
    size_t (*packed_floats)(size_t K, size_t M);
    size_t (*packed_blocks)(size_t K, size_t M);
    void (*pack)(size_t K, size_t M, const float *b, size_t ldb, size_t i, float *packed);
} loops;

const loops *loops_plain(void);
const loops *loops_avx2(void);
const loops *loops_avx512(void);
const loops *loops_of(bptt_isa isa); // NULL: this processor lacks it

#endif
