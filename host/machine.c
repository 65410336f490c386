// What the host asks the machine.
#include "machine.h"

#include <time.h>
#include <unistd.h>

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

size_t machine_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || bytes <= 0 || (size_t)pages > SIZE_MAX / (size_t)bytes) return SIZE_MAX;
    return (size_t)pages * (size_t)bytes;
}

bptt_status machine_has(size_t bytes, const char *what, bptt_error *e)
{
    if (bytes <= machine_memory()) return BPTT_OK;
    return bptt_fail(e, BPTT_NO_MEMORY,
                     "%s needs about %.0f MB, but the machine has %.0f; lower --hidden, --layers, --batch or --steps",
                     what, (double)bytes / 1e6, (double)machine_memory() / 1e6);
}
