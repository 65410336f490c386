// Allocation, and copies between packed host arrays and strided device views. Bytes outside a view are not touched.
#include "cu_internal.h"
#include "half_type.h"
#include "stage.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

cu_memory cu_address(const bptt_mat *m)
{
    if (!m->buf) return 0;
    return (type_is_half(m->type) ? m->buf->half : m->buf->at) + m->at * bptt_type_size(m->type);
}

// ---- buffers --------------------------------------------------------------------------------------------------------

static bptt_status too_large(cu_state *c, size_t bytes, bptt_error *e)
{
    size_t unused = 0, all = 0;
    if (c->api.MemGetInfo(&unused, &all)) unused = all = 0;
    return bptt_fail(e, BPTT_NO_MEMORY,
                     "a block of %.1f MB was asked for, and %s has %.1f MB left of %.1f MB (%.1f MB are ours); lower "
                     "--hidden, --layers, --batch or --steps, or end what else uses the GPU",
                     (double)bytes / 1e6, c->base.device, (double)unused / 1e6, (double)all / 1e6,
                     (double)c->used / 1e6);
}

// Zeroed, in the order of the first lane's stream.
static bptt_status take(cu_state *c, size_t bytes, cu_memory *at, bptt_error *e)
{
    const cu_result code = c->base.fault.code ? CU_INVALID_VALUE : c->api.MemAlloc(at, bytes);
    if (code == CU_OUT_OF_MEMORY) return too_large(c, bytes, e);
    if (code) cu_failed(c, "cuMemAlloc", "", code);
    CU(c, MemsetD8Async, "", *at, 0, bytes, c->lane[0].stream);
    CU(c, StreamSynchronize, "", c->lane[0].stream);
    if (c->base.fault.code && !code) (void)c->api.MemFree(*at);
    if (c->base.fault.code) return fault_report(&c->base.fault, e);
    c->used += bytes;
    return BPTT_OK;
}

bptt_status cu_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e)
{
    cu_state *c = cu_of(d);
    bptt_buf *b = calloc(1, sizeof *b);
    if (!b) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to keep track of a block");
    b->bytes = bytes ? bytes : 1;
    if (!cu_enter(c)) {
        free(b);
        return fault_report(&c->base.fault, e);
    }
    const bptt_status s = take(c, b->bytes, &b->at, e);
    cu_leave(c);
    if (s) {
        free(b);
        return s;
    }
    *out = b;
    return BPTT_OK;
}

static bptt_status alloc_shadow(bptt_device *d, bptt_buf *b, bptt_error *e)
{
    cu_state *c = cu_of(d);
    if (b->half) return BPTT_OK;
    if (!cu_enter(c)) return fault_report(&c->base.fault, e);
    const bptt_status s = take(c, (b->bytes + 1) / 2, &b->half, e);
    if (s) b->half = 0;
    cu_leave(c);
    return s;
}

bptt_status cu_alloc_shadows(bptt_device *d, const launch_list *list, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < list->n; i++)
        for (size_t k = 0; !s && k < list->at[i].operands; k++) {
            const bptt_mat *m = &list->at[i].arg[k];
            if (m->buf && type_is_half(m->type)) s = alloc_shadow(d, m->buf, e);
        }
    return s;
}

void cu_free(bptt_device *d, bptt_buf *b)
{
    cu_state *c = cu_of(d);
    if (!b) return;
    if (!c->api.CtxPushCurrent(c->context)) { // also after a failure
        (void)c->api.MemFree(b->at);
        if (b->half) (void)c->api.MemFree(b->half);
        cu_leave(c);
    }
    c->used -= b->bytes + (b->half ? (b->bytes + 1) / 2 : 0);
    free(b);
}

// ---- transfers ------------------------------------------------------------------------------------------------------

// `lines` of `width` elements, `ld` apart on the device at `at`, packed at stage.
static void move_lines(cu_state *c, bool into, cu_memory at, size_t ld, size_t lines, size_t width, size_t each,
                       void *stage, const char *what)
{
    const cu_stream stream = c->lane[0].stream;
    if (lines == 1 || ld == width) {
        if (into)
            CU(c, MemcpyHtoDAsync, what, at, stage, lines * width * each, stream);
        else
            CU(c, MemcpyDtoHAsync, what, stage, at, lines * width * each, stream);
        return;
    }
    cu_copy2d copy = {.width_bytes = width * each, .height = lines};
    if (into) {
        copy.src_type = CU_HOST, copy.src_host = stage, copy.src_pitch = width * each;
        copy.dst_type = CU_DEVICE, copy.dst_device = at, copy.dst_pitch = ld * each;
    } else {
        copy.src_type = CU_DEVICE, copy.src_device = at, copy.src_pitch = ld * each;
        copy.dst_type = CU_HOST, copy.dst_host = stage, copy.dst_pitch = width * each;
    }
    CU(c, Memcpy2DAsync, what, &copy, stream);
}

