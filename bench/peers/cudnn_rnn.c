// A driver of cuDNN's recurrent layers (API of versions 8 and 9); see cudnn_rnn.h. Every call is checked: ok() and
// good() are false after a failure, with the message in r->e.
#include "cudnn_rnn.h"

#include "narrow.h"

#include <stdio.h>
#include <stdlib.h>

// Device memory, indexed by purpose.
enum { X, Y, DX, DY, HX, HY, DHX, CX, CY, DCX, W, DW, WORK, RESERVE, MEMORIES };

struct cudnn_rnn {
    cudnn_rnn_config c;
    const nn_api *api;
    bptt_error e;
    size_t G; // gates
    unsigned type, math;
    nn_handle handle;
    nn_rnn rnn, back; // of the forward pass, of both backward calls; may be the same one
    nn_dropout dropout;
    nn_data io;            // [T][B][H]: x and y alike
    nn_tensor state, m, b; // [L][B][H]; what describes a weight matrix and a bias
    rt_stream stream;
    rt_event start, end;
    rt_exec exec[CUDNN_PARTS];
    void *mem[MEMORIES];
    size_t bytes[MEMORIES];
    void *staging; // host memory for one array of the type
};

static size_t element(const cudnn_rnn *r) { return r->type == NN_FLOAT ? 4 : 2; }

// ---- failures -------------------------------------------------------------------------------------------------------

// The runtime's.
static bool ok(cudnn_rnn *r, rt_result code, const char *what)
{
    if (code == 0) return true;
    (void)r->api->cudaGetLastError(); // a refusal is not for the next call to report
    (void)bptt_fail(&r->e, code == 2 ? BPTT_NO_MEMORY : BPTT_DEVICE, "%s: %s", what, r->api->cudaGetErrorString(code));
    return false;
}

// Checks a cuDNN result: NOT_SUPPORTED and BAD_PARAM become BAD_CONFIG.
static bool good(cudnn_rnn *r, nn_result code, const char *what)
{
    if (code == 0) return true;
    char more[300] = "";
    if (r->api->cudnnGetLastErrorString) r->api->cudnnGetLastErrorString(more, sizeof more);
    for (char *c = more; *c; c++)
        if (*c == '\n') *c = ' ';
    const bool refused = code / 1000 == 2 || code / 1000 == 3 || code == 9; // version 9; NOT_SUPPORTED of version 8
    (void)bptt_fail(&r->e, refused ? BPTT_BAD_CONFIG : BPTT_DEVICE, "%s: %s%s%.250s", what,
                    r->api->cudnnGetErrorString(code), *more ? ": " : "", more);
    (void)r->api->cudaGetLastError();
    return false;
}

static bptt_status give(cudnn_rnn *r, bool done, bptt_error *e)
{
    if (done) return BPTT_OK;
    return bptt_fail(e, r->e.code ? r->e.code : BPTT_DEVICE, "%s", r->e.words);
}

// ---- opening --------------------------------------------------------------------------------------------------------

static bool forward(cudnn_rnn *r);

// fp16 and bf16: 16-bit data, sums in float, tensor cores. tf32: float data and sums, tensor cores allowed. fp32: none.
static void choose_types(cudnn_rnn *r, bool default_math)
{
    static const unsigned type[] = {[BPTT_PRECISION_FP32] = NN_FLOAT,
                                    [BPTT_PRECISION_TF32] = NN_FLOAT,
                                    [BPTT_PRECISION_BF16] = NN_BFLOAT16,
                                    [BPTT_PRECISION_FP16] = NN_HALF};
    // The default allows floats on tensor cores from Ampere on; TENSOR_OP rounds none down.
    static const unsigned math[] = {[BPTT_PRECISION_FP32] = NN_FMA_MATH,
                                    [BPTT_PRECISION_TF32] = NN_DEFAULT_MATH,
                                    [BPTT_PRECISION_BF16] = NN_TENSOR_OP_MATH,
                                    [BPTT_PRECISION_FP16] = NN_TENSOR_OP_MATH};
    r->type = type[r->c.precision];
    r->math = default_math ? NN_DEFAULT_MATH : math[r->c.precision];
    r->G = r->c.cell == NN_LSTM ? 4 : r->c.cell == NN_GRU ? 3 : 1;
}

