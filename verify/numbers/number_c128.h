// The number of the complex-step tests: double complex, where f(x + i s)'s imaginary part over s is f'(x) s / s without
// cancellation. tanh and exp are the analytic functions; comparisons and maxima look at the real part.
#include "bptt.h" // before complex.h, whose I is a macro

#include <complex.h>
#undef I
#include <math.h>

#define REF(name) c128_##name
#define REF_NAME "ref-c128"
#define REAL double complex
#define REAL_TYPE BPTT_C128
#define TOTAL double complex
#define TOTAL_TYPE BPTT_C128
#define INLINE static inline
#include "number_native.h"

#define SQRT(a) csqrt(a)
#define ZERO ((double complex)0)
#define ONE ((double complex)1)
#define LESS(a, b) (creal(a) < creal(b))
#define BELOW_ZERO(a) (creal(a) < 0.0)
#define ABOVE_ZERO(a) (creal(a) > 0.0)
#define TANH(a) ctanh(a)
#define SIGMOID(a) (1.0 / (1.0 + cexp(-(a))))
#define SOFTPLUS_TAIL(a) clog(1.0 + cexp(creal(a) < 0.0 ? (a) : -(a)))
#define WHOLE(a) ((a)-5.0 * rint(creal(a) / 5.0))
#define REAL_FROM(x) (x)
#define REAL_PART(x) creal(x)
#define TOTAL_EXP(x) cexp(x)
#define TOTAL_LOG(x) clog(x)
