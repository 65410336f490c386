// Failures of queued work: the first one sticks, with the names that people search for.
#include "cl_internal.h"

#include <stdio.h>
#include <string.h>

static bool of_memory(cl_int code) { return code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY; }

void cl_failed(cl_state *c, const char *call, const char *on, cl_int code)
{
    char full[64], name[24], message[200], words[230];
    cl_message(c, message, sizeof message);
    (void)snprintf(full, sizeof full, "cl%s", call);
    (void)snprintf(words, sizeof words, "%s%s", cl_error_name(code, name, sizeof name), message);
    fault_note(&c->base.fault, c->base.device, full, on, words, of_memory(code));
}

// Drivers call this from threads of their own.
void CL_CALLBACK cl_on_message(const char *words, const void *data, size_t bytes, void *message)
{
    (void)data, (void)bytes;
    cl_driver_message *r = message;
    if (!r) return; // Oclgrind 21.10 forgets it while it builds
    (void)pthread_mutex_lock(&r->lock);
    if (words && !r->words[0]) {
        (void)snprintf(r->words, sizeof r->words, "%s", words);
        r->words[strcspn(r->words, "\r\n")] = '\0';
    }
    (void)pthread_mutex_unlock(&r->lock);
}

void cl_message(cl_state *c, char *room, size_t n)
{
    room[0] = '\0';
    if (!c->message_lock_made) return;
    (void)pthread_mutex_lock(&c->message.lock);
    if (c->message.words[0]) (void)snprintf(room, n, " (the driver says: %s)", c->message.words);
    (void)pthread_mutex_unlock(&c->message.lock);
}
