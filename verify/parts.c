// Table of the parts of `bptt verify`. A new part is a row.
#include "verify.h"

// clang-format off
const verify_row verify_table[] = {
    {"cell", verify_cell, true},
    {"unroll", verify_unroll, true},
    {"builders", verify_builders, true},
    {"activation", verify_activation, true},
    {"device", verify_device, true},
    {"trace", verify_trace, false},
};
// clang-format on
const size_t verify_rows = sizeof verify_table / sizeof verify_table[0];
