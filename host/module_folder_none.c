// No module folder: for targets that are not installed.
#include "module_folder.h"

#include <stddef.h>

const char *module_installed_folder(void) { return NULL; }
