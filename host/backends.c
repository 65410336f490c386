// Selection of backend and device by name, precision and availability.
#include "backends.h"
#include "config.h"
#include "machine.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The best match for `device` in the list of a backend; the first one among equals.
static bptt_status best_match(const bptt_backend *b, const char *device, bptt_device_info *out, bptt_error *e)
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

bptt_status pick_on_backend(const bptt_backend *b, const char *device, choice *c, bptt_error *e)
{
    choice made = {.b = *b};
    if (!b->list && device && strcmp(device, "0") != 0)
        return bptt_fail(e, BPTT_NO_BACKEND,
                         "backend %s has one device, the machine, which is number 0; \"%.60s\" may be one of another "
                         "backend (bptt devices)",
                         b->name, device);
    const bptt_status s = b->list ? best_match(b, device, &made.info, e) : BPTT_OK;
    if (s) return s;
    (void)snprintf(made.info.backend, sizeof made.info.backend, "%s", b->name);
    (void)snprintf(made.info.why, sizeof made.info.why, "asked for");
    *c = made;
    return BPTT_OK;
}

static choice host_choice(bptt_backend b)
{
    choice c = {.b = b};
    (void)snprintf(c.info.backend, sizeof c.info.backend, "%s", b.name);
    return c;
}

// ---- selection for "auto" ------------------------------------------------------------------------------------------

enum { WHY = sizeof((bptt_device_info){0}.why), REASON = 504 };

static bool computes(const bptt_backend *b, bptt_precision p)
{
    return p == BPTT_PRECISION_FP32 || (b->precisions >> p & 1u) != 0;
}

// Copies text [at least `from`] to `to`: whole if it fits in `room` characters, else only the part before the first
// colon at or after `from`. Messages have the form "failure: reason".
static void put_words(char *to, size_t room, const char *text, size_t from)
{
    const size_t n = strlen(text), head = from + strcspn(text + from, ":");
    (void)snprintf(to, room + 1, "%.*s", (int)(n <= room || head > room ? room : head), text);
}

// Appends the reason why a module was rejected to a list of at most `room` characters; `left` reasons, this one
// included, share the remaining room. Examples: "cuda is not installed" (bptt devices shows the folders searched),
// "opencl: no driver".
static void put_reason(char *list, size_t room, size_t left, const char *name, const char *reason)
{
    char begins[64], text[REASON + 64];
    const size_t n = (size_t)snprintf(begins, sizeof begins, "backend %s ", name), start = strlen(list);
    const bool named = strncmp(reason, begins, n) == 0;
    const bool absent = named && strncmp(reason + n, MODULE_ABSENT, strlen(MODULE_ABSENT)) == 0;
    const char *const joint = start && strcmp(list + start - 2, ": ") != 0 ? "; " : "";
    const size_t from = strlen(joint) + strlen(name) + (named ? 0 : 2), share = (room - start) / left;
    (void)snprintf(text, sizeof text, "%s%s%s%s", joint, name, named ? " " : ": ", named ? reason + n : reason);
    if (absent) text[from + strcspn(text + from, ":")] = '\0';
    put_words(list + start, share, text, from);
}

// Selects the first usable GPU of a module. False if there is none, with the reason.
static bool gpu_of(module_loader *load, const char *name, bptt_precision p, choice *c, char reason[REASON])
{
    bptt_backend b;
    bptt_device_info info = {0};
    bptt_error why = {0};
    size_t i = 0;
    (void)snprintf(reason, REASON, "backend %s lists no GPU", name);
    bptt_status s = load(name, &b, &why);
    if (!s && !computes(&b, p))
        s = bptt_fail(&why, BPTT_NO_BACKEND, "backend %s has no %s", name, bptt_precision_word[p]);
    for (; !s && !(s = b.list(&b, i, &info, &why)); i++) {
        if (info.kind != BPTT_GPU) continue;
        if (info.usable) {
            *c = (choice){.b = b, .info = info, .automatic = true};
            (void)snprintf(c->info.backend, sizeof c->info.backend, "%s", b.name);
            return true;
        }
        (void)snprintf(reason, REASON, "%.120s cannot be used: %.250s", info.device, info.why_not);
    }
    if (i == 0) (void)snprintf(reason, REASON, "%s", why.words);
    return false;
}

// Selects the first usable GPU of the modules behind `after` (NULL: of all). False: `why` has a reason for each module.
static bool find_gpu(module_loader *load, const char *after, bptt_precision p, choice *c, char *why, size_t room)
{
    size_t first = 0, n = 0;
    while (module_name(n)) n++;
    while (after && first < n && strcmp(module_name(first), after) != 0) first++;
    for (size_t i = after ? first + 1 : 0; i < n; i++) {
        char reason[REASON];
        if (gpu_of(load, module_name(i), p, c, reason)) return true;
        put_reason(why, room, n - i, module_name(i), reason);
    }
    return false;
}

