// The stand-in's streams and events: queues, execution, and race detection between queued work on different streams.
#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct standin_item {
    struct standin_item *next;
    enum { ITEM_OP, ITEM_WAIT, ITEM_RECORD, ITEM_GRAPH } kind;
    standin_op *op;
    cu_event event; // RECORD
    unsigned stream;
    uint64_t item; // WAIT: for this item of that stream
    cu_exec exec;
} standin_item;

// Queued work that the host has not waited for yet.
typedef struct flight {
    unsigned slot, tick;
    standin_area *area; // its own copy
    size_t areas;
    char words[96];
} flight;

static struct {
    standin_clock host;
    unsigned tick[STANDIN_STREAMS];
    bool taken[STANDIN_STREAMS];
    flight *flight;
    size_t flights;
} air;

void standin_join(standin_clock *to, const standin_clock *from)
{
    for (size_t i = 0; i < STANDIN_STREAMS; i++)
        if (to->at[i] < from->at[i]) to->at[i] = from->at[i];
}

// ---- executing ------------------------------------------------------------------------------------------------------

void standin_run_op(const standin_op *op)
{
    if (standin_lost()) return;
    standin_check_op(op);
    op->run(op);
}

static cu_stream numbered(unsigned number)
{
    cu_stream s = standin_next(STANDIN_STREAM, NULL);
    while (s && s->object.number != number) s = standin_next(STANDIN_STREAM, s);
    return s;
}

static void run_item(cu_stream s, const standin_item *i)
{
    cu_event e = i->event;
    switch (i->kind) {
    case ITEM_OP: standin_run_op(i->op); break;
    case ITEM_GRAPH: standin_run_exec(i->exec); break;
    case ITEM_WAIT: {
        cu_stream other = numbered(i->stream);
        if (other) standin_drain_stream(other, i->item);
        break;
    }
    case ITEM_RECORD:
        if (e->stream == s->object.number && e->item == s->done + 1) e->done = true, e->when = bptt_seconds();
        break;
    }
}

// Its first items, up to that one.
void standin_drain_stream(cu_stream s, uint64_t item)
{
    while (s->done < item && s->first) {
        standin_item *i = s->first;
        run_item(s, i);
        s->done++;
        s->first = i->next;
        if (!s->first) s->last = NULL;
        free(i->op);
        free(i);
    }
}

static void host_waits(const standin_clock *c)
{
    standin_join(&air.host, c);
    standin_check_zones();
    size_t kept = 0;
    for (size_t i = 0; i < air.flights; i++) {
        const flight f = air.flight[i];
        if (air.host.at[f.slot] < f.tick)
            air.flight[kept++] = f;
        else
            free(f.area);
    }
    air.flights = kept;
}

void standin_drain(void)
{
    for (cu_stream s = standin_next(STANDIN_STREAM, NULL); s; s = standin_next(STANDIN_STREAM, s)) {
        standin_drain_stream(s, s->queued);
        host_waits(&s->clock);
    }
}

// ---- queueing -------------------------------------------------------------------------------------------------------

static void append(cu_stream s, const standin_item *with)
{
    standin_item *i = standin_more(NULL, 1, sizeof *i);
    *i = *with;
    *(s->last ? &s->last->next : &s->first) = i;
    s->last = i;
    s->queued++;
    if (standin_set()->eager) standin_drain_stream(s, s->queued);
}

// Starts work on a stream; checks it for races with work in flight.
static void take_off(cu_stream s, const standin_area *area, size_t n, const char *words)
{
    standin_join(&s->clock, &air.host);
    for (size_t i = 0; i < air.flights; i++) {
        const flight *f = &air.flight[i];
        const standin_area *x, *y;
        if (s->clock.at[f->slot] >= f->tick || !standin_clash(f->area, f->areas, area, n, &x, &y)) continue;
        standin_die("race between queued work (%s) and what is queued on stream %u (%s), which does not wait for it: "
                    "%s of the first and %s of the other, at %s",
                    f->words, s->object.number, words, x->name, y->name, standin_where(y->at));
    }
    flight f = {.slot = s->slot, .tick = s->clock.at[s->slot] = ++air.tick[s->slot], .areas = n};
    f.area = standin_more(NULL, n, sizeof *area);
    memcpy(f.area, area, n * sizeof *area);
    snprintf(f.words, sizeof f.words, "%s", words);
    air.flight = standin_more(air.flight, air.flights + 1, sizeof f);
    air.flight[air.flights++] = f;
}

