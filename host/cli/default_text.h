// Built-in text of `bptt train`, generated at build time from the sources.
#ifndef DEFAULT_TEXT_H
#define DEFAULT_TEXT_H

#include <stddef.h>

extern const unsigned char bptt_default_text[];
extern const size_t bptt_default_text_size;

#endif
