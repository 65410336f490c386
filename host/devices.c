// Device list, device of a model, profile, GEMM rate.
#include "backends.h"
#include "backend.h"
#include "model.h"
#include "modules.h"
#include "sized.h"

#include <stdio.h>
#include <string.h>

// Opens the device to test it.
static void try_device(const choice *c, bptt_device_info *info)
{
    bptt_device *d = NULL;
    bptt_error e = {0};
    *info = c->info;
    info->why[0] = '\0';
    if (open_picked(c, &(bptt_compute){0}, &d, &e)) {
        info->usable = 0;
        (void)snprintf(info->why_not, sizeof info->why_not, "%.255s", e.words);
        return;
    }
    fill_device_info(d, info);
    c->b.close(d);
}

// Row *i of a module: true. Past its last row: false, and *i is reduced by its number of rows.
static bool module_row(const char *name, size_t *i, bptt_device_info *info)
{
    choice c = {0};
    bptt_error e = {0};
    size_t rows = 0;
    bptt_status s = module_load(name, &c.b, &e);
    while (!s && rows <= *i) {
        c.info = (bptt_device_info){0};
        s = c.b.list(&c.b, rows, &c.info, &e);
        if (!s) rows++;
    }
    if (s && (rows > 0 || *i > 0)) {
        *i -= rows > 0 ? rows : 1;
        return false;
    }
    if (s) c.info = (bptt_device_info){0};
    (void)snprintf(c.info.backend, sizeof c.info.backend, "%s", name);
    if (s) (void)snprintf(c.info.why_not, sizeof c.info.why_not, "%.255s", e.words);
    if (c.info.usable)
        try_device(&c, info);
    else
        *info = c.info;
    return true;
}

static bptt_status describe_device(size_t i, bptt_device_info *info, bptt_error *error)
{
    static const char *const built_in[] = {"cpu", "ref"};
    enum { BUILT_IN = sizeof built_in / sizeof built_in[0] };
    if (i < BUILT_IN) {
        choice c;
        const bptt_status s = pick_device(&(bptt_compute){.backend = built_in[i]}, BPTT_F32, &c, error);
        if (!s) try_device(&c, info);
        return s;
    }
    size_t row = i - BUILT_IN;
    for (size_t k = 0; module_name(k); k++)
        if (module_row(module_name(k), &row, info)) return BPTT_OK;
    return bptt_fail(error, BPTT_BAD_INPUT, "there is no device %zu in the list", i);
}

bptt_status bptt_device_describe_sized(size_t i, bptt_device_info *info, size_t size, bptt_error *error)
{
    bptt_device_info whole = {0};
    if (!info) return bptt_fail(error, BPTT_BAD_INPUT, "`info` is NULL, but must point to a struct");
    const bptt_status s = describe_device(i, &whole, error);
    if (!s) struct_out(info, size, &whole, sizeof whole);
    return s;
}

void bptt_model_device_sized(const bptt_model *m, bptt_device_info *info, size_t size)
{
    struct_out(info, size, &m->info, sizeof m->info);
}

bptt_status bptt_model_profile(bptt_model *m, size_t i, int reset, const char **name, double *seconds,
                               bptt_error *error)
{
    if (!m || i >= BPTT_CHARGES)
        return bptt_fail(error, BPTT_BAD_INPUT, "the profile has %d rows; there is no row %zu", (int)BPTT_CHARGES, i);
    const bptt_status s = m->device->backend.sync(m->device, error); // includes submitted work
    if (s) return s;
    if (name) *name = bptt_charge_name[i];
    if (seconds) *seconds = m->device->spent[i];
    if (reset) m->device->spent[i] = 0;
    return BPTT_OK;
}

// Square matrices of this size reach the full GEMM rate.
enum { BEST = 1024 };

// Shortest time of one GEMM in seconds, measured for about `seconds`. On a device with a queue several are submitted
// at once, so that launch latency does not dominate.
static bptt_status best_product(bptt_device *d, const bptt_op *product, double seconds, double *best, bptt_error *e)
{
    const size_t at_once = d->backend.list ? 16 : 1;
    double spent = 0;
    bptt_status s = BPTT_OK;
    *best = 0;
    while (!s && (*best == 0 || spent < seconds)) {
        const double start = bptt_seconds();
        for (size_t i = 0; i < at_once; i++) d->backend.op[BPTT_GEMM](d, product, &(bptt_slots){0});
        s = d->backend.sync(d, e);
        const double took = bptt_seconds() - start;
        spent += took;
        if (*best == 0 || took / (double)at_once < *best) *best = took / (double)at_once;
    }
    return s;
}

bptt_status bptt_gemm_rate(const bptt_compute *on, double seconds, double *gflops, bptt_error *error)
{
    choice c;
    bptt_device *d = NULL;
    if (!on || !gflops)
        return bptt_fail(error, BPTT_BAD_INPUT, "bptt_gemm_rate needs a configuration and an output pointer");
    bptt_compute plain = *on;
    plain.profile = 0; // profiling synchronizes after each GEMM
    bptt_status s = pick_device(&plain, BPTT_F32, &c, error);
    if (!s) s = open_picked(&c, &plain, &d, error);
    if (s) return s;
    bptt_buf *block[LAYOUT_BLOCKS] = {0};
    bptt_mat x, y, z;
    const shape table[] = {{&x, BEST, BEST, c.b.real}, {&y, BEST, BEST, c.b.real}, {&z, BEST, BEST, c.b.real}};
    s = layout_alloc(d, table, 3, block, error);
    double best = 0;
    if (!s) s = best_product(d, &(bptt_op){.opcode = BPTT_GEMM, .alpha = 1, .arg = {x, y, z}}, seconds, &best, error);
    if (!s) *gflops = 2.0 * BEST * BEST * BEST / best * 1e-9;
    layout_free(d, block);
    c.b.close(d);
    return s;
}
