// `ref` over the numbers of proofs: the text of device/ref/ref_text.h again. No name opens these backends. The axioms
// and the arithmetic: number_*.h.
#ifndef REF_NUMBERS_H
#define REF_NUMBERS_H

#include "backend.h"

bptt_backend bptt_ref_c128(void); // double complex
bptt_backend bptt_ref_fp(void);   // integers modulo p
bptt_backend bptt_ref_dual(void); // dual numbers over those

#endif
