// The seed's cell over each number type of `ref`; arguments as in bptt.h, checked by the caller.
#ifndef ELMAN_H
#define ELMAN_H

#include "bptt.h"

#define ELMAN_DECLARE(number) \
    void number##_elman_forward(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, \
                                void *next); \
    void number##_elman_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s, \
                            void *dx, void *dh, void *dW, void *db);
ELMAN_DECLARE(f32)
ELMAN_DECLARE(f64)
ELMAN_DECLARE(fp)
ELMAN_DECLARE(dual)
#undef ELMAN_DECLARE

#endif
