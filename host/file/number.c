// Locale-independent number formatting and parsing: printf and strtod run in the "C" locale, set for this thread and
// one call.
#define _POSIX_C_SOURCE 200809L

#include "number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct held {
    locale_t c, before;
} held;

// newlocale("C") needs no memory and does not fail in glibc and musl. If it failed, the caller's locale would be used.
static held hold_c_locale(void)
{
    held h = {newlocale(LC_ALL_MASK, "C", (locale_t)0), (locale_t)0};
    if (h.c != (locale_t)0) h.before = uselocale(h.c);
    return h;
}

static void release(held h)
{
    if (h.c == (locale_t)0) return;
    uselocale(h.before);
    freelocale(h.c);
}

void format_real(char out[32], double x)
{
    const held h = hold_c_locale();
    for (int places = 15; places <= 17; places++) {
        snprintf(out, 32, "%.*g", places, x); // at most 24 characters: -d.16de-ddd
        if (strtod(out, NULL) == x) break;    // never true for NaN, which is written as "nan"
    }
    release(h);
}

static const char *digits(const char *s)
{
    while (*s >= '0' && *s <= '9') s++;
    return s;
}

// Grammar: [+-] digits [. digits] [e [+-] digits], with at least one digit beside the point.
static bool decimal(const char *s)
{
    if (*s == '+' || *s == '-') s++;
    const char *end = digits(s);
    bool some = end > s;
    if (*end == '.') {
        s = end + 1;
        end = digits(s);
        some = some || end > s;
    }
    if (!some) return false;
    if (*end == 'e' || *end == 'E') {
        s = end + 1;
        if (*s == '+' || *s == '-') s++;
        end = digits(s);
        if (end == s) return false;
    }
    return *end == '\0';
}

bool parse_real(const char *s, double *x)
{
    if (!decimal(s)) return false; // strtod also accepts blanks, hexadecimals, "inf" and "nan"
    const held h = hold_c_locale();
    char *end = NULL;
    const double value = strtod(s, &end);
    release(h);
    if (*end != '\0' || !isfinite(value)) return false;
    *x = value;
    return true;
}

bool parse_count(const char *s, uint64_t *x)
{
    uint64_t value = 0;
    if (*s == '\0') return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9') return false;
        const uint64_t digit = (uint64_t)(*s - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *x = value;
    return true;
}
