// The stand-in's memory. Device addresses have bit 60 set, so the host cannot dereference them. Addresses are never
// reused. Allocations have red zones around them and start filled with NaN.
#include "standin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZONE = 512, ZONE_BYTE = 0xA5, FRESH_BYTE = 0xFF, GAP = 1 << 16 };
#define DEVICE_BIT (UINT64_C(1) << 60)

typedef struct block {
    uint64_t at; // device: what the program knows; pinned: the host address
    size_t bytes;
    unsigned char *raw; // ZONE bytes before the first one
    unsigned number;
    bool fresh; // nobody was given a host address in it
    cu_context context;
} block;

// Sorted by address: the program's device memory, and its pinned host memory.
typedef struct blocks {
    block *at;
    size_t n;
} blocks;

static blocks device, pinned;

// Large ones that were freed are kept: the system takes longer to give such memory than the tests to use it.
enum { KEPT = 32, LARGE = 1 << 20 };
static struct {
    unsigned char *raw;
    size_t bytes;
    bool fresh;
} kept[KEPT];
static uint64_t next_address = DEVICE_BIT;
static unsigned made;

bool standin_is_device(uint64_t at) { return (at & DEVICE_BIT) != 0; }

// The last block that starts at or before `at`, or NULL.
static block *block_before(const blocks *b, uint64_t at)
{
    size_t low = 0, high = b->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (b->at[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &b->at[low - 1] : NULL;
}

// Zones and what lies between them are filled; NULL: there is no such memory.
static unsigned char *take(size_t bytes)
{
    size_t i = 0;
    while (i < KEPT && !(kept[i].raw && kept[i].bytes == bytes)) i++;
    unsigned char *raw = i < KEPT ? kept[i].raw : malloc(bytes + 2 * ZONE);
    if (!raw) return NULL;
    if (i == KEPT || !kept[i].fresh) memset(raw + ZONE, FRESH_BYTE, bytes);
    if (i < KEPT) kept[i].raw = NULL;
    memset(raw, ZONE_BYTE, ZONE);
    memset(raw + ZONE + bytes, ZONE_BYTE, ZONE);
    return raw;
}

static void give(const block *b)
{
    size_t i = b->bytes >= LARGE ? 0 : KEPT;
    while (i < KEPT && kept[i].raw) i++;
    if (i < KEPT)
        kept[i].raw = b->raw, kept[i].bytes = b->bytes, kept[i].fresh = b->fresh;
    else
        free(b->raw);
}

static block *add_block(blocks *b, size_t bytes)
{
    unsigned char *raw = take(bytes);
    if (!raw) return NULL;
    const uint64_t at = b == &device ? next_address : (uint64_t)(uintptr_t)(raw + ZONE);
    if (b == &device) next_address += (bytes + GAP + GAP) / GAP * GAP;
    size_t i = b->n++;
    b->at = standin_more(b->at, b->n, sizeof *b->at);
    for (; i && b->at[i - 1].at > at; i--) b->at[i] = b->at[i - 1];
    b->at[i] = (block){
        .at = at, .bytes = bytes, .raw = raw, .number = ++made, .fresh = b == &device, .context = standin_current()};
    return &b->at[i];
}

static void check_zone(const block *b)
{
    static unsigned char want[ZONE];
    if (!want[0]) memset(want, ZONE_BYTE, ZONE);
    const unsigned char *before = b->raw, *after = b->raw + ZONE + b->bytes;
    if (memcmp(before, want, ZONE) == 0 && memcmp(after, want, ZONE) == 0) return;
    for (size_t i = 0; i < ZONE; i++) {
        if (before[ZONE - 1 - i] != ZONE_BYTE)
            standin_die("somebody wrote before memory %u of %zu bytes, at -%zu", b->number, b->bytes, i + 1);
        if (after[i] != ZONE_BYTE)
            standin_die("somebody wrote after memory %u of %zu bytes, at +%zu", b->number, b->bytes, i);
    }
}

static void remove_block(blocks *all, block *b)
{
    check_zone(b);
    give(b);
    memmove(b, b + 1, (size_t)(all->at + all->n - b - 1) * sizeof *b);
    all->n--;
}

void standin_check_zones(void)
{
    for (size_t i = 0; i < device.n; i++) check_zone(&device.at[i]);
    for (size_t i = 0; i < pinned.n; i++) check_zone(&pinned.at[i]);
}

size_t standin_report_memory(void)
{
    for (size_t i = 0; i < device.n; i++)
        fprintf(stderr, "standin: leak: device memory %u of %zu bytes\n", device.at[i].number, device.at[i].bytes);
    for (size_t i = 0; i < pinned.n; i++)
        fprintf(stderr, "standin: leak: pinned memory %u of %zu bytes\n", pinned.at[i].number, pinned.at[i].bytes);
    return device.n + pinned.n;
}

// ---- addresses ------------------------------------------------------------------------------------------------------

const char *standin_where(uint64_t at)
{
    static char words[2][120];
    static unsigned turn;
    char *s = words[turn++ % 2];
    const bool on_device = standin_is_device(at);
    const block *b = block_before(on_device ? &device : &pinned, at);
    if (!b || (b->at + b->bytes <= at && !on_device))
        snprintf(s, sizeof words[0], "0x%" PRIx64 ", not in any %s memory", at, on_device ? "device" : "pinned");
    else
        snprintf(s, sizeof words[0], "%s memory %u (%zu bytes) + %" PRIu64, on_device ? "device" : "pinned", b->number,
                 b->bytes, at - b->at);
    return s;
}

static bool within(const block *b, uint64_t at, uint64_t bytes)
{
    return b && at - b->at <= b->bytes && bytes <= b->bytes - (at - b->at);
}

void *standin_host(uint64_t at, uint64_t bytes)
{
    block *b = block_before(standin_is_device(at) ? &device : &pinned, at);
    if (!within(b, at, bytes)) standin_die("%" PRIu64 " bytes at %s", bytes, standin_where(at));
    b->fresh = false;
    return b->raw + ZONE + (at - b->at);
}

static void check_area(const standin_op *op, const standin_area *a)
{
    if (!a->rows || !a->cols) return;
    const uint64_t bytes = (a->rows - 1) * a->down + (a->cols - 1) * a->across + a->size;
    const bool on_device = standin_is_device(a->at);
    if (within(block_before(on_device ? &device : &pinned, a->at), a->at, bytes)) return;
    standin_die("%s: out of bounds: %s, %" PRIu64 " x %" PRIu64 " by %" PRIu64 ", %" PRIu64 " (%" PRIu64
                " bytes from first to last) at %s",
                op->words, a->name, a->rows, a->cols, a->down, a->across, bytes, standin_where(a->at));
}

void standin_check_op(const standin_op *op)
{
    for (size_t i = 0; i < op->areas; i++) check_area(op, &op->area[i]);
}

// ---- the calls ------------------------------------------------------------------------------------------------------

static cu_result memory_info(size_t *unused, size_t *all)
{
    const size_t used = standin_current()->used;
    *all = standin_set()->memory;
    *unused = *all - (used < *all ? used : *all);
    return 0;
}

static cu_result allocate(cu_memory *memory, size_t bytes)
{
    if (!bytes) return standin_refuse(CU_INVALID_VALUE, "MemAlloc of 0 bytes");
    cu_context c = standin_current();
    if (bytes > standin_set()->memory || c->used > standin_set()->memory - bytes) return CU_OUT_OF_MEMORY;
    const block *b = add_block(&device, bytes);
    if (!b) return CU_OUT_OF_MEMORY;
    c->used += bytes;
    *memory = b->at;
    return 0;
}

// Waits for the device, as the real ones do.
static cu_result free_memory(blocks *all, uint64_t at)
{
    standin_drain();
    block *b = block_before(all, at);
    if (!b || b->at != at)
        standin_die("%s of 0x%" PRIx64 ", which was not allocated, or freed before",
                    all == &device ? "MemFree" : "MemFreeHost", at);
    if (all == &device) b->context->used -= b->bytes;
    remove_block(all, b);
    return 0;
}

static cu_result allocate_pinned(void **memory, size_t bytes, unsigned flags)
{
    if (!bytes || flags > 7) return standin_refuse(CU_INVALID_VALUE, "MemHostAlloc of %zu, flags %u", bytes, flags);
    const block *b = add_block(&pinned, bytes);
    if (!b) return CU_OUT_OF_MEMORY;
    *memory = b->raw + ZONE;
    return 0;
}

cu_result cuMemGetInfo_v2(size_t *unused, size_t *all)
{
    STANDIN_CALL(MemGetInfo, STANDIN_CONTEXT, memory_info(unused, all));
}
cu_result cuMemAlloc_v2(cu_memory *memory, size_t bytes)
{
    STANDIN_CALL(MemAlloc, STANDIN_CONTEXT | STANDIN_UNSAFE, allocate(memory, bytes));
}
cu_result cuMemFree_v2(cu_memory memory)
{
    STANDIN_CALL(MemFree, STANDIN_CONTEXT | STANDIN_UNSAFE | STANDIN_GIVES_BACK, free_memory(&device, memory));
}
cu_result cuMemHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    STANDIN_CALL(MemHostAlloc, STANDIN_CONTEXT | STANDIN_UNSAFE, allocate_pinned(memory, bytes, flags));
}
cu_result cuMemFreeHost(void *memory)
{
    STANDIN_CALL(MemFreeHost, STANDIN_CONTEXT | STANDIN_UNSAFE | STANDIN_GIVES_BACK,
                 free_memory(&pinned, (uint64_t)(uintptr_t)memory));
}
