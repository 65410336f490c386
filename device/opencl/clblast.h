// Products by CLBlast instead of our own kernel, where the user asks for them.
#ifndef CLBLAST_H
#define CLBLAST_H

#include "cl_own.h"

// Finds libclblast.so.1 and tries it on this device: NO_BACKEND if it is not there, DEVICE if it multiplies wrongly
// (version 1.6.2 and older do on some devices).
bptt_status clblast_open(bptt_device *d, bptt_error *e);
// Some products of c->sgemm beside the host, in every transposition: DEVICE if one is wrong or refused.
bptt_status clblast_try(bptt_device *d, bptt_error *e);
// Whether it can do this product: it has no transposed result.
bool clblast_takes(const cl_own *c, const task *t);
// Queues it; CLBlast's code, 0: fine. *event is the caller's; NULL: not wanted.
int clblast_multiply(cl_own *c, const task *t, cl_event *event);

#endif
