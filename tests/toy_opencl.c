// The OpenCL backend for test_toy_cell, whose program has the toy cell.
#include "cl_internal.h"
#include "toy_opencl.h"

bool toy_opencl(bptt_backend *b)
{
    *b = bptt_opencl();
    return true;
}
