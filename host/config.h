// The configuration of a model: defaults and ranges.
#ifndef CONFIG_H
#define CONFIG_H

#include "backend.h"

bptt_status model_check(const bptt_model_config *c, bptt_error *e); // BAD_CONFIG
bptt_status compute_check(const bptt_compute *c, bptt_error *e);    // BAD_CONFIG

#endif
