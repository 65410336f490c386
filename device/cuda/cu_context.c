// The device's primary context: who holds it, and which thread has it current. And the lock of the process.
#include "cu_internal.h"

#include <pthread.h>

// ---- the lock -------------------------------------------------------------------------------------------------------

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
void cu_lock(void) { (void)pthread_mutex_lock(&process_lock); }
void cu_unlock(void) { (void)pthread_mutex_unlock(&process_lock); }

// ---- holding the context --------------------------------------------------------------------------------------------

static bool is_active(const cu_state *c)
{
    unsigned flags = 0;
    int active = 0;
    return c->api.DevicePrimaryCtxGetState(c->id, &flags, &active) || active;
}

// True if every call in the context fails, so that no thread of this process can use it any more.
static bool is_lost(cu_state *c)
{
    size_t unused = 0, all = 0;
    if (c->base.fault.code != BPTT_DEVICE || c->api.CtxPushCurrent(c->context)) return false;
    const bool lost = c->api.MemGetInfo(&unused, &all);
    cu_leave(c);
    return lost;
}

// The first to take the context does so twice, so that it outlives the last close: cuBLAS keeps state in it, which goes
// with it and takes long to make again. A lost context is released twice, so that the next open gets another.
cu_result cu_take_context(cu_state *c)
{
    const bool is_first = !is_active(c);
    cu_context again;
    const cu_result code = c->api.DevicePrimaryCtxRetain(&c->context, c->id);
    c->retained = !code;
    if (c->retained && is_first) (void)c->api.DevicePrimaryCtxRetain(&again, c->id);
    return code;
}

void cu_give_context(cu_state *c)
{
    const bool lost = is_lost(c);
    (void)c->api.DevicePrimaryCtxRelease(c->id);
    if (lost && is_active(c)) (void)c->api.DevicePrimaryCtxRelease(c->id);
}

// ---- working in it --------------------------------------------------------------------------------------------------

bool cu_enter(cu_state *c)
{
    CU(c, CtxPushCurrent, "", c->context);
    return c->base.fault.code == BPTT_OK;
}

void cu_leave(cu_state *c)
{
    cu_context mine = NULL;
    const cu_result code = c->api.CtxPopCurrent(&mine);
    if (code) cu_failed(c, "cuCtxPopCurrent", "", code);
}
