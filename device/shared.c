// Matches a device with a request, and checks the interface of a module.
#include "backend.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// True if `name` contains `part`, ignoring case.
static bool holds(const char *name, const char *part)
{
    for (; *part && *name; name++) {
        size_t n = 0;
        while (part[n] && tolower((unsigned char)name[n]) == tolower((unsigned char)part[n])) n++;
        if (!part[n]) return true;
    }
    return false;
}

int bptt_suits(const bptt_device_info *info, const char *device)
{
    static const int of_kind[] = {[BPTT_CPU] = 1, [BPTT_ACCELERATOR] = 2, [BPTT_GPU] = 3};
    if (!device) return info->usable ? of_kind[info->kind] : 0;
    const bool meant = *device && device[strspn(device, "0123456789")] == '\0'
                           ? strtoull(device, NULL, 10) == info->number
                           : holds(info->device, device) || holds(info->platform, device);
    return meant ? 1 + info->usable : 0; // an unusable device still matches: the caller reports why_not
}

// ---- modules --------------------------------------------------------------------------------------------------------

bptt_status bptt_abi_check(const bptt_abi *host, const char *file, bptt_error *e)
{
    const bptt_abi here = BPTT_ABI_HERE;
    const bool same = host->version == here.version && host->backend == here.backend && host->device == here.device &&
                      host->op == here.op && host->slots == here.slots && host->plan == here.plan &&
                      host->config == here.config && host->info == here.info;
    if (same) return BPTT_OK;
    return bptt_fail(e, BPTT_NO_BACKEND,
                     "%s belongs to another version of bptt (its interface is %u, bptt's %u): install both from one "
                     "build",
                     file, here.version, host->version);
}
