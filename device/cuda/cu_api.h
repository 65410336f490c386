// The functions of the CUDA driver and of cuBLAS that are used, found at run time in libcuda.so.1 and libcublas.so.13
// or .12: the module is linked with neither, so it loads on any machine and can say what is missing. Their types stand
// here, as NVIDIA's documentation gives them (CUDA Driver API, cuBLAS Library; both keep these binary interfaces), so
// that the module builds without a CUDA toolkit; where there is one, cu_headers.c compares each with NVIDIA's headers.
// The tests put a stand-in in the place of both libraries (tests/standin/).
#ifndef CU_API_H
#define CU_API_H

#include "backend.h"

typedef int cu_result;                // CUresult: 0 is success
typedef int cu_device;                // CUdevice
typedef unsigned long long cu_memory; // CUdeviceptr
typedef struct cu_context_of *cu_context;
typedef struct cu_module_of *cu_module;
typedef struct cu_function_of *cu_function;
typedef struct cu_stream_of *cu_stream;
typedef struct cu_event_of *cu_event;
typedef struct cu_graph_of *cu_graph;
typedef struct cu_exec_of *cu_exec; // CUgraphExec
typedef struct blas_handle_of *blas_handle;
typedef int blas_result;                   // cublasStatus_t: 0 is success
typedef int cu_attribute, cu_capture_mode; // and NVIDIA's other enums, whose values stand below
typedef int blas_operation, blas_type, blas_compute, blas_algorithm, blas_math, blas_pointers;

// CUDA_MEMCPY2D
typedef struct cu_copy2d {
    size_t src_x_bytes, src_y;
    int src_type; // CU_HOST, CU_DEVICE
    const void *src_host;
    cu_memory src_device;
    void *src_array;
    size_t src_pitch;
    size_t dst_x_bytes, dst_y;
    int dst_type;
    void *dst_host;
    cu_memory dst_device;
    void *dst_array;
    size_t dst_pitch;
    size_t width_bytes, height;
} cu_copy2d;

enum { CU_HOST = 1, CU_DEVICE = 2 }; // CU_MEMORYTYPE_*
enum {                               // CUresult
    CU_INVALID_VALUE = 1,
    CU_OUT_OF_MEMORY = 2,
    CU_NOT_INITIALIZED = 3,
    CU_STUB_LIBRARY = 34,
    CU_NO_DEVICE = 100,
    CU_INVALID_IMAGE = 200,
    CU_NO_BINARY_FOR_GPU = 209,
    CU_UNSUPPORTED_PTX = 222,
    CU_FILE_NOT_FOUND = 301,
    CU_NOT_FOUND = 500,
    CU_ILLEGAL_ADDRESS = 700,
    CU_SYSTEM_DRIVER_MISMATCH = 803,
    CU_CAPTURE_ISOLATION = 905
};
enum { // CUdevice_attribute
    CU_ATTRIBUTE_MAJOR = 75,
    CU_ATTRIBUTE_MINOR = 76
};
enum { CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DEFAULT = 0, CU_EVENT_NO_TIMING = 2, CU_CAPTURE_THREAD_LOCAL = 1 };
enum { BLAS_N = 0, BLAS_T = 1 };                                    // cublasOperation_t
enum { BLAS_F32 = 0, BLAS_F16 = 2, BLAS_BF16 = 14 };                // cudaDataType
enum { BLAS_COMPUTE_32F = 68, BLAS_COMPUTE_32F_FAST_TF32 = 77 };    // cublasComputeType_t
enum { BLAS_DEFAULT_MATH = 0, BLAS_FULL_PRECISION_REDUCTION = 16 }; // cublasMath_t: DISALLOW_REDUCED_PRECISION_...
enum { BLAS_POINTERS_HOST = 0, BLAS_POINTERS_DEVICE = 1 };          // cublasPointerMode_t
enum { BLAS_DEFAULT_ALGORITHM = -1 };                               // cublasGemmAlgo_t

