// The losses of dense targets: the rows of their table, and their mathematics for one output, in the macros of cells.h.
//
//   X(number, NAME, word, value, slope)
//
//   number        value of bptt_loss, from 1; 0 is the softmax cross-entropy of token targets, op SOFTMAX_XENT
//   NAME          BPTT_NAME in bptt.h
//   word          name in files
//   value(x, y)   the loss of an output x with target y; a NaN operand gives NaN
//   slope(x, y)   its derivative with respect to x
//
// The loss of a position is the mean over its outputs: op DENSE_LOSS in backend.h.
#ifndef LOSS_LIST
// clang-format off
#define LOSS_LIST(X)                                            \
    X(1, SQUARED, squared, squared_value, squared_slope)        \
    X(2, ABSOLUTE, absolute, absolute_value, absolute_slope)    \
    X(3, BINARY, binary, binary_value, binary_slope)
// clang-format on
#endif

// Wanted by cells.h, which lists the macros; SOFTPLUS_TAIL(x) = log(1 + e^-|x|).
#ifdef LOSS_FUNCTIONS

// (x - y)^2
INLINE REAL squared_value(REAL x, REAL y)
{
    const REAL d = SUB(x, y);
    return MUL(d, d);
}
INLINE REAL squared_slope(REAL x, REAL y)
{
    const REAL d = SUB(x, y);
    return ADD(d, d);
}

// |x - y|, with slope 0 where x = y
INLINE REAL absolute_value(REAL x, REAL y)
{
    const REAL d = SUB(x, y);
    return BELOW_ZERO(d) ? SUB(ZERO, d) : d;
}
INLINE REAL absolute_slope(REAL x, REAL y)
{
    const REAL d = SUB(x, y);
    return BELOW_ZERO(d) ? SUB(ZERO, ONE) : ABOVE_ZERO(d) ? ONE : MUL(d, ZERO);
}

// -y log p - (1 - y) log(1 - p), p = sigmoid(x):  max(x, 0) - x y + log(1 + e^-|x|), slope p - y
INLINE REAL binary_value(REAL x, REAL y) { return ADD(SUB(BELOW_ZERO(x) ? ZERO : x, MUL(x, y)), SOFTPLUS_TAIL(x)); }
INLINE REAL binary_slope(REAL x, REAL y) { return SUB(SIGMOID(x), y); }

#define LOSS_VALUE_CASE(number, NAME, word, value, slope) \
    if (loss == number) return value(x, y);
#define LOSS_SLOPE_CASE(number, NAME, word, value, slope) \
    if (loss == number) return slope(x, y);
INLINE REAL loss_value(int loss, REAL x, REAL y)
{
    LOSS_LIST(LOSS_VALUE_CASE)
    return SUB(x, y);
}
INLINE REAL loss_slope(int loss, REAL x, REAL y)
{
    LOSS_LIST(LOSS_SLOPE_CASE)
    return SUB(x, y);
}
#undef LOSS_VALUE_CASE
#undef LOSS_SLOPE_CASE

#endif
