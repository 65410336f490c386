// Names of opcodes, cells, precisions and charges, and the tables of opcodes and cells.
#include "backend.h"

const char *const bptt_opcode_name[BPTT_OPCODES + 1] = {
#define ENTRY_NAME(name, function, roles, holds) #function,
    BPTT_OPCODE_LIST(ENTRY_NAME)
#undef ENTRY_NAME
        [BPTT_LOOP] = "loop"};

const bptt_cell_row bptt_cell_table[] = {
#define PLAIN_ROW(name, word) [BPTT_##name] = {#word, 1, 1, "0", "0", "", -1},
#define GATED_ROW(number, word, blocks, states, input, hidden, mixed, one, forward, backward) \
    [number] = {word, blocks, states, input, hidden, mixed, one},
    BPTT_PLAIN_CELL_LIST(PLAIN_ROW) GATED_CELL_LIST(GATED_ROW)
#undef PLAIN_ROW
#undef GATED_ROW
};
const size_t bptt_cells = sizeof bptt_cell_table / sizeof *bptt_cell_table;

// Index of a row of the table; 0 for numbers that are not in it.
static size_t row_number(bptt_cell c)
{
    const size_t n = (size_t)c % BPTT_WHOLE;
    return n < bptt_cells ? n : 0;
}

const bptt_cell_row *bptt_cell_row_of(bptt_cell c) { return &bptt_cell_table[row_number(c)]; }

bool bptt_cell_is_gated(bptt_cell c) { return row_number(c) >= BPTT_PLAIN_CELLS; }

const char *const bptt_precision_word[BPTT_PRECISIONS] = {
#define PRECISION_WORD(name, word) [BPTT_PRECISION_##name] = #word,
    BPTT_PRECISION_LIST(PRECISION_WORD)
#undef PRECISION_WORD
};

const char *const bptt_opcode_roles[BPTT_OPCODES + 1] = {
#define ENTRY_ROLES(name, function, roles, holds) roles,
    BPTT_OPCODE_LIST(ENTRY_ROLES)
#undef ENTRY_ROLES
        [BPTT_LOOP] = ""};

const char *const bptt_opcode_holds[BPTT_OPCODES + 1] = {
#define ENTRY_HOLDS(name, function, roles, holds) holds,
    BPTT_OPCODE_LIST(ENTRY_HOLDS)
#undef ENTRY_HOLDS
        [BPTT_LOOP] = ""};

const char *const bptt_charge_name[BPTT_CHARGES] = {
#define ENTRY_NAME(name, function, roles, holds) #function,
    BPTT_OPCODE_LIST(ENTRY_NAME)
#undef ENTRY_NAME
        [BPTT_WINDOW_FORWARD] = "window_forward",
    [BPTT_WINDOW_BACKWARD] = "window_backward",
    [BPTT_WINDOW_OUTPUT] = "window_output",
    [BPTT_TRANSFER_IN] = "transfer_in",
    [BPTT_TRANSFER_OUT] = "transfer_out",
};
