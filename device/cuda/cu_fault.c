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

void cu_failed(cu_state *c, const char *call, const char *on, cu_result code)
{
    char words[256];
    fault_note(&c->base.fault, c->base.device, call, on, cu_words(&c->api, code, words, sizeof words),
               code == CU_OUT_OF_MEMORY);
}

void cu_blas_failed(cu_state *c, const char *call, const char *on, blas_result code)
{
    enum { ALLOCATION_FAILED = 3 }; // CUBLAS_STATUS_ALLOC_FAILED
    const char *const words = c->blas.GetStatusName(code);
    fault_note(&c->base.fault, c->base.device, call, on, words ? words : "unknown status", code == ALLOCATION_FAILED);
}
