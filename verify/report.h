// How a part says what became of a claim.
#ifndef REPORT_H
#define REPORT_H

#include "verify.h"

// Calls o->line, if there is one, and counts a claim that does not hold. The figures are printed.
void report_line(const verify_options *o, size_t *failures, verify_line line, const char *figures, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

#endif
