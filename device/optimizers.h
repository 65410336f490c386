// The update of one element, one text for every backend. An optimizer is a row of OPTIMIZER_LIST and a function here.
// The including file defines REAL and INLINE, ADD SUB MUL DIV SQRT, ZERO, and LESS(a, b).
#include "optimizer_list.h"

// A weight and its moments. Moments that the optimizer does not keep are ignored.
typedef struct parameter {
    REAL w, m, v;
} parameter;

// scale and limit: clipping (norm: scale = clip / (|g| + 1e-6) if |g| > clip, else 1; value: limit = clip, else
// infinite). rate and root: slots BPTT_RATE and BPTT_ROOT.
typedef struct update_constants {
    REAL scale, limit, rate, root;
#define RULE_CONSTANT(name, value) REAL name;
    RULE_CONSTANT_LIST(RULE_CONSTANT)
#undef RULE_CONSTANT
} update_constants;

INLINE REAL clipped(REAL g, REAL scale, REAL limit)
{
    const REAL s = MUL(g, scale);
    return LESS(limit, s) ? limit : LESS(s, SUB(ZERO, limit)) ? SUB(ZERO, limit) : s;
}

// Running means: m = beta m + (1 - beta) g,  v = beta v + (1 - beta) g g;  rest = 1 - beta
INLINE REAL mean_of(REAL m, REAL g, REAL beta, REAL rest) { return ADD(MUL(beta, m), MUL(rest, g)); }
INLINE REAL mean_square(REAL v, REAL g, REAL beta, REAL rest) { return ADD(MUL(beta, v), MUL(rest, MUL(g, g))); }

// SGD: m = momentum m + g;  w = w - rate m
INLINE parameter sgd_update(update_constants k, REAL g, parameter p)
{
    p.m = ADD(MUL(k.momentum, p.m), g);
    p.w = SUB(p.w, MUL(k.rate, p.m));
    return p;
}

// RMSProp (Torch7): w = w - rate g / (sqrt v + epsilon)
INLINE parameter rmsprop_update(update_constants k, REAL g, parameter p)
{
    p.v = mean_square(p.v, g, k.decay, k.rest_decay);
    p.w = SUB(p.w, DIV(MUL(k.rate, g), ADD(SQRT(p.v), k.epsilon)));
    return p;
}

// Adam: w = w - rate m / (sqrt v / root + epsilon)
INLINE parameter adam_update(update_constants k, REAL g, parameter p)
{
    p.m = mean_of(p.m, g, k.beta1, k.rest_beta1);
    p.v = mean_square(p.v, g, k.beta2, k.rest_beta2);
    p.w = SUB(p.w, DIV(MUL(k.rate, p.m), ADD(DIV(SQRT(p.v), k.root), k.epsilon)));
    return p;
}

// g: the gradient before clipping.
#define UPDATE_CASE(name, number, update, keeps_m, keeps_v) \
    if (optimizer == number) return update(k, clipped(g, k.scale, k.limit), p);
INLINE parameter update_element(int optimizer, update_constants k, REAL g, parameter p)
{
    OPTIMIZER_LIST(UPDATE_CASE)
    return p;
}
#undef UPDATE_CASE
