// Runs every op by ref, on host copies of its operands.
#include "shim.h"
#include "host_memory.h"

#include <stdlib.h>

static bptt_backend ref_of(const bptt_device *d)
{
    return d->backend.real == BPTT_F64 ? bptt_ref_f64() : bptt_ref_f32();
}

static bptt_type staged_type(const bptt_backend *ref, char holds)
{
    return holds == 'i' ? BPTT_I32 : holds == 's' ? ref->sum : ref->real;
}

// Allocates host copies for the operands of an op.
static bptt_status make_room(bptt_device *d, const bptt_op *s, bptt_error *e)
{
    shim *own = d->own;
    const bptt_backend ref = ref_of(d);
    for (size_t i = 0; bptt_opcode_roles[s->opcode][i]; i++) {
        size_t bytes;
        const bptt_mat *m = &s->arg[i];
        const bptt_status f =
            bptt_size(m->rows, m->cols, bptt_type_size(staged_type(&ref, bptt_opcode_holds[s->opcode][i])), &bytes, e);
        if (f) return f;
        if (!m->buf || bytes <= own->room[i]) continue;
        void *more = realloc(own->staged[i], bytes);
        if (!more) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a host copy of %zu bytes; lower `hidden`", bytes);
        own->staged[i] = more;
        own->room[i] = bytes;
    }
    return BPTT_OK;
}

// All operands are read before ref runs and written after it, so they may overlap as backend.h allows.
static bptt_status through_ref(bptt_device *d, const bptt_op *s, const bptt_slots *slots, bptt_error *e)
{
    const shim *own = d->own;
    const bptt_backend ref = ref_of(d);
    const char *const roles = bptt_opcode_roles[s->opcode];
    bptt_op here = *s;
    bptt_buf copy[BPTT_OPERANDS];
    for (size_t i = 0; roles[i]; i++) {
        bptt_mat *m = &here.arg[i];
        if (!m->buf) continue;
        copy[i] = (bptt_buf){own->staged[i], own->room[i]};
        *m = (bptt_mat){.buf = &copy[i],
                        .rows = m->rows,
                        .cols = m->cols,
                        .ld = m->cols,
                        .type = staged_type(&ref, bptt_opcode_holds[s->opcode][i])};
        const bptt_status f = roles[i] == '=' ? BPTT_OK : d->backend.read(d, copy[i].data, m->type, s->arg[i], e);
        if (f) return f;
    }
    ref.op[s->opcode](d, &here, slots);
    for (size_t i = 0; roles[i]; i++) {
        const bool written = roles[i] == '=' || roles[i] == '+' || roles[i] == 'O';
        if (!written || !s->arg[i].buf) continue;
        const bptt_status f = d->backend.write(d, s->arg[i], copy[i].data, here.arg[i].type, e);
        if (f) return f;
    }
    return BPTT_OK;
}

// After a failure further ops are skipped until run, sync, read or write has returned it.
static void shim_entry(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    shim *own = d->own;
    if (own->failed.code) return;
    bptt_error e = {0};
    bptt_status f = make_room(d, s, &e);
    if (!f) f = through_ref(d, s, slots, &e);
    if (!f) return;
    e.code = f;
    own->failed = e;
}

bptt_status shim_failure(bptt_device *d, bptt_error *e)
{
    shim *own = d->own;
    const bptt_error was = own->failed;
    own->failed = (bptt_error){0};
    return was.code ? bptt_fail(e, was.code, "%s", was.words) : BPTT_OK;
}

static size_t shim_pad(size_t cols) { return cols; }

// Allocates host copies for every op of the plan, so that run allocates nothing.
static bptt_status shim_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    for (size_t i = 0; i < p->ops; i++) {
        const bptt_status s = make_room(d, &p->op[i], e);
        if (s) return s;
    }
    return host_prepare(d, p, handle, e);
}

static bptt_status shim_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    host_plan *h = handle;
    bptt_status s = shim_failure(d, e);
    if (!s) s = host_begin(d, h->plan, slots, e);
    if (s) return s;
    host_run_ops(d, h->plan, slots, NULL);
    s = shim_failure(d, e);
    return s ? s : host_end(d, h, e);
}

bptt_backend shim_over(bptt_backend own)
{
    if (!own.pad) own.pad = shim_pad;
    if (!own.sync) own.sync = shim_failure;
    own.prepare = shim_prepare;
    own.run = shim_run;
    own.collect = host_collect;
    own.forget = host_forget;
    for (size_t i = 0; i < BPTT_OPCODES; i++) own.op[i] = shim_entry;
    return own;
}

void shim_end(bptt_device *d)
{
    shim *own = d->own;
    for (size_t i = 0; own && i < BPTT_OPERANDS; i++) free(own->staged[i]);
}
