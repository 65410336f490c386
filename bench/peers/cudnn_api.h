// The functions of cuDNN, of the CUDA runtime and of the driver that cudnn_rnn.c uses, found at run time: the program
// builds without a CUDA toolkit, starts without a driver, and says what is missing. Their types stand here as NVIDIA's
// documentation gives them (cuDNN 8.9.1 and later, CUDA 12 and 13); where the toolkit's headers are present,
// cudnn_headers.c compares each with them.
#ifndef CUDNN_API_H
#define CUDNN_API_H

#include "backend.h"

#include <stdint.h>

// Enumerations are unsigned here, which is what compilers make of them; 0 is success.
typedef unsigned nn_result;   // cudnnStatus_t
typedef unsigned rt_result;   // cudaError_t
typedef int nn_driver_result; // CUresult, which no header here is asked about

typedef struct cudnnContext *nn_handle;
typedef struct cudnnRNNStruct *nn_rnn;
typedef struct cudnnRNNDataStruct *nn_data;
typedef struct cudnnTensorStruct *nn_tensor;
typedef struct cudnnDropoutStruct *nn_dropout;
typedef struct CUstream_st *rt_stream;
typedef struct CUevent_st *rt_event;
typedef struct CUgraph_st *rt_graph;
typedef struct CUgraphExec_st *rt_exec;

enum { // cudnnRNNAlgo_t
    NN_STANDARD = 0,
    NN_PERSIST_STATIC = 1,
    NN_PERSIST_DYNAMIC = 2,
    NN_PERSIST_STATIC_SMALL_H = 3
};
enum { NN_RELU = 0, NN_TANH = 1, NN_LSTM = 2, NN_GRU = 3 };           // cudnnRNNMode_t
enum { NN_FLOAT = 0, NN_HALF = 2, NN_BFLOAT16 = 9 };                  // cudnnDataType_t
enum { NN_DEFAULT_MATH = 0, NN_TENSOR_OP_MATH = 1, NN_FMA_MATH = 3 }; // cudnnMathType_t
enum { NN_DOUBLE_BIAS = 2, NN_UNIDIRECTIONAL = 0, NN_LINEAR_INPUT = 0 };
enum { NN_SEQ_MAJOR_UNPACKED = 0, NN_SEQ_MAJOR_PACKED = 1 }; // cudnnRNNDataLayout_t
enum { NN_PADDED_IO_DISABLED = 0, NN_PADDED_IO_ENABLED = 1 };
enum { NN_TRAINING = 1, NN_WGRAD_ADD = 0 };
enum { RT_HOST_TO_DEVICE = 1, RT_DEVICE_TO_HOST = 2, RT_STREAM_NON_BLOCKING = 1, RT_CAPTURE_THREAD_LOCAL = 1 };

// symbol, result, parameters
// clang-format off
#define NN_API_LIST(X) \
    X(cudnnGetVersion, size_t, (void)) \
    X(cudnnGetErrorString, const char *, (nn_result code)) \
    X(cudnnCreate, nn_result, (nn_handle *handle)) \
    X(cudnnDestroy, nn_result, (nn_handle handle)) \
    X(cudnnSetStream, nn_result, (nn_handle handle, rt_stream stream)) \
    X(cudnnCreateTensorDescriptor, nn_result, (nn_tensor *tensor)) \
    X(cudnnDestroyTensorDescriptor, nn_result, (nn_tensor tensor)) \
    X(cudnnSetTensorNdDescriptor, nn_result, (nn_tensor tensor, unsigned type, int dimensions, const int *size, \
      const int *stride)) \
    X(cudnnGetTensorNdDescriptor, nn_result, (nn_tensor tensor, int room, unsigned *type, int *dimensions, int *size, \
      int *stride)) \
    X(cudnnCreateDropoutDescriptor, nn_result, (nn_dropout *dropout)) \
    X(cudnnDestroyDropoutDescriptor, nn_result, (nn_dropout dropout)) \
    X(cudnnSetDropoutDescriptor, nn_result, (nn_dropout dropout, nn_handle handle, float p, void *states, \
      size_t bytes, unsigned long long seed)) \
    X(cudnnCreateRNNDescriptor, nn_result, (nn_rnn *rnn)) \
    X(cudnnDestroyRNNDescriptor, nn_result, (nn_rnn rnn)) \
    X(cudnnSetRNNDescriptor_v8, nn_result, (nn_rnn rnn, unsigned algorithm, unsigned cell, unsigned biases, \
      unsigned direction, unsigned input, unsigned type, unsigned math_type, unsigned math, int32_t I, int32_t H, \
      int32_t projection, int32_t L, nn_dropout dropout, uint32_t flags)) \
    X(cudnnBuildRNNDynamic, nn_result, (nn_handle handle, nn_rnn rnn, int B)) \
    X(cudnnCreateRNNDataDescriptor, nn_result, (nn_data *data)) \
    X(cudnnDestroyRNNDataDescriptor, nn_result, (nn_data data)) \
    X(cudnnSetRNNDataDescriptor, nn_result, (nn_data data, unsigned type, unsigned layout, int T, int B, int width, \
      const int *lengths, void *fill)) \
    X(cudnnGetRNNTempSpaceSizes, nn_result, (nn_handle handle, nn_rnn rnn, unsigned mode, nn_data x, \
      size_t *work, size_t *reserve)) \
    X(cudnnGetRNNWeightSpaceSize, nn_result, (nn_handle handle, nn_rnn rnn, size_t *bytes)) \
    X(cudnnGetRNNWeightParams, nn_result, (nn_handle handle, nn_rnn rnn, int32_t layer, size_t bytes, \
      const void *space, int32_t which, nn_tensor m, void **m_at, nn_tensor b, void **b_at)) \
    X(cudnnRNNForward, nn_result, (nn_handle handle, nn_rnn rnn, unsigned mode, const int32_t *lengths, \
      nn_data x_is, const void *x, nn_data y_is, void *y, nn_tensor h_is, const void *hx, void *hy, nn_tensor c_is, \
      const void *cx, void *cy, size_t weight_bytes, const void *weights, size_t work_bytes, void *work, \
      size_t reserve_bytes, void *reserve)) \
    X(cudnnRNNBackwardData_v8, nn_result, (nn_handle handle, nn_rnn rnn, const int32_t *lengths, nn_data y_is, \
      const void *y, const void *dy, nn_data x_is, void *dx, nn_tensor h_is, const void *hx, const void *dhy, \
      void *dhx, nn_tensor c_is, const void *cx, const void *dcy, void *dcx, size_t weight_bytes, \
      const void *weights, size_t work_bytes, void *work, size_t reserve_bytes, void *reserve)) \
    X(cudnnRNNBackwardWeights_v8, nn_result, (nn_handle handle, nn_rnn rnn, unsigned mode, const int32_t *lengths, \
      nn_data x_is, const void *x, nn_tensor h_is, const void *hx, nn_data y_is, const void *y, \
      size_t weight_bytes, void *dweights, size_t work_bytes, void *work, size_t reserve_bytes, void *reserve))

