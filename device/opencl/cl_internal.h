// Shared by the files of the OpenCL backend: the open device, its memory, its queue.
#ifndef CL_INTERNAL_H
#define CL_INTERNAL_H

#include "cl_blast.h"
#include "cl_probe.h"
#include "lower/inflight.h"

#include <pthread.h>

// Replacements that a test makes when it opens a device. {0}: none.
typedef struct cl_setup {
    const cl_api *api;       // instead of libOpenCL.so.1
    const char *text;        // all of the program's text, instead of the one that is built in; kept until close
    size_t text_size;        // bytes
    const cl_limits *limits; // what the device is taken for when sizes of tiles are chosen
    const char *cache;       // folder of built programs, kept until close; "": none
    // The arithmetic that the device's is compared with, instead of cl_probe_host.
    void (*host)(const float *in, float *out);
} cl_setup;

struct bptt_buf {
    cl_mem memory;
    size_t bytes;
};

// Text passed to the callback of clCreateContext, which may come from any thread of the driver.
typedef struct cl_driver_message {
    pthread_mutex_t lock;
    char words[160]; // the first one; empty: none
} cl_driver_message;

// Events of one run and what their time is charged to. Only with config->profile.
typedef struct cl_timings {
    size_t n, room;
    struct cl_timed {
        cl_event event;
        unsigned charge;
    } * at;
} cl_timings;

// The part of a slot that is OpenCL's (lower/inflight.h).
typedef struct cl_slot {
    cl_event written; // the last write out of the stage; NULL: none
    cl_event read;    // of the output; NULL: none
    cl_timings timings;
} cl_slot;

typedef struct cl_plan {
    inflight_plan base;
    launch_list launches;
    bptt_buf *scratch, *slots; // device memory: what launch_scratch asks for; SLOTS floats
    bptt_buf *pinned;          // host memory of all stages, which the driver can move without a copy
    char *pinned_at;           // mapped; NULL: not
    cl_slot slot[BPTT_IN_FLIGHT];
} cl_plan;

// A program and its first n kernels, in the order of kernel_table and tuned_name from kernel `first`.
typedef struct cl_built {
    cl_program program;
    unsigned first, n;
    int cell; // of gates: as in layer_constants
    cl_kernel kernel[CL_COMMON];
    size_t largest_group[CL_COMMON]; // work-items in a group of this kernel
} cl_built;

typedef struct cl_state {
    inflight_device base;
    cl_api api;
    clblast_sgemm *sgemm; // NULL: our own products
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    cl_built common;
    cl_built *gates; // [gated]: of the gated cells whose loops were prepared
    size_t gated;
    const char *text, *cache; // of the setup
    size_t text_size;
    cl_limits limits;
    const tile_class *tiles;
    bptt_lowering lowering;
    bool unified;         // the device's memory is the host's: buffers are mapped, not copied
    size_t largest_block; // bytes of one buffer
    size_t memory, used;  // bytes of the device, of our buffers
    cl_driver_message message;
    bool message_lock_made;
    cl_plan single; // base.single: its list has room for MOST_LAUNCHES
    char words[330], bits[128];
} cl_state;

static inline cl_state *cl_of(const bptt_device *d) { return d->own; }
static inline cl_plan *cl_plan_of(inflight_plan *p) { return (void *)p; }

// ---- failures (cl_fault.c) ------------------------------------------------------------------------------------------

// Notes a failed call, once: `call` without its cl, `on` the kernel or "". Memory codes become NO_MEMORY.
void cl_failed(cl_state *c, const char *call, const char *on, cl_int code);
void CL_CALLBACK cl_on_message(const char *words, const void *data, size_t bytes, void *message);
// The driver's message into room, as " (the driver says: ...)"; empty: none came.
void cl_message(cl_state *c, char *room, size_t n);

// ---- devices (cl_list.c) --------------------------------------------------------------------------------------------

// The i-th device; *id and *platform may be NULL.
bptt_status cl_list(const cl_api *api, size_t i, bptt_device_info *info, cl_platform_id *platform, cl_device_id *id,
                    bptt_error *e);
// The device that config->device means.
bptt_status cl_choose(const cl_api *api, const char *device, bptt_device_info *info, cl_platform_id *platform,
                      cl_device_id *id, bptt_error *e);

// ---- program (cl_program.c) -----------------------------------------------------------------------------------------

// Fills tiles and common.
bptt_status cl_build(cl_state *c, const cl_setup *s, bptt_error *e);
// Builds the program of a gated cell, unless that was tried before. If the compiler refuses it, its kernels may have 0
// work-items: the cell's loops run op by op. Errors: NO_MEMORY.
bptt_status cl_build_gates(cl_state *c, int cell, bptt_error *e);
void cl_drop_programs(cl_state *c);
// The kernel of a launch, whose program was built; largest_group, if not NULL: the work-items that its group may have.
cl_kernel cl_kernel_of(const cl_state *c, const launch *l, size_t *largest_group);

// ---- memory (cl_memory.c) -------------------------------------------------------------------------------------------

bptt_status cl_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e);
bptt_status cl_alloc_pinned(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e); // on the host, not zeroed
void cl_free(bptt_device *d, bptt_buf *b);
bptt_status cl_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
bptt_status cl_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);
// Queues the writing, the reading of a view: packed elements in the order in which they lie on the device,
// [lines][width], of the view's type.
cl_int cl_write_stage(cl_state *c, bptt_mat m, const void *stage, bool wait, cl_event *event);
cl_int cl_read_stage(cl_state *c, bptt_mat m, void *stage, bool wait, cl_event *event);

// ---- plans (cl_plan.c, cl_queue.c) ----------------------------------------------------------------------------------

extern const inflight_calls cl_calls;
bptt_status cl_make_plan(bptt_device *d, inflight_plan *p, bptt_error *e);
void cl_clear_plan(bptt_device *d, inflight_plan *p);
// Memory and events of a plan's slots, for `launches` launches at most.
bptt_status cl_make_slots(bptt_device *d, cl_plan *p, size_t launches, bptt_error *e);
// The launches of one op, with their grids; returns how many.
size_t cl_launches_of(const cl_state *c, const bptt_op *op, bptt_buf *scratch, launch out[MOST_LAUNCHES]);
void cl_entry(bptt_device *d, const bptt_op *op, const bptt_slots *slots);

// ---- events (cl_event.c) --------------------------------------------------------------------------------------------

// Waits until the run that uses a slot is done, and adds its time to d->spent. No cost if there is none.
void cl_wait_done(bptt_device *d, inflight_plan *p, size_t slot);
// Puts an event with what its time is charged to into the slot's timings, which release it. NULL: nothing.
void cl_note(bptt_device *d, cl_slot *slot, cl_event event, unsigned charge);
// Waits for an event of the host's own transfers, adds its time to d->spent, and releases it. NULL: nothing.
void cl_charge(bptt_device *d, cl_event event, unsigned charge);

// ---- the device itself (opencl.c, cl_probe.c) -----------------------------------------------------------------------

bptt_backend bptt_opencl(void);
bptt_status cl_open_with(const cl_setup *s, const bptt_backend *b, const bptt_compute *config, bptt_device **d,
                         bptt_error *e);
// Compares the device's arithmetic with the host's: fills c->bits, or DEVICE if it is no use.
bptt_status cl_probe(bptt_device *d, const cl_setup *s, bptt_error *e);

// in: [PROBE_INPUTS][3], out: [PROBE_FUNCTIONS][PROBE_INPUTS].
void cl_probe_host(const float *in, float *out);

#endif
