// A net opened over numbers modulo p and over dual numbers, with everything that it depends on drawn at random: values,
// directions in which they are moved, cotangents.
#ifndef NET_PAIR_H
#define NET_PAIR_H

#include "identity.h"
#include "run.h"

// Inputs of a net, each with a value, a direction and a gradient. Size 0: not used.
typedef enum leaf_kind { LEAF_WEIGHTS, LEAF_STATE, LEAF_INPUT, LEAF_KINDS } leaf_kind;

typedef struct net_pair {
    net_case c;
    size_t N;             // T * B
    size_t n[LEAF_KINDS]; // parameters; L*B*S*H; N*I, 0 with tokens
    bptt_model *m, *dual_m;
    bptt_run *r;      // over numbers modulo p
    bptt_run *dual_r; // over dual numbers, all states kept
    bptt_run *ahead;  // the same, forward only
    uint64_t *value[LEAF_KINDS], *direction[LEAF_KINDS];
    uint64_t *pair[LEAF_KINDS]; // value, direction, value, ...: dual numbers
    uint64_t *gradient[LEAF_KINDS];
    uint64_t *cotangent[2];        // [N][H] each: of the top layer's h in two windows
    uint64_t *last[2];             // [L][B][S*H] each: of all states after the last step of them
    uint64_t *keep_at, *weight_at; // [N]: modulo p what keep and weight are
    uint64_t *words;               // behind all of them
    int32_t *token, *target;       // [N] each; token owns both
    float *keep, *weight;          // [N] each; keep owns both
    double *dense_target;          // [N][M]
    bptt_mat cotangent_at;         // [N][H] on the device of r
    bptt_buf *block[LAYOUT_BLOCKS];
} net_pair;

// Leaves nothing open on failure.
bptt_status pair_open(net_pair *p, const net_tables *tables, const net_case *c, bptt_error *e);
void pair_close(net_pair *p);
// The window of both runs; dual: with the dual input.
bptt_window pair_window(const net_pair *p, bool dual);
// Reads the gradient of r into p->gradient.
bptt_status pair_gradient(net_pair *p, bptt_error *e);
// Runs one part of the layers' plan (input and state already on the device) and waits for it.
bptt_status pair_layers(bptt_run *r, layers_part part, bptt_mat dy, bptt_error *e);
// Uploads token, dense input and keep to the device of the dual-number run.
bptt_status pair_input(net_pair *p, bptt_error *e);

#endif
