// Failures of queued work: the first one sticks, with the names that people search for.
#include "cl_own.h"

#include <stdio.h>
#include <string.h>

static bool of_memory(cl_int code) { return code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY; }

void cl_failed(cl_own *c, const char *call, const char *on, cl_int code)
{
    if (c->fault.code) return;
    char name[24], heard[200];
    cl_heard(c, heard, sizeof heard);
    c->fault.code = of_memory(code) ? BPTT_NO_MEMORY : BPTT_DEVICE;
    (void)snprintf(c->fault.words, sizeof c->fault.words, "%s: cl%s failed%s%s: %s%s; %s", c->device, call,
                   *on ? " for " : "", on, cl_error_name(code, name, sizeof name), heard,
                   of_memory(code) ? "lower --hidden, --layers, --batch or --steps"
                                   : "start again from the last saved file, or use --backend cpu");
}

bptt_status cl_report(const cl_own *c, bptt_error *e)
{
    return c->fault.code ? bptt_fail(e, c->fault.code, "%s", c->fault.words) : BPTT_OK;
}

// Drivers call this from threads of their own.
void CL_CALLBACK cl_hear(const char *words, const void *data, size_t bytes, void *rumours)
{
    (void)data, (void)bytes;
    cl_rumours *r = rumours;
    if (!r) return; // Oclgrind 21.10 forgets it while it builds
    (void)pthread_mutex_lock(&r->lock);
    if (words && !r->words[0]) {
        (void)snprintf(r->words, sizeof r->words, "%s", words);
        r->words[strcspn(r->words, "\r\n")] = '\0';
    }
    (void)pthread_mutex_unlock(&r->lock);
}

void cl_heard(cl_own *c, char *room, size_t n)
{
    room[0] = '\0';
    if (!c->listening) return;
    (void)pthread_mutex_lock(&c->rumours.lock);
    if (c->rumours.words[0]) (void)snprintf(room, n, " (the driver says: %s)", c->rumours.words);
    (void)pthread_mutex_unlock(&c->rumours.lock);
}
