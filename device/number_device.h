// The number type of kernels.h: float with the functions of f32.h, also for division and square root, since those of a
// device may not be correctly rounded. Included after a prelude (INLINE) and f32.h, before cells.h and optimizers.h.
#ifndef NUMBER_DEVICE_H
#define NUMBER_DEVICE_H

#define REAL float
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) f32_divide(a, b)
#define SQRT(a) f32_sqrt(a)
#define ZERO 0.0f
#define ONE 1.0f
#define LESS(a, b) ((a) < (b))
#define BELOW_ZERO(a) ((a) < 0.0f)
#define ABOVE_ZERO(a) ((a) > 0.0f)
#define TANH(a) f32_tanh(a)
#define SIGMOID(a) f32_sigmoid(a)
#define SOFTPLUS_TAIL(a) f32_softplus_tail(a)
#define WHOLE(a) f32_whole(a)

#endif
