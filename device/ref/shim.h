// The starting point of a backend with device memory: completes a table that has names, types and memory functions.
// Every op reads its operands from the device, runs ref's op in host memory and writes the results back. This is
// correct but slow: override it op by op; after the last one nothing of the shim is used.
//
//   typedef struct x { shim shim; ... } x;               // d->own points to it; the shim is its first member
//   bptt_backend b = shim_over((bptt_backend){.name = "x", .real = BPTT_F32, .sum = BPTT_F64, .open = x_open,
//       .close = x_close, .describe = x_describe, .alloc = x_alloc, .free = x_free, .write = x_write, .read = x_read});
//
// The backend's close calls shim_end. Ref computes in double if real is BPTT_F64, else in float with sums in double;
// the backend's read and write convert from and to the types of the device, so narrower sums and 16-bit reals are
// rounded once, by write.
#ifndef SHIM_H
#define SHIM_H

#include "backend.h"

typedef struct shim {
    void *staged[BPTT_OPERANDS]; // host copies of the operands of an op
    size_t room[BPTT_OPERANDS];  // bytes
    bptt_error failed;           // first failure of an op that was not returned yet
} shim;

// Fills in prepare, run, collect, forget and all ops of a table; also pad (no padding) and sync if they are NULL.
bptt_backend shim_over(bptt_backend own);
void shim_end(bptt_device *d); // frees the host copies; d->own may be NULL
// Returns a kept failure and clears it. The backend's own sync, read and write call it first.
bptt_status shim_failure(bptt_device *d, bptt_error *e);

#endif
