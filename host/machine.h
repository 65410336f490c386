// Queries of the machine: available memory.
#ifndef MACHINE_H
#define MACHINE_H

#include "backend.h"

size_t machine_memory(void); // bytes of physical memory; SIZE_MAX if unknown

// NO_MEMORY if `what` needs more bytes on the device than it has, or more bytes on the host. If d is NULL or computes
// in host memory, both must fit the machine's memory.
bptt_status check_memory(const bptt_device *d, size_t bytes, size_t host, const char *what, bptt_error *e);

#endif
