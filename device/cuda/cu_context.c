// The device's primary context: who holds it, and which thread has it current. And the lock of the process.
#include "cu_own.h"

#include <pthread.h>

// ---- the lock -------------------------------------------------------------------------------------------------------

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
void cu_lock(void) { (void)pthread_mutex_lock(&process_lock); }
void cu_unlock(void) { (void)pthread_mutex_unlock(&process_lock); }

// ---- holding the context --------------------------------------------------------------------------------------------

// Devices whose primary context this process holds on to after the last close: cuBLAS has state in it, which does not
// outlive it, and to make it again takes long. One that is lost is given up, so that the next open gets another.
static bool kept[256];

cu_result cu_take_context(cu_own *c)
{
    cu_context again;
    const size_t i = (size_t)c->id;
    const cu_result code = c->api.DevicePrimaryCtxRetain(&c->context, c->id);
    c->retained = !code;
    if (c->retained && i < sizeof kept && !kept[i]) kept[i] = !c->api.DevicePrimaryCtxRetain(&again, c->id);
    return code;
}

void cu_give_context(cu_own *c)
{
    const size_t i = (size_t)c->id;
    (void)c->api.DevicePrimaryCtxRelease(c->id);
    if (i >= sizeof kept || !kept[i] || c->fault.code != BPTT_DEVICE) return;
    (void)c->api.DevicePrimaryCtxRelease(c->id);
    kept[i] = false;
}

// ---- working in it --------------------------------------------------------------------------------------------------

bool cu_enter(cu_own *c)
{
    CU(c, CtxPushCurrent, "", c->context);
    return c->fault.code == BPTT_OK;
}

void cu_leave(cu_own *c)
{
    cu_context mine = NULL;
    const cu_result code = c->api.CtxPopCurrent(&mine);
    if (code) cu_failed(c, "cuCtxPopCurrent", "", code);
}
