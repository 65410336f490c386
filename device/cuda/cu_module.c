// The one function that bptt-cuda.so exports.
#include "cu_internal.h"

BPTT_API bptt_module_function bptt_module;

bptt_status bptt_module(const bptt_abi *host, bptt_backend *table, bptt_error *e)
{
    const bptt_status s = bptt_abi_check(host, "bptt-cuda.so", e);
    if (s) return s;
    *table = bptt_cuda();
    return BPTT_OK;
}
