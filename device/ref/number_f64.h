// The number type of bptt_ref_f64: double.
#include <math.h>

#define REF(name) f64_##name
#define REF_NAME "ref"
#define REAL double
#define REAL_TYPE BPTT_F64
#define TOTAL double
#define TOTAL_TYPE BPTT_F64
#define INLINE static inline
#include "number_native.h"

#define SQRT(a) sqrt(a)
#define ZERO 0.0
#define ONE 1.0
#define LESS(a, b) ((a) < (b))
#define BELOW_ZERO(a) ((a) < 0.0)
#define ABOVE_ZERO(a) ((a) > 0.0)
#define TANH(a) tanh(a)
#define SIGMOID(a) ((a) < 0.0 ? exp(a) / (1.0 + exp(a)) : 1.0 / (1.0 + exp(-(a))))
#define SOFTPLUS_TAIL(a) log1p(exp(-fabs(a)))
#define WHOLE(a) ((a)-5.0 * rint((a) / 5.0))
#define REAL_FROM(x) (x)
#define REAL_PART(x) (x)
#define TOTAL_EXP(x) exp(x)
#define TOTAL_LOG(x) log(x)
