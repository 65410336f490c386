// `ref` over dual numbers modulo p.
#include "number_dual.h"

#include "exact.h"
#include "ref_numbers.h"
#include "ref_text.h"

bptt_backend bptt_ref_dual(void)
{
    bptt_backend b = REF(backend)();
    b.write = exact_write, b.read = exact_read;
    return b;
}