void cu_move(cu_state *c, bool into, const bptt_mat *m, void *stage, const char *what)
{
    move_lines(c, into, cu_address(m), m->ld, view_lines(m), view_width(m), bptt_type_size(m->type), stage, what);
}

// A part of a view: lines from `line` on, of which elements from `from` on.
typedef struct part {
    size_t line, lines, from, width;
} part;

// Between packed rows x cols elements of type `as` and the packed elements of a part at bounce.
static void convert_part(bool into, void *bounce, const bptt_mat *m, const part *p, void *rows, bptt_type as)
{
    const size_t each = bptt_type_size(as);
    for (size_t i = 0; i < p->lines; i++) {
        if (!m->t && m->type == as) {
            char *const there = (char *)bounce + i * p->width * each;
            char *const here = (char *)rows + ((p->line + i) * m->cols + p->from) * each;
            memcpy(into ? there : here, into ? here : there, p->width * each);
            continue;
        }
        for (size_t j = 0; j < p->width; j++) {
            const size_t line = p->line + i, at = p->from + j, there = i * p->width + j;
            const size_t here = m->t ? at * m->cols + line : line * m->cols + at;
            if (into)
                bptt_convert(bounce, m->type, there, rows, as, here);
            else
                bptt_convert(rows, as, here, bounce, m->type, there);
        }
    }
}

static void move_part(cu_state *c, bool into, const bptt_mat *m, const part *p, void *rows, bptt_type as)
{
    const size_t each = bptt_type_size(m->type);
    const cu_memory at = cu_address(m) + (p->line * m->ld + p->from) * each;
    if (into) convert_part(true, c->bounce, m, p, rows, as);
    move_lines(c, into, at, m->ld, p->lines, p->width, each, c->bounce, "");
    CU(c, StreamSynchronize, "", c->lane[0].stream);
    if (!into && !c->base.fault.code) convert_part(false, c->bounce, m, p, rows, as);
}

// In parts that fit the bounce buffer: some whole lines, or some of one line.
static void move_view(cu_state *c, bool into, const bptt_mat *m, void *rows, bptt_type as)
{
    const size_t room = BOUNCE_BYTES / bptt_type_size(m->type), lines = view_lines(m), width = view_width(m);
    const size_t some = width <= room ? width : room, at_once = room / some;
    for (size_t i = 0; i < lines; i += at_once)
        for (size_t j = 0; j < width; j += some) {
            const part p = {i, lines - i < at_once ? lines - i : at_once, j, width - j < some ? width - j : some};
            move_part(c, into, m, &p, rows, as);
        }
}

static bptt_status transfer(bptt_device *d, bool into, bptt_mat m, void *rows, bptt_type as, bptt_error *e)
{
    cu_state *c = cu_of(d);
    if (!convertible(m.type, as))
        return bptt_fail(e, BPTT_BAD_INPUT, "cuda: numbers of type %d are not converted to type %d", (int)as,
                         (int)m.type);
    if (m.rows == 0 || m.cols == 0) return fault_report(&c->base.fault, e);
    if (!cu_enter(c)) return fault_report(&c->base.fault, e);
    if (d->profile) CU(c, StreamSynchronize, "", c->lane[0].stream); // what was queued before is no transfer
    const double start = d->profile ? bptt_seconds() : 0;
    move_view(c, into, &m, rows, as);
    if (d->profile) d->spent[into ? BPTT_TRANSFER_IN : BPTT_TRANSFER_OUT] += bptt_seconds() - start;
    cu_leave(c);
    return fault_report(&c->base.fault, e);
}

bptt_status cu_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e)
{
    return transfer(d, true, dst, (void *)(uintptr_t)src, as, e); // src is only read
}

bptt_status cu_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e)
{
    return transfer(d, false, src, dst, as, e);
}
