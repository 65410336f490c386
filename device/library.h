// Shared libraries that are loaded at run time. No other file calls dlopen or dlsym.
#ifndef LIBRARY_H
#define LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct library {
    void *handle;     // NULL: no library is open
    const char *file; // the opened name, one of the caller's; NULL: none
    char words[300];  // the loader's message about the first name that was tried; "" if a library is open
} library;

// Opens the first of a NULL-terminated list of file names that the loader accepts. False: none; l->words is the reason.
// A statically linked program opens none: glibc's dlopen gives such a program a second C library that is not
// initialised, and constructors of the loaded library crash.
bool library_open(library *l, const char *const *file);
// Looks up n functions and writes their addresses to table, which is an array or struct of n function pointers.
// Returns NULL, or the first symbol that the library lacks; table is unchanged then.
const char *library_find(const library *l, const char *const *symbol, size_t n, void *table);
void library_close(library *l); // does nothing if no library is open
// True for programs linked with -static or -static-pie, which have no dynamic loader.
bool library_program_is_static(void);

#endif
