// The host build of the kernels as a backend: `ref`, but every op is lowered to launches and each kernel is called for
// every work-item.
#include "host_backend.h"
#include "host_kernels.h"
#include "host_memory.h"

#include <stdio.h>
#include <stdlib.h>

// ---- the device -----------------------------------------------------------------------------------------------------

typedef struct host_items {
    bptt_buf *scratch; // as large as the largest op so far needs
    count columns, rows;
} host_items;

static host_items *items_of(const bptt_device *d) { return d->own; }

static void host_kernels_close(bptt_device *d)
{
    if (!d) return;
    if (d->own) host_free(d, items_of(d)->scratch);
    free(d->own);
    host_close(d);
}

static bptt_status need_scratch(bptt_device *d, size_t floats, bptt_error *e)
{
    host_items *t = items_of(d);
    if (t->scratch && t->scratch->bytes >= floats * sizeof(float)) return BPTT_OK;
    bptt_buf *more = NULL;
    const bptt_status s = host_alloc(d, floats * sizeof(float), &more, e);
    if (s) return s;
    host_free(d, t->scratch);
    t->scratch = more;
    return BPTT_OK;
}

static bptt_status host_kernels_open(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    bptt_device *made = NULL;
    bptt_status s = host_open(b, c, &made, e);
    if (s) return s;
    host_items *mine = made->own = calloc(1, sizeof *mine);
    if (mine) {
        const count n = c->threads ? c->threads : 1;
        mine->columns = n, mine->rows = 2 * n - 1;
        s = need_scratch(made, 1, e);
    } else
        s = bptt_fail(e, BPTT_NO_MEMORY, "no memory to open the host build of the kernels");
    if (s) {
        host_kernels_close(made);
        return s;
    }
    *d = made;
    return BPTT_OK;
}

static const char *host_kernels_describe(const bptt_device *d)
{
    (void)d;
    return "the device kernels as host C: their bits";
}

static size_t host_kernels_pad(size_t cols) { return (cols + 15) / 16 * 16; }

static bptt_status host_kernels_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    for (size_t i = 0; i < p->ops; i++) {
        const bptt_status s = need_scratch(d, launch_scratch(&p->op[i]), e);
        if (s) return s;
    }
    return host_prepare(d, p, handle, e);
}

// ---- running --------------------------------------------------------------------------------------------------------

static void run_launch(const host_items *t, const launch *l, const bptt_slots *slots)
{
    void *data[LAUNCH_OPERANDS];
    view at[LAUNCH_OPERANDS];
    float changing[SLOTS];
    slots_of(slots, changing);
    for (size_t i = 0; i < l->operands; i++) {
        data[i] = l->arg[i].buf ? l->arg[i].buf->data : NULL;
        at[i] = view_of(&l->arg[i]);
    }
    const bool groups = l->grid == GRID_GROUPS;
    const count columns = groups ? 1 : t->columns;
    for (count row = 0; row < t->rows; row++)
        for (count column = 0; column < columns; column++) {
            const work_item item = {.column = column,
                                    .columns = columns,
                                    .row = row,
                                    .rows = t->rows,
                                    .group = row,
                                    .groups = t->rows,
                                    .lanes = 1};
            host_kernel_run(l->kernel, &item, data, at, &l->constants.op, changing);
        }
}

static void host_kernels_entry(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    if (need_scratch(d, launch_scratch(s), NULL)) { // an op without prepare
        fprintf(stderr, "host kernels: no memory\n");
        abort();
    }
    launch l[MOST_LAUNCHES];
    const size_t n = launches_of(s, items_of(d)->scratch, l);
    for (size_t i = 0; i < n; i++) run_launch(items_of(d), &l[i], slots);
}

bptt_backend bptt_host_kernels(void)
{
    bptt_backend b = bptt_ref_f32();
    b.name = "host-kernels";
    b.sum = BPTT_F32;
    b.transposed_copies = true;
    b.pad = host_kernels_pad;
    b.open = host_kernels_open;
    b.close = host_kernels_close;
    b.describe = host_kernels_describe;
    b.prepare = host_kernels_prepare;
    for (size_t i = 0; i < BPTT_OPCODES; i++) b.op[i] = host_kernels_entry;
    return b;
}
