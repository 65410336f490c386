// A fake backend module: `ref` under the name FAKE_NAME, with a list of made-up devices, the last of them FAKE_GPU.
// Build options: FAKE_ABI is added to the ABI version, FAKE_SYMBOL names the exported function, FAKE_PRECISIONS are the
// precisions that it claims. It does not round, but handles a loss scale as GUARD does. Environment: BPTT_FAKE_TELL:
// print when loaded; BPTT_FAKE_ABSENT=NAME: module NAME has no driver; BPTT_FAKE_BROKEN=NAME:NUMBER: that device does
// not open.
#include "host_memory.h"

#include <math.h>
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
    static const char *const device[] = {"Fake CPU", "Fake Graphics 7000", FAKE_GPU};
    const char *absent = getenv("BPTT_FAKE_ABSENT");
    if (absent && strcmp(absent, b->name) == 0)
        return bptt_fail(e, BPTT_NO_BACKEND, "libfake.so.1 was not found: install its driver");
    if (i >= sizeof device / sizeof device[0]) return bptt_fail(e, BPTT_BAD_INPUT, "no device %zu of %s", i, b->name);
    *info = (bptt_device_info){.number = (unsigned)i, .kind = i ? BPTT_GPU : BPTT_CPU, .memory = 1 << 30};
    (void)snprintf(info->platform, sizeof info->platform, "Fake Platform 1.2");
    (void)snprintf(info->device, sizeof info->device, "%s", device[i]);
    info->usable = i != 1;
    if (i == 1) (void)snprintf(info->why_not, sizeof info->why_not, "it has no memory");
    return BPTT_OK;
}

static bptt_status fake_open(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    const char *broken = getenv("BPTT_FAKE_BROKEN");
    char name[64];
    snprintf(name, sizeof name, "%s:%s", b->name, c->device ? c->device : "");
    if (broken && strcmp(broken, name) == 0) return bptt_fail(e, BPTT_DEVICE, "its compiler is missing");
    return host_open(b, c, d, e);
}

// fp16's largest number, made small, so that gradients meet it.
static const double largest = 1000;

// GUARD in a plan with a loss scale (device/backend.h).
static bptt_status guard(bptt_device *d, bptt_mat stat_at, bptt_mat scale_at)
{
    double stat[BPTT_OUTPUTS], scale[2];
    bptt_status s = d->backend.read(d, stat, BPTT_F64, stat_at, NULL);
    if (!s) s = d->backend.read(d, scale, BPTT_F64, scale_at, NULL);
    if (s || stat[STAT_BLOCKED] != 0) return s;
    if (isfinite(stat[STAT_LOSS]) && !isfinite(stat[STAT_SUMSQ]) && scale[0] > 1) {
        scale[0] /= 2, scale[1] = 0, stat[STAT_SKIPPED] = 1;
    } else if (!isfinite(stat[STAT_LOSS]) || !isfinite(stat[STAT_SUMSQ])) {
        stat[STAT_BLOCKED] = 1;
    } else {
        stat[STAT_SKIPPED] = 0;
        if (++scale[1] == 2000) scale[1] = 0, scale[0] = scale[0] < 0x1p24 ? 2 * scale[0] : scale[0];
    }
    s = d->backend.write(d, stat_at, stat, BPTT_F64, NULL);
    return s ? s : d->backend.write(d, scale_at, scale, BPTT_F64, NULL);
}

// As if a gradient had been multiplied by the scale and rounded to fp16; out holds the sum of its squares.
static bptt_status overflow(bptt_device *d, bptt_mat out, bptt_mat scale_at)
{
    double squares, scale[2];
    bptt_status s = d->backend.read(d, &squares, BPTT_F64, out, NULL);
    if (!s) s = d->backend.read(d, scale, BPTT_F64, scale_at, NULL);
    if (s || scale[0] * sqrt(squares) <= largest) return s;
    return d->backend.write(d, out, &(double){INFINITY}, BPTT_F64, NULL);
}

typedef struct fake_walk {
    bptt_device *d;
    const bptt_plan *p;
    const bptt_slots *slots;
    bptt_status status;
} fake_walk;

static void fake_op(void *with, const bptt_op *op)
{
    fake_walk *w = with;
    if (w->status) return;
    if (op->opcode == BPTT_GUARD)
        w->status = guard(w->d, op->arg[0], w->p->scale);
    else
        w->d->backend.op[op->opcode](w->d, op, w->slots);
    if (op->opcode == BPTT_SUMSQ) w->status = overflow(w->d, op->arg[1], w->p->scale);
}

static bptt_status fake_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    const bptt_plan *p = ((host_plan *)handle)->plan;
    if (!p->scale.buf) return host_run(d, handle, slots, e);
    fake_walk w = {d, p, slots, host_begin(d, p, slots, e)};
    if (!w.status) bptt_walk_plan(p, &(bptt_walk){.one = fake_op, .with = &w});
    return w.status ? w.status : host_end(d, handle, e);
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
    table->run = fake_run;
    table->precisions = FAKE_PRECISIONS;
    table->logits_at_a_time = FAKE_PRECISIONS ? 2000 : 0;
    return BPTT_OK;
}
