// What kernels.h is written in, as host C: a kernel is a function that is called once for every work-item. For one lane
// a group: local memory is the function's own and a barrier nothing.
#ifndef PRELUDE_C_H
#define PRELUDE_C_H

#include <stdint.h>

typedef uint64_t word;
typedef uint32_t count;

// Which work-item this is, and how many there are. In one dimension of a grid or another:
typedef struct work_item {
    count column, columns; // id 0
    count row, rows;       // id 1
    count group, groups;
    count lane, lanes; // of its group
} work_item;

#define INLINE static inline
#define UNUSED __attribute__((unused))
#define ITEM UNUSED const work_item *const item, // first parameter of whatever asks which item it is
#define SAME_ITEM item,                          // and the argument for it
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
#define SIDE 16     // columns a work-item sums at a time
#define INDEPENDENT // in front of a loop whose turns are independent
#endif