cu_result standin_queue(cu_stream s, const standin_op *op)
{
    standin_alive(s, STANDIN_STREAM);
    standin_check_op(op);
    if (s->capture) return standin_add_node(s, op);
    take_off(s, op->area, op->areas, op->words);
    standin_item i = {.kind = ITEM_OP, .op = standin_more(NULL, 1, sizeof *op)};
    *i.op = *op;
    append(s, &i);
    return 0;
}

// ---- streams --------------------------------------------------------------------------------------------------------

static cu_result create_stream(cu_stream *stream, unsigned flags)
{
    if (flags > 1) return CU_INVALID_VALUE;
    cu_stream s = standin_make(STANDIN_STREAM, sizeof *s);
    while (s->slot < STANDIN_STREAMS && air.taken[s->slot]) s->slot++;
    if (s->slot == STANDIN_STREAMS) standin_die("StreamCreate: more than %d streams", STANDIN_STREAMS);
    air.taken[s->slot] = true;
    s->clock = air.host;
    s->clock.at[s->slot] = air.tick[s->slot];
    *stream = s;
    return 0;
}

static cu_result destroy_stream(cu_stream s)
{
    standin_alive(s, STANDIN_STREAM);
    if (s->capture && !standin_lost()) standin_die("StreamDestroy of a stream that captures");
    if (s->capture) standin_drop_capture(s);
    standin_drain_stream(s, s->queued);
    host_waits(&s->clock);
    air.taken[s->slot] = false;
    free(s->after);
    standin_unmake(s);
    return 0;
}

static cu_result synchronize_stream(cu_stream s)
{
    standin_alive(s, STANDIN_STREAM);
    if (s->capture) {
        standin_unsafe_capture();
        return standin_refuse(CU_CAPTURE_UNSUPPORTED, "StreamSynchronize of a stream that captures");
    }
    standin_drain_stream(s, s->queued);
    host_waits(&s->clock);
    return 0;
}

static cu_result wait_event(cu_stream s, cu_event e, unsigned flags)
{
    standin_alive(s, STANDIN_STREAM);
    standin_alive(e, STANDIN_EVENT);
    if (flags) return CU_INVALID_VALUE;
    if (s->capture || e->captures) return standin_capture_wait(s, e);
    if (!e->recorded) return standin_refuse(0, "StreamWaitEvent: the event was never recorded: this waits for nothing");
    standin_join(&s->clock, &e->clock);
    append(s, &(standin_item){.kind = ITEM_WAIT, .stream = e->stream, .item = e->item});
    return 0;
}

cu_result cuStreamCreate(cu_stream *stream, unsigned flags)
{
    STANDIN_CALL(StreamCreate, STANDIN_CONTEXT, create_stream(stream, flags));
}
cu_result cuStreamDestroy_v2(cu_stream stream)
{
    STANDIN_CALL(StreamDestroy, STANDIN_CONTEXT | STANDIN_GIVES_BACK, destroy_stream(stream));
}
cu_result cuStreamSynchronize(cu_stream stream)
{
    STANDIN_CALL(StreamSynchronize, STANDIN_CONTEXT, synchronize_stream(stream));
}
cu_result cuStreamWaitEvent(cu_stream stream, cu_event event, unsigned flags)
{
    STANDIN_CALL(StreamWaitEvent, STANDIN_CONTEXT, wait_event(stream, event, flags));
}

// ---- events ---------------------------------------------------------------------------------------------------------

static cu_result create_event(cu_event *event, unsigned flags)
{
    if (flags > 3) return CU_INVALID_VALUE;
    cu_event e = standin_make(STANDIN_EVENT, sizeof *e);
    e->timed = !(flags & CU_EVENT_NO_TIMING);
    *event = e;
    return 0;
}

static void finish_event(cu_event e)
{
    cu_stream s = e->captures ? NULL : numbered(e->stream);
    if (s) standin_drain_stream(s, e->item);
}

