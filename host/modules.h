// Backend modules: shared libraries bptt-NAME.so, loaded on first use.
#ifndef MODULES_H
#define MODULES_H

#include "backend.h"

// Name of the i-th backend that can be a module, in order of preference; NULL past the last.
const char *module_name(size_t i);
// Error text of module_load for a missing module, after "backend NAME "; details follow a colon.
#define MODULE_ABSENT "is not installed"
// Finds and loads the module of a backend. Searches the folder of the program or library with this code, then the
// folders of an installation. It stays loaded.  NO_BACKEND: lists the folders searched, or the reason of the failure.
bptt_status module_load(const char *name, bptt_backend *b, bptt_error *e);
// Loads the module from the given file.
bptt_status module_load_file(const char *path, const char *name, bptt_backend *b, bptt_error *e);

#endif
