// Reporting of a claim's result by a part.
#ifndef REPORT_H
#define REPORT_H

#include "verify.h"

// Calls o->line, if set, with the figures formatted as by printf; counts a claim that does not hold.
void report_line(const verify_options *o, size_t *failures, verify_line line, const char *figures, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#endif
