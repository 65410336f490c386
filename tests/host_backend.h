// The host build of the kernels as a backend: launch.h, and the text of kernels.h compiled as host C. Device backends
// must give the same bits.
#ifndef HOST_BACKEND_H
#define HOST_BACKEND_H

#include "backend.h"

// One work-item does everything. Opened with threads = n > 1, the grid has n columns and 2 n - 1 rows, or 2 n - 1
// groups; work-items run one after the other.
bptt_backend bptt_host_kernels(void);

#endif
