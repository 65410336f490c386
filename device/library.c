// Shared libraries that are loaded at run time.
#define _GNU_SOURCE // dl_iterate_phdr

#include "library.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

// The program comes first: returning 1 ends the iteration.
static int find_interpreter(struct dl_phdr_info *object, size_t size, void *found)
{
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_INTERP) *(bool *)found = true;
    return 1;
}

bool library_program_is_static(void)
{
    bool has_interpreter = false;
    (void)dl_iterate_phdr(find_interpreter, &has_interpreter);
    return !has_interpreter;
}

bool library_open(library *l, const char *const *file)
{
    *l = (library){0};
    if (library_program_is_static()) {
        (void)snprintf(l->words, sizeof l->words, "this program is linked statically, so it cannot load %.200s", *file);
        return false;
    }
    for (; *file; file++) {
        l->handle = dlopen(*file, RTLD_NOW | RTLD_LOCAL);
        l->file = l->handle ? *file : NULL;
        if (l->handle) {
            l->words[0] = '\0';
            return true;
        }
        const char *words = dlerror(); // valid until the next call of the loader only
        if (!l->words[0]) (void)snprintf(l->words, sizeof l->words, "%.299s", words ? words : *file);
    }
    return false;
}

const char *library_find(const library *l, const char *const *symbol, size_t n, void *table)
{
    for (size_t i = 0; i < n; i++)
        if (!dlsym(l->handle, symbol[i])) return symbol[i];
    for (size_t i = 0; i < n; i++) {
        // ISO C has no cast from an object pointer to a function pointer; POSIX guarantees that the bytes are the same.
        void *const address = dlsym(l->handle, symbol[i]);
        memcpy((unsigned char *)table + i * sizeof address, &address, sizeof address);
    }
    return NULL;
}

void library_close(library *l)
{
    if (l->handle) (void)dlclose(l->handle);
    *l = (library){0};
}
