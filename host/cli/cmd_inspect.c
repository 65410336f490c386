// bptt inspect: what a safetensors file holds.
#include "cli.h"
#include "jsonl.h"
#include "safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_checksum(const char *key) { return strncmp(key, "crc32c", 6) == 0; }

// Text out of a file that may come from anywhere: no control characters reach the terminal.
static void put_safely(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        const bool c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0; // such as CSI, in UTF-8
        if (*c >= 0x20 && *c != 0x7F && !c1) {
            putchar(*c);
            continue;
        }
        printf("\\x%02X", *c);
        if (c1) printf("\\x%02X", *++c);
    }
}

static void put_shape(const st_tensor *t)
{
    char shape[200] = "";
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%" PRIu64, i ? " x " : "", t->shape[i]);
    printf("%-16s", t->rank ? shape : "scalar");
}

static void print_table(const st_reader *r, const char *path)
{
    uint64_t bytes = 0;
    size_t checksums = 0;
    for (size_t i = 0; i < st_count(r); i++) bytes += st_at(r, i)->end - st_at(r, i)->begin;
    put_safely(path);
    printf(": %zu tensor%s, %" PRIu64 " bytes of data\n\n", st_count(r), st_count(r) == 1 ? "" : "s", bytes);
    for (size_t i = 0; i < st_count(r); i++) {
        const st_tensor *t = st_at(r, i);
        printf("%-5s ", st_dtype_name(t->dtype));
        put_shape(t);
        putchar(' ');
        put_safely(t->name);
        putchar('\n');
    }
    putchar('\n');
    for (size_t i = 0; i < st_metadata_count(r); i++) {
        const st_pair p = st_metadata_at(r, i);
        checksums += is_checksum(p.key);
        if (is_checksum(p.key)) continue;
        put_safely(p.key);
        fputs(": ", stdout);
        put_safely(p.value);
        putchar('\n');
    }
    printf("checksums: %zu\n", checksums);
}

static exit_code print_json(const st_reader *r)
{
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_open(&j, "tensors", '[');
    for (size_t i = 0; i < st_count(r); i++) {
        const st_tensor *t = st_at(r, i);
        jsonl_open(&j, NULL, '{');
        jsonl_text(&j, "name", t->name);
        jsonl_text(&j, "dtype", st_dtype_name(t->dtype));
        jsonl_open(&j, "shape", '[');
        for (int k = 0; k < t->rank; k++) jsonl_count(&j, NULL, t->shape[k]);
        jsonl_close(&j, ']');
        jsonl_count(&j, "bytes", t->end - t->begin);
        jsonl_close(&j, '}');
    }
    jsonl_close(&j, ']');
    jsonl_open(&j, "metadata", '{');
    for (size_t i = 0; i < st_metadata_count(r); i++)
        jsonl_text(&j, st_metadata_at(r, i).key, st_metadata_at(r, i).value);
    jsonl_close(&j, '}');
    return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
}

exit_code run_inspect(const options *o)
{
    st_reader *r = NULL;
    bptt_error e = {0};
    if (st_read_open(o->argument[0], 0, &r, &e) != BPTT_OK) return complain_of(&e);
    exit_code code = CODE_OK;
    if (o->value[OPT_JSON].given)
        code = print_json(r);
    else
        print_table(r, o->argument[0]);
    st_read_close(r);
    return code;
}
