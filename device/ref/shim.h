// Where a backend with memory of its own begins: a table with names, types and memory functions becomes a whole one.
// Every entry reads its operands from the device, runs ref's entry on host memory and writes what was written back.
// Right, and slow. Override it entry by entry; with the last one nothing of this is left.
//
//   typedef struct x { shim shim; ... } x;               // what d->own points to; the shim is its first member
//   bptt_backend b = shim_over((bptt_backend){.name = "x", .real = BPTT_F32, .sum = BPTT_F64, .open = x_open,
//       .close = x_close, .describe = x_describe, .alloc = x_alloc, .free = x_free, .write = x_write, .read = x_read});
//
// The backend's close calls shim_end. What the device stores is read and written as `as` says: ref computes in double
// if real is BPTT_F64, else in float, with sums in double; a sum is rounded once, by the backend's write, if its sum
// is narrower. So is a real of 16 bits.
#ifndef SHIM_H
#define SHIM_H

#include "backend.h"

typedef struct shim {
    void *staged[BPTT_OPERANDS]; // host copies of the operands of one step
    size_t room[BPTT_OPERANDS];  // bytes
    bptt_error failed;           // first failure of an entry that nobody was told of
} shim;

// Fills prepare, run, collect, forget and all entries of a table; pad (rows lie tight) and sync where they are NULL.
bptt_backend shim_over(bptt_backend own);
void shim_end(bptt_device *d); // frees what the shim holds; d->own NULL is fine
// The failure that sticks, once. For the backend's own sync, read and write: they ask first.
bptt_status shim_failure(bptt_device *d, bptt_error *e);

#endif
