// The gated cells: the rows of their table, and their mathematics for one unit, in the macros of cells.h.
//
//   X(number, word, blocks, states, input, hidden, mixed, one, forward, backward)
//
//   number   value of bptt_cell, next after the elementwise cells and the rows before
//   word     name on the command line and in files
//   blocks   z has blocks*H columns, block k in columns k*H .. k*H + H - 1
//   states   S: a state has S*H columns; the first H are h, which the layer above and the decoder see
//   input    digits, one for each block of H rows of weight_ih in a file: the block of z that it computes. These are
//            the first blocks of z
//   hidden   likewise for weight_hh, whose product with h adds to z: neighbouring blocks; "": no such product
//   mixed    likewise for weight_mixed, whose product with u adds to z (MIXED_CELL_LIST); "": no such product. The
//            blocks of hidden and mixed together are the last ones of z
//   one      block of z whose bias_ih starts as 1 with init reference; -1: none
//   forward(whole, z, before, after)                    z [blocks]: pre-activations with biases, overwritten with the
//                                                       values that backward needs; before, after [S]: the states
//   backward(whole, z, before, after, dafter, dbefore)  z: as written by forward, overwritten with dz; dbefore [S]:
//                                                       the gradient of before on all paths but products
//
// A mixed cell has a second product inside a step, of u = mix(z, h):
//
//   X(number, blocks, mix, mix_backward)
//
//   mix(whole, z, h)               returns u; may overwrite the values of z that only it reads. Its biases are in z
//   mix_backward(whole, z, h, du)  overwrites the blocks of z that backward did not with dz; returns the gradient of h
//                                  on the paths through u but W_hh
//
// whole: a cell of whole numbers for comparisons of devices (BPTT_WHOLE); else 0. All functions use tanh_of,
// sigmoid_of, tanh_slope, sigmoid_slope and bounded of cells.h.
// -DGATED_CELLS_FILE replaces this file by another of the same form; tests/toy_cell.h is an example.
#ifndef GATED_CELL_LIST
// clang-format off
#define GATED_CELL_LIST(X) \
    X(2, "gru",        4, 1, "120",   "123",  "",     -1, gru_forward,        gru_backward) \
    X(3, "lstm",       4, 2, "0123",  "0123", "",      1, lstm_forward,       lstm_backward) \
    X(4, "mlstm",      6, 2, "01234", "5",    "1234",  2, mlstm_forward,      mlstm_backward) \
    X(5, "mingru",     2, 1, "01",    "",     "",     -1, mingru_forward,     mingru_backward) \
    X(6, "gru-before", 3, 1, "012",   "01",   "2",    -1, gru_before_forward, gru_before_backward)
#define MIXED_CELL_LIST(X) \
    X(4, 6, mlstm_mix, mlstm_mix_backward) \
    X(6, 3, gru_before_mix, gru_before_mix_backward)
// clang-format on
#endif

#if defined(GATED_CELL_FUNCTIONS) && !defined(GATED_CELLS_HERE)
#define GATED_CELLS_HERE

// (1 - u) a + u b, by a gate u, and the gradient of the gate's pre-activation, given d, that of the sum.
INLINE REAL blend(int whole, REAL u, REAL a, REAL b) { return bounded(whole, ADD(a, MUL(u, SUB(b, a)))); }
INLINE REAL blend_gate(int whole, REAL u, REAL a, REAL b, REAL d)
{
    return bounded(whole, MUL(MUL(d, SUB(b, a)), sigmoid_slope(whole, u)));
}

// GRU (Cho et al. 2014, in the form of cuDNN and PyTorch): z = n_x, r, u, n_h
//   r = sigmoid(r)   u = sigmoid(u)   n = tanh(n_x + r n_h)   h' = (1 - u) n + u h
// z keeps n, r, u, n_h.
INLINE void gru_forward(int whole, REAL *z, const REAL *before, REAL *after)
{
    z[1] = sigmoid_of(whole, z[1]);
    z[2] = sigmoid_of(whole, z[2]);
    z[0] = tanh_of(whole, ADD(z[0], MUL(z[1], z[3])));
    after[0] = blend(whole, z[2], z[0], before[0]);
}
INLINE void gru_backward(int whole, REAL *z, const REAL *before, const REAL *after, const REAL *dafter, REAL *dbefore)
{
    const REAL n = z[0], r = z[1], u = z[2], dh = dafter[0];
    const REAL dn = bounded(whole, MUL(MUL(dh, SUB(ONE, u)), tanh_slope(whole, n)));
    (void)after;
    z[0] = dn;
    z[1] = bounded(whole, MUL(MUL(dn, z[3]), sigmoid_slope(whole, r)));
    z[2] = blend_gate(whole, u, n, before[0], dh);
    z[3] = bounded(whole, MUL(dn, r));
    dbefore[0] = bounded(whole, MUL(dh, u));
}

// LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000): z = i, f, g, o; states h, c
//   c' = sigmoid(f) c + sigmoid(i) tanh(g)   h' = sigmoid(o) tanh(c')
// z keeps the gates.
INLINE void lstm_forward(int whole, REAL *z, const REAL *before, REAL *after)
{
    z[0] = sigmoid_of(whole, z[0]);
    z[1] = sigmoid_of(whole, z[1]);
    z[2] = tanh_of(whole, z[2]);
    z[3] = sigmoid_of(whole, z[3]);
    after[1] = bounded(whole, ADD(MUL(z[1], before[1]), MUL(z[0], z[2])));
    after[0] = bounded(whole, MUL(z[3], tanh_of(whole, after[1])));
}
INLINE void lstm_backward(int whole, REAL *z, const REAL *before, const REAL *after, const REAL *dafter, REAL *dbefore)
{
    const REAL i = z[0], f = z[1], g = z[2], o = z[3], dh = dafter[0], tanh_c = tanh_of(whole, after[1]);
    const REAL dc = bounded(whole, ADD(dafter[1], MUL(MUL(dh, o), tanh_slope(whole, tanh_c))));
    z[0] = bounded(whole, MUL(MUL(dc, g), sigmoid_slope(whole, i)));
    z[1] = bounded(whole, MUL(MUL(dc, before[1]), sigmoid_slope(whole, f)));
    z[2] = bounded(whole, MUL(MUL(dc, i), tanh_slope(whole, g)));
    z[3] = bounded(whole, MUL(MUL(dh, tanh_c), sigmoid_slope(whole, o)));
    dbefore[0] = ZERO;
    dbefore[1] = bounded(whole, MUL(dc, f));
}

// Multiplicative LSTM (Krause et al. 2016): z = m_x, i, f, g, o, m_h; the gates i, f, g, o are products of u, not of h
//   u = m_x m_h   then as LSTM
INLINE REAL mlstm_mix(int whole, REAL *z, REAL h)
{
    (void)h;
    return bounded(whole, MUL(z[0], z[5]));
}
INLINE REAL mlstm_mix_backward(int whole, REAL *z, REAL h, REAL du)
{
    const REAL m_x = z[0];
    (void)h;
    z[0] = bounded(whole, MUL(du, z[5]));
    z[5] = bounded(whole, MUL(du, m_x));
    return ZERO;
}
INLINE void mlstm_forward(int whole, REAL *z, const REAL *before, REAL *after)
{
    lstm_forward(whole, z + 1, before, after);
}
INLINE void mlstm_backward(int whole, REAL *z, const REAL *before, const REAL *after, const REAL *dafter, REAL *dbefore)
{
    lstm_backward(whole, z + 1, before, after, dafter, dbefore);
}

// minGRU (Feng et al. 2024): z = u, n; no product of h
//   h' = (1 - sigmoid(u)) h + sigmoid(u) n
INLINE void mingru_forward(int whole, REAL *z, const REAL *before, REAL *after)
{
    z[0] = sigmoid_of(whole, z[0]);
    z[1] = bounded(whole, z[1]);
    after[0] = blend(whole, z[0], before[0], z[1]);
}
INLINE void mingru_backward(int whole, REAL *z, const REAL *before, const REAL *after, const REAL *dafter,
                            REAL *dbefore)
{
    const REAL u = z[0], n = z[1], dh = dafter[0];
    (void)after;
    z[0] = blend_gate(whole, u, before[0], n, dh);
    z[1] = bounded(whole, MUL(dh, u));
    dbefore[0] = bounded(whole, MUL(dh, SUB(ONE, u)));
}

// GRU with the reset gate before the product (Cho et al. 2014; char-rnn): z = r, u, n; n is a product of r h
//   r = sigmoid(r)   n = tanh(n)   h' = (1 - sigmoid(u)) n + sigmoid(u) h
INLINE REAL gru_before_mix(int whole, REAL *z, REAL h)
{
    z[0] = sigmoid_of(whole, z[0]);
    return bounded(whole, MUL(z[0], h));
}
INLINE REAL gru_before_mix_backward(int whole, REAL *z, REAL h, REAL du)
{
    const REAL r = z[0];
    z[0] = bounded(whole, MUL(MUL(du, h), sigmoid_slope(whole, r)));
    return bounded(whole, MUL(du, r));
}
INLINE void gru_before_forward(int whole, REAL *z, const REAL *before, REAL *after)
{
    z[1] = sigmoid_of(whole, z[1]);
    z[2] = tanh_of(whole, z[2]);
    after[0] = blend(whole, z[1], z[2], before[0]);
}
INLINE void gru_before_backward(int whole, REAL *z, const REAL *before, const REAL *after, const REAL *dafter,
                                REAL *dbefore)
{
    const REAL u = z[1], n = z[2], dh = dafter[0];
    (void)after;
    z[1] = blend_gate(whole, u, n, before[0], dh);
    z[2] = bounded(whole, MUL(MUL(dh, SUB(ONE, u)), tanh_slope(whole, n)));
    dbefore[0] = bounded(whole, MUL(dh, u));
}
#endif
