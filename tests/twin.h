// The twin of the backends on devices: launch.h and the text of kernels.h compiled as host C. They must give its bits.
#ifndef TWIN_H
#define TWIN_H

#include "backend.h"

// One work-item for everything; opened with threads = n > 1, a grid of n columns, 2 n - 1 rows or as many groups, one
// after the other.
bptt_backend bptt_twin(void);

#endif
