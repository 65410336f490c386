// cuDNN and the CUDA runtime as host C, for the driver in bench/peers/cudnn_rnn.c: device memory is host
// memory, queued work runs at once or is recorded into a graph, the bench's reference computes the layers, weights have
// a different order. It counts live objects, injects failures, and checks the order of calls.
#ifndef FAKE_CUDNN_H
#define FAKE_CUDNN_H

#include "cudnn_api.h"
#include "layers.h"
#include "narrow.h"
#include "near.h"

typedef struct fake_op {
    enum { FAKE_SET, FAKE_FORWARD, FAKE_DATA, FAKE_WEIGHTS } what;
    struct cudnnRNNStruct *rnn;
    struct cudnnRNNDataStruct *io;
    const void *x, *dy, *w;
    void *y, *dx, *dw;
    size_t bytes;
} fake_op;

struct CUgraph_st {
    size_t n;
    fake_op op[8];
};
struct CUgraphExec_st {
    struct CUgraph_st graph;
};
struct CUstream_st {
    struct CUgraph_st *recording;
};
struct CUevent_st {
    double at;
};
struct cudnnContext {
    struct CUstream_st *stream;
};
struct cudnnRNNStruct {
    unsigned algorithm, cell, type, math, flags;
    size_t H, L, G;
    bool built;
};
struct cudnnRNNDataStruct {
    unsigned type, layout;
    size_t T, B, H;
};
struct cudnnTensorStruct {
    unsigned type;
    int dimensions, size[3];
};
struct cudnnDropoutStruct {
    int set;
};

static struct fake_state {
    size_t calls, fail_at, alive, launches; // calls that can fail, from 1; the one that does
    bool no_capture, no_bf16_tensor_op;     // refuses bf16 with NN_TENSOR_OP_MATH
} fake;

static inline bool fake_fails(void) { return ++fake.calls == fake.fail_at; }
static inline size_t fake_element(unsigned type) { return type == NN_FLOAT ? 4 : 2; }

static inline unsigned fake_make(void *place, size_t bytes)
{
    if (fake_fails()) return 2;
    void *made = calloc(1, bytes);
    memcpy(place, &made, sizeof made);
    fake.alive++;
    return 0;
}

static inline unsigned fake_drop(void *object)
{
    fake.alive -= object != NULL;
    free(object);
    return 0;
}

#define FAKE_OBJECT(create, destroy, type) \
    static unsigned fake_##create(type *out) { return fake_make(out, sizeof **out); } \
    static unsigned fake_##destroy(type object) { return fake_drop(object); }
FAKE_OBJECT(cudnnCreate, cudnnDestroy, nn_handle)
FAKE_OBJECT(cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor, nn_tensor)
FAKE_OBJECT(cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor, nn_dropout)
FAKE_OBJECT(cudnnCreateRNNDescriptor, cudnnDestroyRNNDescriptor, nn_rnn)
FAKE_OBJECT(cudnnCreateRNNDataDescriptor, cudnnDestroyRNNDataDescriptor, nn_data)
FAKE_OBJECT(cudaEventCreate, cudaEventDestroy, rt_event)

// ---- layers ---------------------------------------------------------------------------------------------------------

static inline float fake_read(const void *x, unsigned type, size_t i)
{
    if (type == NN_FLOAT) return ((const float *)x)[i];
    return type == NN_HALF ? from_f16(((const uint16_t *)x)[i]) : from_bf16(((const uint16_t *)x)[i]);
}

static inline void fake_write(void *x, unsigned type, size_t i, double value)
{
    if (type == NN_FLOAT)
        ((float *)x)[i] = (float)value;
    else
        ((uint16_t *)x)[i] = type == NN_HALF ? to_f16((float)value) : to_bf16((float)value);
}

// Matrices by gate first and then by layer, biases the other way round behind them, all with gaps.
static inline size_t fake_matrix(const struct cudnnRNNStruct *r, size_t layer, size_t which)
{
    return (which * r->L + layer) * (r->H * r->H + 3) + 1;
}

