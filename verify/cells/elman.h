// The seed's cell and its context builders over each number type of `ref`; arguments as in bptt_cells.h, checked by the
// caller.
#ifndef ELMAN_H
#define ELMAN_H

#include "bptt_cells.h"

#define ELMAN_DECLARE(number) \
    void number##_elman_forward(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, \
                                void *next); \
    void number##_elman_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s, \
                            void *dx, void *dh, void *dW, void *db); \
    void number##_elman_jvp(const bptt_elman *e, const void *concat, const void *next, const void *dx, const void *dh, \
                            const void *dW, const void *db, void *dconcat, void *dpre, void *dnext);
ELMAN_DECLARE(f32)
ELMAN_DECLARE(f64)
ELMAN_DECLARE(fp)
ELMAN_DECLARE(dual)
#undef ELMAN_DECLARE

#define BUILDER_DECLARE(number) \
    void number##_builder_apply(const bptt_builder_call *at, void *x, void *h); \
    void number##_builder_jvp(const bptt_builder_call *at, const void *dnext, void *dx, void *dh); \
    void number##_builder_vjp(const bptt_builder_call *at, const void *dx, const void *dh, void *s_next);
BUILDER_DECLARE(f32)
BUILDER_DECLARE(f64)
#undef BUILDER_DECLARE

#endif
