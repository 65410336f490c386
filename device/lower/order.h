// Dependencies of the launches of a plan, and their order on several streams.
#ifndef ORDER_H
#define ORDER_H

#include "launch.h"

enum { MOST_STREAMS = 6 };

typedef struct ordered_launch {
    size_t first, preceding; // the launches it depends on: preceding of them, from edge[first] on
    size_t level;            // length of the longest path to it
    unsigned stream;
    bool awaited; // a launch on another stream waits for it
} ordered_launch;

// The i-th launch to be queued is queue[i]. It starts after the launches queued on its stream before, and after the
// launches wait[wait_first[i]] .. wait[wait_first[i + 1]] - 1, which are on other streams.
typedef struct launch_order {
    size_t n;
    size_t *queue;             // [n]
    ordered_launch *at;        // [n], in the order of the list
    size_t *edge;              // dependencies, from the operands that launches read and write
    size_t *wait;              // dependencies that other waits and the stream order do not cover
    size_t *wait_first;        // [n + 1]
    unsigned streams;          // number of streams in use
    size_t tail[MOST_STREAMS]; // last launch of each stream
} launch_order;

// Derives dependencies from the elements that launches read and write, in list order, and assigns launches to at most
// `streams` streams. Errors: NO_MEMORY.
bptt_status order_launches(const launch_list *list, unsigned streams, launch_order *o, bptt_error *e);
void order_free(launch_order *o);

#endif
