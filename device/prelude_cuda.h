// CUDA definitions of the macros used by kernels.h (KERNEL, ITEM, ROW, LANE, BARRIER, ...).
#ifndef PRELUDE_CUDA_H
#define PRELUDE_CUDA_H

typedef unsigned long long word;
typedef unsigned int count;

#define INLINE static inline __device__
#define UNUSED
#define ITEM
#define SAME_ITEM
#define KERNEL(name) extern "C" __global__ void bptt_##name
#define GLOBAL
#define LOCAL __shared__
#define LOCAL_POINTER
#define BARRIER __syncthreads()
#define COLUMN ((word)blockIdx.x * blockDim.x + threadIdx.x)
#define COLUMNS ((word)gridDim.x * blockDim.x)
#define ROW ((word)blockIdx.y * blockDim.y + threadIdx.y)
#define ROWS ((word)gridDim.y * blockDim.y)
#define GROUP ((word)blockIdx.x)
#define GROUPS ((word)gridDim.x)
#define LANE threadIdx.x
#define LANES blockDim.x
#define SIDE 1
#define INDEPENDENT
#define UNROLL

#endif
