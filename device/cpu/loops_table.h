// The table of one instruction set, after loops_text.h, gates_text.h and multiply_text.h. The including file defines
// LOOPS_NAME.
static const loops LOOPS(table) = {
    .name = LOOPS_NAME,
    .cell_forward = LOOPS(cell_forward),
    .cell_backward = LOOPS(cell_backward),
    .gates_forward = LOOPS(gates_forward),
    .gates_backward = LOOPS(gates_backward),
    .mix = LOOPS(mix),
    .mix_backward = LOOPS(mix_backward),
    .add = LOOPS(add),
    .xent = LOOPS(xent),
    .log_softmax = LOOPS(log_softmax),
    .sumsq = LOOPS(sumsq),
    .sigmoid = LOOPS(sigmoid),
    .update = LOOPS(update),
    .product = LOOPS(product),
    .room = LEFT + RIGHT,
    .packed_floats = LOOPS(packed_floats),
    .packed_blocks = LOOPS(packed_blocks),
    .pack = LOOPS(pack),
};
