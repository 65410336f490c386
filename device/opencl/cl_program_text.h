// The text of the OpenCL program: made by cmake/embed_text.cmake from the files that CMakeLists.txt lists.
#ifndef CL_PROGRAM_TEXT_H
#define CL_PROGRAM_TEXT_H

#include <stddef.h>

extern const unsigned char cl_program_text[];
extern const size_t cl_program_size; // bytes

#endif
