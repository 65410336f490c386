// Backends that lie in a file of their own, bptt-NAME.so, and are loaded when they are asked for.
#ifndef MODULES_H
#define MODULES_H

#include "backend.h"

// Name of the i-th backend that may be installed as a module, the preferred one first; NULL past the last.
const char *module_name(size_t i);
// What module_load says, after "backend NAME ", of one that is nowhere: more follows a colon.
#define MODULE_ABSENT "is not installed"
// Finds and loads the module of a backend: beside the program or library that holds this code, in the folders where an
// installation puts it. It stays loaded.  NO_BACKEND: says which folders were looked in, or why it does not load.
bptt_status module_load(const char *name, bptt_backend *b, bptt_error *e);
// The same from one file.
bptt_status module_load_file(const char *path, const char *name, bptt_backend *b, bptt_error *e);

#endif
