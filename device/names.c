// The names of opcodes, cells, precisions and charges, and what an opcode's operands are.
#include "backend.h"

const char *const bptt_opcode_name[BPTT_OPCODES + 1] = {
#define ENTRY_NAME(name, function, roles, holds) #function,
    BPTT_OPCODE_LIST(ENTRY_NAME)
#undef ENTRY_NAME
        [BPTT_LOOP] = "loop"};

const char *const bptt_cell_word[BPTT_CELLS] = {
#define CELL_WORD(name, word) [BPTT_##name] = #word,
    BPTT_CELL_LIST(CELL_WORD)
#undef CELL_WORD
};

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
