// The number type of bptt_ref_f32: float, with sums in double.
#include "f32.h"

#include <math.h>

#define REF(name) f32_##name
#define REF_NAME "ref"
#define REAL float
#define REAL_TYPE BPTT_F32
#define TOTAL double // number type of sums
#define TOTAL_TYPE BPTT_F64
#define INLINE F32_INLINE
#include "number_native.h"

#define SQRT(a) sqrtf(a)
#define ZERO 0.0f
#define ONE 1.0f
#define LESS(a, b) ((a) < (b))
#define BELOW_ZERO(a) ((a) < 0.0f)
#define ABOVE_ZERO(a) ((a) > 0.0f)
#define TANH(a) f32_tanh(a)
#define SIGMOID(a) f32_sigmoid(a)
#define SOFTPLUS_TAIL(a) f32_softplus_tail(a)
#define WHOLE(a) f32_whole(a)
#define REAL_FROM(x) ((float)(x)) // from a TOTAL or a double, rounded once
#define REAL_PART(x) ((double)(x))
#define TOTAL_EXP(x) exp(x)
#define TOTAL_LOG(x) log(x)
