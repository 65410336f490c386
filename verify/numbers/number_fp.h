// The number of bptt_ref_fp: integers modulo p. tanh, exp, log and sqrt are uninterpreted functions; number_dual.h
// defines their derivatives.
#include "field.h"

#define REF(name) fp_##name
#define REF_NAME "ref-fp"
#define REAL uint64_t
#define REAL_TYPE BPTT_FP
#define TOTAL uint64_t
#define TOTAL_TYPE BPTT_FP
#define INLINE static inline

#define ADD(a, b) field_add(a, b)
#define SUB(a, b) field_sub(a, b)
#define MUL(a, b) field_mul(a, b)
#define DIV(a, b) field_mul(a, field_inverse(b))
#define SQRT(a) field_any(FIELD_SQRT, a)
#define ZERO UINT64_C(0)
#define ONE UINT64_C(1)
#define LESS(a, b) ((a) < (b))
#define BELOW_ZERO(a) field_below_zero(a)
#define ABOVE_ZERO(a) field_above_zero(a)
#define TANH(a) field_any(FIELD_TANH, a)
#define SIGMOID(a) field_any(FIELD_SIGMOID, a)
#define SOFTPLUS_TAIL(a) field_any(FIELD_SOFTPLUS_TAIL, a)
#define WHOLE(a) (a) // there is no nearest one modulo p, and nothing asks for it
#define REAL_FROM(x) (x)
#define REAL_OF(x) field_of(x)
#define REAL_PART(x) ((double)(x))
#define TOTAL_ADD(a, b) field_add(a, b)
#define TOTAL_SUB(a, b) field_sub(a, b)
#define TOTAL_MUL(a, b) field_mul(a, b)
#define TOTAL_DIV(a, b) DIV(a, b)
#define TOTAL_NEG(a) field_sub(0, a)
#define TOTAL_FROM(x) (x)
#define TOTAL_OF(x) field_of(x)
#define TOTAL_EXP(x) field_any(FIELD_EXP, x)
#define TOTAL_LOG(x) field_any(FIELD_LOG, x)