// name of the member, exported symbol, result, parameters
// clang-format off
#define CU_API_LIST(X) \
    X(Init, cuInit, cu_result, (unsigned flags)) \
    X(DriverGetVersion, cuDriverGetVersion, cu_result, (int *version)) \
    X(GetErrorName, cuGetErrorName, cu_result, (cu_result code, const char **name)) \
    X(GetErrorString, cuGetErrorString, cu_result, (cu_result code, const char **words)) \
    X(DeviceGetCount, cuDeviceGetCount, cu_result, (int *n)) \
    X(DeviceGet, cuDeviceGet, cu_result, (cu_device *device, int number)) \
    X(DeviceGetName, cuDeviceGetName, cu_result, (char *name, int room, cu_device device)) \
    X(DeviceTotalMem, cuDeviceTotalMem_v2, cu_result, (size_t *bytes, cu_device device)) \
    X(DeviceGetAttribute, cuDeviceGetAttribute, cu_result, (int *value, cu_attribute attribute, cu_device device)) \
    X(DevicePrimaryCtxGetState, cuDevicePrimaryCtxGetState, cu_result, (cu_device device, unsigned *flags, \
      int *active)) \
    X(DevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, cu_result, (cu_context *context, cu_device device)) \
    X(DevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, cu_result, (cu_device device)) \
    X(CtxPushCurrent, cuCtxPushCurrent_v2, cu_result, (cu_context context)) \
    X(CtxPopCurrent, cuCtxPopCurrent_v2, cu_result, (cu_context *context)) \
    X(ModuleLoadData, cuModuleLoadData, cu_result, (cu_module *module, const void *image)) \
    X(ModuleUnload, cuModuleUnload, cu_result, (cu_module module)) \
    X(ModuleGetFunction, cuModuleGetFunction, cu_result, (cu_function *function, cu_module module, \
      const char *name)) \
    X(MemGetInfo, cuMemGetInfo_v2, cu_result, (size_t *unused, size_t *all)) \
    X(MemAlloc, cuMemAlloc_v2, cu_result, (cu_memory *memory, size_t bytes)) \
    X(MemFree, cuMemFree_v2, cu_result, (cu_memory memory)) \
    X(MemHostAlloc, cuMemHostAlloc, cu_result, (void **memory, size_t bytes, unsigned flags)) \
    X(MemFreeHost, cuMemFreeHost, cu_result, (void *memory)) \
    X(MemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, cu_result, (cu_memory to, const void *from, size_t bytes, \
      cu_stream stream)) \
    X(MemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, cu_result, (void *to, cu_memory from, size_t bytes, cu_stream stream)) \
    X(Memcpy2DAsync, cuMemcpy2DAsync_v2, cu_result, (const cu_copy2d *copy, cu_stream stream)) \
    X(MemsetD8Async, cuMemsetD8Async, cu_result, (cu_memory memory, unsigned char value, size_t bytes, \
      cu_stream stream)) \
    X(StreamCreate, cuStreamCreate, cu_result, (cu_stream *stream, unsigned flags)) \
    X(StreamDestroy, cuStreamDestroy_v2, cu_result, (cu_stream stream)) \
    X(StreamSynchronize, cuStreamSynchronize, cu_result, (cu_stream stream)) \
    X(StreamWaitEvent, cuStreamWaitEvent, cu_result, (cu_stream stream, cu_event event, unsigned flags)) \
    X(StreamBeginCapture, cuStreamBeginCapture_v2, cu_result, (cu_stream stream, cu_capture_mode mode)) \
    X(StreamEndCapture, cuStreamEndCapture, cu_result, (cu_stream stream, cu_graph *graph)) \
    X(GraphInstantiate, cuGraphInstantiateWithFlags, cu_result, (cu_exec *exec, cu_graph graph, \
      unsigned long long flags)) \
    X(GraphUpload, cuGraphUpload, cu_result, (cu_exec exec, cu_stream stream)) \
    X(GraphLaunch, cuGraphLaunch, cu_result, (cu_exec exec, cu_stream stream)) \
    X(GraphExecDestroy, cuGraphExecDestroy, cu_result, (cu_exec exec)) \
    X(GraphDestroy, cuGraphDestroy, cu_result, (cu_graph graph)) \
    X(EventCreate, cuEventCreate, cu_result, (cu_event *event, unsigned flags)) \
    X(EventDestroy, cuEventDestroy_v2, cu_result, (cu_event event)) \
    X(EventRecord, cuEventRecord, cu_result, (cu_event event, cu_stream stream)) \
    X(EventSynchronize, cuEventSynchronize, cu_result, (cu_event event)) \
    X(EventElapsedTime, cuEventElapsedTime, cu_result, (float *milliseconds, cu_event start, cu_event end)) \
    X(LaunchKernel, cuLaunchKernel, cu_result, (cu_function function, unsigned grid_x, unsigned grid_y, \
      unsigned grid_z, \
      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes, cu_stream stream, \
      void **arguments, \
      void **extra))

#define BLAS_API_LIST(X) \
    X(Create, cublasCreate_v2, blas_result, (blas_handle *handle)) \
    X(Destroy, cublasDestroy_v2, blas_result, (blas_handle handle)) \
    X(GetVersion, cublasGetVersion_v2, blas_result, (blas_handle handle, int *version)) \
    X(GetStatusName, cublasGetStatusName, const char *, (blas_result code)) \
    X(SetStream, cublasSetStream_v2, blas_result, (blas_handle handle, cu_stream stream)) \
    X(SetWorkspace, cublasSetWorkspace_v2, blas_result, (blas_handle handle, void *workspace, size_t bytes)) \
    X(SetMathMode, cublasSetMathMode, blas_result, (blas_handle handle, blas_math mode)) \
    X(SetPointerMode, cublasSetPointerMode_v2, blas_result, (blas_handle handle, blas_pointers mode)) \
    X(GemmEx, cublasGemmEx, blas_result, (blas_handle handle, blas_operation a_op, blas_operation b_op, int m, int n, \
      int k, const void *alpha, const void *a, blas_type a_type, int a_ld, const void *b, blas_type b_type, int b_ld, \
      const void *beta, void *c, blas_type c_type, int c_ld, blas_compute compute, blas_algorithm algorithm))
// clang-format on

typedef struct cu_api {
#define CU_API_MEMBER(name, symbol, result, parameters) result(*name) parameters;
    CU_API_LIST(CU_API_MEMBER)
#undef CU_API_MEMBER
} cu_api;

typedef struct blas_api {
#define BLAS_API_MEMBER(name, symbol, result, parameters) result(*name) parameters;
    BLAS_API_LIST(BLAS_API_MEMBER)
#undef BLAS_API_MEMBER
    char file[32]; // the library they come from
} blas_api;

// Errors: NO_BACKEND, with what to install. The libraries stay loaded.
bptt_status cu_api_load(cu_api *api, bptt_error *e);
// Before it is loaded the environment's settings of cuBLAS that would change results are taken out of the environment,
// and named in *ignored ("" if there were none). driver: the version that cuDriverGetVersion gives.
bptt_status blas_api_load(blas_api *api, int driver, char *ignored, size_t room, bptt_error *e);

#endif
