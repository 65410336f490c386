// The configuration of a model: defaults, ranges, and the settings that belong to the machine.
#ifndef CONFIG_H
#define CONFIG_H

#include "backend.h"

bptt_status model_check(const bptt_model_config *c, bptt_error *e); // BAD_CONFIG
// BAD_CONFIG, with the name, unless least <= x <= most.
bptt_status in_range(const char *what, size_t x, size_t least, size_t most, bptt_error *e);
// Copies the settings of the machine: backend, device, threads, lowering, product, precision, profile. from NULL: none.
void model_place(bptt_model_config *to, const bptt_model_config *from);

#endif
