// That cu_api.h says what NVIDIA's headers say, asked of the compiler: every function, value and type. It holds no code
// and is compiled only where cuda.h and cublas_v2.h are found.
#define __CUDA_API_VERSION_INTERNAL // each symbol under its own name: cuMemAlloc and cuMemAlloc_v2 are two
#include <cuda.h>
#include <cublas_v2.h>

#include <stddef.h>

// Names of ours that are theirs too.
#define CU_STREAM_NON_BLOCKING ours_CU_STREAM_NON_BLOCKING
#define CU_EVENT_DEFAULT ours_CU_EVENT_DEFAULT
#include "cu_api.h"
#undef CU_STREAM_NON_BLOCKING
#undef CU_EVENT_DEFAULT

#define SAYS(truth, what) _Static_assert(truth, "cu_api.h and NVIDIA's headers differ: " what)
#define SAME(a, b) __builtin_types_compatible_p(__typeof__(a), b)
#define VALUE(ours, theirs) SAYS((int)(ours) == (int)(theirs), #ours)

// ---- values ---------------------------------------------------------------------------------------------------------

VALUE(0, CUDA_SUCCESS);
VALUE(0, CUBLAS_STATUS_SUCCESS);
VALUE(CU_HOST, CU_MEMORYTYPE_HOST);
VALUE(CU_DEVICE, CU_MEMORYTYPE_DEVICE);
VALUE(CU_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE);
VALUE(CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
VALUE(CU_NOT_INITIALIZED, CUDA_ERROR_NOT_INITIALIZED);
VALUE(CU_STUB_LIBRARY, CUDA_ERROR_STUB_LIBRARY);
VALUE(CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
VALUE(CU_INVALID_IMAGE, CUDA_ERROR_INVALID_IMAGE);
VALUE(CU_NO_BINARY_FOR_GPU, CUDA_ERROR_NO_BINARY_FOR_GPU);
VALUE(CU_UNSUPPORTED_PTX, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
VALUE(CU_FILE_NOT_FOUND, CUDA_ERROR_FILE_NOT_FOUND);
VALUE(CU_NOT_FOUND, CUDA_ERROR_NOT_FOUND);
VALUE(CU_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS);
VALUE(CU_SYSTEM_DRIVER_MISMATCH, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
VALUE(CU_CAPTURE_ISOLATION, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
VALUE(CU_ATTRIBUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
VALUE(CU_ATTRIBUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
VALUE(ours_CU_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
VALUE(ours_CU_EVENT_DEFAULT, CU_EVENT_DEFAULT);
VALUE(CU_EVENT_NO_TIMING, CU_EVENT_DISABLE_TIMING);
VALUE(CU_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
VALUE(BLAS_N, CUBLAS_OP_N);
VALUE(BLAS_T, CUBLAS_OP_T);
VALUE(BLAS_F32, CUDA_R_32F);
VALUE(BLAS_F16, CUDA_R_16F);
VALUE(BLAS_BF16, CUDA_R_16BF);
VALUE(BLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F);
VALUE(BLAS_COMPUTE_32F_FAST_TF32, CUBLAS_COMPUTE_32F_FAST_TF32);
VALUE(BLAS_DEFAULT_MATH, CUBLAS_DEFAULT_MATH);
VALUE(BLAS_FULL_PRECISION_REDUCTION, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
VALUE(BLAS_POINTERS_HOST, CUBLAS_POINTER_MODE_HOST);
VALUE(BLAS_POINTERS_DEVICE, CUBLAS_POINTER_MODE_DEVICE);
VALUE(BLAS_DEFAULT_ALGORITHM, CUBLAS_GEMM_DEFAULT);

// ---- types ----------------------------------------------------------------------------------------------------------

#define TYPE_LIST(X) \
    X(cu_result, CUresult) \
    X(cu_device, CUdevice) \
    X(cu_memory, CUdeviceptr) \
    X(cu_context, CUcontext) \
    X(cu_module, CUmodule) \
    X(cu_function, CUfunction) \
    X(cu_stream, CUstream) \
    X(cu_event, CUevent) \
    X(cu_graph, CUgraph) \
    X(cu_exec, CUgraphExec) \
    X(cu_attribute, CUdevice_attribute) \
    X(cu_capture_mode, CUstreamCaptureMode) \
    X(cu_copy2d, CUDA_MEMCPY2D) \
    X(blas_handle, cublasHandle_t) \
    X(blas_result, cublasStatus_t) \
    X(blas_operation, cublasOperation_t) \
    X(blas_type, cudaDataType) \
    X(blas_compute, cublasComputeType_t) \
    X(blas_algorithm, cublasGemmAlgo_t) \
    X(blas_math, cublasMath_t) \
    X(blas_pointers, cublasPointerMode_t)

// What a calling convention looks at: size, alignment, and whether it is an integer (where theirs is one or an
// enum), a pointer or a struct.
#define KIND(t) __builtin_classify_type(*(t *)0)
#define TYPE(ours, theirs) \
    SAYS(sizeof(ours) == sizeof(theirs) && _Alignof(ours) == _Alignof(theirs), #ours); \
    SAYS(KIND(ours) == KIND(theirs), #ours);
TYPE_LIST(TYPE)

#define MEMBER(ours, theirs) \
    SAYS(offsetof(cu_copy2d, ours) == offsetof(CUDA_MEMCPY2D, theirs), "CUDA_MEMCPY2D." #theirs); \
    SAYS(sizeof(((cu_copy2d *)0)->ours) == sizeof(((CUDA_MEMCPY2D *)0)->theirs), "CUDA_MEMCPY2D." #theirs)
MEMBER(src_x_bytes, srcXInBytes);
MEMBER(src_y, srcY);
MEMBER(src_type, srcMemoryType);
MEMBER(src_host, srcHost);
MEMBER(src_device, srcDevice);
MEMBER(src_array, srcArray);
MEMBER(src_pitch, srcPitch);
MEMBER(dst_x_bytes, dstXInBytes);
MEMBER(dst_y, dstY);
MEMBER(dst_type, dstMemoryType);
MEMBER(dst_host, dstHost);
MEMBER(dst_device, dstDevice);
MEMBER(dst_array, dstArray);
MEMBER(dst_pitch, dstPitch);
MEMBER(width_bytes, WidthInBytes);
MEMBER(height, Height);

// ---- functions ------------------------------------------------------------------------------------------------------

// The lists once more with each of our types read as the one of NVIDIA's that it stands for: the types of functions
// must then be the same.
#define cu_result CUresult
#define cu_device CUdevice
#define cu_memory CUdeviceptr
#define cu_context CUcontext
#define cu_module CUmodule
#define cu_function CUfunction
#define cu_stream CUstream
#define cu_event CUevent
#define cu_graph CUgraph
#define cu_exec CUgraphExec
#define cu_attribute CUdevice_attribute
#define cu_capture_mode CUstreamCaptureMode
#define cu_copy2d CUDA_MEMCPY2D
#define blas_handle cublasHandle_t
#define blas_result cublasStatus_t
#define blas_operation cublasOperation_t
#define blas_type cudaDataType
#define blas_compute cublasComputeType_t
#define blas_algorithm cublasGemmAlgo_t
#define blas_math cublasMath_t
#define blas_pointers cublasPointerMode_t
#define FUNCTION(name, symbol, result, parameters) SAYS(SAME(symbol, result parameters), #symbol);
CU_API_LIST(FUNCTION)
BLAS_API_LIST(FUNCTION)
