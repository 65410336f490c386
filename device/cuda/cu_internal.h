// Shared by the files of the CUDA backend: the open device, its memory, its streams.
#ifndef CU_INTERNAL_H
#define CU_INTERNAL_H

#include "cu_api.h"
#include "lower/inflight.h"
#include "lower/lower_plan.h"
#include "lower/order.h"

struct bptt_buf {
    cu_memory at;
    cu_memory half; // the shadow: as many numbers of 16 bits; 0: there is none
    size_t bytes;
};

// A stream of the device, and the workspace of cuBLAS for GEMMs on it, so that those of different streams share none.
typedef struct cu_lane {
    cu_stream stream;    // NULL: not made yet
    bptt_buf *workspace; // NULL: no plan has a GEMM on it
} cu_lane;

// The part of a slot that is CUDA's (lower/inflight.h).
typedef struct cu_slot {
    cu_event done;   // after everything that uses the stage
    bool used;       // done was recorded
    cu_event *timed; // [launches + 3], with profile: around the inputs, each launch, the output
} cu_slot;

typedef struct cu_plan {
    inflight_plan base; // extra bytes of a stage: the order of the tokens
    launch_list launches;
    launch_order order;
    cu_exec exec;        // the captured graph; NULL: launch by launch
    bptt_buf *scratch;   // what launch_scratch asks for, of all ops
    bptt_buf *slots;     // on the device: as the start of a stage, to the end of the order of the tokens
    bptt_buf *per_scale; // [2] floats; NULL: no scale
    bool sorts;          // tokens are sorted for scatters:
    size_t sorted, rows; // those of plan input `sorted`, below `rows`
    void *pinned;        // host memory of all stages
    cu_slot slot[BPTT_IN_FLIGHT];
} cu_plan;

typedef struct cu_state {
    inflight_device base;
    cu_api api;
    blas_api blas;
    cu_device id;
    cu_context context; // the device's primary one: what others in this process use too
    bool retained;
    cu_module module;
    cu_function function[ALL_KERNELS];
    cu_lane lane[MOST_STREAMS];
    blas_handle handle;   // one for all lanes:
    const cu_lane *bound; // the lane whose stream and workspace it has; NULL: unknown
    size_t workspace_bytes;
    bptt_buf *constants; // floats: 0, 1, -1
    void *bounce;        // pinned: what read and write go through
    bptt_precision precision;
    bptt_lowering lowering;
    bool graph_failed; // `words` says so
    size_t used;       // bytes of our buffers
    cu_plan single;    // base.single
    char words[600], bits[128];
} cu_state;

static inline cu_state *cu_of(const bptt_device *d) { return d->own; }
static inline cu_plan *cu_plan_of(inflight_plan *p) { return (void *)p; }

// ---- failures (cu_fault.c) ------------------------------------------------------------------------------------------

// Notes a failed call, once: `call` with its cu or cublas, `on` what it was for or "".
void cu_failed(cu_state *c, const char *call, const char *on, cu_result code);
void cu_blas_failed(cu_state *c, const char *call, const char *on, blas_result code);
// "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected"; into room, which is returned.
const char *cu_words(const cu_api *api, cu_result code, char *room, size_t n);

// Notes what fails: CU(c, StreamSynchronize, "", stream). Once something has failed nothing is called.
#define CU(c, name, on, ...) \
    do { \
        const cu_result code_ = (c)->base.fault.code ? 0 : (c)->api.name(__VA_ARGS__); \
        if (code_) cu_failed((c), "cu" #name, (on), code_); \
    } while (0)
#define BLAS(c, name, on, ...) \
    do { \
        const blas_result code_ = (c)->base.fault.code ? 0 : (c)->blas.name(__VA_ARGS__); \
        if (code_) cu_blas_failed((c), "cublas" #name, (on), code_); \
    } while (0)

// ---- the context (cu_context.c) -------------------------------------------------------------------------------------

// cu_enter pushes the device's context on the calling thread, cu_leave pops it. All driver calls go between them.
bool cu_enter(cu_state *c); // false: it failed, and is noted; then no leave
void cu_leave(cu_state *c);
// Process-wide lock around open, close and graph capture: calls that synchronize the whole context (cublasDestroy,
// cuModuleUnload) invalidate a capture in progress on another thread. Not to be nested.
void cu_lock(void);
void cu_unlock(void);
// Holds the context from open to close. Call both with cu_lock held.
cu_result cu_take_context(cu_state *c);
void cu_give_context(cu_state *c);

// ---- devices (cu_list.c) --------------------------------------------------------------------------------------------

// The i-th device; *id may be NULL.
bptt_status cu_list(const cu_api *api, size_t i, bptt_device_info *info, cu_device *id, bptt_error *e);
// The device that config->device means.
bptt_status cu_choose(const cu_api *api, const char *device, bptt_device_info *info, cu_device *id, bptt_error *e);
// The driver, loaded and started.
bptt_status cu_driver(cu_api *api, bptt_error *e);

// ---- memory (cu_memory.c) -------------------------------------------------------------------------------------------

bptt_status cu_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e);
void cu_free(bptt_device *d, bptt_buf *b);
// Gives a shadow to every buffer of which the launches read or write 16-bit numbers, if it has none.
bptt_status cu_alloc_shadows(bptt_device *d, const launch_list *list, bptt_error *e);
bptt_status cu_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
bptt_status cu_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);
enum { BOUNCE_BYTES = 4 << 20 };
// Queues a view's elements, packed line by line as they lie, into the device or out of it. stage: pinned.
void cu_move(cu_state *c, bool into, const bptt_mat *m, void *stage, const char *what);
cu_memory cu_address(const bptt_mat *m); // of its first element; 0: absent

// ---- launches (cu_queue.c, cu_graph.c) ------------------------------------------------------------------------------

// Makes the first `streams` streams, and workspaces on those with a bit in `products`, where they are missing.
bptt_status cu_open_lanes(bptt_device *d, unsigned streams, unsigned products, bptt_error *e);
// Queues one launch on a lane. slots: the plan's, on the device.
void cu_queue_launch(cu_state *c, const launch *l, const cu_lane *lane, cu_memory slots);
// The launches of p as one graph: p->exec. Every product runs once before, into memory of its own. If the capture fails
// on a device that works otherwise, p->exec stays NULL and describe() says so; with BPTT_LOWER_ALWAYS that is an error.
bptt_status cu_capture(bptt_device *d, cu_plan *p, bptt_error *e);

// ---- plans (cu_plan.c, cu_run.c) ------------------------------------------------------------------------------------

extern const inflight_calls cu_calls;
bptt_status cu_make_plan(bptt_device *d, inflight_plan *p, bptt_error *e);
void cu_clear_plan(bptt_device *d, inflight_plan *p);
// Memory and events of a plan's slots.
bptt_status cu_make_slots(bptt_device *d, cu_plan *p, bptt_error *e);
// Waits until the run that uses a slot is done, and adds its time to d->spent.
void cu_wait_done(bptt_device *d, inflight_plan *p, size_t slot);
void cu_entry(bptt_device *d, const bptt_op *op, const bptt_slots *slots);

bptt_backend bptt_cuda(void);

#endif
