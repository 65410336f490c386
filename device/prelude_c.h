// Host C definitions of the macros used by kernels.h (KERNEL, ITEM, ROW, LANE, BARRIER, ...). A kernel is a function,
// called once for every work-item. Groups have one lane: local memory is a local variable, a barrier does nothing.
#ifndef PRELUDE_C_H
#define PRELUDE_C_H

#include <stdint.h>

typedef uint64_t word;
typedef uint32_t count;

// The index of a work-item and the size of the grid, in each dimension.
typedef struct work_item {
    count column, columns; // id 0
    count row, rows;       // id 1
    count group, groups;
    count lane, lanes; // of its group
} work_item;

#define INLINE static inline
#define UNUSED __attribute__((unused))
#define ITEM UNUSED const work_item *const item, // first parameter of functions that use the index
#define SAME_ITEM item,                          // the argument for it
#define KERNEL(name) static void bptt_##name
#define GLOBAL
#define LOCAL
#define LOCAL_POINTER
#define BARRIER ((void)0)
#define COLUMN ((word)item->column)
#define COLUMNS ((word)item->columns)
#define ROW ((word)item->row)
#define ROWS ((word)item->rows)
#define GROUP ((word)item->group)
#define GROUPS ((word)item->groups)
#define LANE item->lane
#define LANES item->lanes
#define SIDE 16     // columns that a work-item sums at a time
#define INDEPENDENT // precedes a loop with independent iterations
#define UNROLL      // precedes a loop with a constant number of iterations
#endif
