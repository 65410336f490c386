// Errors in words, sizes, a clock.
#include "error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

bptt_status bptt_fail(bptt_error *e, bptt_status code, const char *format, ...)
{
    if (!e) return code;
    e->code = code;
    va_list a;
    va_start(a, format);
    (void)vsnprintf(e->words, sizeof e->words, format, a);
    va_end(a);
    return code;
}

bptt_status bptt_size(size_t a, size_t b, size_t c, size_t *bytes, bptt_error *e)
{
    if ((b && a > SIZE_MAX / b) || (c && a * b > SIZE_MAX / c))
        return bptt_fail(e, BPTT_NO_MEMORY, "a block of %zu x %zu x %zu bytes overflows size_t", a, b, c);
    *bytes = a * b * c;
    return BPTT_OK;
}

double bptt_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