#define RT_API_LIST(X) \
    X(cudaGetErrorString, const char *, (rt_result code)) \
    X(cudaGetLastError, rt_result, (void)) \
    X(cudaGetDeviceCount, rt_result, (int *n)) \
    X(cudaSetDevice, rt_result, (int device)) \
    X(cudaMalloc, rt_result, (void **memory, size_t bytes)) \
    X(cudaFree, rt_result, (void *memory)) \
    X(cudaMemcpy, rt_result, (void *to, const void *from, size_t bytes, unsigned kind)) \
    X(cudaMemset, rt_result, (void *memory, int value, size_t bytes)) \
    X(cudaMemsetAsync, rt_result, (void *memory, int value, size_t bytes, rt_stream stream)) \
    X(cudaDeviceSynchronize, rt_result, (void)) \
    X(cudaStreamCreateWithFlags, rt_result, (rt_stream *stream, unsigned flags)) \
    X(cudaStreamDestroy, rt_result, (rt_stream stream)) \
    X(cudaStreamSynchronize, rt_result, (rt_stream stream)) \
    X(cudaStreamBeginCapture, rt_result, (rt_stream stream, unsigned mode)) \
    X(cudaStreamEndCapture, rt_result, (rt_stream stream, rt_graph *graph)) \
    X(cudaGraphInstantiate, rt_result, (rt_exec *exec, rt_graph graph, unsigned long long flags)) \
    X(cudaGraphLaunch, rt_result, (rt_exec exec, rt_stream stream)) \
    X(cudaGraphDestroy, rt_result, (rt_graph graph)) \
    X(cudaGraphExecDestroy, rt_result, (rt_exec exec)) \
    X(cudaEventCreate, rt_result, (rt_event *event)) \
    X(cudaEventDestroy, rt_result, (rt_event event)) \
    X(cudaEventRecord, rt_result, (rt_event event, rt_stream stream)) \
    X(cudaEventSynchronize, rt_result, (rt_event event)) \
    X(cudaEventElapsedTime, rt_result, (float *ms, rt_event start, rt_event end))
// clang-format on

typedef struct nn_api {
#define NN_API_MEMBER(name, result, parameters) result(*name) parameters;
    NN_API_LIST(NN_API_MEMBER)
    RT_API_LIST(NN_API_MEMBER)
#undef NN_API_MEMBER
    void (*cudnnGetLastErrorString)(char *words, size_t room); // cuDNN 9; NULL before
    char gpu[100];                                             // the name of device 0
    char version[60];                                          // of cuDNN, and the files it all comes from
} nn_api;

// Loads what is there, once in a process, and looks for a GPU. NO_BACKEND, with one sentence that says what is missing:
// libcudnn.so.9 (or .8), libcudart.so.13 (or .12), a driver, a device.
bptt_status nn_load(const nn_api **api, bptt_error *e);

#endif
