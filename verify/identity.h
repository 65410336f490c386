// The adjoint identity <J d, s> = <d, J' s> as one equation of integers modulo p = 2^61 - 1. J d comes from the forward
// text over dual numbers, J' s from the reverse pass over numbers modulo p. The only assumptions are the five
// derivatives in numbers/number_dual.h. All inputs are random; both sides are polynomials of them, which agree by
// accident with probability at most their degree over p (Schwartz, Zippel).
// The code under test is passed as tables of functions, so that a test can pass broken ones.
#ifndef IDENTITY_H
#define IDENTITY_H

#include "backend.h"
#include "bptt_cells.h"

// ---- the seed's cell ------------------------------------------------------------------------------------------------

// bptt_elman_forward, bptt_elman_vjp.
typedef struct cell_calls {
    bptt_status (*forward)(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, void *next,
                           bptt_error *error);
    bptt_status (*vjp)(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s,
                       void *dx, void *dh, void *dW, void *db, bptt_error *error);
} cell_calls;

typedef struct cell_case {
    bptt_cell cell;
    size_t B, I, H;
    unsigned slots; // cotangents given, as bits for x, h, concat, pre, next
} cell_case;
enum { CELL_SLOTS = 5, CELL_ALL_SLOTS = (1 << CELL_SLOTS) - 1 };

typedef struct cell_verdict {
    bool formula; // concat = [x; h] and pre = W concat + b
    bool adjoint; // over x, h, W and b; gradients of W and b are added to, the others overwritten
} cell_verdict;

bptt_status identity_cell(const cell_calls *judged, const cell_case *c, cell_verdict *v, bptt_error *e);

// ---- the unrolled net -----------------------------------------------------------------------------------------------

#define TOKENS \
    { \
        0, BPTT_SOFTMAX, false \
    }
typedef struct net_case {
    bptt_cell cell;
    size_t V, I, H, L, B, T; // I 0: tokens
    int biases;
    bool masked;  // keep and weight are fractions and zeros, else absent
    bool flipped; // the backend wants stored transposes
    size_t extra; // elements of padding a row
    struct net_targets {
        size_t M; // width of dense targets; 0: tokens, and the others are 0
        bptt_loss loss;
        bool skip;
    } dense;
} net_case;

typedef struct net_tables {
    bptt_backend fp, dual;
} net_tables;

typedef enum net_claim {
    NET_CELLS,  // every state is the cell's of the states before and below it: bptt_elman_forward, or gated_steps.h
    NET_CARRY,  // the carried state is the last state, and the next window starts from it
    NET_LAYERS, // the identity for the layers, any cotangent of the top h and of all last states, through two windows
    NET_LOSS,   // the identity for the mean of any loss: decoder, weights; forward only in pieces
    NET_CLAIMS
} net_claim;

// Both sides are polynomials of at most this degree in the random inputs. A step through an elementwise cell multiplies
// by keep, W and 1 - y y, and a path has at most 2T + L of them in two windows; decoder, cotangent, direction and
// weight come on top.
double net_degree(const net_case *c);
bptt_status identity_net(const net_tables *judged, const net_case *c, bool holds[NET_CLAIMS], bptt_error *e);

#endif
