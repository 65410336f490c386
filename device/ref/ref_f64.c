// `ref` over double.
#include "number_f64.h"

#include "ref_text.h"

bptt_backend bptt_ref_f64(void) { return REF(backend)(); }
