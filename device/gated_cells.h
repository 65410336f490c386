// The gated cells: the rows of their table, and their mathematics for one unit, in the macros of cells.h.
//
//   X(number, word, gates, states, order, forward, backward)
//
//   number   value of bptt_cell, next after the elementwise cells and the rows before
//   word     name on the command line and in files
//   gates    G: z and the biases have G*H columns, gate k in columns k*H .. k*H + H - 1
//   states   S: a state has S*H columns; the first H are h, which the layer above and the decoder see
//   order    digits: the k-th block of H rows of the weights in a file (PyTorch's order) is gate order[k]; "": the same
//   forward(z, before, after)                     z [G]: pre-activations with biases, overwritten with the values that
//                                                 backward needs; before, after [S]: the states of the unit
//   backward(z, before, after, dafter, dbefore)   z: as written by forward, overwritten with dz; dbefore [S]: the
//                                                 gradient of before on all paths but W_hh
//
// -DGATED_CELLS_FILE replaces this file by another of the same form; tests/toy_cell.h is an example.
#ifndef GATED_CELL_LIST
#define GATED_CELL_LIST(X)
#endif
