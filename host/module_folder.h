// Folder of the modules of an installation. CMake selects one of two files: module_folder_installed.c for the
// installed library, which may be linked into programs elsewhere; module_folder_none.c for targets that stay in the
// build tree and must not load modules of another build.
#ifndef MODULE_FOLDER_H
#define MODULE_FOLDER_H

const char *module_installed_folder(void); // absolute; NULL: none

#endif
