// Folder of the modules of the installed library.
#include "module_folder.h"

const char *module_installed_folder(void) { return BPTT_MODULE_DIR; }
