// Backend modules: search path, loading, ABI check.
#define _GNU_SOURCE // dl_iterate_phdr, secure_getenv

#include "modules.h"
#include "library.h"
#include "module_folder.h"

#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *module_name(size_t i)
{
    static const char *const name[] = {"cuda", "opencl"};
    return i < sizeof name / sizeof name[0] ? name[i] : NULL;
}

bptt_status module_load_file(const char *path, const char *name, bptt_backend *b, bptt_error *e)
{
    const char *const file[] = {path, NULL}, *const symbol[] = {BPTT_MODULE_SYMBOL};
    library module;
    bptt_module_function *fill = NULL;
    if (!library_open(&module, file))
        return bptt_fail(e, BPTT_NO_BACKEND, "backend %s cannot be loaded: %.400s", name, module.words);
    if (library_find(&module, symbol, 1, &fill))
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "backend %s cannot be loaded: %.300s has no %s, so it is not a module of bptt; reinstall it",
                         name, path, BPTT_MODULE_SYMBOL);
    const bptt_abi here = BPTT_ABI_HERE;
    bptt_backend table = {0};
    bptt_error why = {0};
    const bptt_status s = fill(&here, &table, &why);
    if (s) return bptt_fail(e, s, "backend %s cannot be used: %.350s (%.100s)", name, why.words, path);
    if (!table.list)
        return bptt_fail(e, BPTT_NO_BACKEND, "%.300s has no list function, so it is not a module of bptt; reinstall it",
                         path);
    if (!table.name || strcmp(table.name, name) != 0)
        return bptt_fail(e, BPTT_NO_BACKEND, "%.300s is the module of backend %.40s, not of %s; install it again", path,
                         table.name ? table.name : "(none)", name);
    *b = table;
    return BPTT_OK;
}

typedef struct object_search {
    uintptr_t address; // address inside the object to find
    size_t objects;    // seen so far
    char *path;        // allocated; NULL: unknown
} object_search;

static bool covers(const struct dl_phdr_info *object, uintptr_t address)
{
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *const p = &object->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && address - (object->dlpi_addr + p->p_vaddr) < p->p_memsz) return true;
    }
    return false;
}

// The first object is the program. Its name in the loader comes from the caller and may be relative to the working
// directory, so it is not used.
static int find_object(struct dl_phdr_info *object, size_t size, void *search)
{
    (void)size;
    object_search *const s = search;
    const bool is_program = s->objects++ == 0;
    if (!covers(object, s->address)) return 0;
    if (is_program)
        s->path = realpath("/proc/self/exe", NULL);
    else if (object->dlpi_name && object->dlpi_name[0] == '/')
        s->path = realpath(object->dlpi_name, NULL);
    return 1;
}

// Path of the file with this function: a library or the program.
static char *own_file(void)
{
    char *(*const here)(void) = own_file;
    object_search s = {0};
    memcpy(&s.address, &here, sizeof s.address);
    (void)dl_iterate_phdr(find_object, &s);
    return s.path;
}

// Folder of that file, with links resolved; false if unknown.
static bool own_folder(char folder[PATH_MAX])
{
    char *path = own_file(), *slash = path ? strrchr(path, '/') : NULL;
    if (slash) *slash = '\0';
    const bool known = slash && snprintf(folder, PATH_MAX, "%s", path) < PATH_MAX;
    free(path);
    return known;
}

// Appends to the list for the error message; truncates it if it is too long.
static void put_folder(char *list, size_t room, const char *folder)
{
    const size_t n = strlen(list), more = strlen(folder);
    if (n + more + 3 > room || strstr(list, folder)) return;
    memcpy(list + n, ", ", 2);
    memcpy(list + n + (n ? 2 : 0), folder, more + 1);
}

bptt_status module_load(const char *name, bptt_backend *b, bptt_error *e)
{
    // Search path: the folder in the environment; relative to this library's file: its folder (build tree), from the
    // library folder, from the program folder; the folder of this installation.
    static const char *const place[] = {"", "/bptt", "/../lib/bptt", "/../lib64/bptt",
                                        ("/" BPTT_MODULES_FROM_PROGRAMS)};
    enum { PLACES = sizeof place / sizeof place[0] };
    char own[PATH_MAX], folder[PATH_MAX + 64], path[PATH_MAX + 128], looked[300] = "";
    const char *const told = secure_getenv("BPTT_MODULES"), *const installed = module_installed_folder();
    const bool is_known = own_folder(own);
    if (library_program_is_static())
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "backend %s cannot be loaded: this program is linked statically, so it cannot load bptt-%s.so",
                         name, name);
    for (size_t i = 0; i < PLACES + 2; i++) {
        const char *const base = i == 0 ? told : i <= PLACES ? (is_known ? own : NULL) : installed;
        if (!base || base[0] != '/') continue;
        (void)snprintf(folder, sizeof folder, "%s%s", base, i > 0 && i <= PLACES ? place[i - 1] : "");
        (void)snprintf(path, sizeof path, "%s/bptt-%s.so", folder, name);
        if (access(path, F_OK) == 0) return module_load_file(path, name, b, e);
        put_folder(looked, sizeof looked, folder);
    }
    return bptt_fail(e, BPTT_NO_BACKEND, "backend %s " MODULE_ABSENT ": there is no bptt-%s.so in %s", name, name,
                     looked);
}
