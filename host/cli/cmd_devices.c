// bptt devices: every backend and its devices, with the reason if one cannot be used.
#include "cli.h"
#include "jsonl.h"

#include <stdio.h>
#include <string.h>

static const char *kind_word(bptt_kind k)
{
    return k == BPTT_GPU ? "GPU" : k == BPTT_ACCELERATOR ? "accelerator" : "CPU";
}

// ", 12.3 GB"; empty if unknown.
static const char *memory_words(uint64_t bytes, char out[24])
{
    const bool large = bytes >= 1000000000;
    if (bytes == 0) return "";
    snprintf(out, 24, ", %.1f %s", (double)bytes / (large ? 1e9 : 1e6), large ? "GB" : "MB");
    return out;
}

// Appends "; results bit-identical to the host" and exceptions (" but for products"); nothing if unknown.
static void put_bits(const char *bits)
{
    static const char same[] = "same bits";
    const size_t n = strncmp(bits, same, sizeof same - 1) == 0 ? sizeof same - 1 : 0;
    if (*bits) printf("; results %s%s", n ? "bit-identical to the host" : "", bits + n);
}

static void print_reason(int at, const char *why_not)
{
    char text[sizeof((bptt_device_info){0}.why_not) + 16];
    snprintf(text, sizeof text, "not usable: %s", why_not);
    print_wrapped(stdout, text, at, 12);
}

static void print_device(const bptt_device_info *d)
{
    char memory[24];
    if (!d->usable && !d->device[0]) {
        print_reason(printf("%-8s -  ", d->backend), d->why_not);
        return;
    }
    printf("%-8s %u  %s\n", d->backend, d->number, d->device);
    printf("            %s%s", kind_word(d->kind), memory_words(d->memory, memory));
    put_bits(d->bits);
    putchar('\n');
    if (d->platform[0]) printf("            %s\n", d->platform);
    if (!d->usable) print_reason(0, d->why_not);
}

static void add_device(jsonl *j, const bptt_device_info *d)
{
    jsonl_open(j, NULL, '{');
    jsonl_text(j, "backend", d->backend);
    jsonl_count(j, "number", d->number);
    jsonl_flag(j, "usable", d->usable != 0);
    jsonl_text(j, "platform", d->platform);
    jsonl_text(j, "device", d->device);
    jsonl_text(j, "kind", kind_word(d->kind));
    jsonl_count(j, "memory", d->memory);
    jsonl_text(j, "bits", d->bits);
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
        else
            print_device(&d);
    }
    jsonl_close(&j, ']');
    if (as_json) return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
    jsonl_free(&j);
    return CODE_OK;
}
