// OpenCL C 1.2 definitions of the macros used by kernels.h (KERNEL, ROW, LANE, BARRIER, ...). With -DONE_LANE
// (processors) each work-item takes all columns and all lanes, so that inner loops vectorize; the grid is then one item
// wide, and a group has one lane. With -DGATES_CELL=NUMBER the program holds only the whole loops of that gated cell
// (window_gates.cl): the other kernels are functions that nothing calls.
#ifndef PRELUDE_OPENCL_H
#define PRELUDE_OPENCL_H

typedef ulong word;
typedef uint count;

#define INLINE static inline
#define UNUSED
#define ITEM
#define SAME_ITEM
#define GLOBAL __global
#ifdef GATES_CELL
#define KERNEL(name) INLINE void bptt_##name
#define LOCAL // functions cannot declare local arrays
#define LOCAL_POINTER
#else
#define KERNEL(name) __kernel void bptt_##name
#define LOCAL __local
#define LOCAL_POINTER __local
#endif
#define ROW ((word)get_global_id(1))
#define ROWS ((word)get_global_size(1))
#define GROUP ((word)get_group_id(0))
#define GROUPS ((word)get_num_groups(0))
#ifdef ONE_LANE
#define COLUMN ((word)0)
#define COLUMNS ((word)1)
#define LANE 0u
#define LANES 1u
#define BARRIER ((void)0) // one lane needs none, and PoCL 3.1 crashes on a barrier in a loop like that of log_softmax
#define SIDE 16
#else
#define COLUMN ((word)get_global_id(0))
#define COLUMNS ((word)get_global_size(0))
#define LANE ((count)get_local_id(0))
#define LANES ((count)get_local_size(0))
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define SIDE 1
#endif
#define UNROLL _Pragma("unroll")
#if defined(ONE_LANE) && defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT
#endif

#endif
