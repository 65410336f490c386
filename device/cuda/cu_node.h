// One node of a lowered plan: a kernel of ours or a product of cuBLAS, with its operands; and in which order and on
// which streams the nodes go. Knows no CUDA: what is here can be looked at without a device.
#ifndef CU_NODE_H
#define CU_NODE_H

#include "launch.h"

enum { NODE_PRODUCT = ALL_KERNELS, NODE_KINDS }; // beside kernel_id and LOWERED_*

// What products are multiplied by. Device memory: with a loss scale they are read when the product runs.
typedef enum node_alpha { ALPHA_PLUS, ALPHA_MINUS, ALPHA_PER_SCALE, ALPHA_MINUS_PER_SCALE } node_alpha;

typedef struct node {
    unsigned kind; // kernel_id, LOWERED_*, NODE_PRODUCT
    size_t operands;
    bptt_mat arg[BPTT_OPERANDS]; // type BF16 or F16: in the shadow of its buffer. buf NULL: absent
    knobs k;
    node_alpha alpha;        // products
    unsigned grid[2];        // blocks
    unsigned block[2];       // threads
    unsigned charge;         // bptt_charge or bptt_opcode
    size_t loop;             // the loop of time it comes from, counted from 1; 0: none
    size_t first, preceding; // the nodes it waits for: preceding of them, from edge[first] on (order_of)
    size_t level;            // longest path to it
    unsigned stream;
    bool awaited; // by a node of another stream
} node;

typedef struct node_list {
    size_t n, room;
    node *at;
    bool failed; // no memory
} node_list;

// Where a node's operand is written: bit i for operand i.
unsigned node_writes(const node *n);

enum { MOST_STREAMS = 6 };

// The order of nodes. The i-th to be queued is node turn[i]; it starts after what was queued on its stream before, and
// after the nodes wait[wait_first[i]] .. wait[wait_first[i + 1]] - 1, which are on other streams.
typedef struct node_order {
    size_t n;
    size_t *turn;              // [n]
    size_t *edge;              // as node.first says: the nodes that it depends on, by what they read and write
    size_t *wait;              // of those the ones that nothing else has waited for already
    size_t *wait_first;        // [n + 1]
    unsigned streams;          // that are used
    size_t tail[MOST_STREAMS]; // last node of each stream
} node_order;

// From what the nodes read and write, in the order in which they stand; on at most `streams` streams. Fills level,
// stream, awaited of the nodes. Errors: NO_MEMORY.
bptt_status order_nodes(node_list *list, unsigned streams, node_order *o, bptt_error *e);
void order_free(node_order *o);

// Plans to nodes (cu_lower.c).
typedef struct lower_rules {
    bptt_precision precision;
    unsigned processors;   // of the device
    bool pieces;           // cut products over windows into pieces of time, so that layers can overlap
    bptt_buf *scratch;     // room for lower_scratch floats
    bptt_mat order, start; // of the tokens, for scatter_sorted: sorts plan input `sorted`; buf NULL: there are none
    size_t sorted;
    bptt_mat per_scale; // [1][2] floats: 1 / scale, -1 / scale
} lower_rules;

// Elements from row to row: rows begin at multiples of 64, that is of 256 bytes, 128 in 16 bits.
static inline size_t cu_pad(size_t cols) { return (cols + 63) / 64 * 64; }
size_t lower_scratch(const bptt_plan *p); // floats
// The plan's input that a scatter of it goes by, and how many rows that has: false if there is none.
bool lower_sorts(const bptt_plan *p, size_t *input, size_t *rows);
void lower_plan(const bptt_plan *p, const lower_rules *r, node_list *out);
void nodes_free(node_list *list);

#endif
