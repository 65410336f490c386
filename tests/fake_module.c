// A module as a test wants it: `ref` under the name FAKE_NAME, with a list of made-up devices. Built several times:
// FAKE_ABI is added to the version of the seam, FAKE_SYMBOL is what the one function is called.
#include "host_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// So that a test sees whether it was loaded.
__attribute__((constructor)) static void tell(void)
{
    static const char words[] = "the fake module is here\n";
    if (getenv("BPTT_FAKE_TELL")) (void)!write(STDERR_FILENO, words, sizeof words - 1);
}

static bptt_status fake_list(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e)
{
    static const char *const device[] = {"Fake CPU", "Fake Graphics 7000", "Fake Graphics 8000"};
    if (i >= sizeof device / sizeof device[0]) return bptt_fail(e, BPTT_BAD_INPUT, "no device %zu of %s", i, b->name);
    *info = (bptt_device_info){.number = (unsigned)i, .kind = i ? BPTT_GPU : BPTT_CPU, .memory = 1 << 30};
    (void)snprintf(info->platform, sizeof info->platform, "Fake Platform 1.2");
    (void)snprintf(info->device, sizeof info->device, "%s", device[i]);
    info->usable = i != 1;
    if (i == 1) (void)snprintf(info->why_not, sizeof info->why_not, "it has no memory");
    return BPTT_OK;
}

static bptt_status fake_open(const bptt_backend *b, const bptt_device_config *c, bptt_device **d, bptt_error *e)
{
    const char *broken = getenv("BPTT_FAKE_BROKEN");
    if (broken && c->device && strcmp(broken, c->device) == 0)
        return bptt_fail(e, BPTT_DEVICE, "its compiler is missing");
    return host_open(b, c, d, e);
}

bptt_status FAKE_SYMBOL(const bptt_abi *host, bptt_backend *table, bptt_error *e);
__attribute__((visibility("default"))) bptt_status FAKE_SYMBOL(const bptt_abi *host, bptt_backend *table, bptt_error *e)
{
    const unsigned here = BPTT_ABI_VERSION + FAKE_ABI;
    if (host->version != here || host->backend != sizeof *table)
        return bptt_fail(e, BPTT_NO_BACKEND, "it was built for version %u of the seam, this is %u", here,
                         host->version);
    *table = bptt_ref_f32();
    table->name = FAKE_NAME;
    table->list = fake_list;
    table->open = fake_open;
    return BPTT_OK;
}
