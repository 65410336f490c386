// The text that `bptt train` takes when none is named; the build makes the definition from a file.
#ifndef DEFAULT_TEXT_H
#define DEFAULT_TEXT_H

#include <stddef.h>

extern const unsigned char bptt_default_text[];
extern const size_t bptt_default_text_size;

#endif
