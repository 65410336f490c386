// The pointwise mathematics of the cells: one text for every number type, backend and compiler (C, OpenCL C, CUDA C).
// The including file defines REAL and INLINE, ADD SUB MUL, ZERO ONE, TANH(x), SIGMOID(x), BELOW_ZERO(x), ABOVE_ZERO(x),
// WHOLE(x), and for losses.h SOFTPLUS_TAIL(x).
// A NaN operand gives a NaN result.

// The elementwise cells: number in bptt_cell, and two functions by their full names (PoCL has a macro tanh). To keep
// the choice of cell outside a loop, define LOOP with the loop in it and write CELL_LIST(LOOP).
// clang-format off
#define CELL_LIST(X)                  \
    X(0, tanh_forward, tanh_backward) \
    X(1, relu_forward, relu_backward) \
    X(64, whole_forward, whole_backward)
// clang-format on

// y = tanh z, and from the saved y:  dz = dy (1 - y y)                  (seed: ElmanCell's reverse pass)
INLINE REAL tanh_forward(REAL z) { return TANH(z); }
INLINE REAL tanh_backward(REAL y, REAL dy) { return MUL(dy, SUB(ONE, MUL(y, y))); }

// y = max(0, z);  dz = dy where y > 0, else 0
INLINE REAL relu_forward(REAL z) { return BELOW_ZERO(z) ? ZERO : z; }
INLINE REAL relu_backward(REAL y, REAL dy) { return ABOVE_ZERO(y) ? dy : MUL(y, ZERO); }

// For whole numbers only, which stay whole and small (BPTT_WHOLE in backend.h): y = z minus the nearest multiple of 5,
// and from the saved y:  dz = dy s, where s is y y minus its nearest multiple of 5: 0 for y = 0, 1 for +-1, -1 for +-2
INLINE REAL whole_forward(REAL z) { return WHOLE(z); }
INLINE REAL whole_backward(REAL y, REAL dy) { return MUL(dy, WHOLE(MUL(y, y))); }

#define CELL_FORWARD_CASE(number, forward, backward) \
    if (cell == number) return forward(z);
#define CELL_BACKWARD_CASE(number, forward, backward) \
    if (cell == number) return backward(y, dy);
INLINE REAL cell_forward(int cell, REAL z)
{
    CELL_LIST(CELL_FORWARD_CASE)
    return z;
}
INLINE REAL cell_backward(int cell, REAL y, REAL dy)
{
    CELL_LIST(CELL_BACKWARD_CASE)
    return MUL(y, dy);
}
#undef CELL_FORWARD_CASE
#undef CELL_BACKWARD_CASE

// ---- gated cells, losses ----------------------------------------------------------------------------------------

// The functions of gated cells. whole 1: maps of small whole numbers to small whole numbers in their place; slopes are
// computed from the saved value.
INLINE REAL tanh_of(int whole, REAL z) { return whole ? WHOLE(z) : TANH(z); }
INLINE REAL sigmoid_of(int whole, REAL z) { return whole ? WHOLE(z) : SIGMOID(z); }
INLINE REAL tanh_slope(int whole, REAL y) { return whole ? WHOLE(MUL(y, y)) : SUB(ONE, MUL(y, y)); }
INLINE REAL sigmoid_slope(int whole, REAL y) { return whole ? WHOLE(MUL(y, y)) : MUL(y, SUB(ONE, y)); }
INLINE REAL bounded(int whole, REAL x) { return whole ? WHOLE(x) : x; }

#define GATED_CELL_FUNCTIONS // wanted from here on
#define LOSS_FUNCTIONS
#ifdef GATED_CELLS_FILE
#include GATED_CELLS_FILE
#else
#include "gated_cells.h"
#endif
#include "losses.h"
