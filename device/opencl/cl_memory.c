// Allocation, and copies between packed host arrays and strided device views. Bytes outside a view are not touched.
#include "cl_internal.h"
#include "stage.h"

#include <stdlib.h>
#include <string.h>

enum { GRAIN = 64 }; // bytes: buffers are multiples of it

// ---- buffers --------------------------------------------------------------------------------------------------------

static bptt_status too_large(cl_state *c, size_t bytes, const char *why, cl_int code, bptt_error *e)
{
    char name[24], message[200];
    cl_message(c, message, sizeof message);
    return bptt_fail(e, BPTT_NO_MEMORY,
                     "a block of %.1f MB was asked for, %.1f MB are in use, and %s has %.1f MB, at most %.1f MB in one "
                     "block (%s%s%s%s); lower --hidden, --layers, --batch or --steps",
                     (double)bytes / 1e6, (double)c->used / 1e6, c->base.device, (double)c->memory / 1e6,
                     (double)c->largest_block / 1e6, why, code ? ": " : "",
                     code ? cl_error_name(code, name, sizeof name) : "", message);
}

// Drivers take memory late: only a buffer that was written to is there.
static cl_int fill_with_zeros(cl_state *c, const bptt_buf *b)
{
    const cl_uint zero = 0;
    const cl_int code = c->api.EnqueueFillBuffer(c->queue, b->memory, &zero, sizeof zero, 0, b->bytes, 0, NULL, NULL);
    return code ? code : c->api.Finish(c->queue);
}

static bptt_status create(cl_state *c, size_t bytes, bool on_host, bptt_buf **out, bptt_error *e)
{
    if (c->base.fault.code) return fault_report(&c->base.fault, e);
    const size_t whole = bytes > SIZE_MAX - GRAIN ? 0 : (bytes + GRAIN) / GRAIN * GRAIN; // never 0 bytes
    // Beyond largest_block some drivers give what is asked for nevertheless.
    if (!whole || whole > c->memory - c->used) return too_large(c, bytes, "all blocks are too large", 0, e);
    bptt_buf *b = calloc(1, sizeof *b);
    if (!b) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to keep track of a block");
    b->bytes = whole;
    cl_int code = CL_SUCCESS;
    const cl_mem_flags flags = CL_MEM_READ_WRITE | (on_host || c->unified ? CL_MEM_ALLOC_HOST_PTR : 0u);
    b->memory = c->api.CreateBuffer(c->context, flags, whole, NULL, &code);
    const char *why = "clCreateBuffer";
    if (!code && !on_host) code = fill_with_zeros(c, b), why = "clEnqueueFillBuffer";
    if (code) {
        if (b->memory) (void)c->api.ReleaseMemObject(b->memory);
        free(b);
        return too_large(c, bytes, why, code, e);
    }
    c->used += whole;
    *out = b;
    return BPTT_OK;
}

bptt_status cl_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e)
{
    return create(cl_of(d), bytes, false, out, e);
}

bptt_status cl_alloc_pinned(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e)
{
    return create(cl_of(d), bytes, true, out, e);
}

void cl_free(bptt_device *d, bptt_buf *b)
{
    if (!b) return;
    (void)cl_of(d)->api.ReleaseMemObject(b->memory);
    cl_of(d)->used -= b->bytes;
    free(b);
}

// ---- transfers ------------------------------------------------------------------------------------------------------

// A view as the functions of OpenCL that move rectangles want it.
typedef struct rectangle {
    size_t device[3], host[3], region[3]; // bytes, lines, 1
    size_t device_pitch, host_pitch;      // bytes from line to line
} rectangle;

static rectangle rectangle_of(const bptt_mat *m)
{
    const size_t each = bptt_type_size(m->type), n = view_lines(m);
    // a single line may be shorter than its own length only by its ld
    const size_t pitch = (n > 1 ? m->ld : view_width(m)) * each, at = m->at * each;
    return (rectangle){.device = {at % pitch, at / pitch, 0},
                       .region = {view_width(m) * each, n, 1},
                       .device_pitch = pitch,
                       .host_pitch = view_width(m) * each};
}

