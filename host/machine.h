// The two questions the host asks the machine.
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>

double seconds_now(void);    // on a clock that never goes back
size_t machine_memory(void); // bytes of memory the machine has; SIZE_MAX if it does not say

#endif