static bool open_objects(cudnn_rnn *r)
{
    const nn_api *a = r->api;
    return ok(r, a->cudaSetDevice(0), "cudaSetDevice") &&
           ok(r, a->cudaStreamCreateWithFlags(&r->stream, RT_STREAM_NON_BLOCKING), "cudaStreamCreate") &&
           ok(r, a->cudaEventCreate(&r->start), "cudaEventCreate") &&
           ok(r, a->cudaEventCreate(&r->end), "cudaEventCreate") &&
           good(r, a->cudnnCreate(&r->handle), "cudnnCreate") &&
           good(r, a->cudnnSetStream(r->handle, r->stream), "cudnnSetStream") &&
           good(r, a->cudnnCreateDropoutDescriptor(&r->dropout), "cudnnCreateDropoutDescriptor") &&
           good(r, a->cudnnSetDropoutDescriptor(r->dropout, r->handle, 0, NULL, 0, 0), "cudnnSetDropoutDescriptor") &&
           good(r, a->cudnnCreateRNNDescriptor(&r->rnn), "cudnnCreateRNNDescriptor") &&
           (r->c.backward == r->c.algorithm ||
            good(r, a->cudnnCreateRNNDescriptor(&r->back), "cudnnCreateRNNDescriptor")) &&
           good(r, a->cudnnCreateRNNDataDescriptor(&r->io), "cudnnCreateRNNDataDescriptor") &&
           good(r, a->cudnnCreateTensorDescriptor(&r->state), "cudnnCreateTensorDescriptor") &&
           good(r, a->cudnnCreateTensorDescriptor(&r->m), "cudnnCreateTensorDescriptor") &&
           good(r, a->cudnnCreateTensorDescriptor(&r->b), "cudnnCreateTensorDescriptor");
}

static bool describe_rnn(cudnn_rnn *r, nn_rnn rnn, unsigned algorithm)
{
    const cudnn_rnn_config *c = &r->c;
    const nn_api *a = r->api;
    const int H = (int)c->H;
    return good(r,
                a->cudnnSetRNNDescriptor_v8(rnn, algorithm, c->cell, NN_DOUBLE_BIAS, NN_UNIDIRECTIONAL, NN_LINEAR_INPUT,
                                            r->type, NN_FLOAT, r->math, H, H, H, (int)c->L, r->dropout,
                                            c->packed ? NN_PADDED_IO_DISABLED : NN_PADDED_IO_ENABLED),
                "cudnnSetRNNDescriptor_v8") &&
           (algorithm != NN_PERSIST_DYNAMIC ||
            good(r, a->cudnnBuildRNNDynamic(r->handle, rnn, (int)c->B), "cudnnBuildRNNDynamic"));
}

static bool describe(cudnn_rnn *r)
{
    const cudnn_rnn_config *c = &r->c;
    const nn_api *a = r->api;
    const int H = (int)c->H, L = (int)c->L, B = (int)c->B, T = (int)c->T;
    const int size[3] = {L, B, H}, stride[3] = {B * H, H, 1};
    int *length = malloc(c->B * sizeof *length);
    if (!length) return !bptt_fail(&r->e, BPTT_NO_MEMORY, "no memory for %d lengths", B);
    for (size_t i = 0; i < c->B; i++) length[i] = T;
    const bool done =
        describe_rnn(r, r->rnn, c->algorithm) && (!r->back || describe_rnn(r, r->back, c->backward)) &&
        good(r,
             a->cudnnSetRNNDataDescriptor(r->io, r->type, c->packed ? NN_SEQ_MAJOR_PACKED : NN_SEQ_MAJOR_UNPACKED, T, B,
                                          H, length, NULL),
             "cudnnSetRNNDataDescriptor") &&
        good(r, a->cudnnSetTensorNdDescriptor(r->state, r->type, 3, size, stride), "cudnnSetTensorNdDescriptor");
    free(length);
    if (!r->back) r->back = r->rnn;
    return done;
}

