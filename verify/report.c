// Reporting of a claim's result.
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

void report_line(const verify_options *o, size_t *failures, verify_line line, const char *figures, ...)
{
    char words[400];
    va_list a;
    va_start(a, figures);
    (void)vsnprintf(words, sizeof words, figures, a);
    va_end(a);
    line.found = words;
    if (!line.holds) ++*failures;
    if (o->line) o->line(o->user, &line);
}
