// What every backend and the host share of backend.h: errors, sizes, views, names, numbers, a clock, and which device a
// name means.
#include "backend.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bptt_status bptt_fail(bptt_error *e, bptt_status code, const char *format, ...)
{
    if (!e) return code;
    e->code = code;
    va_list a;
    va_start(a, format);
    (void)vsnprintf(e->words, sizeof e->words, format, a);
    va_end(a);
    return code;
}

bptt_status bptt_size(size_t a, size_t b, size_t c, size_t *bytes, bptt_error *e)
{
    if ((b && a > SIZE_MAX / b) || (c && a * b > SIZE_MAX / c))
        return bptt_fail(e, BPTT_NO_MEMORY, "a block of %zu x %zu x %zu bytes is larger than any memory", a, b, c);
    *bytes = a * b * c;
    return BPTT_OK;
}

size_t bptt_type_size(bptt_type t)
{
    switch ((int)t) {
    case BPTT_F32:
    case BPTT_I32: return 4;
    case BPTT_F64:
    case BPTT_FP: return 8;
    case BPTT_BF16:
    case BPTT_F16: return 2;
    case BPTT_C128:
    case BPTT_DUAL: return 16;
    }
    return 0;
}

bptt_mat bptt_rows(bptt_mat m, size_t first, size_t count)
{
    m.at += m.t ? first : first * m.ld;
    m.rows = count;
    return m;
}

bptt_mat bptt_cols(bptt_mat m, size_t first, size_t count)
{
    m.at += m.t ? first * m.ld : first;
    m.cols = count;
    return m;
}

bptt_mat bptt_flip(bptt_mat m)
{
    const size_t rows = m.rows;
    m.rows = m.cols;
    m.cols = rows;
    m.t = !m.t;
    return m;
}

const char *const bptt_opcode_name[BPTT_OPCODES] = {
#define ENTRY_NAME(name, function, roles, holds) #function,
    BPTT_OPCODE_LIST(ENTRY_NAME)
#undef ENTRY_NAME
};

const char *const bptt_cell_word[BPTT_CELLS] = {
#define CELL_WORD(name, word) [BPTT_##name] = #word,
    BPTT_CELL_LIST(CELL_WORD)
#undef CELL_WORD
};

const char *const bptt_precision_word[BPTT_PRECISIONS] = {
#define PRECISION_WORD(name, word) [BPTT_PRECISION_##name] = #word,
    BPTT_PRECISION_LIST(PRECISION_WORD)
#undef PRECISION_WORD
};

const char *const bptt_opcode_roles[BPTT_OPCODES] = {
#define ENTRY_ROLES(name, function, roles, holds) roles,
    BPTT_OPCODE_LIST(ENTRY_ROLES)
#undef ENTRY_ROLES
};

const char *const bptt_opcode_holds[BPTT_OPCODES] = {
#define ENTRY_HOLDS(name, function, roles, holds) holds,
    BPTT_OPCODE_LIST(ENTRY_HOLDS)
#undef ENTRY_HOLDS
};

const char *const bptt_charge_name[BPTT_CHARGES] = {
#define ENTRY_NAME(name, function, roles, holds) #function,
    BPTT_OPCODE_LIST(ENTRY_NAME)
#undef ENTRY_NAME
        [BPTT_WINDOW_FORWARD] = "window_forward",
    [BPTT_WINDOW_BACKWARD] = "window_backward",
    [BPTT_WINDOW_OUTPUT] = "window_output",
    [BPTT_TRANSFER_IN] = "transfer_in",
    [BPTT_TRANSFER_OUT] = "transfer_out",
};

size_t bptt_chain_length(const bptt_plan *p, size_t i)
{
    const unsigned chain = p->op[i].chain;
    size_t n = 1;
    while (chain && i + n < p->ops && p->op[i + n].chain == chain) n++;
    return n;
}

unsigned bptt_charge_of(const bptt_op *first, size_t n)
{
    for (size_t i = 0; n > 1 && i < n; i++) {
        if (first[i].opcode == BPTT_CELL_FORWARD) return BPTT_WINDOW_FORWARD;
        if (first[i].opcode == BPTT_CELL_BACKWARD) return BPTT_WINDOW_BACKWARD;
        if (first[i].opcode == BPTT_SOFTMAX_XENT) return BPTT_WINDOW_OUTPUT;
    }
    return first->opcode;
}

double bptt_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bptt_convert(void *dst, bptt_type dst_type, size_t to, const void *src, bptt_type src_type, size_t from)
{
    const size_t n = bptt_type_size(dst_type), m = bptt_type_size(src_type);
    char *const d = (char *)dst + to * n;
    const char *const s = (const char *)src + from * m;
    if (dst_type == src_type) {
        memcpy(d, s, n);
        return;
    }
    double x[2] = {0, 0};
    float f;
    if (src_type == BPTT_F32) {
        memcpy(&f, s, sizeof f);
        x[0] = (double)f;
    } else
        memcpy(x, s, sizeof x[0]);
    if (dst_type == BPTT_F32) {
        f = (float)x[0];
        memcpy(d, &f, sizeof f);
    } else
        memcpy(d, x, n);
}

// Whether `part` is somewhere in `name`, in upper or lower case.
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
    return meant ? 1 + info->usable : 0; // why a device cannot be used is a better answer than none
}

// ---- modules --------------------------------------------------------------------------------------------------------

bptt_status bptt_abi_check(const bptt_abi *host, const char *file, bptt_error *e)
{
    const bptt_abi here = BPTT_ABI_HERE;
    const bool same = host->version == here.version && host->backend == here.backend && host->device == here.device &&
                      host->step == here.step && host->slots == here.slots && host->plan == here.plan &&
                      host->config == here.config && host->info == here.info;
    if (same) return BPTT_OK;
    return bptt_fail(e, BPTT_NO_BACKEND,
                     "%s belongs to another version of bptt (its interface is %u, bptt's %u): install both from one "
                     "build",
                     file, here.version, host->version);
}
