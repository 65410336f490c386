// The seed's cell over each number type of `ref`; arguments as in bptt.h, checked by the caller.
#ifndef ELMAN_H
#define ELMAN_H

#include "bptt.h"

void f32_elman_forward(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, void *next);
void f64_elman_forward(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, void *next);
void f32_elman_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s, void *dx,
                   void *dh, void *dW, void *db);
void f64_elman_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s, void *dx,
                   void *dh, void *dW, void *db);
#endif