// Zeroes all of it: initial states and the padding of the weights.
static bool take_memory(cudnn_rnn *r)
{
    const nn_api *a = r->api;
    const size_t window = r->c.T * r->c.B * r->c.H * element(r), state = r->c.L * r->c.B * r->c.H * element(r);
    const size_t cell = r->c.cell == NN_LSTM ? state : 0;
    size_t work = 0, reserve = 0, work_back = 0, reserve_back = 0, weights = 0;
    if (!good(r, a->cudnnGetRNNTempSpaceSizes(r->handle, r->rnn, NN_TRAINING, r->io, &work, &reserve),
              "cudnnGetRNNTempSpaceSizes") ||
        !good(r, a->cudnnGetRNNTempSpaceSizes(r->handle, r->back, NN_TRAINING, r->io, &work_back, &reserve_back),
              "cudnnGetRNNTempSpaceSizes") ||
        !good(r, a->cudnnGetRNNWeightSpaceSize(r->handle, r->rnn, &weights), "cudnnGetRNNWeightSpaceSize"))
        return false;
    if (work_back > work) work = work_back;
    if (reserve_back > reserve) reserve = reserve_back;
    const size_t bytes[MEMORIES] = {
        [X] = window, [Y] = window, [DX] = window, [DY] = window, [HX] = state,   [HY] = state,  [DHX] = state,
        [CX] = cell,  [CY] = cell,  [DCX] = cell,  [W] = weights, [DW] = weights, [WORK] = work, [RESERVE] = reserve};
    bool done = true;
    for (size_t i = 0; done && i < MEMORIES; i++) {
        r->bytes[i] = bytes[i];
        if (bytes[i] == 0) continue;
        done = ok(r, a->cudaMalloc(&r->mem[i], bytes[i]), "cudaMalloc") &&
               ok(r, a->cudaMemset(r->mem[i], 0, bytes[i]), "cudaMemset");
    }
    r->staging = malloc(window > weights ? window : weights);
    if (done && !r->staging) done = !bptt_fail(&r->e, BPTT_NO_MEMORY, "no memory to convert arrays in");
    return done && ok(r, a->cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

// cuDNN refuses some configurations only when they run.
static bool try_forward(cudnn_rnn *r)
{
    return forward(r) && ok(r, r->api->cudaStreamSynchronize(r->stream), "the first forward pass");
}

static bptt_status open_with(const cudnn_rnn_config *c, const nn_api *api, bool default_math, cudnn_rnn **out,
                             bptt_error *e)
{
    if (c->H > INT32_MAX / 4 || c->T * c->B > INT32_MAX / c->H || c->L * c->B > INT32_MAX / c->H)
        return bptt_fail(e, BPTT_BAD_CONFIG, "cuDNN's sizes are ints");
    cudnn_rnn *r = calloc(1, sizeof *r);
    if (!r) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a driver of cuDNN");
    r->c = *c, r->api = api;
    choose_types(r, default_math);
    const bool opened = open_objects(r) && describe(r) && take_memory(r);
    const bptt_status given = give(r, opened && (c->precision != BPTT_PRECISION_BF16 || try_forward(r)), e);
    if (given)
        cudnn_rnn_close(r);
    else
        *out = r;
    return given;
}

bptt_status cudnn_rnn_open(const cudnn_rnn_config *c, cudnn_rnn **out, bptt_error *e)
{
    const nn_api *api = NULL;
    bptt_status s = nn_load(&api, e);
    if (!s) s = open_with(c, api, false, out, e);
    // PyTorch sets NN_TENSOR_OP_MATH for fp16 only, so cuDNN may refuse it for bf16.
    if (s == BPTT_BAD_CONFIG && c->precision == BPTT_PRECISION_BF16) s = open_with(c, api, true, out, e);
    return s;
}

bool cudnn_rnn_default_math(const cudnn_rnn *r)
{
    return r->c.precision == BPTT_PRECISION_BF16 && r->math == NN_DEFAULT_MATH;
}

void cudnn_rnn_close(cudnn_rnn *r)
{
    if (!r) return;
    const nn_api *a = r->api;
    (void)a->cudaDeviceSynchronize();
    for (size_t i = 0; i < CUDNN_PARTS; i++)
        if (r->exec[i]) (void)a->cudaGraphExecDestroy(r->exec[i]);
    for (size_t i = 0; i < MEMORIES; i++) (void)a->cudaFree(r->mem[i]);
    if (r->m) (void)a->cudnnDestroyTensorDescriptor(r->m);
    if (r->b) (void)a->cudnnDestroyTensorDescriptor(r->b);
    if (r->state) (void)a->cudnnDestroyTensorDescriptor(r->state);
    if (r->io) (void)a->cudnnDestroyRNNDataDescriptor(r->io);
    if (r->back && r->back != r->rnn) (void)a->cudnnDestroyRNNDescriptor(r->back);
    if (r->rnn) (void)a->cudnnDestroyRNNDescriptor(r->rnn);
    if (r->dropout) (void)a->cudnnDestroyDropoutDescriptor(r->dropout);
    if (r->handle) (void)a->cudnnDestroy(r->handle);
    if (r->start) (void)a->cudaEventDestroy(r->start);
    if (r->end) (void)a->cudaEventDestroy(r->end);
    if (r->stream) (void)a->cudaStreamDestroy(r->stream);
    (void)a->cudaGetLastError();
    free(r->staging);
    free(r);
}

// ---- arrays ---------------------------------------------------------------------------------------------------------

static void narrowed(const cudnn_rnn *r, const float *x, size_t n, void *out)
{
    uint16_t *half = out;
    if (r->type == NN_FLOAT) memcpy(out, x, n * sizeof *x);
    for (size_t i = 0; r->type != NN_FLOAT && i < n; i++) half[i] = r->type == NN_HALF ? to_f16(x[i]) : to_bf16(x[i]);
}

static void widened(const cudnn_rnn *r, const void *in, size_t n, float *x)
{
    const uint16_t *half = in;
    if (r->type == NN_FLOAT) memcpy(x, in, n * sizeof *x);
    for (size_t i = 0; r->type != NN_FLOAT && i < n; i++)
        x[i] = r->type == NN_HALF ? from_f16(half[i]) : from_bf16(half[i]);
}

static bool send(cudnn_rnn *r, void *to, const float *x, size_t n)
{
    narrowed(r, x, n, r->staging);
    return ok(r, r->api->cudaMemcpy(to, r->staging, n * element(r), RT_HOST_TO_DEVICE), "cudaMemcpy");
}

static bool fetch(cudnn_rnn *r, float *x, const void *from, size_t n)
{
    if (!ok(r, r->api->cudaMemcpy(r->staging, from, n * element(r), RT_DEVICE_TO_HOST), "cudaMemcpy")) return false;
    widened(r, r->staging, n, x);
    return true;
}

// True if cuDNN's weight tensor can be copied to as is: present, of our type, packed, n elements.
static bool as_expected(cudnn_rnn *r, nn_tensor tensor, const void *at, size_t n)
{
    int dimensions = 0, size[4] = {0}, stride[4] = {0};
    unsigned type = 0;
    if (!good(r, r->api->cudnnGetTensorNdDescriptor(tensor, 4, &type, &dimensions, size, stride),
              "cudnnGetTensorNdDescriptor"))
        return false;
    size_t elements = 1;
    for (int i = 0; i < dimensions && i < 4; i++) elements *= (size_t)size[i];
    if (at && type == r->type && elements == n) return true;
    return !bptt_fail(&r->e, BPTT_DEVICE, "cuDNN has a weight of %zu elements of type %u%s where %zu of type %u belong",
                      elements, type, at ? "" : " and no place", n, r->type);
}

// Uploads all weights, or downloads them from the gradient. Gates have the same order in PyTorch and cuDNN; cuDNN
// stores one matrix for each gate.
static bool weights(cudnn_rnn *r, const float *out, float *in)
{
    const size_t H = r->c.H, G = r->G;
    bool done = true;
    for (size_t i = 0; done && i < r->c.L * 2 * G; i++) {
        const size_t layer = i / (2 * G), hidden = i % (2 * G) / G, gate = i % G;
        const size_t first = layer * (2 * G * H * H + 2 * G * H), matrix = first + hidden * G * H * H + gate * H * H;
        const size_t bias = first + 2 * G * H * H + hidden * G * H + gate * H;
        void *m = NULL, *b = NULL, *space = r->mem[out ? W : DW];
        done = good(r,
                    r->api->cudnnGetRNNWeightParams(r->handle, r->rnn, (int32_t)layer, r->bytes[W], space,
                                                    (int32_t)(hidden * G + gate), r->m, &m, r->b, &b),
                    "cudnnGetRNNWeightParams") &&
               as_expected(r, r->m, m, H * H) && as_expected(r, r->b, b, H);
        if (done && out) done = send(r, m, out + matrix, H * H) && send(r, b, out + bias, H);
        if (done && in) done = fetch(r, in + matrix, m, H * H) && fetch(r, in + bias, b, H);
    }
    return done;
}

bptt_status cudnn_rnn_write(cudnn_rnn *r, const float *x, const float *dy, const float *w, bptt_error *e)
{
    const size_t n = r->c.T * r->c.B * r->c.H;
    const bool sent = send(r, r->mem[X], x, n) && send(r, r->mem[DY], dy, n) && weights(r, w, NULL);
    // A copy from pageable memory may return before it is done, and nothing orders it before our stream.
    return give(r, sent && ok(r, r->api->cudaDeviceSynchronize(), "cudaDeviceSynchronize"), e);
}

bptt_status cudnn_rnn_read(cudnn_rnn *r, float *y, float *dx, float *dw, bptt_error *e)
{
    const size_t n = r->c.T * r->c.B * r->c.H;
    return give(r, fetch(r, y, r->mem[Y], n) && fetch(r, dx, r->mem[DX], n) && weights(r, NULL, dw), e);
}

// ---- running --------------------------------------------------------------------------------------------------------

static bool forward(cudnn_rnn *r)
{
    void *const *m = r->mem;
    return good(r,
                r->api->cudnnRNNForward(r->handle, r->rnn, NN_TRAINING, NULL, r->io, m[X], r->io, m[Y], r->state, m[HX],
                                        m[HY], r->state, m[CX], m[CY], r->bytes[W], m[W], r->bytes[WORK], m[WORK],
                                        r->bytes[RESERVE], m[RESERVE]),
                "cudnnRNNForward");
}

static bool data(cudnn_rnn *r)
{
    void *const *m = r->mem;
    return good(r,
                r->api->cudnnRNNBackwardData_v8(r->handle, r->back, NULL, r->io, m[Y], m[DY], r->io, m[DX], r->state,
                                                m[HX], NULL, m[DHX], r->state, m[CX], NULL, m[DCX], r->bytes[W], m[W],
                                                r->bytes[WORK], m[WORK], r->bytes[RESERVE], m[RESERVE]),
                "cudnnRNNBackwardData_v8");
}

static bool weight_gradient(cudnn_rnn *r)
{
    void *const *m = r->mem;
    return ok(r, r->api->cudaMemsetAsync(m[DW], 0, r->bytes[DW], r->stream), "cudaMemsetAsync") &&
           good(r,
                r->api->cudnnRNNBackwardWeights_v8(r->handle, r->back, NN_WGRAD_ADD, NULL, r->io, m[X], r->state, m[HX],
                                                   r->io, m[Y], r->bytes[W], m[DW], r->bytes[WORK], m[WORK],
                                                   r->bytes[RESERVE], m[RESERVE]),
                "cudnnRNNBackwardWeights_v8");
}

static bool queue(cudnn_rnn *r, cudnn_part part)
{
    const bool all = part == CUDNN_BOTH;
    return (!(all || part == CUDNN_FORWARD) || forward(r)) && (!(all || part == CUDNN_DATA) || data(r)) &&
           (!(all || part == CUDNN_WEIGHTS) || weight_gradient(r));
}

// Call after one eager run, which makes cuDNN load its kernels.
static bool capture(cudnn_rnn *r, cudnn_part part)
{
    const nn_api *a = r->api;
    rt_graph graph = NULL;
    if (!queue(r, part) || !ok(r, a->cudaStreamSynchronize(r->stream), "the run before capture")) return false;
    if (!ok(r, a->cudaStreamBeginCapture(r->stream, RT_CAPTURE_THREAD_LOCAL), "cudaStreamBeginCapture")) return false;
    const bool queued = queue(r, part);
    const rt_result ended = a->cudaStreamEndCapture(r->stream, &graph); // always: else the stream stays in capture
    const bool done = queued && ok(r, ended, "capture into a CUDA graph") &&
                      ok(r, a->cudaGraphInstantiate(&r->exec[part], graph, 0), "cudaGraphInstantiate");
    if (graph) (void)a->cudaGraphDestroy(graph);
    (void)a->cudaGetLastError();
    return done;
}

bptt_status cudnn_rnn_go(cudnn_rnn *r, cudnn_part part, size_t times, double *seconds, bptt_error *e)
{
    const nn_api *a = r->api;
    float ms = 0;
    bool done = !r->c.graph || r->exec[part] || capture(r, part);
    done = done && ok(r, a->cudaEventRecord(r->start, r->stream), "cudaEventRecord");
    for (size_t i = 0; done && i < times; i++)
        done = r->c.graph ? ok(r, a->cudaGraphLaunch(r->exec[part], r->stream), "cudaGraphLaunch") : queue(r, part);
    done = done && ok(r, a->cudaEventRecord(r->end, r->stream), "cudaEventRecord") &&
           ok(r, a->cudaEventSynchronize(r->end), "running") &&
           ok(r, a->cudaEventElapsedTime(&ms, r->start, r->end), "cudaEventElapsedTime");
    if (done) *seconds = (double)ms * 1e-3;
    return give(r, done, e);
}
