// Prepared plans of a device that runs them asynchronously, and their runs in flight: the list of plans, two slots for
// each, refusals, and the first failure of submitted work. Shared by OpenCL and CUDA; calls neither.
#ifndef INFLIGHT_H
#define INFLIGHT_H

#include "backend.h"

// ---- failures -------------------------------------------------------------------------------------------------------

// The first failure of submitted work. It stays: every later call reports it.
typedef struct device_fault {
    bptt_status code; // BPTT_OK: none
    char words[sizeof((bptt_error *)0)->words];
} device_fault;

// Notes a failed call, unless there is a failure already. device: its name; call: the function's full name; on: the
// kernel or what it was for, or ""; words: the driver's; memory: it lacked memory.
void fault_note(device_fault *f, const char *device, const char *call, const char *on, const char *words, bool memory);
// Notes a failure that *e describes.
void fault_keep(device_fault *f, const bptt_error *e);
// The failure as a status, with its words.
bptt_status fault_report(const device_fault *f, bptt_error *e);

// ---- plans and their slots ------------------------------------------------------------------------------------------

// A stage is the host memory that a run's transfers use. Bytes from its start: SLOTS floats, then the backend's extra
// bytes, then the inputs and the output, packed in the order in which they lie on the device.
enum { STAGE_SCALARS = 0, STAGE_EXTRA = 64 };

// The plan of a backend begins with it. Run number n uses slot n % BPTT_IN_FLIGHT: a stage, and what the backend adds.
typedef struct inflight_plan {
    const bptt_plan *plan; // NULL: single ops
    char *stage[BPTT_IN_FLIGHT];
    size_t input_at[BPTT_INPUTS], output_at, stage_bytes; // of a stage
    size_t next, uncollected;                             // slot of the next run; runs that were not collected
    struct inflight_plan *later;                          // all prepared plans of the device
} inflight_plan;

// The functions of a backend. Failures of submit, wait and drain go into the fault.
typedef struct inflight_calls {
    size_t state_bytes;  // of its device's state
    size_t plan_bytes;   // of its plans
    size_t most_product; // rows, columns and leading dimension of a GEMM at most
    // Fills a plan, of which `plan` is set and all else is 0; clear gives everything back, also of a plan half made.
    bptt_status (*make)(bptt_device *d, inflight_plan *p, bptt_error *e);
    void (*clear)(bptt_device *d, inflight_plan *p);
    // Checks inputs before a run is submitted, and may pack extra bytes; NULL: nothing to do.
    bptt_status (*check)(const inflight_plan *p, size_t slot, const bptt_slots *slots, bptt_error *e);
    void (*submit)(bptt_device *d, inflight_plan *p, size_t slot, const bptt_slots *slots);
    void (*wait)(bptt_device *d, inflight_plan *p, size_t slot); // until the run that uses a slot is done
    void (*drain)(bptt_device *d);                               // waits for all submitted work
} inflight_calls;

// The state of a device (d->own) begins with it.
typedef struct inflight_device {
    const inflight_calls *calls;
    device_fault fault;
    inflight_plan *plans;  // that are prepared
    inflight_plan *single; // runs one op at a time
    char device[128];      // its name
} inflight_device;

// A device for the backend's open: state, backend, profile are filled, all else is 0. To be given back by
// inflight_free_device.
bptt_status inflight_new_device(const bptt_backend *b, const bptt_compute *config, const inflight_calls *calls,
                                bptt_device **d, bptt_error *e);
void inflight_free_device(bptt_device *d);
// The status of an open that failed with s: lack of memory counts as DEVICE, since nothing was asked for yet and the
// host then tries the next device.
bptt_status inflight_open_failed(bptt_status s, bptt_error *e);

// Sets the offsets in a stage and its size.
void inflight_layout(inflight_plan *p, size_t extra_bytes);
// Shares out memory of BPTT_IN_FLIGHT * stage_bytes.
void inflight_set_stages(inflight_plan *p, char *memory);
// Packs the scalars of a run; packs its input i and returns where it lies: NULL if the run leaves the device's copy.
void inflight_pack_scalars(const inflight_plan *p, size_t slot, const bptt_slots *slots);
char *inflight_pack_input(const inflight_plan *p, size_t slot, size_t i, const bptt_slots *slots);
// Runs device->single, which was filled with one op.
void inflight_run_single(bptt_device *d, const bptt_slots *slots);
// Clears all plans.
void inflight_close(bptt_device *d);

// ---- functions of bptt_backend --------------------------------------------------------------------------------------

bptt_status inflight_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e);
void inflight_forget(bptt_device *d, void *handle);
bptt_status inflight_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e);
bptt_status inflight_collect(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e);
bptt_status inflight_sync(bptt_device *d, bptt_error *e);

#endif
