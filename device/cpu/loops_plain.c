// Inner loops for any processor.
#define LOOPS(name) plain_##name
#define LOOPS_NAME "plain C"
#define LOOPS_CORE NULL
#define LOOPS_MULTIPLY NULL
#define LOOPS_PANEL 0
#define LOOPS_PACK NULL
#define LOOPS_MULTIPLY_FLIPPED NULL

#include "loops_text.h"

#include "gates_text.h"

#include "loops_table.h"

const loops *loops_plain(void) { return &plain_table; }
