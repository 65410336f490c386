// The order of the launches of a plan, on several streams.
#ifndef ORDER_H
#define ORDER_H

#include "launch.h"

enum { MOST_STREAMS = 6 };

typedef struct ordered_launch {
    size_t first, preceding; // the launches it depends on: preceding of them, from edge[first] on
    size_t level;            // longest path to it
    unsigned stream;
    bool awaited; // by a launch on another stream
} ordered_launch;

// The i-th launch to be queued is queue[i]. It starts after the launches queued on its stream before, and after the
// launches wait[wait_first[i]] .. wait[wait_first[i + 1]] - 1, which are on other streams.
typedef struct launch_order {
    size_t n;
    size_t *queue;             // [n]
    ordered_launch *at;        // [n], in the order of the list
    size_t *edge;              // dependencies, from what launches read and write
    size_t *wait;              // those of them that are not complete by then anyway
    size_t *wait_first;        // [n + 1]
    unsigned streams;          // that are used
    size_t tail[MOST_STREAMS]; // last launch of each stream
} launch_order;

// Dependencies from the elements that launches read and write, in the order of the list; at most `streams` streams.
// Errors: NO_MEMORY.
bptt_status order_launches(const launch_list *list, unsigned streams, launch_order *o, bptt_error *e);
void order_free(launch_order *o);

#endif
