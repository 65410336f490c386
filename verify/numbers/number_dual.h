// The number of bptt_ref_dual: v + e d with e e = 0, v and d integers modulo p. A formula over dual numbers carries the
// derivative d of its value v along: the forward text becomes its own derivative in the direction of the inputs' d.
//
// AXIOMS, all there are; everything else is arithmetic:
//   tanh' = 1 - tanh tanh      exp' = exp      log' = 1 / x      sigmoid' = sigmoid (1 - sigmoid)
//   log(1 + e^-|x|)' = sigmoid, less 1 where x is not below zero
//   sums, products and quotients are differentiated as ever; a choice (relu, the largest of a row) is made by values,
//   as it is over numbers modulo p, and the derivative is that of what was chosen.
// That these hold of the real functions is calculus, not checked here. sqrt, which only updates use, has none.
#include "field.h"

typedef struct dual {
    uint64_t v, d;
} dual;

static inline dual dual_of(double x) { return (dual){field_of(x), 0}; }
static inline dual dual_add(dual a, dual b) { return (dual){field_add(a.v, b.v), field_add(a.d, b.d)}; }
static inline dual dual_sub(dual a, dual b) { return (dual){field_sub(a.v, b.v), field_sub(a.d, b.d)}; }
static inline dual dual_mul(dual a, dual b)
{
    return (dual){field_mul(a.v, b.v), field_add(field_mul(a.v, b.d), field_mul(a.d, b.v))};
}
// q = a / b:  q' = (a' - q b') / b
static inline dual dual_div(dual a, dual b)
{
    const uint64_t inverse = field_inverse(b.v), q = field_mul(a.v, inverse);
    return (dual){q, field_mul(field_sub(a.d, field_mul(q, b.d)), inverse)};
}
static inline dual dual_tanh(dual z)
{
    const uint64_t y = field_any(FIELD_TANH, z.v);
    return (dual){y, field_mul(field_sub(1, field_mul(y, y)), z.d)};
}
static inline dual dual_sigmoid(dual z)
{
    const uint64_t y = field_any(FIELD_SIGMOID, z.v);
    return (dual){y, field_mul(field_mul(y, field_sub(1, y)), z.d)};
}
static inline dual dual_exp(dual z)
{
    const uint64_t y = field_any(FIELD_EXP, z.v);
    return (dual){y, field_mul(y, z.d)};
}
static inline dual dual_log(dual z) { return (dual){field_any(FIELD_LOG, z.v), field_mul(z.d, field_inverse(z.v))}; }
static inline dual dual_softplus_tail(dual z)
{
    const uint64_t s = field_any(FIELD_SIGMOID, z.v), slope = field_below_zero(z.v) ? s : field_sub(s, 1);
    return (dual){field_any(FIELD_SOFTPLUS_TAIL, z.v), field_mul(slope, z.d)};
}

#define REF(name) dual_##name
#define REF_NAME "ref-dual"
#define REAL dual
#define REAL_TYPE BPTT_DUAL
#define TOTAL dual
#define TOTAL_TYPE BPTT_DUAL
#define INLINE static inline

#define ADD(a, b) dual_add(a, b)
#define SUB(a, b) dual_sub(a, b)
#define MUL(a, b) dual_mul(a, b)
#define DIV(a, b) dual_div(a, b)
#define SQRT(a) ((dual){field_any(FIELD_SQRT, (a).v), 0})
#define ZERO ((dual){0, 0})
#define ONE ((dual){1, 0})
#define LESS(a, b) ((a).v < (b).v)
#define BELOW_ZERO(a) field_below_zero((a).v)
#define ABOVE_ZERO(a) field_above_zero((a).v)
#define TANH(a) dual_tanh(a)
#define SIGMOID(a) dual_sigmoid(a)
#define SOFTPLUS_TAIL(a) dual_softplus_tail(a)
#define WHOLE(a) (a) // there is no nearest one modulo p, and nothing asks for it
#define REAL_FROM(x) (x)
#define REAL_OF(x) dual_of(x)
#define REAL_PART(x) ((double)(x).v)
#define TOTAL_ADD(a, b) dual_add(a, b)
#define TOTAL_SUB(a, b) dual_sub(a, b)
#define TOTAL_MUL(a, b) dual_mul(a, b)
#define TOTAL_DIV(a, b) dual_div(a, b)
#define TOTAL_NEG(a) dual_sub(ZERO, a)
#define TOTAL_FROM(x) (x)
#define TOTAL_OF(x) dual_of(x)
#define TOTAL_EXP(x) dual_exp(x)
#define TOTAL_LOG(x) dual_log(x)
