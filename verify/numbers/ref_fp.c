// `ref` over integers modulo p.
#include "number_fp.h"

#include "exact.h"
#include "ref_numbers.h"
#include "ref_text.h"

bptt_backend bptt_ref_fp(void)
{
    bptt_backend b = REF(backend)();
    b.write = exact_write, b.read = exact_read;
    return b;
}
