// What the host asks the machine: how much memory it has.
#ifndef MACHINE_H
#define MACHINE_H

#include "backend.h"

size_t machine_memory(void); // bytes of memory the machine has; SIZE_MAX if it does not say

// NO_MEMORY if `what` needs more bytes of the device, or of the host besides, than there are at all. d NULL, or in host
// memory: all of it is the machine's.
bptt_status memory_has(const bptt_device *d, size_t bytes, size_t host, const char *what, bptt_error *e);

#endif
