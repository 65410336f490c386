// The pointwise maths of the cells, one text for every number type, backend and compiler (C, OpenCL C 1.2, CUDA C).
// Before it is included: REAL and INLINE, ADD SUB MUL, ZERO ONE, TANH(x), BELOW_ZERO(x), ABOVE_ZERO(x).
// A NaN that goes in comes out.

// y = tanh z, and from the saved y:  dz = dy (1 - y y)                  (seed: ElmanCell's reverse pass)
INLINE REAL tanh_forward(REAL z) { return TANH(z); }
INLINE REAL tanh_backward(REAL y, REAL dy) { return MUL(dy, SUB(ONE, MUL(y, y))); }

// y = max(0, z);  dz = dy where y > 0, else 0
INLINE REAL relu_forward(REAL z) { return BELOW_ZERO(z) ? ZERO : z; }
INLINE REAL relu_backward(REAL y, REAL dy) { return ABOVE_ZERO(y) ? dy : MUL(y, ZERO); }
