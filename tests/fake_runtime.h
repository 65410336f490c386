// The CUDA runtime of fake_cudnn.h, and the table that both make.
#ifndef FAKE_RUNTIME_H
#define FAKE_RUNTIME_H

#include "fake_cudnn.h"

static const char *fake_cudaGetErrorString(rt_result code) { return code == 2 ? "out of memory" : "an error"; }
static rt_result fake_cudaGetLastError(void) { return 0; }
static rt_result fake_cudaGetDeviceCount(int *n) { return *n = 1, 0; }
static rt_result fake_cudaSetDevice(int device) { return device != 0 || fake_fails() ? 101 : 0; }
static rt_result fake_cudaMalloc(void **memory, size_t bytes)
{
    const rt_result r = fake_make(memory, bytes);
    if (!r) memset(*memory, 0xFF, bytes); // NaN, until somebody clears it
    return r;
}
static rt_result fake_cudaFree(void *memory) { return fake_drop(memory); }

static rt_result fake_cudaMemcpy(void *to, const void *from, size_t bytes, unsigned kind)
{
    ck_assert(kind == RT_HOST_TO_DEVICE || kind == RT_DEVICE_TO_HOST);
    if (fake_fails()) return 1;
    memcpy(to, from, bytes);
    return 0;
}

static rt_result fake_cudaMemset(void *memory, int value, size_t bytes)
{
    if (fake_fails()) return 1;
    memset(memory, value, bytes);
    return 0;
}

static rt_result fake_cudaMemsetAsync(void *memory, int value, size_t bytes, rt_stream stream)
{
    ck_assert_int_eq(value, 0);
    return fake_queue(stream, (fake_op){FAKE_SET, .dw = memory, .bytes = bytes});
}

static rt_result fake_cudaDeviceSynchronize(void) { return fake_fails() ? 1 : 0; }
static rt_result fake_cudaStreamCreateWithFlags(rt_stream *stream, unsigned flags)
{
    return flags == RT_STREAM_NON_BLOCKING ? fake_make(stream, sizeof **stream) : 1;
}
static rt_result fake_cudaStreamDestroy(rt_stream stream)
{
    ck_assert_ptr_null(stream->recording); // a capture was left open
    return fake_drop(stream);
}
static rt_result fake_cudaStreamSynchronize(rt_stream stream) { return stream->recording || fake_fails() ? 900 : 0; }

static rt_result fake_cudaStreamBeginCapture(rt_stream stream, unsigned mode)
{
    ck_assert_uint_eq(mode, RT_CAPTURE_THREAD_LOCAL);
    return fake_make(&stream->recording, sizeof *stream->recording);
}

static rt_result fake_cudaStreamEndCapture(rt_stream stream, rt_graph *graph)
{
    *graph = stream->recording, stream->recording = NULL;
    if (!fake.no_capture && !fake_fails()) return 0;
    fake_drop(*graph);
    *graph = NULL;
    return 901;
}

static rt_result fake_cudaGraphInstantiate(rt_exec *exec, rt_graph graph, unsigned long long flags)
{
    ck_assert_uint_eq(flags, 0);
    if (fake_make(exec, sizeof **exec)) return 2;
    (*exec)->graph = *graph;
    return 0;
}

static rt_result fake_cudaGraphLaunch(rt_exec exec, rt_stream stream)
{
    ck_assert_ptr_null(stream->recording);
    if (fake_fails()) return 1;
    for (size_t i = 0; i < exec->graph.n; i++) fake_do(&exec->graph.op[i]);
    return 0;
}

static rt_result fake_cudaGraphDestroy(rt_graph graph) { return fake_drop(graph); }
static rt_result fake_cudaGraphExecDestroy(rt_exec exec) { return fake_drop(exec); }

// A millisecond for each thing that ran.
static rt_result fake_cudaEventRecord(rt_event event, rt_stream stream)
{
    event->at = (double)fake.launches;
    return !stream || fake_fails() ? 1 : 0;
}
static rt_result fake_cudaEventSynchronize(rt_event event) { return !event || fake_fails() ? 1 : 0; }
static rt_result fake_cudaEventElapsedTime(float *ms, rt_event start, rt_event end)
{
    *ms = (float)(end->at - start->at);
    return fake_fails() ? 1 : 0;
}

#define FAKE_MEMBER(name, result, parameters) .name = fake_##name,
static const nn_api fake_api = {NN_API_LIST(FAKE_MEMBER) RT_API_LIST(FAKE_MEMBER).gpu = "made up", .version = "9.19.0"};

// In the place of cudnn_api.c's.
bptt_status nn_load(const nn_api **api, bptt_error *e)
{
    (void)e;
    *api = &fake_api;
    return BPTT_OK;
}

#endif
