// The device program of the cuda backend: every entry and the kernels of lowerings, as CUDA C++.
#include "prelude_cuda.h"

#include "kernels.h"
#include "kernels_lowered.h"
