// The toy backend: bytes are stored scrambled with a key that depends on their address, so raw access shows.
#include "toy.h"
#include "number_f32.h"

#include "cells.h"

#include <stdlib.h>
#include <string.h>

// Starts with a number where a host buffer has its pointer: code that confuses the two crashes.
struct bptt_buf {
    size_t bytes;
    unsigned char *stored;
};

toy *toy_of(bptt_device *d) { return d->own; }

// ---- memory ---------------------------------------------------------------------------------------------------------

static unsigned char key(size_t at) { return (unsigned char)(0xA5 + 37 * at); }

static void store(bptt_buf *b, size_t at, const void *x, size_t n)
{
    for (size_t i = 0; i < n; i++) b->stored[at + i] = (unsigned char)(((const unsigned char *)x)[i] ^ key(at + i));
}

static void load(const bptt_buf *b, size_t at, void *x, size_t n)
{
    for (size_t i = 0; i < n; i++) ((unsigned char *)x)[i] = (unsigned char)(b->stored[at + i] ^ key(at + i));
}

const unsigned char *toy_stored(const bptt_buf *b, size_t *bytes)
{
    *bytes = b->bytes;
    return b->stored;
}

static bptt_status toy_alloc(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e)
{
    bptt_buf *b = malloc(sizeof *b);
    unsigned char *stored = malloc(bytes ? bytes : 1);
    if (!b || !stored) {
        free(b);
        free(stored);
        return bptt_fail(e, BPTT_NO_MEMORY, "%s: no memory for a block of %zu bytes; lower `hidden`", d->backend.name,
                         bytes);
    }
    *b = (bptt_buf){bytes, stored};
    for (size_t i = 0; i < bytes; i++) store(b, i, &(unsigned char){0}, 1);
    *out = b;
    return BPTT_OK;
}

static void toy_free(bptt_device *d, bptt_buf *b)
{
    (void)d;
    if (b) free(b->stored);
    free(b);
}

// x as `to`. Floats and doubles convert, indices do not.
static void convert(void *out, bptt_type to, const void *x, bptt_type from)
{
    float f;
    double r;
    if (to == from) {
        memcpy(out, x, bptt_type_size(to));
    } else if (from == BPTT_F32) {
        memcpy(&f, x, sizeof f);
        r = (double)f;
        memcpy(out, &r, sizeof r);
    } else {
        memcpy(&r, x, sizeof r);
        f = (float)r;
        memcpy(out, &f, sizeof f);
    }
}

// Common start of all transfers.
static bptt_status begin(bptt_device *d, bptt_type a, bptt_type b, bptt_error *e)
{
    toy *own = toy_of(d);
    own->transfers++;
    const bptt_status s = shim_failure(d, e);
    if (s) return s;
    if (a != b && ((a != BPTT_F32 && a != BPTT_F64) || (b != BPTT_F32 && b != BPTT_F64)))
        return bptt_fail(e, BPTT_BAD_INPUT, "%s: no such conversion", d->backend.name);
    if (own->until == 0 || --own->until > 0) return BPTT_OK;
    return bptt_fail(e, BPTT_DEVICE, "the toy was told to fail");
}

static size_t byte_of(const bptt_mat *m, size_t i, size_t j)
{
    return (m->at + (m->t ? j * m->ld + i : i * m->ld + j)) * bptt_type_size(m->type);
}

static bptt_status toy_write(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e)
{
    const bptt_status s = begin(d, dst.type, as, e);
    for (size_t i = 0; !s && i < dst.rows; i++)
        for (size_t j = 0; j < dst.cols; j++) {
            char x[16];
            convert(x, dst.type, (const char *)src + (i * dst.cols + j) * bptt_type_size(as), as);
            store(dst.buf, byte_of(&dst, i, j), x, bptt_type_size(dst.type));
        }
    return s;
}

static bptt_status toy_read(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e)
{
    const bptt_status s = begin(d, src.type, as, e);
    for (size_t i = 0; !s && i < src.rows; i++)
        for (size_t j = 0; j < src.cols; j++) {
            char x[16];
            load(src.buf, byte_of(&src, i, j), x, bptt_type_size(src.type));
            convert((char *)dst + (i * src.cols + j) * bptt_type_size(as), as, x, src.type);
        }
    return s;
}

// ---- the device -----------------------------------------------------------------------------------------------------

static void toy_close(bptt_device *d)
{
    if (!d) return;
    shim_end(d);
    free(d->own);
    free(d);
}

static bptt_status toy_open(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    bptt_device *made = calloc(1, sizeof *made);
    if (made) made->own = calloc(1, sizeof(toy));
    if (!made || !made->own) {
        toy_close(made);
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory to open the %s backend", b->name);
    }
    made->backend = *b;
    made->threads = 1;
    made->bits = "same bits";
    made->profile = c->profile;
    *d = made;
    return BPTT_OK;
}

static const char *toy_describe(const bptt_device *d)
{
    (void)d;
    return "scrambled memory, for tests";
}

// Rows apart, so that a view is never a whole buffer.
static size_t toy_pad(size_t cols) { return cols + 3; }

// ---- the first entry of its own -------------------------------------------------------------------------------------

static float at(const bptt_mat *m, size_t i, size_t j)
{
    float x;
    load(m->buf, byte_of(m, i, j), &x, sizeof x);
    return x;
}

static void toy_cell_forward(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)slots;
    const bptt_mat z = s->arg[0], b = s->arg[1], b2 = s->arg[2], h = s->arg[3];
    toy_of(d)->cells++;
    for (size_t i = 0; i < h.rows; i++)
        for (size_t j = 0; j < h.cols; j++) {
            float x = at(&z, i, j);
            if (b.buf) x += at(&b, 0, j);
            if (b2.buf) x += at(&b2, 0, j);
            const float y = cell_forward((int)s->cell, x);
            store(h.buf, byte_of(&h, i, j), &y, sizeof y);
        }
}

bptt_backend bptt_toy(void)
{
    bptt_backend b = shim_over((bptt_backend){
        .name = "toy",
        .real = BPTT_F32,
        .sum = BPTT_F64,
        .transposed_copies = true,
        .pad = toy_pad,
        .open = toy_open,
        .close = toy_close,
        .describe = toy_describe,
        .alloc = toy_alloc,
        .free = toy_free,
        .write = toy_write,
        .read = toy_read,
    });
    b.op[BPTT_CELL_FORWARD] = toy_cell_forward;
    return b;
}

bptt_backend bptt_toy_narrow(void)
{
    bptt_backend b = bptt_toy();
    b.name = "toy, sums in float";
    b.sum = BPTT_F32;
    return b;
}
