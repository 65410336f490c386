// Device memory in host memory, and plans run op by op: shared by `ref` and the backends that start from it.
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include "backend.h"

struct bptt_buf {
    void *data; // aligned to 64 bytes
    size_t bytes;
};

bptt_status host_open(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e);
void host_close(bptt_device *d);
const char *host_describe(const bptt_device *d);
bptt_status host_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e);
void host_free(bptt_device *d, bptt_buf *b);
bptt_status host_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
bptt_status host_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);
bptt_status host_sync(bptt_device *d, bptt_error *e);
bptt_status host_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e);
// The device and the slots of a run, passed to the callbacks of the walk.
typedef struct host_running {
    bptt_device *d;
    const bptt_slots *slots;
} host_running;
// Runs the ops of a plan one by one with d->backend.op. whole: as in bptt_walk, called with a host_running; or NULL.
void host_run_ops(bptt_device *d, const bptt_plan *p, const bptt_slots *slots,
                  void (*whole)(void *running, const bptt_op *loop, size_t u));
bptt_status host_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e);
bptt_status host_collect(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e);
void host_forget(bptt_device *d, void *handle);

// The handle of a prepared plan: the plan, and the outputs of the runs in flight, oldest first.
typedef struct host_plan {
    const bptt_plan *plan;
    double output[BPTT_IN_FLIGHT][BPTT_OUTPUTS];
    size_t waiting;
} host_plan;

// The first and the last part of run: write the inputs; read the output.
bptt_status host_begin(bptt_device *d, const bptt_plan *p, const bptt_slots *slots, bptt_error *e);
bptt_status host_end(bptt_device *d, host_plan *h, bptt_error *e);

#endif
