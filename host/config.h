// Configurations: defaults and range checks.
#ifndef CONFIG_H
#define CONFIG_H

#include "bptt.h"

#include <stdbool.h>

void model_config_defaults(bptt_model_config *c);
void trainer_config_defaults(bptt_trainer_config *c);

// BAD_CONFIG; the message names the parameter.
bptt_status model_check(const bptt_model_config *c, bptt_error *e); // all fields except compute
bptt_status compute_check(const bptt_compute *c, bptt_error *e);
// All fields except model, and that it is a model of text, or of sequences (dense).
bptt_status trainer_check(const bptt_trainer_config *c, bool dense, bptt_error *e);

#endif
