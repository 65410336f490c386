// The layers of an open run by themselves; see bare_layers.h.
#include "bare_layers.h"

#include <stdlib.h>

bptt_status bare_open(bptt_run *r, bare_layers *b, bptt_error *e)
{
    bptt_device *d = r->model->device;
    bare_layers made = {.r = r};
    const shape table = {&made.dy, r->T * r->B, r->model->H, d->backend.real};
    bptt_status s = layout_alloc(d, &table, 1, made.block, e);
    *b = made; // the plans point into what they are prepared from, so that must lie still
    for (layers_part part = LAYERS_FORWARD; !s && part <= LAYERS_BOTH; part++) {
        s = plan_layers(&b->plan[part], r, part, b->dy) ? d->backend.prepare(d, &b->plan[part], &b->handle[part], e)
                                                        : bptt_fail(e, BPTT_NO_MEMORY, "no memory for a plan");
    }
    if (s) bare_close(b);
    return s;
}

void bare_close(bare_layers *b)
{
    if (!b || !b->r) return;
    bptt_device *d = b->r->model->device;
    for (size_t part = 0; part < BARE_PARTS; part++) {
        d->backend.forget(d, b->handle[part]);
        free(b->plan[part].op);
    }
    layout_free(d, b->block);
    *b = (bare_layers){0};
}

bptt_status bare_write(bare_layers *b, const void *x, const void *dy, bptt_type as, bptt_error *e)
{
    static const double none[2] = {1, 0};
    bptt_model *m = b->r->model;
    bptt_device *d = m->device;
    bptt_status s = d->backend.write(d, b->r->mem.dense, x, as, e);
    if (!s) s = d->backend.write(d, b->dy, dy, as, e);
    return s || !m->scale.buf ? s : model_write_scale(m, none, e);
}

bptt_status bare_go(bare_layers *b, layers_part part, size_t times, bptt_error *e)
{
    bptt_device *d = b->r->model->device;
    const bptt_slots slots = {0};
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < times; i++) s = d->backend.run(d, b->handle[part], &slots, e);
    const bptt_status waited = d->backend.sync(d, s ? NULL : e);
    return s ? s : waited;
}

bptt_status bare_read_top(bare_layers *b, void *y, bptt_type as, bptt_error *e)
{
    const bptt_run *r = b->r;
    const bptt_mat after = bptt_rows(r->mem.h[r->model->L - 1], r->B, r->T * r->B); // block 0 is the state before
    return r->model->device->backend.read(r->model->device, y, as, after, e);
}
