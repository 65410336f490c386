// Errors in words, sizes, a clock: for every file of the library and of the program.
#ifndef ERROR_H
#define ERROR_H

#include "bptt.h"

// Fills *e (if not NULL) and returns code.
bptt_status bptt_fail(bptt_error *e, bptt_status code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
// *bytes = a*b*c; NO_MEMORY if that overflows.
bptt_status bptt_size(size_t a, size_t b, size_t c, size_t *bytes, bptt_error *e);
// Seconds of a monotonic clock.
double bptt_seconds(void);

#endif
