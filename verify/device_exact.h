// Nets and steps in whole numbers, so small that float is exact in any order of summation: any backend, any lowering,
// any BLAS and any number of threads must give the very numbers that plain loops over 64-bit integers give.
//
// Of a net the cell is BPTT_WHOLE (backend.h): states are -2..2. Recurrent weights are signed permutations with a few
// entries more, or, in short windows, full, so gradients grow slowly. Logits are multiples of 1024 no two of which are
// equal, so a softmax is exactly 0 or 1. A gradient of the layers is a whole number of `unit` / `weights`, one of the
// decoder a whole number of 1 / `weights`: both are powers of two.
#ifndef DEVICE_EXACT_H
#define DEVICE_EXACT_H

#include "run.h"

#include <stdint.h>

enum {
    WHOLE_WINDOWS = 2, // one after the other
    WHOLE_LAYERS = 3,
    WHOLE_TENSORS = 4 * WHOLE_LAYERS + 2,
    WHOLE_SUM = 1 << 24,    // what a sum of |a| |b| stays below
    WHOLE_OPERAND = 1 << 8, // what bf16 holds; TF32 and fp16 hold 2^11
    WHOLE_APART = 1024,     // logits: exp(-1024) is 0 in double, too
    WHOLE_TRIES = 24        // draws, each sparser than the one before
};

// ---- a net ----------------------------------------------------------------------------------------------------------

typedef struct whole_shape {
    size_t V, I, H, L, B, T; // I 0: tokens
    int biases;
    bool masked; // keep is -1..2, 0 one time in four; else it is absent
    bool last;   // the states after the last step have a gradient from outside
    bool full;   // every element of the weights is drawn
} whole_shape;

// What a window is given, and what must come out. N = T*B. weight is NULL where N is a power of two and it is all ones.
typedef struct whole_window {
    int32_t *token, *target;         // [N]; token has no use in dense nets
    int64_t *x, *keep, *last;        // [N][I], [N], [L][B][H], last in units of unit / weights
    int64_t *weight, weights;        // [N], their sum: a power of two
    int64_t *h, *dz, *dh0, *dx;      // [L][T+1][B][H], [L][N][H], [L][B][H], [N][I]
    int64_t *g[WHOLE_TENSORS], loss; // as the tensors of bptt.h; loss times weights, in units of WHOLE_APART
} whole_window;

typedef struct whole_net {
    whole_shape s;
    size_t N, tensors, size[WHOLE_TENSORS];
    int64_t *w[WHOLE_TENSORS]; // PyTorch's layout; the decoder's weight in units of `unit`, its bias of WHOLE_APART
    int64_t unit;              // WHOLE_APART times a power of two that V does not exceed
    int64_t *h0;               // [L][B][H]
    whole_window win[WHOLE_WINDOWS];
    int64_t *logit, *dlogit, *dh, *below; // of whole_judge: [V], [N][V], [N][H], [N][H or I]
    int64_t sum, operand;                 // largest sum of |terms|; largest operand of a product, in its unit
    bool beyond;                          // a sum reached WHOLE_SUM
    size_t refused;                       // draws that were given up
    int64_t *words;                       // behind all of it
    size_t used;
} whole_net;

// The first draw of which every sum stays below WHOLE_SUM, every operand (if not full) within WHOLE_OPERAND, and no
// tensor is nearly all zeros. BAD_CONFIG if there is none. The caller frees it, after failures too.
bptt_status whole_make(whole_net *n, const whole_shape *s, uint64_t seed, bptt_error *e);
void whole_free(whole_net *n);
// What must come out, by loops over 64-bit integers that share nothing with any backend; sum, operand, beyond.
void whole_judge(whole_net *n);
// A whole number from -most to most; one below n.
int64_t whole_draw(uint64_t *random, int64_t most);
size_t whole_below(uint64_t *random, size_t n);

// z less the multiple of 5 nearest to it; what BPTT_WHOLE multiplies by on the way back, of y.
int64_t whole_value(int64_t z);
int64_t whole_slope(int64_t y);

// ---- where it is computed -------------------------------------------------------------------------------------------

typedef struct whole_place {
    const char *name; // "2 threads"
    const char *backend, *device;
    const bptt_backend *table; // if not NULL, instead of the backend of that name
    bptt_type type;
    bptt_lowering lowering;
    bptt_product product;
    bptt_precision precision;
    unsigned threads;
} whole_place;

// What came of it.
typedef struct whole_found {
    size_t cases, numbers, unlike; // nets or plans tried; numbers compared; those that are others
    size_t refused;                // draws given up
    int64_t sum;                   // largest
    char first[320];               // the first that is another number
} whole_found;

// got[i] * factor is want[i], for all of count. The sign of a zero does not count; a NaN is another number.
void whole_compare(whole_found *f, const double *got, double factor, const int64_t *want, size_t count,
                   const char *what);
bptt_status whole_open(const whole_place *p, bptt_model_config *c, bptt_model **m, bptt_error *e);
// Whether a net is exact in a precision, fp16's range included, and one that it is made for.
bool whole_suits(const whole_net *n, bptt_precision p);
// A net there, both windows, with gradient and forward only, through the plans that training runs.
bptt_status whole_run(const whole_place *p, const whole_net *n, whole_found *f, bptt_error *e);
// Random steps of one plan on random parts of one buffer there, strides, transposes, alpha, beta; the whole buffer is
// compared, so that strays show.
bptt_status whole_steps(const whole_place *p, uint64_t seed, whole_found *f, bptt_error *e);

#endif
