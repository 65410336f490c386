// Which backend and which of its devices a name means, and why.
#ifndef BACKENDS_H
#define BACKENDS_H

#include "backend.h"

typedef struct choice {
    bptt_backend b;
    bptt_device_info info; // the device as its backend lists it; why it was chosen
    bool ours;             // nobody asked for it: another may take its place
} choice;

// The backend of that name (NULL, "auto": the best present) and its device (NULL: the first usable one, GPUs before
// others; digits: by number; else by a part of its name or its platform's, in upper or lower case), for elements of a
// type.  BAD_CONFIG, NO_BACKEND.
bptt_status choose(const char *name, const char *device, bptt_type type, choice *c, bptt_error *e);
// On a table: its own name is what was asked for.
bptt_status choose_on(const bptt_backend *b, const char *device, choice *c, bptt_error *e);
// What "auto" means: a GPU of `gpus`, else cpu. gpus NULL: there is no such backend, absent says why.
void choose_best(const bptt_backend *gpus, const char *absent, choice *c);
// What takes the place of a choice of ours that did not open.
choice choose_instead(const choice *failed, const char *why);

// Opens the device of a choice as the model's configuration says.
bptt_status choice_open(const choice *c, const bptt_model_config *m, bptt_device **d, bptt_error *e);
// What is known of a device once it is open goes into its info.
void choice_tell(const bptt_device *d, bptt_device_info *info);

#endif