cl_int cl_write_stage(cl_state *c, bptt_mat m, const void *stage, bool wait, cl_event *event)
{
    const rectangle r = rectangle_of(&m);
    return c->api.EnqueueWriteBufferRect(c->queue, m.buf->memory, wait ? CL_TRUE : CL_FALSE, r.device, r.host, r.region,
                                         r.device_pitch, 0, r.host_pitch, 0, stage, 0, NULL, event);
}

cl_int cl_read_stage(cl_state *c, bptt_mat m, void *stage, bool wait, cl_event *event)
{
    const rectangle r = rectangle_of(&m);
    return c->api.EnqueueReadBufferRect(c->queue, m.buf->memory, wait ? CL_TRUE : CL_FALSE, r.device, r.host, r.region,
                                        r.device_pitch, 0, r.host_pitch, 0, stage, 0, NULL, event);
}

// Through a copy in host memory.
static bptt_status through_stage(bptt_device *d, bool into, bptt_mat m, void *rows, bptt_type as, bptt_error *e)
{
    cl_state *c = cl_of(d);
    void *stage = malloc(m.rows * m.cols * bptt_type_size(m.type));
    if (!stage) return bptt_fail(e, BPTT_NO_MEMORY, "no memory on the host to move %zu x %zu numbers", m.rows, m.cols);
    cl_event event = NULL;
    cl_event *const want = d->profile ? &event : NULL;
    if (into) move_elements(true, stage, view_width(&m), &m, rows, as);
    const cl_int code = into ? cl_write_stage(c, m, stage, true, want) : cl_read_stage(c, m, stage, true, want);
    if (code) cl_failed(c, into ? "EnqueueWriteBufferRect" : "EnqueueReadBufferRect", "", code);
    cl_charge(d, event, into ? BPTT_TRANSFER_IN : BPTT_TRANSFER_OUT);
    if (!into && !code) move_elements(false, stage, view_width(&m), &m, rows, as);
    free(stage);
    return fault_report(&c->base.fault, e);
}

// In the buffer itself, where the device's memory is the host's.
static bptt_status through_map(bptt_device *d, bool into, bptt_mat m, void *rows, bptt_type as, bptt_error *e)
{
    cl_state *c = cl_of(d);
    const size_t each = bptt_type_size(m.type), reach = view_extent(&m) * each;
    cl_int code = CL_SUCCESS;
    cl_event event = NULL, *const want = d->profile ? &event : NULL;
    void *at =
        c->api.EnqueueMapBuffer(c->queue, m.buf->memory, CL_TRUE, into ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_READ,
                                m.at * each, reach, 0, NULL, want, &code);
    if (code) {
        cl_failed(c, "EnqueueMapBuffer", "", code);
        return fault_report(&c->base.fault, e);
    }
    cl_charge(d, event, into ? BPTT_TRANSFER_IN : BPTT_TRANSFER_OUT);
    event = NULL;
    move_elements(into, at, m.ld, &m, rows, as);
    code = c->api.EnqueueUnmapMemObject(c->queue, m.buf->memory, at, 0, NULL, want);
    if (!code) code = c->api.Finish(c->queue);
    if (code) cl_failed(c, "EnqueueUnmapMemObject", "", code);
    cl_charge(d, event, into ? BPTT_TRANSFER_IN : BPTT_TRANSFER_OUT);
    return fault_report(&c->base.fault, e);
}

static bptt_status move_view(bptt_device *d, bool into, bptt_mat m, void *rows, bptt_type as, bptt_error *e)
{
    cl_state *c = cl_of(d);
    if (!convertible(m.type, as))
        return bptt_fail(e, BPTT_BAD_INPUT, "opencl: numbers of type %d are not converted to type %d", (int)as,
                         (int)m.type);
    if (c->base.fault.code) return fault_report(&c->base.fault, e);
    if (m.rows == 0 || m.cols == 0) return BPTT_OK;
    return c->unified ? through_map(d, into, m, rows, as, e) : through_stage(d, into, m, rows, as, e);
}

bptt_status cl_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e)
{
    return move_view(d, true, dst, (void *)(uintptr_t)src, as, e); // src is only read
}

bptt_status cl_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e)
{
    return move_view(d, false, src, dst, as, e);
}
