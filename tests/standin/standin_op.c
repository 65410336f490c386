// The stand-in's copies and fills.
#include "standin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static standin_area block_of(uint64_t at, uint64_t pitch, uint64_t width, uint64_t height, bool written)
{
    return (standin_area){.at = at,
                          .rows = height,
                          .cols = 1,
                          .down = pitch,
                          .across = width,
                          .size = width,
                          .read = !written,
                          .written = written,
                          .name = written ? "destination" : "source"};
}

static void run_copy(const standin_op *op)
{
    const standin_copy *c = &op->as.copy;
    for (uint64_t i = 0; i < c->height; i++)
        memmove(standin_host(c->to + i * c->to_pitch, c->width), standin_host(c->from + i * c->from_pitch, c->width),
                c->width);
}

static cu_result queue_copy(const standin_copy *c, cu_stream stream)
{
    standin_op op = {.run = run_copy, .areas = c->width && c->height ? 2 : 0, .as = {.copy = *c}};
    snprintf(op.words, sizeof op.words, "copy %s to %s, %" PRIu64 " x %" PRIu64 " bytes",
             standin_is_device(c->from) ? "device" : "host", standin_is_device(c->to) ? "device" : "host", c->height,
             c->width);
    op.area[0] = block_of(c->from, c->from_pitch, c->width, c->height, false);
    op.area[1] = block_of(c->to, c->to_pitch, c->width, c->height, true);
    return standin_queue(stream, &op);
}

static void run_fill(const standin_op *op)
{
    const standin_fill *f = &op->as.fill;
    memset(standin_host(f->to, f->bytes), f->value, f->bytes);
}

static uint64_t host_address(const void *p) { return (uint64_t)(uintptr_t)p; }

static cu_result demand_device(cu_memory at, const char *call)
{
    if (!standin_is_device(at)) standin_die("%s: 0x%llx is no device address", call, at);
    return 0;
}

static cu_result host_to_device(cu_memory to, const void *from, size_t bytes, cu_stream stream)
{
    demand_device(to, "MemcpyHtoDAsync");
    return queue_copy(&(standin_copy){to, host_address(from), bytes, bytes, bytes, 1}, stream);
}

static cu_result device_to_host(void *to, cu_memory from, size_t bytes, cu_stream stream)
{
    demand_device(from, "MemcpyDtoHAsync");
    return queue_copy(&(standin_copy){host_address(to), from, bytes, bytes, bytes, 1}, stream);
}

static cu_result copy_2d(const cu_copy2d *c, cu_stream stream)
{
    if ((c->src_type != CU_HOST && c->src_type != CU_DEVICE) || (c->dst_type != CU_HOST && c->dst_type != CU_DEVICE))
        return standin_refuse(CU_INVALID_VALUE, "Memcpy2DAsync: memory types %d and %d", c->src_type, c->dst_type);
    if (!c->width_bytes || !c->height) standin_die("Memcpy2DAsync of nothing");
    if (c->src_pitch < c->src_x_bytes + c->width_bytes || c->dst_pitch < c->dst_x_bytes + c->width_bytes)
        return standin_refuse(CU_INVALID_VALUE, "Memcpy2DAsync: %zu bytes of rows of %zu to rows of %zu",
                              c->width_bytes, c->src_pitch, c->dst_pitch);
    if (c->src_type == CU_DEVICE) demand_device(c->src_device, "Memcpy2DAsync");
    if (c->dst_type == CU_DEVICE) demand_device(c->dst_device, "Memcpy2DAsync");
    const uint64_t from = c->src_type == CU_HOST ? host_address(c->src_host) : c->src_device;
    const uint64_t to = c->dst_type == CU_HOST ? host_address(c->dst_host) : c->dst_device;
    return queue_copy(&(standin_copy){.to = to + c->dst_y * c->dst_pitch + c->dst_x_bytes,
                                      .from = from + c->src_y * c->src_pitch + c->src_x_bytes,
                                      .to_pitch = c->dst_pitch,
                                      .from_pitch = c->src_pitch,
                                      .width = c->width_bytes,
                                      .height = c->height},
                      stream);
}

static cu_result set_bytes(cu_memory memory, unsigned char value, size_t bytes, cu_stream stream)
{
    demand_device(memory, "MemsetD8Async");
    standin_op op = {.run = run_fill, .areas = bytes != 0, .as = {.fill = {memory, bytes, value}}};
    snprintf(op.words, sizeof op.words, "set %zu bytes to %u", bytes, value);
    op.area[0] = block_of(memory, bytes, bytes, 1, true);
    return standin_queue(stream, &op);
}

cu_result cuMemcpyHtoDAsync_v2(cu_memory to, const void *from, size_t bytes, cu_stream stream)
{
    STANDIN_CALL(MemcpyHtoDAsync, STANDIN_CONTEXT, host_to_device(to, from, bytes, stream));
}
cu_result cuMemcpyDtoHAsync_v2(void *to, cu_memory from, size_t bytes, cu_stream stream)
{
    STANDIN_CALL(MemcpyDtoHAsync, STANDIN_CONTEXT, device_to_host(to, from, bytes, stream));
}
cu_result cuMemcpy2DAsync_v2(const cu_copy2d *copy, cu_stream stream)
{
    STANDIN_CALL(Memcpy2DAsync, STANDIN_CONTEXT, copy_2d(copy, stream));
}
cu_result cuMemsetD8Async(cu_memory memory, unsigned char value, size_t bytes, cu_stream stream)
{
    STANDIN_CALL(MemsetD8Async, STANDIN_CONTEXT, set_bytes(memory, value, bytes, stream));
}
