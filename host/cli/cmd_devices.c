// bptt devices: every backend, and why it cannot be used where it cannot.
#include "cli.h"
#include "jsonl.h"

#include <stdio.h>

static void add_device(jsonl *j, const bptt_device_info *d)
{
    jsonl_open(j, NULL, '{');
    jsonl_text(j, "backend", d->backend);
    jsonl_flag(j, "usable", d->usable != 0);
    jsonl_text(j, "device", d->device);
    jsonl_count(j, "threads", d->threads);
    jsonl_text(j, "why_not", d->why_not);
    jsonl_close(j, '}');
}

exit_code run_devices(const options *o)
{
    const bool as_json = o->value[OPT_JSON].given;
    bptt_device_info d;
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_open(&j, "devices", '[');
    for (size_t i = 0; bptt_device_describe(i, &d, NULL) == BPTT_OK; i++) {
        if (as_json)
            add_device(&j, &d);
        else if (d.usable)
            printf("%-8s %s\n", d.backend, d.device);
        else
            printf("%-8s not usable: %s\n", d.backend, d.why_not);
    }
    jsonl_close(&j, ']');
    if (as_json) return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
    jsonl_free(&j);
    return CODE_OK;
}
