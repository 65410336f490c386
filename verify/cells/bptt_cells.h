// The seed's cell by itself, and cells joined by context builders: the functions under test of `bptt verify`.
// Not installed, and not in libbptt: the functions are in bptt_verify, a library of this repository's build. Statuses,
// errors, types and cells are those of bptt.h.
#ifndef BPTT_CELLS_H
#define BPTT_CELLS_H

#include "bptt.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- the seed's cell by itself -------------------------------------------------------------------------------------
// c = [x; h], z = W c + b, y = f(z), row by row of a batch: TorchLean's ElmanCell with its saved tensors c, z, y.
// Sizes: x [B][I], h [B][H], W [H][I+H], b [H], concat [B][I+H], pre [B][H], next [B][H]. All of one type, F32 or F64.
typedef struct bptt_elman {
    bptt_type type;
    bptt_cell cell;
    size_t B, I, H;
    const void *W, *b;
} bptt_elman;
// Any output may be NULL.  Errors: BAD_CONFIG (a size of 0, a type other than F32 or F64), BAD_INPUT (a NULL input).
bptt_status bptt_elman_forward(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre, void *next,
                               bptt_error *error);

// Its reverse pass. s holds a cotangent for each tensor of the trace, NULL meaning zero:
//   dz = s.pre + s.next f'(z)    dc = s.concat + W' dz    dx = s.x + dc[0:I]    dh = s.h + dc[I:I+H]    written
//   dW += dz c'                  db += dz, summed over the batch                                        added to
// f'(z) is taken from next: 1 - y*y for tanh, y > 0 for relu. Outputs may be NULL; no output may overlap an input, but
// dx may be s.x, and dh s.h. concat may be NULL if dW is, next if s.next is.
typedef struct bptt_elman_cotangent {
    const void *x, *h, *concat, *pre, *next;
} bptt_elman_cotangent;
bptt_status bptt_elman_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s,
                           void *dx, void *dh, void *dW, void *db, bptt_error *error);

// Its derivative in a direction, NULL meaning zero:  dc = [dx; dh]   dz = W dc + dW c + db   dy = f'(z) dz
// Outputs may be NULL. concat may be NULL if dW is, next if dnext is.
bptt_status bptt_elman_jvp(const bptt_elman *e, const void *concat, const void *next, const void *dx, const void *dh,
                           const void *dW, const void *db, void *dconcat, void *dpre, void *dnext, bptt_error *error);

// ---- cells joined by context builders -------------------------------------------------------------------------------
// All tensors of one step, or a tangent or cotangent for each; sizes and type as in bptt_elman. The caller's memory.
typedef struct bptt_elman_trace {
    void *x, *h, *concat, *pre, *next;
} bptt_elman_trace;
// A context builder makes (x, h) of the cell `to` out of the trace of the cell `from`, the step before:
//   apply  x, h written          jvp  its derivative in the direction d: dx, dh written
//   vjp    the adjoint of jvp: what a cotangent (dx, dh) of the result is worth is added to s, any of the five
// Anything but BPTT_OK ends the chain's work and is its status.
typedef struct bptt_builder_call {
    void *user; // the builder's
    const bptt_elman *from, *to;
    const bptt_elman_trace *trace;
} bptt_builder_call;
typedef struct bptt_builder {
    bptt_status (*apply)(const bptt_builder_call *at, void *x, void *h, bptt_error *e);
    bptt_status (*jvp)(const bptt_builder_call *at, const bptt_elman_trace *d, void *dx, void *dh, bptt_error *e);
    bptt_status (*vjp)(const bptt_builder_call *at, const void *dx, const void *dh, const bptt_elman_trace *s,
                       bptt_error *e);
    void *user;
} bptt_builder;
// The context builders that are here already; their data are constant, only `next` has a derivative.
typedef enum bptt_builder_kind {
    BPTT_TEACHER = 0,  // x given, h = next                    teacher forcing: the next token of a sequence
    BPTT_STACK = 1,    // x = next, h given                    the layer above
    BPTT_RESET = 2,    // x given, h = keep * next             a row with keep 0 starts a new document
    BPTT_TRUNCATE = 3, // TEACHER, but derivative of h 0       the state is carried, gradients end here
    BPTT_FEEDBACK = 4  // x = onehot(argmax(readout * next)), the first of equals, derivative 0; h = next
} bptt_builder_kind;
typedef struct bptt_context {
    bptt_builder_kind kind;
    const void *x, *h, *keep, *readout; // [B][I], [B][H], [B], [I of `to`][H of `from`]: those that the kind names
} bptt_context;
// c is the builder's user and must outlive it.  Its errors: BAD_CONFIG (sizes that do not fit), BAD_INPUT (a NULL).
bptt_builder bptt_context_builder(const bptt_context *c);
// Cells of one type one after another; weights may be shared.
typedef struct bptt_chain {
    size_t steps;             // >= 1
    const bptt_elman *cell;   // [steps]
    const bptt_builder *join; // [steps - 1]: join[t] between cell[t] and cell[t + 1]
} bptt_chain;
// trace, d, s: [steps], no member NULL. dW, db: [steps], any NULL.  Errors: BAD_CONFIG, BAD_INPUT, the builders'.
//   forward  from trace[0].x and .h: the rest is written
//   jvp      from d[0].x and .h, and tangents dW, db: the rest of d is written
//   vjp      from a cotangent s for every tensor of every step: s[t].x and .h become the gradient with respect to that
//            step's input and state; .concat, .pre, .next keep theirs and what builders added. dW[t], db[t] are added
//            to, last step first. [0, n) is [k, n), join[k - 1].vjp from s[k] into s[k - 1], and [0, k), bit for bit
bptt_status bptt_chain_forward(const bptt_chain *c, const bptt_elman_trace *trace, bptt_error *e);
bptt_status bptt_chain_jvp(const bptt_chain *c, const bptt_elman_trace *trace, const bptt_elman_trace *d,
                           const void *const *dW, const void *const *db, bptt_error *e);
bptt_status bptt_chain_vjp(const bptt_chain *c, const bptt_elman_trace *trace, const bptt_elman_trace *s,
                           void *const *dW, void *const *db, bptt_error *e);

#ifdef __cplusplus
}
#endif
#endif
