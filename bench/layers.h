// Interface of the bptt_layers benchmark: one problem, several contestants, one result row for each.
#ifndef LAYERS_H
#define LAYERS_H

#include "backend.h"

typedef enum layers_cell { LAYERS_TANH, LAYERS_RELU, LAYERS_GRU, LAYERS_LSTM, LAYERS_CELLS } layers_cell;
extern const char *const layers_cell_word[LAYERS_CELLS];
extern const char *const layers_precision_word[4]; // by bptt_precision

// Recurrent layers on dense input as wide as they are, T steps from a state of zeros, PyTorch's two biases; wanted are
// y and, for a given dy, the gradients of x and of all weights.
typedef struct problem {
    layers_cell cell;
    bptt_precision precision;
    size_t H, L, B, T, G; // G gates: 1, 1, 3, 4
    size_t window;        // T*B*H, elements of x, dy, y, dx
    size_t weights;       // elements of w, dw
    float *x, *dy;        // [T][B][H], uniform in +-1
    float *w;             // of each layer W_ih [G*H][H], W_hh [G*H][H], b_ih [G*H], b_hh [G*H]; uniform in +-1/sqrt(H)
    unsigned threads;     // for bptt
} problem;

// Results of a contestant, converted to double from its own precision.
typedef struct outcome {
    double *y, *dx, *dw;
} outcome;

typedef enum layers_timed { FORWARD, BOTH, DATA, WEIGHTS, TIMED } layers_timed; // DATA, WEIGHTS: cuDNN alone has them

// A contestant's name, "bptt:cuda:never", in words.
enum { LAYERS_WORDS = 4 };
typedef struct contestant_name {
    char whole[80];
    char word[LAYERS_WORDS][20]; // empty after the last
} contestant_name;

// Implementation of a contestant. open creates *own and fills in its description; each text has at most 100 characters.
typedef struct contestant_kind {
    const char *name, *clock;
    unsigned timed; // bit for each of layers_timed
    bptt_status (*open)(const problem *p, const contestant_name *n, void **own, char device[100], bptt_error *e);
    bptt_status (*restart)(void *own, bptt_error *e); // the first state becomes zero
    bptt_status (*go)(void *own, layers_timed what, size_t times, double *seconds, bptt_error *e);
    bptt_status (*read)(void *own, const outcome *to, bptt_error *e); // of the last BOTH
    void (*close)(void *own);
} contestant_kind;

extern const contestant_kind layers_bptt;  // bptt:BACKEND[:auto|never|always]
extern const contestant_kind layers_cudnn; // cudnn:ALGORITHM[+ALGORITHM][:graph|eager][:packed]

// The outcome in double precision: bptt's own for tanh and relu (backend ref), plain loops for gru and lstm.
bptt_status layers_reference(const problem *p, const outcome *to, bptt_error *e);
void gates_reference(const problem *p, const outcome *to); // gru, lstm

// ---- rows -----------------------------------------------------------------------------------------------------------

enum { ROUNDS_MAX = 101 };

typedef struct layers_row {
    contestant_name name;
    char device[100];
    const char *clock;
    size_t rounds, times[TIMED];        // runs in a round
    double ms[TIMED][ROUNDS_MAX];       // of one run
    double error_y, error_dx, error_dw; // NaN: not compared
    uint64_t hash, hash_again;
    char why[504]; // empty, or why the row has no times, or no more than forward's
} layers_row;

// Lower quartile, median and upper quartile, interpolated; x is sorted.
typedef struct quartiles {
    double q1, median, q3;
} quartiles;
quartiles quartiles_of(double *x, size_t n);
// Model: seconds of the simplest lowering on an H100. Rows report their ratio to it.
double v0_seconds(const problem *p, bool both);
// Largest |got - want| over largest |want|.
double worst_of(const double *got, const double *want, size_t n);
// Largest relative error over the weight tensors, each scaled by its own maximum.
double worst_tensor(const problem *p, const double *got, const double *want);
uint64_t hash_of(const problem *p, const outcome *o); // FNV-1a of the bytes
void row_as_json(const problem *p, layers_row *r);
void row_as_text(const problem *p, layers_row *r);

// ---- the race -------------------------------------------------------------------------------------------------------

typedef struct contestant {
    const contestant_kind *kind;
    void *own; // NULL: not open; row.why says why
    layers_row row;
} contestant;

typedef struct race_rules {
    size_t rounds;
    double seconds;  // a round of one part
    double warm_up;  // of the first contestant, before the first round
    bool one_by_one; // all rounds of a contestant, then the next; else in turn (A B A B ...)
    bool json;
} race_rules;

// Opens, compares, times, prints and closes n contestants. A contestant without a backward pass keeps its forward
// times, and row.why has the reason. Returns the number of contestants with times.
size_t race(const race_rules *rules, contestant *c, size_t n, const problem *p, const outcome *reference,
            const outcome *out);

#endif