bptt_status pick_gpu_or_cpu(module_loader *load, bptt_precision p, choice *c, bptt_error *e)
{
    char why[WHY] = "no GPU was found: ", lacks[400] = "";
    const bool host = computes(&(bptt_backend){0}, p);
    if (!host) (void)snprintf(lacks, sizeof lacks, "no GPU with precision %s was found: ", bptt_precision_word[p]);
    if (find_gpu(load, NULL, p, c, host ? why : lacks, host ? WHY - 1 : sizeof lacks - 1)) {
        (void)snprintf(c->info.why, WHY, "a GPU");
        return BPTT_OK;
    }
    if (!host) return bptt_fail(e, BPTT_NO_BACKEND, "%s", lacks);
    *c = host_choice(bptt_cpu());
    (void)snprintf(c->info.why, WHY, "%s", why);
    return BPTT_OK;
}

bptt_status pick_fallback(module_loader *load, const choice *failed, const char *why, bptt_precision p, choice *c,
                          bptt_error *e)
{
    char told[WHY], others[REASON] = "";
    choice made;
    if (!find_gpu(load, failed->b.name, p, &made, others, sizeof others - 1)) {
        made = host_choice(bptt_cpu());
        if (!computes(&made.b, p)) return bptt_fail(e, BPTT_NO_BACKEND, "%s", why);
    }
    const size_t before = (size_t)snprintf(told, WHY, "%.60s did not open: ", failed->info.device);
    put_words(told + before, WHY - 1 - before, why, 0);
    (void)snprintf(made.info.why, WHY, "%s", told);
    *c = made;
    return BPTT_OK;
}

bptt_status pick_named(module_loader *load, const char *device, bptt_precision p, choice *c, bptt_error *e)
{
    char why[400];
    size_t n = 0;
    while (module_name(n)) n++;
    (void)snprintf(why, sizeof why, "no device \"%.60s\" was found: ", device);
    for (size_t i = 0; i < n; i++) {
        const char *name = module_name(i);
        bptt_backend b;
        bptt_error reason = {0};
        bptt_status s = load(name, &b, &reason);
        if (!s && !computes(&b, p))
            s = bptt_fail(&reason, BPTT_NO_BACKEND, "backend %s has no %s", name, bptt_precision_word[p]);
        if (!s) s = pick_on_backend(&b, device, c, &reason);
        if (!s) return BPTT_OK;
        put_reason(why, sizeof why - 1, n - i, name, reason.words);
    }
    return bptt_fail(e, BPTT_NO_BACKEND, "%s", why);
}

static bptt_status pick_auto(const bptt_compute *m, bptt_type type, choice *c, bptt_error *e)
{
    if (m->device) return pick_named(module_load, m->device, m->precision, c, e);
    if (type != BPTT_F64) return pick_gpu_or_cpu(module_load, m->precision, c, e);
    *c = host_choice(bptt_ref_f64());
    (void)snprintf(c->info.why, sizeof c->info.why, "double precision");
    return BPTT_OK;
}

// ---- selection by name ---------------------------------------------------------------------------------------------

static bptt_status wrong_type(const char *name, bptt_error *e)
{
    return bptt_fail(e, BPTT_NO_BACKEND, "backend %s computes only in float; use backend ref for double", name);
}

bptt_status no_backend_called(const char *name, bptt_error *e)
{
    return bptt_fail(e, BPTT_NO_BACKEND,
                     "unknown backend \"%.60s\"; available names: cpu, ref, cuda, opencl (see bptt devices)", name);
}

bptt_status pick_device(const bptt_compute *m, bptt_type type, choice *c, bptt_error *e)
{
    const char *const name = m->backend;
    if (type != BPTT_F32 && type != BPTT_F64)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`type` is %d, but must be BPTT_F32 or BPTT_F64", (int)type);
    const bptt_status checked = compute_check(m, e);
    if (checked) return checked;
    if (!name || strcmp(name, "auto") == 0) {
        const bptt_status s = pick_auto(m, type, c, e);
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
    if (!known) return no_backend_called(name, e);
    if (b.real != type) return wrong_type(name, e);
    return pick_on_backend(&b, m->device, c, e);
}

bptt_status open_picked(const choice *c, const bptt_compute *m, bptt_device **d, bptt_error *e)
{
    char number[16];
    bptt_compute chosen = *m;
    (void)snprintf(number, sizeof number, "%u", c->info.number);
    chosen.device = c->b.list ? number : NULL;
    if (!computes(&c->b, m->precision))
        return bptt_fail(e, BPTT_NO_BACKEND, "backend %s has no precision %s; backend cuda on a GPU may have it",
                         c->b.name, bptt_precision_word[m->precision]);
    return c->b.open(&c->b, &chosen, d, e);
}

void fill_device_info(const bptt_device *d, bptt_device_info *info)
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
