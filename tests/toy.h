// A device that exists for the tests: memory that the host cannot take for its own, everything else from the shim but
// one entry. What device/README.md says about a backend's first day was done here, step by step.
#ifndef TOY_H
#define TOY_H

#include "shim.h"

typedef struct toy {
    shim shim;
    size_t transfers; // reads and writes asked for so far
    size_t until;     // that many more work, the next one fails, once; 0: all work
    size_t cells;     // runs of its own CELL_FORWARD
} toy;

bptt_backend bptt_toy(void);        // sums in double, as ref
bptt_backend bptt_toy_narrow(void); // sums in float, as devices
toy *toy_of(bptt_device *d);
// Bytes of a buffer as stored on the device.
const unsigned char *toy_stored(const bptt_buf *b, size_t *bytes);

#endif
