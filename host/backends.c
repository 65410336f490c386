// Which backends there are, and which device a name means.
#include "backends.h"
#include "machine.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The device that suits best, the first of equals, of a backend with a list.
static bptt_status pick(const bptt_backend *b, const char *device, bptt_device_info *out, bptt_error *e)
{
    bptt_device_info info = {0}, best = {0};
    bptt_error why = {0};
    bptt_status s = BPTT_OK;
    size_t n = 0;
    int most = 0;
    for (; !(s = b->list(b, n, &info, &why)); n++) {
        const int how = bptt_suits(&info, device);
        if (n == 0 || how > most) best = info, most = how;
    }
    if (n == 0) return bptt_fail(e, s == BPTT_BAD_INPUT ? BPTT_NO_BACKEND : s, "%.500s", why.words);
    if (device && most == 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "backend %s has no device \"%.60s\" among its %zu; bptt devices lists them", b->name, device,
                         n);
    if (!best.usable)
        return bptt_fail(e, BPTT_NO_BACKEND, "device %u of backend %s, %s, cannot be used: %s", best.number, b->name,
                         best.device, best.why_not);
    *out = best;
    return BPTT_OK;
}

bptt_status choose_on(const bptt_backend *b, const char *device, choice *c, bptt_error *e)
{
    choice made = {.b = *b};
    if (!b->list && device && strcmp(device, "0") != 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "backend %s has one device, the machine, which is number 0; \"%.60s\" may be one of another "
                         "backend (bptt devices)",
                         b->name, device);
    const bptt_status s = b->list ? pick(b, device, &made.info, e) : BPTT_OK;
    if (s) return s;
    (void)snprintf(made.info.backend, sizeof made.info.backend, "%s", b->name);
    (void)snprintf(made.info.why, sizeof made.info.why, "asked for");
    *c = made;
    return BPTT_OK;
}

static choice choose_host(bptt_backend b)
{
    choice c = {.b = b};
    (void)snprintf(c.info.backend, sizeof c.info.backend, "%s", b.name);
    return c;
}

// The whole reason where it fits, else what it begins with: sentences here are "this: because that".
static void put_reason(char why[128], const char *before, const char *reason)
{
    const size_t room = 127 - strlen(before), n = strlen(reason), head = strcspn(reason, ":");
    (void)snprintf(why, 128, "%s%.*s", before, (int)(n <= room || head > room ? room : head), reason);
}

void choose_best(const bptt_backend *gpus, const char *absent, choice *c)
{
    bptt_device_info info = {0};
    bptt_error why = {0};
    char reason[300];
    size_t i = 0;
    bptt_status s = gpus ? BPTT_OK : BPTT_NO_BACKEND;
    (void)snprintf(reason, sizeof reason, "%.299s", absent ? absent : "");
    for (; !s && !(s = gpus->list(gpus, i, &info, &why)); i++) {
        if (info.kind != BPTT_GPU) continue;
        if (info.usable) {
            *c = (choice){.b = *gpus, .info = info, .ours = true};
            (void)snprintf(c->info.backend, sizeof c->info.backend, "%s", gpus->name);
            (void)snprintf(c->info.why, sizeof c->info.why, "a GPU");
            return;
        }
        (void)snprintf(reason, sizeof reason, "%.120s cannot be used: %.150s", info.device, info.why_not);
    }
    if (gpus && i == 0) (void)snprintf(reason, sizeof reason, "%.299s", why.words);
    *c = choose_host(bptt_cpu());
    if (!reason[0]) (void)snprintf(reason, sizeof reason, "backend %s lists none", gpus->name);
    put_reason(c->info.why, "no GPU was found: ", reason);
}

choice choose_instead(const choice *failed, const char *why)
{
    choice c = choose_host(bptt_cpu());
    char before[100];
    (void)snprintf(before, sizeof before, "%.60s did not open: ", failed->info.device);
    put_reason(c.info.why, before, why);
    return c;
}

static bptt_status choose_auto(const char *device, bptt_type type, choice *c, bptt_error *e)
{
    bptt_backend gpus;
    bptt_error absent = {0};
    if (type == BPTT_F64 && !device) {
        *c = choose_host(bptt_ref_f64());
        (void)snprintf(c->info.why, sizeof c->info.why, "double precision");
        return BPTT_OK;
    }
    const bptt_status s = module_load("opencl", &gpus, &absent);
    if (device && s) return bptt_fail(e, s, "device \"%.60s\" needs OpenCL: %.400s", device, absent.words);
    if (device) return choose_on(&gpus, device, c, e);
    choose_best(s ? NULL : &gpus, absent.words, c);
    return BPTT_OK;
}

static bptt_status wrong_type(const char *name, bptt_error *e)
{
    return bptt_fail(e, BPTT_NO_BACKEND, "the %s backend computes in float; use backend ref for double", name);
}

bptt_status choose(const char *name, const char *device, bptt_type type, choice *c, bptt_error *e)
{
    if (type != BPTT_F32 && type != BPTT_F64)
        return bptt_fail(e, BPTT_BAD_CONFIG, "a model's numbers are BPTT_F32 or BPTT_F64, not type %d", (int)type);
    if (!name || strcmp(name, "auto") == 0) {
        const bptt_status s = choose_auto(device, type, c, e);
        return s || c->b.real == type ? s : wrong_type(c->b.name, e);
    }
    bptt_backend b = type == BPTT_F64 ? bptt_ref_f64() : bptt_ref_f32();
    bool known = strcmp(name, "ref") == 0;
    if (strcmp(name, "cpu") == 0) b = bptt_cpu(), known = true;
    for (size_t i = 0; !known && module_name(i); i++) {
        if (strcmp(name, module_name(i)) != 0) continue;
        const bptt_status s = module_load(name, &b, e);
        if (s) return s;
        known = true;
    }
    if (!known)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "no backend is called \"%.60s\"; there are cpu, ref and opencl (bptt devices)", name);
    if (b.real != type) return wrong_type(name, e);
    return choose_on(&b, device, c, e);
}

bptt_status choice_open(const choice *c, const bptt_model_config *m, bptt_device **d, bptt_error *e)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%u", c->info.number);
    const bptt_device_config config = {.threads = m->threads,
                                       .device = c->b.list ? number : NULL,
                                       .lowering = m->lowering,
                                       .product = m->product,
                                       .profile = m->profile != 0};
    return c->b.open(&c->b, &config, d, e);
}

void choice_tell(const bptt_device *d, bptt_device_info *info)
{
    if (!d->backend.list) {
        (void)snprintf(info->device, sizeof info->device, "%s", d->backend.describe(d));
        info->kind = BPTT_CPU;
        info->memory = machine_memory() < SIZE_MAX ? machine_memory() : 0;
    }
    (void)snprintf(info->bits, sizeof info->bits, "%s", d->bits ? d->bits : "");
    info->usable = 1;
    info->threads = d->threads > 0 ? d->threads : 1;
}
