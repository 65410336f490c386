// The table of one instruction set, after loops_text.h, gates_text.h and multiply_text.h. The including file defines
// LOOPS_NAME, LOOPS_CORE, LOOPS_MULTIPLY, LOOPS_PANEL, LOOPS_PACK and LOOPS_MULTIPLY_FLIPPED.
static const loops LOOPS(table) = {
    .name = LOOPS_NAME,
    .openblas_core = LOOPS_CORE,
    .cell_forward = LOOPS(cell_forward),
    .cell_backward = LOOPS(cell_backward),
    .gates_forward = LOOPS(gates_forward),
    .gates_backward = LOOPS(gates_backward),
    .mix = LOOPS(mix),
    .mix_backward = LOOPS(mix_backward),
    .add = LOOPS(add),
    .xent = LOOPS(xent),
    .sumsq = LOOPS(sumsq),
    .sigmoid = LOOPS(sigmoid),
    .update = LOOPS(update),
    .multiply = LOOPS_MULTIPLY,
    .panel = LOOPS_PANEL,
    .pack = LOOPS_PACK,
    .multiply_flipped = LOOPS_MULTIPLY_FLIPPED,
};
