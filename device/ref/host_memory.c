// Device memory in host memory, and plans run op by op.
#include "host_memory.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

bptt_status host_open(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    bptt_device *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to open the %s backend", b->name);
    made->backend = *b;
    made->threads = 1;
    made->profile = c->profile;
    made->bits = "same bits";
    *d = made;
    return BPTT_OK;
}

void host_close(bptt_device *d) { free(d); }

const char *host_describe(const bptt_device *d)
{
    (void)d;
    return "plain C loops, one thread: the reference of the other backends";
}

bptt_status host_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e)
{
    (void)d;
    const size_t whole = bytes > SIZE_MAX - ALIGN ? 0 : (bytes + ALIGN) / ALIGN * ALIGN; // at least 1 byte
    bptt_buf *b = calloc(1, sizeof *b);
    if (b && whole) b->data = aligned_alloc(ALIGN, whole);
    if (!b || !b->data) {
        free(b);
        return bptt_fail(e, BPTT_NO_MEMORY,
                         "no memory for a block of %zu bytes; lower `hidden`, `layers`, `batch` or `steps`", bytes);
    }
    memset(b->data, 0, whole);
    b->bytes = bytes;
    *out = b;
    return BPTT_OK;
}

void host_free(bptt_device *d, bptt_buf *b)
{
    (void)d;
    if (b) free(b->data);
    free(b);
}

static bool convertible(bptt_type a, bptt_type b)
{
    const bool real_a = a == BPTT_F32 || a == BPTT_F64 || a == BPTT_C128;
    const bool real_b = b == BPTT_F32 || b == BPTT_F64 || b == BPTT_C128;
    return a == b || (real_a && real_b);
}

static size_t place(bptt_mat m, size_t i, size_t j) { return m.at + (m.t ? j * m.ld + i : i * m.ld + j); }

// Numbers of the type of m, packed, to m or from it; a packed m at once.
static bool copy_packed(bptt_mat m, void *packed, bptt_type as, bool read)
{
    if (m.type != as || m.t) return false;
    const size_t each = bptt_type_size(as), rows = m.ld == m.cols ? 1 : m.rows,
                 cols = m.rows * m.cols / (rows ? rows : 1);
    for (size_t i = 0; i < rows; i++) {
        char *const at = (char *)m.buf->data + place(m, i, 0) * each, *const there = (char *)packed + i * cols * each;
        if (read)
            memcpy(there, at, cols * each);
        else
            memcpy(at, there, cols * each);
    }
    return true;
}

bptt_status host_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e)
{
    if (!convertible(dst.type, as)) return bptt_fail(e, BPTT_BAD_INPUT, "%s: no such conversion", d->backend.name);
    if (copy_packed(dst, (void *)(uintptr_t)src, as, false)) return BPTT_OK;
    for (size_t i = 0; i < dst.rows; i++)
        for (size_t j = 0; j < dst.cols; j++)
            bptt_convert(dst.buf->data, dst.type, place(dst, i, j), src, as, i * dst.cols + j);
    return BPTT_OK;
}

bptt_status host_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e)
{
    if (!convertible(src.type, as)) return bptt_fail(e, BPTT_BAD_INPUT, "%s: no such conversion", d->backend.name);
    if (copy_packed(src, dst, as, true)) return BPTT_OK;
    for (size_t i = 0; i < src.rows; i++)
        for (size_t j = 0; j < src.cols; j++)
            bptt_convert(dst, as, i * src.cols + j, src.buf->data, src.type, place(src, i, j));
    return BPTT_OK;
}

bptt_status host_sync(bptt_device *d, bptt_error *e)
{
    (void)d, (void)e;
    return BPTT_OK;
}

bptt_status host_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    (void)d;
    host_plan *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a plan");
    made->plan = p;
    *handle = made;
    return BPTT_OK;
}

void host_forget(bptt_device *d, void *handle)
{
    (void)d;
    free(handle);
}

bptt_status host_begin(bptt_device *d, const bptt_plan *p, const bptt_slots *slots, bptt_error *e)
{
    const double start = d->profile ? bptt_seconds() : 0;
    for (size_t i = 0; i < BPTT_INPUTS; i++) {
        if (!p->input[i].buf || !slots->input[i]) continue;
        const bptt_status s = d->backend.write(d, p->input[i], slots->input[i], slots->type[i], e);
        if (s) return s;
    }
    if (d->profile) d->spent[BPTT_TRANSFER_IN] += bptt_seconds() - start;
    return BPTT_OK;
}

bptt_status host_end(bptt_device *d, host_plan *h, bptt_error *e)
{
    if (!h->plan->output.buf) return BPTT_OK;
    if (h->waiting == BPTT_IN_FLIGHT)
        return bptt_fail(e, BPTT_BAD_INPUT, "%d runs of a plan are waiting to be collected", BPTT_IN_FLIGHT);
    const double start = d->profile ? bptt_seconds() : 0;
    const bptt_status s = d->backend.read(d, h->output[h->waiting], BPTT_F64, h->plan->output, e);
    if (d->profile) d->spent[BPTT_TRANSFER_OUT] += bptt_seconds() - start;
    if (!s) h->waiting++;
    return s;
}

bptt_status host_collect(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e)
{
    (void)d;
    host_plan *h = handle;
    if (h->waiting == 0) return bptt_fail(e, BPTT_BAD_INPUT, "no run of this plan is waiting to be collected");
    memcpy(output, h->output[0], sizeof h->output[0]);
    h->waiting--;
    memmove(h->output[0], h->output[1], h->waiting * sizeof h->output[0]);
    return BPTT_OK;
}

static void run_op(void *with, const bptt_op *op)
{
    const host_running *w = with;
    bptt_device *d = w->d;
    const double start = d->profile ? bptt_seconds() : 0;
    d->backend.op[op->opcode](d, op, w->slots);
    if (d->profile) d->spent[op->opcode] += bptt_seconds() - start;
}

void host_run_ops(bptt_device *d, const bptt_plan *p, const bptt_slots *slots,
                  void (*whole)(void *running, const bptt_op *loop, size_t u))
{
    host_running with = {d, slots};
    bptt_walk_plan(p, &(bptt_walk){.one = run_op, .whole = whole, .with = &with});
}

bptt_status host_run(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e)
{
    host_plan *h = handle;
    const bptt_status s = host_begin(d, h->plan, slots, e);
    if (s) return s;
    host_run_ops(d, h->plan, slots, NULL);
    return host_end(d, h, e);
}
