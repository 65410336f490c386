// The OpenCL backend for test_toy_cell, where the build has one.
#ifndef TOY_OPENCL_H
#define TOY_OPENCL_H

#include "backend.h"

// False: this build has none.
bool toy_opencl(bptt_backend *b);

#endif
