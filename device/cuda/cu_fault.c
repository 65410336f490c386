// Failures of queued work: the first one sticks, with the driver's own words.
#include "cu_internal.h"

#include <stdio.h>

const char *cu_words(const cu_api *api, cu_result code, char *room, size_t n)
{
    const char *name = NULL, *words = NULL;
    if (api->GetErrorName(code, &name) || !name) name = NULL;
    if (api->GetErrorString(code, &words) || !words) words = NULL;
    if (name)
        (void)snprintf(room, n, "%s%s%s", name, words ? ": " : "", words ? words : "");
    else
        (void)snprintf(room, n, "error %d", code);
    return room;
}

static const char *advice(bptt_status s)
{
    return s == BPTT_NO_MEMORY ? "lower --hidden, --layers, --batch or --steps"
                               : "start again from the last saved file, or use --backend cpu";
}

static void note(cu_state *c, const char *call, const char *on, const char *words, bool memory)
{
    if (c->fault.code) return;
    c->fault.code = memory ? BPTT_NO_MEMORY : BPTT_DEVICE;
    (void)snprintf(c->fault.words, sizeof c->fault.words, "%s: %s failed%s%s: %.200s; %s", c->device, call,
                   *on ? " for " : "", on, words, advice(c->fault.code));
}

void cu_failed(cu_state *c, const char *call, const char *on, cu_result code)
{
    char words[256];
    note(c, call, on, cu_words(&c->api, code, words, sizeof words), code == CU_OUT_OF_MEMORY);
}

void cu_blas_failed(cu_state *c, const char *call, const char *on, blas_result code)
{
    enum { ALLOCATION_FAILED = 3 }; // CUBLAS_STATUS_ALLOC_FAILED
    const char *const words = c->blas.GetStatusName(code);
    note(c, call, on, words ? words : "unknown status", code == ALLOCATION_FAILED);
}

bptt_status cu_report(const cu_state *c, bptt_error *e)
{
    return c->fault.code ? bptt_fail(e, c->fault.code, "%s", c->fault.words) : BPTT_OK;
}
