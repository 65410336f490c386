// Packs the sequences of a window into few streams, several short ones one after the other, and unpacks results.
#ifndef PACKING_H
#define PACKING_H

#include "model.h"

// The place of each sequence of the last window, and the packed arrays. A stream has T steps. Positions that hold no
// step of a sequence have token 0, weight 0 and keep 0: they carry no loss, and their state does not grow.
typedef struct packing {
    size_t B, T, I, O;
    size_t burn_in;
    size_t element;          // bytes of the widest element of dense and dense_target
    size_t leaves;           // a power of two, at least B
    int32_t *length;         // [B]: steps of sequence b
    int32_t *stream, *start; // [B]: its stream, and its first step there
    int32_t *order;          // [B]: sequences, longest first
    int32_t *count;          // [T+1]: workspace of the sort
    int32_t *room;           // [2*leaves]: steps left in stream i at leaves + i, above it the maximum of each pair
    int32_t *token, *target; // [N] each
    float *weight, *keep;    // [N] each
    char *dense;             // [N][I] elements, packed input or its gradient
    char *dense_target;      // [N][O] elements, only with dense targets
    float *row;              // [B][O]: prediction of one step
    void *memory[2];         // behind them: numbers of 4 bytes, elements
} packing;

// Allocates for windows of B sequences of T steps at most. real: type of the device's reals. The caller closes *p also
// after a failure.
bptt_status packing_open(packing *p, const bptt_model_config *m, const bptt_run_config *c, bptt_type real,
                         bptt_error *e);
void packing_close(packing *p);
// Bytes of memory of a packing.
size_t packing_bytes(const bptt_model_config *m, const bptt_run_config *c, bptt_type real);

// Places the sequences (length [B] in 0..T; NULL: T each) by first-fit decreasing. Returns the number of streams, at
// most B; it depends on the lengths alone.
size_t packing_place(packing *p, const int32_t *length);
// The packed arrays of a window with these sequences, in `streams` streams: at least as many as packing_place returned.
// Every sequence starts with keep 0. Its weights are 0 in its first burn_in steps.
bptt_window packing_window(packing *p, const bptt_window *w, size_t streams);
// x [T][B][..] = packed [T][streams][..], rows of `bytes` bytes; zeros behind the end of a sequence.
void packing_unpack(const packing *p, size_t streams, size_t bytes, const void *packed, void *x);
// The same for the packed predictions of step t, p->row: stores them in out [T][B][O], whose padding it leaves.
void packing_unpack_step(const packing *p, size_t t, float *out);

#endif