static inline size_t fake_bias(const struct cudnnRNNStruct *r, size_t layer, size_t which)
{
    return fake_matrix(r, 0, 2 * r->G) + (layer * 2 * r->G + which) * (r->H + 1);
}

// Index in cuDNN's weight space of element i of our flat weights.
static inline size_t fake_place(const struct cudnnRNNStruct *r, size_t i)
{
    const size_t H = r->H, W = r->G * H, each = 2 * W * H + 2 * W, layer = i / each, in = i % each;
    if (in < 2 * W * H) return fake_matrix(r, layer, in / (H * H)) + in % (H * H);
    return fake_bias(r, layer, (in - 2 * W * H) / H) + (in - 2 * W * H) % H;
}

static inline void fake_compute(const fake_op *op)
{
    static const layers_cell cell[] = {LAYERS_RELU, LAYERS_TANH, LAYERS_LSTM, LAYERS_GRU};
    const struct cudnnRNNStruct *r = op->rnn;
    problem p = {.cell = cell[r->cell], .H = r->H, .L = r->L, .B = op->io->B, .T = op->io->T, .G = r->G, .threads = 1};
    p.window = p.T * p.B * p.H;
    p.weights = p.L * 2 * p.G * (p.H * p.H + p.H);
    p.x = must_alloc(p.window, 4), p.dy = must_alloc(p.window, 4), p.w = must_alloc(p.weights, 4);
    outcome o = {reals(p.window), reals(p.window), reals(p.weights)};
    for (size_t i = 0; i < p.window; i++) p.x[i] = fake_read(op->x, r->type, i);
    for (size_t i = 0; i < p.window; i++) p.dy[i] = fake_read(op->dy, r->type, i);
    for (size_t i = 0; i < p.weights; i++) p.w[i] = fake_read(op->w, r->type, fake_place(r, i));
    ck_assert_int_eq(layers_reference(&p, &o, NULL), BPTT_OK);
    for (size_t i = 0; op->y && i < p.window; i++) fake_write(op->y, r->type, i, o.y[i]);
    for (size_t i = 0; op->dx && i < p.window; i++) fake_write(op->dx, r->type, i, o.dx[i]);
    for (size_t i = 0, k = 0; op->dw && i < p.weights; i++)
        k = fake_place(r, i), fake_write(op->dw, r->type, k, o.dw[i] + (double)fake_read(op->dw, r->type, k));
    free(p.x), free(p.dy), free(p.w), free(o.y), free(o.dx), free(o.dw);
}

// Data that the forward part saves for the backward parts; real cuDNN keeps it in its reserve space.
static struct fake_saved {
    const void *x, *dy, *w;
    const struct cudnnRNNStruct *rnn; // of the last part that ran
    const struct cudnnRNNDataStruct *io;
} fake_seen;

static inline void fake_do(const fake_op *op)
{
    fake_op now = *op;
    fake.launches++;
    if (op->what == FAKE_SET) {
        memset(op->dw, 0, op->bytes);
        return;
    }
    if (op->what == FAKE_FORWARD) fake_seen.x = op->x, fake_seen.w = op->w, now.dy = op->x;
    if (op->what == FAKE_DATA) fake_seen.dy = op->dy, now.x = fake_seen.x;
    if (op->what == FAKE_WEIGHTS) now.dy = fake_seen.dy, now.w = fake_seen.w;
    ck_assert(now.x && now.dy && now.w); // in this order
    fake_seen.rnn = op->rnn, fake_seen.io = op->io;
    fake_compute(&now);
}

static inline unsigned fake_queue(struct CUstream_st *s, fake_op op)
{
    if (fake_fails()) return 3000;
    if (!s->recording) fake_do(&op);
    if (!s->recording) return 0;
    ck_assert_uint_lt(s->recording->n, 8);
    s->recording->op[s->recording->n++] = op;
    return 0;
}

