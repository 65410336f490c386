// The device program of the cuda backend: the kernels of all ops and the lowered kernels, as CUDA C++.
#include "prelude_cuda.h"

#include "kernels.h"
#include "kernels_lowered.h"
