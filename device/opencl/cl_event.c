// Events: kept while a run goes on, waited for, and their time added up.
#include "cl_internal.h"

void cl_note(bptt_device *d, cl_slot *at, cl_event event, unsigned charge)
{
    cl_timings *l = &at->timings;
    if (event && l->n < l->room)
        l->at[l->n++] = (struct cl_timed){event, charge};
    else if (event)
        (void)cl_of(d)->api.ReleaseEvent(event);
}

void cl_charge(bptt_device *d, cl_event event, unsigned charge)
{
    if (!event) return;
    const cl_api *api = &cl_of(d)->api;
    cl_ulong start = 0, end = 0;
    const bool known = !api->WaitForEvents(1, &event) &&
                       !api->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) &&
                       !api->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
    if (known && end > start) d->spent[charge] += 1e-9 * (double)(end - start); // nanoseconds
    (void)api->ReleaseEvent(event);
}

// Waits for *event and gives it back.
static void wait_for(cl_state *c, cl_event *event, const char *what)
{
    if (!*event) return;
    cl_int code = c->api.WaitForEvents(1, event), status = CL_SUCCESS;
    const bool failed = code == CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    if (failed && !c->api.GetEventInfo(*event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL) &&
        status < 0)
        code = status;
    if (code) cl_failed(c, "WaitForEvents", what, code);
    (void)c->api.ReleaseEvent(*event);
    *event = NULL;
}

void cl_wait_done(bptt_device *d, inflight_plan *p, size_t slot)
{
    cl_slot *at = &cl_plan_of(p)->slot[slot];
    wait_for(cl_of(d), &at->written, "the inputs of a window");
    wait_for(cl_of(d), &at->read, "the results of a window");
    for (size_t i = 0; i < at->timings.n; i++) cl_charge(d, at->timings.at[i].event, at->timings.at[i].charge);
    at->timings.n = 0;
}
