// `ref` over double complex.
#include "number_c128.h"

#include "ref_numbers.h"
#include "ref_text.h"

bptt_backend bptt_ref_c128(void) { return REF(backend)(); }
