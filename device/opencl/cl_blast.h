// Products by CLBlast instead of our own kernel, where the user asks for them.
#ifndef CL_BLAST_H
#define CL_BLAST_H

#include "cl_api.h"
#include "cl_tiles.h"

typedef struct cl_state cl_state; // cl_internal.h

// CLBlastSgemm of clblast_c.h: layout, transposes, m, n, k, alpha, a, b, beta, c (each buffer, first element, leading
// dimension), queue, event.
typedef int clblast_sgemm(int layout, int a_t, int b_t, size_t m, size_t n, size_t k, float alpha, cl_mem a,
                          size_t a_at, size_t a_ld, cl_mem b, size_t b_at, size_t b_ld, float beta, cl_mem c,
                          size_t c_at, size_t c_ld, cl_command_queue *queue, cl_event *event);

// Finds libclblast.so.1 and tries it on this device: NO_BACKEND if it is not there, DEVICE if it multiplies wrongly
// (version 1.6.2 and older do on some devices). From then on it takes products: c->sgemm.
bptt_status clblast_open(bptt_device *d, bptt_error *e);
// Some products of c->sgemm beside the host, in every transposition: DEVICE if one is wrong or refused.
bptt_status clblast_try(bptt_device *d, bptt_error *e);
// Queues the launch, if it is a product that CLBlast is to do: not one with a transposed result. False: nothing was
// queued. A failure is noted. *event is the caller's; NULL: not wanted.
bool clblast_queued(cl_state *c, const launch *l, cl_event *event);

#endif
