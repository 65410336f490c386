// Whole-number nets and ops, so small that float is exact in any order of summation: every backend, lowering, BLAS and
// number of threads must give exactly the results of plain loops over 64-bit integers.
//
// Cells are those of BPTT_WHOLE (backend.h): states are -2..2, and so is dz of gated cells. Recurrent weights are
// signed permutations with a few entries more, or, in short windows, full, so gradients grow slowly. Logits are
// distinct multiples of 1024, so a softmax is exactly 0 or 1. Outputs of BINARY are never 0, so a sigmoid is exactly
// 0 or 1. Targets of SQUARED and ABSOLUTE are computed from the outputs of the reference, so a slope is -1, 0 or 1
// times a constant. The gradient of an output is a whole number of `decoder`, and so is a gradient of the decoder. A
// gradient of the layers is a whole number of `unit` times `decoder`; with a gated cell it is a whole number. These
// units are powers of two.
#ifndef DEVICE_EXACT_H
#define DEVICE_EXACT_H

#include "device_cells.h"
#include "run.h"

#include <stdint.h>

enum {
    WHOLE_WINDOWS = 2, // one after the other
    WHOLE_LAYERS = 3,
    WHOLE_TENSORS = LAYER_TENSORS * WHOLE_LAYERS + 2,
    WHOLE_SUM = 1 << 24,    // bound of every sum of |a| |b|
    WHOLE_OPERAND = 1 << 8, // largest integer range exact in bf16; TF32 and fp16: 2^11
    WHOLE_APART = 1024,     // logits: exp(-1024) is 0 in double, too
    WHOLE_TRIES = 24        // draws, each sparser than the one before
};

// ---- a net ----------------------------------------------------------------------------------------------------------

typedef struct whole_shape {
    size_t V, I, H, L, B, T; // I 0: tokens
    int biases;
    bool masked;     // keep is -1..2, 0 one time in four; else it is absent
    bool last;       // the states after the last step have a gradient from outside
    bool full;       // every element of the weights is drawn
    bptt_cell gated; // number of a gated cell; 0: the elementwise cell BPTT_WHOLE
    size_t M;        // width of dense targets, a power of two; 0: tokens
    bptt_loss loss;
} whole_shape;

// Inputs and expected results of a window. N = T*B. weight is NULL (all ones) where N is a power of two.
typedef struct whole_window {
    int32_t *token, *target;         // [N]; token has no use in dense nets
    int64_t *x, *keep, *last;        // [N][I], [N], [L][B][S*H], last in units of `layers`
    int64_t *off, *y;                // [N][M]: what is drawn of dense targets, the targets
    int64_t *weight, weights;        // [N], their sum: a power of two
    double decoder, layers, apart;   // units: of gradients of decoder, layers; of loss times weights
    int64_t *h, *dz, *u, *dh0, *dx;  // [L][T+1][B][S*H], [L][N][blocks*H], [L][N][H], [L][B][S*H], [N][I]
    int64_t *g[WHOLE_TENSORS], loss; // as the tensors of bptt.h; loss times weights
} whole_window;

// A sum and the sum of |terms|, which bounds all partial sums in any order.
typedef struct whole_terms {
    int64_t sum, size;
} whole_terms;

typedef struct whole_net {
    whole_shape s;
    const whole_cell *cell;
    size_t N, W, ZH, O; // W: S*H; O: outputs
    size_t tensors, size[WHOLE_TENSORS];
    layer_tensor kind[WHOLE_TENSORS]; // LAYER_TENSORS: of the decoder
    int64_t *w[WHOLE_TENSORS]; // PyTorch's layout; the decoder's weight in units of `unit`, its bias of WHOLE_APART
    int64_t unit;              // WHOLE_APART times a power of two that O does not exceed
    int64_t *h0;               // [L][B][S*H]
    whole_window win[WHOLE_WINDOWS];
    // Of whole_compute_reference: [O], [N][O], [N][S*H], [N][H or I], [N][S*H]
    int64_t *logit, *dlogit, *dh, *below, *kept;
    whole_terms *sums;    // [(WHOLE_BLOCKS + WHOLE_STATES) * H + I]
    int64_t sum, operand; // largest sum of |terms|; largest operand of a product, in its unit
    bool beyond;          // a sum reached WHOLE_SUM
    size_t refused;       // draws that were given up
    int64_t *words;       // behind all of it
    size_t used;
} whole_net;

// Blocks of z of the blocks of rows of a tensor in a file, at most 2 * WHOLE_BLOCKS digits; "": the cell has none.
void whole_blocks(const whole_cell *c, int biases, layer_tensor which, char blocks[2 * WHOLE_BLOCKS + 1]);
// Draws nets until every sum is below WHOLE_SUM, every operand (if not full) within WHOLE_OPERAND, and no tensor nearly
// all zeros. BAD_CONFIG after WHOLE_TRIES draws. The caller frees n, after failures too.
bptt_status whole_make(whole_net *n, const whole_shape *s, uint64_t seed, bptt_error *e);
void whole_free(whole_net *n);
// Computes the expected results, sum, operand and beyond by loops over 64-bit integers; shares no code with a backend.
void whole_compute_reference(whole_net *n);
// Random integers: from -most to most; from 0 to n - 1.
int64_t whole_draw(uint64_t *random, int64_t most);
size_t whole_below(uint64_t *random, size_t n);

// ---- places ---------------------------------------------------------------------------------------------------------

typedef struct whole_place {
    const char *name; // "2 threads"
    const char *backend, *device;
    const bptt_backend *table; // if not NULL, instead of the backend of that name
    bptt_type type;
    bptt_lowering lowering;
    bptt_product product;
    bptt_precision precision;
    bptt_isa isa;
    unsigned threads;
} whole_place;

// Comparison result.
typedef struct whole_found {
    size_t cases, numbers, unlike; // nets or plans tried; numbers compared; those that are others
    size_t refused;                // draws given up
    int64_t sum;                   // largest
    char first[320];               // the first that is another number
} whole_found;

// Checks got[i] * factor == want[i] for i < count. The sign of a zero is ignored; NaN is a mismatch.
void whole_compare(whole_found *f, const double *got, double factor, const int64_t *want, size_t count,
                   const char *what);
// A model whose cell computes with whole numbers: c->cell is a gated one, or anything else for BPTT_WHOLE alone.
bptt_status whole_open(const whole_place *p, bptt_model_config *c, bptt_model **m, bptt_error *e);
// True if the net is exact in the precision, range included, and the precision supports its shape.
bool whole_suits(const whole_net *n, bptt_precision p);
// Runs both windows of a net at a place, with gradient and forward only, with the plans of training.
bptt_status whole_run(const whole_place *p, const whole_net *n, whole_found *f, bptt_error *e);
// Runs two plans of random ops at a place, one of them with those of gated cells, on random parts of one buffer, with
// strides, transposes, alpha and beta. Compares the whole buffer, so that stray writes are detected.
bptt_status whole_steps(const whole_place *p, uint64_t seed, whole_found *f, bptt_error *e);

#endif
