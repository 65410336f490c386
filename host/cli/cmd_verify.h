// bptt verify over a table of parts: the real one, or one of a test.
#ifndef CMD_VERIFY_H
#define CMD_VERIFY_H

#include "cli.h"
#include "verify.h"

// Runs the parts selected by the options and prints their claims. FAILED if a claim does not hold.
exit_code verify_parts(const options *o, const verify_row *rows, size_t n);

#endif
