// Selection of backend and device, with the reason.
#ifndef BACKENDS_H
#define BACKENDS_H

#include "backend.h"

typedef struct choice {
    bptt_backend b;
    bptt_device_info info; // the device as listed by its backend; reason for the choice
    bool automatic;        // selected by "auto": if it fails to open, the next one is tried
} choice;

// Returns NO_BACKEND with a message that lists the valid names.
bptt_status no_backend_called(const char *name, bptt_error *e);
// Selects a device of the given backend.
bptt_status pick_on_backend(const bptt_backend *b, const char *device, choice *c, bptt_error *e);
// Selects backend and device for m and an element type; "auto" considers only backends with its precision.
// Errors: BAD_CONFIG, NO_BACKEND.
bptt_status pick_device(const bptt_compute *m, bptt_type type, choice *c, bptt_error *e);

// Selection for "auto" among the modules in their order, loaded by `load` (module_load, or a function of a test).
typedef bptt_status module_loader(const char *name, bptt_backend *b, bptt_error *e);
// Without a device name: the first usable GPU, else cpu. NO_BACKEND if cpu lacks the precision.
bptt_status pick_gpu_or_cpu(module_loader *load, bptt_precision p, choice *c, bptt_error *e);
// With a device name: the device of the first module that has it and can use it.
bptt_status pick_named(module_loader *load, const char *device, bptt_precision p, choice *c, bptt_error *e);
// After an automatic choice failed to open: the first usable GPU of the modules behind it, else cpu. NO_BACKEND as
// above.
bptt_status pick_fallback(module_loader *load, const choice *failed, const char *why, bptt_precision p, choice *c,
                          bptt_error *e);

// Opens the selected device with the settings of m.  NO_BACKEND: it lacks the precision.
bptt_status open_picked(const choice *c, const bptt_compute *m, bptt_device **d, bptt_error *e);
// Copies the properties of an open device into its info.
void fill_device_info(const bptt_device *d, bptt_device_info *info);

#endif
