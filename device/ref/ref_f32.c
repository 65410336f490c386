// `ref` over float.
#include "number_f32.h"

#include "ref_text.h"

bptt_backend bptt_ref_f32(void) { return REF(backend)(); }