// An event may be destroyed while it is queued: all its records are executed first.
static cu_result destroy_event(cu_event e)
{
    standin_alive(e, STANDIN_EVENT);
    for (cu_stream s = standin_next(STANDIN_STREAM, NULL); s; s = standin_next(STANDIN_STREAM, s))
        standin_drain_stream(s, s->queued);
    free(e->after);
    standin_unmake(e);
    return 0;
}

static cu_result record_event(cu_event e, cu_stream s)
{
    standin_alive(e, STANDIN_EVENT);
    standin_alive(s, STANDIN_STREAM);
    e->done = false;
    if (s->capture) {
        standin_capture_record(e, s);
        return 0;
    }
    e->captures = 0;
    e->recorded = true;
    e->stream = s->object.number;
    e->item = s->queued + 1;
    standin_join(&s->clock, &air.host);
    e->clock = s->clock;
    append(s, &(standin_item){.kind = ITEM_RECORD, .event = e});
    return 0;
}

static cu_result synchronize_event(cu_event e)
{
    standin_alive(e, STANDIN_EVENT);
    if (e->captures) return standin_refuse(CU_CAPTURED_EVENT, "EventSynchronize: it was last recorded in a capture");
    if (!e->recorded) return 0;
    finish_event(e);
    host_waits(&e->clock);
    return 0;
}

static cu_result elapsed(float *milliseconds, cu_event start, cu_event end)
{
    standin_alive(start, STANDIN_EVENT);
    standin_alive(end, STANDIN_EVENT);
    if (start->captures || end->captures) return CU_CAPTURED_EVENT;
    if (!start->timed || !end->timed || !start->recorded || !end->recorded)
        return standin_refuse(CU_INVALID_HANDLE, "EventElapsedTime: an event takes no time, or was not recorded");
    if (!start->done || !end->done) return CU_NOT_READY;
    *milliseconds = (float)(1e3 * (end->when - start->when));
    return 0;
}

cu_result cuEventCreate(cu_event *event, unsigned flags)
{
    STANDIN_CALL(EventCreate, STANDIN_CONTEXT, create_event(event, flags));
}
cu_result cuEventDestroy_v2(cu_event event)
{
    STANDIN_CALL(EventDestroy, STANDIN_CONTEXT | STANDIN_GIVES_BACK, destroy_event(event));
}
cu_result cuEventRecord(cu_event event, cu_stream stream)
{
    STANDIN_CALL(EventRecord, STANDIN_CONTEXT, record_event(event, stream));
}
cu_result cuEventSynchronize(cu_event event)
{
    STANDIN_CALL(EventSynchronize, STANDIN_CONTEXT, synchronize_event(event));
}
cu_result cuEventElapsedTime(float *milliseconds, cu_event start, cu_event end)
{
    STANDIN_CALL(EventElapsedTime, STANDIN_CONTEXT, elapsed(milliseconds, start, end));
}

// ---- graphs ---------------------------------------------------------------------------------------------------------

static cu_result launch_graph(cu_exec exec, cu_stream s)
{
    standin_alive(exec, STANDIN_EXEC);
    standin_alive(s, STANDIN_STREAM);
    if (s->capture) standin_die("GraphLaunch on a stream that captures: a graph in a graph is not made here");
    char words[40];
    snprintf(words, sizeof words, "graph %u", exec->object.number);
    take_off(s, exec->area, exec->areas, words);
    append(s, &(standin_item){.kind = ITEM_GRAPH, .exec = exec});
    return 0;
}

static cu_result upload_graph(cu_exec exec, cu_stream s)
{
    standin_alive(exec, STANDIN_EXEC);
    standin_alive(s, STANDIN_STREAM);
    return 0;
}

cu_result cuGraphLaunch(cu_exec exec, cu_stream stream)
{
    STANDIN_CALL(GraphLaunch, STANDIN_CONTEXT, launch_graph(exec, stream));
}
cu_result cuGraphUpload(cu_exec exec, cu_stream stream)
{
    STANDIN_CALL(GraphUpload, STANDIN_CONTEXT, upload_graph(exec, stream));
}
