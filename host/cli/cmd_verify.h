// bptt verify over any table of parts: the one that there is, or a test's.
#ifndef CMD_VERIFY_H
#define CMD_VERIFY_H

#include "cli.h"
#include "verify.h"

// Prints what the parts say that the options ask for. FAILED if a claim does not hold.
exit_code verify_parts(const options *o, const verify_row *rows, size_t n);

#endif
