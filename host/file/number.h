// Locale-independent number formatting and parsing.
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void format_real(char out[32], double x);     // shortest of %.15g, %.16g, %.17g that reads back equal
bool parse_real(const char *s, double *x);    // the whole string, finite, decimal; no hex, no blanks
bool parse_count(const char *s, uint64_t *x); // decimal digits only, no sign, no overflow
#endif
