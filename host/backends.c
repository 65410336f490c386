// Which backends there are, and which one a name means.
#include "backend.h"
#include "machine.h"
#include "model.h"

#include <stdio.h>
#include <string.h>

bptt_status find_backend(const char *name, bptt_type type, bptt_backend *b, bptt_error *e)
{
    if (type != BPTT_F32 && type != BPTT_F64)
        return bptt_fail(e, BPTT_BAD_CONFIG, "a model's numbers are BPTT_F32 or BPTT_F64, not type %d", (int)type);
    if (!name || strcmp(name, "auto") == 0) name = type == BPTT_F64 ? "ref" : "cpu";
    if (strcmp(name, "ref") == 0) {
        *b = type == BPTT_F64 ? bptt_ref_f64() : bptt_ref_f32();
        return BPTT_OK;
    }
    if (strcmp(name, "cpu") == 0) {
        if (type == BPTT_F64)
            return bptt_fail(e, BPTT_NO_BACKEND, "the cpu backend computes in float; use backend ref for double");
        *b = bptt_cpu();
        return BPTT_OK;
    }
    return bptt_fail(e, BPTT_NO_BACKEND, "no backend is called \"%s\"; this build has cpu and ref (bptt devices)",
                     name);
}

bptt_status bptt_device_describe(size_t i, bptt_device_info *info, bptt_error *error)
{
    static const char *const name[] = {"cpu", "ref"};
    if (i >= sizeof name / sizeof name[0]) return bptt_fail(error, BPTT_BAD_INPUT, "there is no backend %zu", i);
    bptt_device_info made = {0};
    bptt_backend b;
    bptt_device *d = NULL;
    bptt_error e = {0};
    bptt_status s = find_backend(name[i], BPTT_F32, &b, &e);
    if (!s) s = b.open(&b, &(bptt_device_config){0}, &d, &e);
    (void)snprintf(made.backend, sizeof made.backend, "%s", name[i]);
    made.usable = s == BPTT_OK;
    if (s)
        (void)snprintf(made.why_not, sizeof made.why_not, "%.250s", e.words);
    else {
        (void)snprintf(made.device, sizeof made.device, "%s", b.describe(d));
        made.threads = d->threads;
        b.close(d);
    }
    *info = made;
    return BPTT_OK;
}

// Squares of this size reach a matrix product's full rate and fit any cache's shadow.
enum { BEST = 1024 };

bptt_status bptt_gemm_rate(const char *backend, unsigned threads, double seconds, double *gflops, bptt_error *error)
{
    bptt_backend b;
    bptt_device *d = NULL;
    bptt_status s = find_backend(backend, BPTT_F32, &b, error);
    if (!s) s = b.open(&b, &(bptt_device_config){.threads = threads}, &d, error);
    if (s) return s;
    bptt_buf *block[LAYOUT_BLOCKS] = {0};
    bptt_mat x, y, z;
    const shape table[] = {{&x, BEST, BEST, b.real}, {&y, BEST, BEST, b.real}, {&z, BEST, BEST, b.real}};
    s = layout_alloc(d, table, 3, block, error);
    double best = 0, spent = 0;
    while (!s && (best == 0 || spent < seconds)) {
        const bptt_step step = {.entry = BPTT_GEMM, .alpha = 1, .op = {x, y, z}};
        const double start = seconds_now();
        b.entry[BPTT_GEMM](d, &step, &(bptt_slots){0});
        s = b.sync(d, error);
        const double took = seconds_now() - start;
        spent += took;
        if (best == 0 || took < best) best = took;
    }
    if (!s) *gflops = 2.0 * BEST * BEST * BEST / best * 1e-9;
    layout_free(d, block);
    b.close(d);
    return s;
}
