// The gated cells: every row of their table, and their mathematics for one unit, in the macros of cells.h.
//
//   X(number, word, gates, states, order, forward, backward)
//
//   number   of bptt_cell: the elementwise cells come first, without a gap
//   word     on the command line and in files
//   gates    G: z and the biases have G*H columns, gate k in columns k*H .. k*H + H - 1
//   states   S: a state has S*H columns; the first H are h, which the layer above and the decoder see
//   order    digits: the k-th block of H rows of the weights in a file (PyTorch's order) is gate order[k]; "": the same
//   forward(z, before, after)                     z [G]: pre-activations with their biases, overwritten by what the
//                                                 reverse pass needs; before, after [S]: the unit's states
//   backward(z, before, after, dafter, dbefore)   z: as forward left it, overwritten by dz; dbefore [S]: what reaches
//                                                 the states before by other ways than the product with W_hh
//
// A file of this form may stand in for this one (-DGATED_CELLS_FILE): tests/toy_cell.h registers one that way.
#ifndef GATED_CELL_LIST
#define GATED_CELL_LIST(X)
#endif
