// From a plan to launches for a GPU that queues each kernel of each step of time and leaves products to a library.
// Knows no device language.
#ifndef LOWER_PLAN_H
#define LOWER_PLAN_H

#include "launch.h"

typedef struct lower_rules {
    bptt_precision precision;
    bool pieces;           // split products over windows along time, so that layers can overlap
    bptt_buf *scratch;     // room for lower_scratch floats
    bptt_mat order, start; // of the tokens, for scatter_sorted: sorts plan input `sorted`; buf NULL: there are none
    size_t sorted;
    bptt_mat per_scale; // [1][2] floats: 1 / scale, -1 / scale
} lower_rules;

// Elements from row to row: rows begin at multiples of 64, that is of 256 bytes, 128 in 16 bits.
static inline size_t lower_pad(size_t cols) { return (cols + 63) / 64 * 64; }
size_t lower_scratch(const bptt_plan *p); // floats
// The plan's input that indexes a scatter of it, and the rows of the scatter's result: false if there is none.
bool lower_sorts(const bptt_plan *p, size_t *input, size_t *rows);
void lower_plan(const bptt_plan *p, const lower_rules *r, launch_list *out);

#endif
