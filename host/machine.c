// Queries of the machine: available memory.
#include "machine.h"

#include <unistd.h>

size_t machine_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || bytes <= 0 || (size_t)pages > SIZE_MAX / (size_t)bytes) return SIZE_MAX;
    return (size_t)pages * (size_t)bytes;
}

static bptt_status require_bytes(size_t bytes, size_t most, const char *whose, const char *what, bptt_error *e)
{
    if (bytes <= most) return BPTT_OK;
    return bptt_fail(e, BPTT_NO_MEMORY,
                     "%s needs about %.0f MB, but %.150s has %.0f; lower `hidden`, `layers`, `batch` or `steps`", what,
                     (double)bytes / 1e6, whose, (double)most / 1e6);
}

bptt_status check_memory(const bptt_device *d, size_t bytes, size_t host, const char *what, bptt_error *e)
{
    const size_t sum = bytes > SIZE_MAX - host ? SIZE_MAX : bytes + host;
    if (!d || d->memory == 0) return require_bytes(sum, machine_memory(), "the machine", what, e);
    const bptt_status s = require_bytes(bytes, d->memory, d->backend.describe(d), what, e);
    return s ? s : require_bytes(host, machine_memory(), "the machine", what, e);
}
