// The folder of modules of what belongs to no installation.
#include "module_folder.h"

#include <stddef.h>

const char *module_installed_folder(void) { return NULL; }
