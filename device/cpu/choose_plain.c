// Selects the inner loops of a processor that has none of its own.
#include "loops.h"

const loops *loops_of(bptt_isa isa) { return isa == BPTT_ISA_AUTO || isa == BPTT_ISA_PLAIN ? loops_plain() : NULL; }
