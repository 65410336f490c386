// Lowering for CUDA: from a plan to launches, and in which order and on which streams these go. Knows no CUDA: needs no
// device.
#ifndef CU_NODE_H
#define CU_NODE_H

#include "lower/launch.h"

enum { MOST_STREAMS = 6 };

// The place of a launch among the others.
typedef struct launch_place {
    size_t first, preceding; // the launches it depends on: preceding of them, from edge[first] on
    size_t level;            // longest path to it
    unsigned stream;
    bool awaited; // by a launch on another stream
} launch_place;

// The order of launches. The i-th to be queued is launch turn[i]; it starts after what was queued on its stream before,
// and after the launches wait[wait_first[i]] .. wait[wait_first[i + 1]] - 1, which are on other streams.
typedef struct launch_order {
    size_t n;
    size_t *turn;              // [n]
    launch_place *place;       // [n], in the order of the list
    size_t *edge;              // dependencies, from what launches read and write
    size_t *wait;              // those of them that nothing else has waited for already
    size_t *wait_first;        // [n + 1]
    unsigned streams;          // that are used
    size_t tail[MOST_STREAMS]; // last launch of each stream
} launch_order;

// Dependencies from the elements that launches read and write, in the order of the list; at most `streams` streams.
// Errors: NO_MEMORY.
bptt_status order_launches(const launch_list *list, unsigned streams, launch_order *o, bptt_error *e);
void order_free(launch_order *o);

// Plans to launches (cu_lower.c).
typedef struct lower_rules {
    bptt_precision precision;
    unsigned processors;   // of the device
    bool pieces;           // split products over windows along time, so that layers can overlap
    bptt_buf *scratch;     // room for lower_scratch floats
    bptt_mat order, start; // of the tokens, for scatter_sorted: sorts plan input `sorted`; buf NULL: there are none
    size_t sorted;
    bptt_mat per_scale; // [1][2] floats: 1 / scale, -1 / scale
} lower_rules;

// Elements from row to row: rows begin at multiples of 64, that is of 256 bytes, 128 in 16 bits.
static inline size_t cu_pad(size_t cols) { return (cols + 63) / 64 * 64; }
size_t lower_scratch(const bptt_plan *p); // floats
// The plan's input that indexes a scatter of it, and the rows of the scatter's result: false if there is none.
bool lower_sorts(const bptt_plan *p, size_t *input, size_t *rows);
void lower_plan(const bptt_plan *p, const lower_rules *r, launch_list *out);

#endif
