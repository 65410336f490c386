// The one function that bptt-opencl.so exports.
#include "cl_internal.h"

BPTT_API bptt_module_function bptt_module;

bptt_status bptt_module(const bptt_abi *host, bptt_backend *table, bptt_error *e)
{
    const bptt_status s = bptt_abi_check(host, "bptt-opencl.so", e);
    if (s) return s;
    *table = bptt_opencl();
    return BPTT_OK;
}
