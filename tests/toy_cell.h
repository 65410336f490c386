// A gated cell with three gates and two states, for test_toy_cell: all that a new cell is, in one file and one row. Of
// pre-activations z and states h, c:
//   a, b, g = tanh z0, tanh z1, tanh z2      c' = b c + a g      h' = a h + g c'
// z keeps a, b, g. In a file the blocks of rows are those of g, a, b.
#ifndef GATED_CELL_LIST
#define GATED_CELL_LIST(X) X(2, "toy_cell", 3, 2, "201", "201", "", -1, toy_cell_forward, toy_cell_backward)
#define MIXED_CELL_LIST(X)
#endif

#if defined(GATED_CELL_FUNCTIONS) && !defined(TOY_CELL_FUNCTIONS)
#define TOY_CELL_FUNCTIONS

INLINE void toy_cell_forward(int whole, REAL *z, const REAL *before, REAL *after)
{
    (void)whole;
    for (int k = 0; k < 3; k++) z[k] = TANH(z[k]);
    after[1] = ADD(MUL(z[1], before[1]), MUL(z[0], z[2]));
    after[0] = ADD(MUL(z[0], before[0]), MUL(z[2], after[1]));
}

INLINE void toy_cell_backward(int whole, REAL *z, const REAL *before, const REAL *after, const REAL *dafter,
                              REAL *dbefore)
{
    (void)whole; // not compared in whole numbers
    const REAL a = z[0], b = z[1], g = z[2], dc = ADD(dafter[1], MUL(dafter[0], g));
    const REAL da = ADD(MUL(dafter[0], before[0]), MUL(dc, g)), db = MUL(dc, before[1]);
    const REAL dg = ADD(MUL(dafter[0], after[1]), MUL(dc, a));
    z[0] = MUL(da, SUB(ONE, MUL(a, a)));
    z[1] = MUL(db, SUB(ONE, MUL(b, b)));
    z[2] = MUL(dg, SUB(ONE, MUL(g, g)));
    dbefore[0] = MUL(dafter[0], a);
    dbefore[1] = MUL(dc, b);
}
#endif
