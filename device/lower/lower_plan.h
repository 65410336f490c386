// Lowers a plan to launches, for a GPU backend that queues each kernel of each step of time and computes GEMMs by a
// library. Independent of the device language.
#ifndef LOWER_PLAN_H
#define LOWER_PLAN_H

#include "launch.h"

typedef struct lower_rules {
    bptt_precision precision;
    bool pieces;           // split products over windows along time, so that layers can overlap
    bptt_buf *scratch;     // room for lower_scratch floats
    bptt_mat order, start; // token order for scatter_sorted, sorted from plan input `sorted`; buf NULL: no scatter
    size_t sorted;
    bptt_mat per_scale; // [1][2] floats: 1 / scale, -1 / scale
} lower_rules;

// Leading dimension: rows start at multiples of 64 elements (256 bytes; 128 in 16 bits).
static inline size_t lower_pad(size_t cols) { return (cols + 63) / 64 * 64; }
size_t lower_scratch(const bptt_plan *p); // in floats
// Finds the plan input that indexes a SCATTER, and the rows of its result. False: no SCATTER by a plan input.
bool lower_sorts(const bptt_plan *p, size_t *input, size_t *rows);
void lower_plan(const bptt_plan *p, const lower_rules *r, launch_list *out);

#endif
