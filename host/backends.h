// Which backend and which of its devices a name means, and why.
#ifndef BACKENDS_H
#define BACKENDS_H

#include "backend.h"

typedef struct choice {
    bptt_backend b;
    bptt_device_info info; // the device as its backend lists it; why it was chosen
    bool ours;             // nobody asked for it: another may take its place
} choice;

// NO_BACKEND, with the names that there are.
bptt_status no_backend_called(const char *name, bptt_error *e);
// On a table: its own name is what was asked for.
bptt_status choose_on(const bptt_backend *b, const char *device, choice *c, bptt_error *e);
// The backend and device that m asks for, for elements of a type; "auto" takes only what has its precision.
// BAD_CONFIG, NO_BACKEND.
bptt_status choose_for(const bptt_compute *m, bptt_type type, choice *c, bptt_error *e);

// What "auto" means, over the modules in their order as `load` finds them (module_load, or a test's):
typedef bptt_status module_loader(const char *name, bptt_backend *b, bptt_error *e);
// without a device: the first usable GPU, else cpu; NO_BACKEND where that has not the precision;
bptt_status choose_best(module_loader *load, bptt_precision p, choice *c, bptt_error *e);
// with one: that of the first module that has it and can use it;
bptt_status choose_named(module_loader *load, const char *device, bptt_precision p, choice *c, bptt_error *e);
// where a choice of ours did not open: the first usable GPU of the modules after its own, else cpu; NO_BACKEND as
// above.
bptt_status choose_instead(module_loader *load, const choice *failed, const char *why, bptt_precision p, choice *c,
                           bptt_error *e);

// Opens the device of a choice as m says.  NO_BACKEND: it has not the precision.
bptt_status choice_open(const choice *c, const bptt_compute *m, bptt_device **d, bptt_error *e);
// What is known of a device once it is open goes into its info.
void choice_tell(const bptt_device *d, bptt_device_info *info);

#endif
