// For test_toy_cell where the build has no OpenCL.
#include "toy_opencl.h"

bool toy_opencl(bptt_backend *b)
{
    (void)b;
    return false;
}
