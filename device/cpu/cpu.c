// The cpu backend: starts as `ref`, then replaces every op. Ops and loops with independent rows are split into tiles,
// which a thread pool runs.
#include "flush.h"
#include "host_memory.h"
#include "ops.h"
#include "pace.h"
#include "panels.h"
#include "pool.h"
#include "tiles.h"
#include "isa.h"

#include <assert.h>
#include <stdlib.h>

typedef struct cpu {
    cpu_tools tools;
    pool *pool;
    pace pace;
    const void *paced; // the plan that pace is about
    bptt_buf *packed;  // room for the packed weights of any prepared plan's loop; NULL: none needed
} cpu;

static cpu *own(const bptt_device *d) { return d->own; }

static void cpu_close(bptt_device *d)
{
    if (!d) return;
    if (d->own) {
        pool_close(own(d)->pool);
        host_free(d, own(d)->packed);
        free(own(d)->tools.room);
    }
    free(d->own);
    host_close(d);
}

static bptt_status cpu_open(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    const loops *const l = loops_of(c->isa);
    enum { MOST_THREADS = 1024, ALIGN = 64 };
    if (c->threads > MOST_THREADS)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`threads` is %u, but can be at most %d", c->threads, MOST_THREADS);
    if (!l) return bptt_fail(e, BPTT_NO_BACKEND, "this processor lacks the instructions of `isa`; leave it out");
    bptt_device *made = NULL;
    const bptt_status s = host_open(b, c, &made, e);
    if (s) return s;
    cpu *mine = made->own = calloc(1, sizeof *mine);
    made->threads = c->threads ? c->threads : pool_cores();
    if (mine) {
        mine->tools.loops = l;
        mine->tools.room = aligned_alloc(ALIGN, made->threads * l->room * sizeof(float) + ALIGN);
        mine->pool = pool_open(made->threads);
    }
    if (!mine || !mine->pool || !mine->tools.room) {
        const unsigned threads = made->threads;
        cpu_close(made);
        return bptt_fail(e, BPTT_NO_MEMORY, "could not start %u threads, or no memory for them; lower `threads`",
                         threads);
    }
    mine->tools.ref = bptt_ref_f32();
    *d = made;
    return BPTT_OK;
}

static const char *cpu_describe(const bptt_device *d) { return own(d)->tools.loops->name; }

static size_t cpu_pad(size_t cols)
{
    enum { LINE = 16, PAGE = 1024 }; // floats in a cache line, in a page
    const size_t whole = (cols + LINE - 1) / LINE * LINE;
    return whole > 0 && whole % (PAGE / 4) == 0 ? whole + LINE : whole; // avoids rows that map to the same cache sets
}

// ---- running --------------------------------------------------------------------------------------------------------

// One op split into tiles, or a loop split into tiles of rows, each of which runs through all T steps.
typedef struct job {
    bptt_device *d;
    bptt_op op[BPTT_BODY]; // as at the first step
    const float *packed[BPTT_BODY];
    size_t n, T;
    tiling tiling;
    const bptt_slots *slots;
} job;

static void run_tile(void *work, size_t i, unsigned thread)
{
    const job *j = work;
    bptt_op part[BPTT_BODY];
    const bool whole = j->tiling.rows * j->tiling.cols == 1;
    for (size_t k = 0; k < j->n; k++) part[k] = whole ? j->op[k] : tile_of(&j->op[k], j->tiling, i);
    for (size_t t = 0; t < j->T; t++)
        for (size_t k = 0; k < j->n; k++) {
            cpu_run_op(&own(j->d)->tools, j->d, &part[k], j->packed[k], j->slots, thread);
            next_step(&part[k]);
        }
}

static void run_job(job *j) { pool_run(own(j->d)->pool, j->tiling.rows * j->tiling.cols, run_tile, j); }

static void cpu_op(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    const tiling t = tiling_of(s, d->threads);
    if (t.rows * t.cols == 1) { // on this thread, as pool_run would
        const unsigned before = flush_on();
        cpu_run_op(&own(d)->tools, d, s, NULL, slots, 0);
        flush_restore(before);
    } else
        run_job(&(job){.d = d, .op = {*s}, .n = 1, .T = 1, .tiling = t, .slots = slots});
}

static void run_loop(void *with, const bptt_op *loop, size_t u)
{
    const host_running *w = with;
    assert(loop->loop.body <= BPTT_BODY);
    const double start = w->d->profile ? bptt_seconds() : 0;
    job j = {.d = w->d, .n = loop->loop.body, .T = loop->loop.T, .slots = w->slots};
    for (size_t k = 0; k < j.n; k++) j.op[k] = bptt_op_at(&loop[1 + k], 0, u);
    j.tiling = (tiling){loop_tiles(j.op, j.n, w->d->threads), 1};
    if (own(w->d)->packed)
        panels_pack(own(w->d)->tools.loops, own(w->d)->pool, j.op, j.n, j.T, own(w->d)->packed->data, j.packed);
    run_job(&j);
    if (w->d->profile) w->d->spent[bptt_charge_of(loop->loop.kind)] += bptt_seconds() - start;
}

static bptt_status cpu_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    const size_t bytes = panels_room(own(d)->tools.loops, p) * sizeof(float);
    if (bytes > (own(d)->packed ? own(d)->packed->bytes : 0)) {
        bptt_buf *more = NULL;
        const bptt_status s = host_alloc(d, bytes, &more, e);
        if (s) return s;
        host_free(d, own(d)->packed);
        own(d)->packed = more;
    }
    return host_prepare(d, p, handle, e);
}

// On all threads, or on this one where that is faster.
static void run_paced(bptt_device *d, const host_plan *h, const bptt_slots *slots)
{
    cpu *const mine = own(d);
    if (mine->paced != h) pace_begin(&mine->pace);
    mine->paced = h;
    pool_alone(mine->pool, pace_alone(&mine->pace));
    (void)pool_waited(mine->pool); // what was before
    const double start = bptt_seconds();
    host_run_ops(d, h->plan, slots, run_loop);
    pace_took(&mine->pace, bptt_seconds() - start, pool_waited(mine->pool));
    pool_alone(mine->pool, false);
}

static bptt_status cpu_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    host_plan *h = handle;
    const bptt_status s = host_begin(d, h->plan, slots, e);
    if (s) return s;
    if (d->threads > 1)
        run_paced(d, h, slots);
    else
        host_run_ops(d, h->plan, slots, run_loop);
    return host_end(d, h, e);
}

bptt_backend bptt_cpu(void)
{
    bptt_backend b = bptt_ref_f32();
    b.name = "cpu";
    b.transposed_copies = true;
    b.pad = cpu_pad;
    b.open = cpu_open;
    b.close = cpu_close;
    b.describe = cpu_describe;
    b.prepare = cpu_prepare;
    b.run = cpu_run;
    for (size_t i = 0; i < BPTT_OPCODES; i++) b.op[i] = cpu_op;
    return b;
}

// ---- for verify/ ----------------------------------------------------------------------------------------------------

const char *bptt_cpu_loops(bptt_isa isa) { return loops_of(isa) ? loops_of(isa)->name : NULL; }

void bptt_cpu_sigmoid(bptt_isa isa, size_t n, const float *x, float *y)
{
    const unsigned before = flush_on();
    loops_of(isa)->sigmoid(n, x, y);
    flush_restore(before);
}
