// What bptt-opencl.so shows: one function.
#include "cl_own.h"

BPTT_API bptt_module_function bptt_module;

bptt_status bptt_module(const bptt_abi *host, bptt_backend *table, bptt_error *e)
{
    const bptt_abi here = BPTT_ABI_HERE;
    const bool same = host->version == here.version && host->backend == here.backend && host->device == here.device &&
                      host->step == here.step && host->slots == here.slots && host->plan == here.plan &&
                      host->config == here.config && host->info == here.info;
    if (!same)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "bptt-opencl.so belongs to another version of bptt (its interface is %u, bptt's %u): install "
                         "both from one build",
                         here.version, host->version);
    *table = bptt_opencl();
    return BPTT_OK;
}