// ---- cuDNN ----------------------------------------------------------------------------------------------------------

static size_t fake_cudnnGetVersion(void) { return 91900; }
static const char *fake_cudnnGetErrorString(nn_result code) { return code >= 3000 ? "NOT_SUPPORTED" : "BROKEN"; }

static nn_result fake_cudnnSetStream(nn_handle handle, rt_stream stream)
{
    handle->stream = stream;
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnSetTensorNdDescriptor(nn_tensor t, unsigned type, int n, const int *size, const int *stride)
{
    ck_assert(n == 3 && stride[2] == 1 && stride[1] == size[2] && stride[0] == size[1] * size[2]);
    t->type = type, t->dimensions = n;
    memcpy(t->size, size, sizeof t->size);
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnGetTensorNdDescriptor(nn_tensor t, int room, unsigned *type, int *n, int *size, int *stride)
{
    (void)stride;
    ck_assert_int_ge(room, 3);
    *type = t->type, *n = t->dimensions;
    memcpy(size, t->size, sizeof t->size);
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnSetDropoutDescriptor(nn_dropout d, nn_handle handle, float p, void *states, size_t bytes,
                                                unsigned long long seed)
{
    d->set = p == 0 && handle && !states && !bytes && !seed;
    return fake_fails() ? 2000 : 0;
}

// Persistent kernels for fp16 only, as in hardware.
static nn_result fake_cudnnSetRNNDescriptor_v8(nn_rnn r, unsigned algorithm, unsigned cell, unsigned biases,
                                               unsigned direction, unsigned input, unsigned type, unsigned math_type,
                                               unsigned math, int32_t I, int32_t H, int32_t projection, int32_t L,
                                               nn_dropout dropout, uint32_t flags)
{
    ck_assert(biases == NN_DOUBLE_BIAS && direction == NN_UNIDIRECTIONAL && input == NN_LINEAR_INPUT);
    ck_assert(math_type == NN_FLOAT && I == H && projection == H && dropout->set);
    r->algorithm = algorithm, r->cell = cell, r->type = type, r->math = math, r->flags = flags;
    r->H = (size_t)H, r->L = (size_t)L, r->G = cell == NN_LSTM ? 4 : cell == NN_GRU ? 3 : 1;
    if (fake_fails()) return 2000;
    if (fake.no_bf16_tensor_op && type == NN_BFLOAT16 && math == NN_TENSOR_OP_MATH) return 3000;
    return algorithm == NN_PERSIST_STATIC && type != NN_HALF ? 3000 : 0;
}

static nn_result fake_cudnnBuildRNNDynamic(nn_handle handle, nn_rnn r, int B)
{
    ck_assert(handle && r->algorithm == NN_PERSIST_DYNAMIC && B > 0);
    r->built = true;
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnSetRNNDataDescriptor(nn_data d, unsigned type, unsigned layout, int T, int B, int width,
                                                const int *lengths, void *fill)
{
    ck_assert_ptr_null(fill);
    for (int b = 0; b < B; b++) ck_assert_int_eq(lengths[b], T);
    *d = (struct cudnnRNNDataStruct){type, layout, (size_t)T, (size_t)B, (size_t)width};
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnGetRNNTempSpaceSizes(nn_handle handle, nn_rnn r, unsigned mode, nn_data x, size_t *work,
                                                size_t *reserve)
{
    ck_assert(handle && r && x && mode == NN_TRAINING && (r->built || r->algorithm != NN_PERSIST_DYNAMIC));
    *work = 77, *reserve = 55;
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnGetRNNWeightSpaceSize(nn_handle handle, nn_rnn r, size_t *bytes)
{
    ck_assert_ptr_nonnull(handle);
    *bytes = fake_bias(r, r->L, 0) * fake_element(r->type);
    return fake_fails() ? 2000 : 0;
}

static nn_result fake_cudnnGetRNNWeightParams(nn_handle handle, nn_rnn r, int32_t layer, size_t bytes,
                                              const void *space, int32_t which, nn_tensor m, void **m_at, nn_tensor b,
                                              void **b_at)
{
    const size_t l = (size_t)layer, w = (size_t)which, element = fake_element(r->type);
    const int H = (int)r->H;
    ck_assert(handle && bytes == fake_bias(r, r->L, 0) * element && l < r->L && w < 2 * r->G);
    *m = (struct cudnnTensorStruct){r->type, 3, {1, H, H}};
    *b = (struct cudnnTensorStruct){r->type, 3, {1, H, 1}};
    *m_at = (char *)(uintptr_t)space + fake_matrix(r, l, w) * element;
    *b_at = (char *)(uintptr_t)space + fake_bias(r, l, w) * element;
    return fake_fails() ? 2000 : 0;
}

static inline bool fake_zeros(const void *x, const struct cudnnRNNStruct *r, const struct cudnnRNNDataStruct *io)
{
    const char *byte = x;
    for (size_t i = 0; byte && i < r->L * io->B * r->H * fake_element(r->type); i++)
        if (byte[i]) return false;
    return true;
}

static nn_result fake_cudnnRNNForward(nn_handle handle, nn_rnn r, unsigned mode, const int32_t *lengths, nn_data x_is,
                                      const void *x, nn_data y_is, void *y, nn_tensor h_is, const void *hx, void *hy,
                                      nn_tensor c_is, const void *cx, void *cy, size_t weight_bytes,
                                      const void *weights, size_t work_bytes, void *work, size_t reserve_bytes,
                                      void *reserve)
{
    ck_assert(mode == NN_TRAINING && !lengths && x_is == y_is && h_is == c_is && hx && hy && weight_bytes);
    ck_assert(work && reserve && work_bytes == 77 && reserve_bytes == 55);
    ck_assert(!cx == !cy && !cx == (r->cell != NN_LSTM) && fake_zeros(hx, r, x_is) && fake_zeros(cx, r, x_is));
    return fake_queue(handle->stream, (fake_op){FAKE_FORWARD, .rnn = r, .io = x_is, .x = x, .w = weights, .y = y});
}

static nn_result fake_cudnnRNNBackwardData_v8(nn_handle handle, nn_rnn r, const int32_t *lengths, nn_data y_is,
                                              const void *y, const void *dy, nn_data x_is, void *dx, nn_tensor h_is,
                                              const void *hx, const void *dhy, void *dhx, nn_tensor c_is,
                                              const void *cx, const void *dcy, void *dcx, size_t weight_bytes,
                                              const void *weights, size_t work_bytes, void *work, size_t reserve_bytes,
                                              void *reserve)
{
    ck_assert(!lengths && y && x_is == y_is && h_is == c_is && hx && !dhy && dhx && !dcy && weight_bytes);
    ck_assert(work && reserve && work_bytes == 77 && reserve_bytes == 55 && !cx == !dcx);
    return fake_queue(handle->stream, (fake_op){FAKE_DATA, .rnn = r, .io = y_is, .dy = dy, .w = weights, .dx = dx});
}

static nn_result fake_cudnnRNNBackwardWeights_v8(nn_handle handle, nn_rnn r, unsigned mode, const int32_t *lengths,
                                                 nn_data x_is, const void *x, nn_tensor h_is, const void *hx,
                                                 nn_data y_is, const void *y, size_t weight_bytes, void *dweights,
                                                 size_t work_bytes, void *work, size_t reserve_bytes, void *reserve)
{
    ck_assert(mode == NN_WGRAD_ADD && !lengths && y && x_is == y_is && h_is && hx && weight_bytes);
    ck_assert(work && reserve && work_bytes == 77 && reserve_bytes == 55);
    return fake_queue(handle->stream, (fake_op){FAKE_WEIGHTS, .rnn = r, .io = x_is, .x = x, .dw = dweights});
}

#endif
