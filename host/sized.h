// Conversion of structs of callers built with an older or newer bptt.h. Inside the library every struct is complete.
#ifndef SIZED_H
#define SIZED_H

#include "bptt.h"

// Converts a caller's struct to the current layout. Members missing in an older struct get their defaults; unknown
// members of a newer one must be 0. c must not be NULL.  Errors (then *whole is undefined): BAD_CONFIG; BAD_INPUT for
// a window.
bptt_status model_config_in(bptt_model_config *whole, const bptt_model_config *c, bptt_error *e);
bptt_status run_config_in(bptt_run_config *whole, const bptt_run_config *c, bptt_error *e);
bptt_status trainer_config_in(bptt_trainer_config *whole, const bptt_trainer_config *c, bptt_error *e);
bptt_status window_in(bptt_window *whole, const bptt_window *w, bptt_error *e);

// Copies a current struct to a caller's struct of `size` bytes; if that is longer, the rest is set to zero.
void struct_out(void *to, size_t size, const void *whole, size_t whole_size);
// The same for configurations: the member `size` is set to the caller's; model_size: size of the nested struct.
void model_config_out(void *to, size_t size, const bptt_model_config *whole);
void trainer_config_out(void *to, size_t size, size_t model_size, const bptt_trainer_config *whole);

#endif
