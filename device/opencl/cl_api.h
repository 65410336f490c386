// The functions of OpenCL that are used, found at run time in libOpenCL.so.1: the module is linked with no OpenCL
// library, so it loads on any machine and can say what is missing. A test copies the table and replaces functions.
#ifndef CL_API_H
#define CL_API_H

#include "backend.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

// clang-format off
#define CL_API_LIST(X)       \
    X(GetPlatformIDs)        \
    X(GetPlatformInfo)       \
    X(GetDeviceIDs)          \
    X(GetDeviceInfo)         \
    X(CreateContext)         \
    X(ReleaseContext)        \
    X(CreateCommandQueue)    \
    X(ReleaseCommandQueue)   \
    X(CreateProgramWithSource) \
    X(CreateProgramWithBinary) \
    X(BuildProgram)          \
    X(GetProgramInfo)        \
    X(GetProgramBuildInfo)   \
    X(ReleaseProgram)        \
    X(CreateKernel)          \
    X(ReleaseKernel)         \
    X(GetKernelWorkGroupInfo) \
    X(SetKernelArg)          \
    X(CreateBuffer)          \
    X(ReleaseMemObject)      \
    X(EnqueueFillBuffer)     \
    X(EnqueueWriteBufferRect) \
    X(EnqueueReadBufferRect) \
    X(EnqueueMapBuffer)      \
    X(EnqueueUnmapMemObject) \
    X(EnqueueNDRangeKernel)  \
    X(Flush)                 \
    X(Finish)                \
    X(WaitForEvents)         \
    X(GetEventInfo)          \
    X(GetEventProfilingInfo) \
    X(RetainEvent)           \
    X(ReleaseEvent)
// clang-format on

typedef struct cl_api {
#define CL_API_MEMBER(name) __typeof__(cl##name) *name;
    CL_API_LIST(CL_API_MEMBER)
#undef CL_API_MEMBER
} cl_api;

// Errors: NO_BACKEND, with what to install. The library stays loaded: drivers leave threads behind.
bptt_status cl_api_load(cl_api *api, bptt_error *e);

// "CL_OUT_OF_RESOURCES", or "error -9999" in room: at least 24 bytes.
// Drivers need not be safe while they start (PoCL 3.1 finds no device for the second of two threads): one thread at a
// time lists or opens.
void cl_lock(void);
void cl_unlock(void);
const char *cl_error_name(cl_int code, char *room, size_t n);

#endif
