// Structs of callers that were built with an older or a newer bptt.h. Inside the library every struct is whole.
#ifndef SIZED_H
#define SIZED_H

#include "bptt.h"

// A caller's struct as one of ours: members that an older caller lacks have their defaults; members of a newer caller
// must be 0. c must not be NULL.  Errors: BAD_CONFIG; BAD_INPUT for a window. *whole is undefined after one.
bptt_status model_config_in(bptt_model_config *whole, const bptt_model_config *c, bptt_error *e);
bptt_status run_config_in(bptt_run_config *whole, const bptt_run_config *c, bptt_error *e);
bptt_status trainer_config_in(bptt_trainer_config *whole, const bptt_trainer_config *c, bptt_error *e);
bptt_status window_in(bptt_window *whole, const bptt_window *w, bptt_error *e);

// One of ours into a caller's struct of `size` bytes: its first bytes, and zeros where the caller's is longer.
void struct_out(void *to, size_t size, const void *whole, size_t whole_size);
// The same for configurations, whose members `size` become the caller's; model_size: of the nested struct.
void model_config_out(void *to, size_t size, const bptt_model_config *whole);
void trainer_config_out(void *to, size_t size, size_t model_size, const bptt_trainer_config *whole);

#endif
