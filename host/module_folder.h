// The folder of an installation where modules lie. CMake chooses one of two files: module_folder_installed.c for the
// library that is installed, which may be linked into programs elsewhere; module_folder_none.c for all that is built
// and not moved, which must not load modules of another build.
#ifndef MODULE_FOLDER_H
#define MODULE_FOLDER_H

const char *module_installed_folder(void); // absolute; NULL: none

#endif
