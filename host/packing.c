// Packs the sequences of a window into few streams: first-fit decreasing.
#include "packing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// ---- memory ---------------------------------------------------------------------------------------------------------

// Sizes, and the number of elements of each block of memory.
static packing sizes_of(const bptt_model_config *m, const bptt_run_config *c, bptt_type real, size_t elements[2])
{
    packing p = {.B = c->batch, .T = c->steps, .I = m->input, .O = model_outputs(m), .burn_in = c->burn_in};
    const size_t N = p.B * p.T;
    p.element = bptt_type_size(real) > sizeof(double) ? bptt_type_size(real) : sizeof(double);
    for (p.leaves = 1; p.leaves < p.B;) p.leaves *= 2;
    elements[0] = 4 * p.B + p.T + 1 + 2 * p.leaves + 4 * N + p.B * p.O;
    elements[1] = N * (p.I + (m->output ? p.O : 0));
    return p;
}

size_t packing_bytes(const bptt_model_config *m, const bptt_run_config *c, bptt_type real)
{
    size_t elements[2];
    const packing p = sizes_of(m, c, real, elements);
    return elements[0] * sizeof(int32_t) + elements[1] * p.element;
}

// The next n numbers of a block. int32_t and float have the same size and alignment.
static void *next(char **at, size_t n)
{
    void *const x = *at;
    *at += n * sizeof(int32_t);
    return x;
}

bptt_status packing_open(packing *p, const bptt_model_config *m, const bptt_run_config *c, bptt_type real,
                         bptt_error *e)
{
    _Static_assert(sizeof(float) == sizeof(int32_t), "one block for both");
    size_t elements[2];
    *p = sizes_of(m, c, real, elements);
    const size_t B = p->B, N = B * p->T;
    p->memory[0] = calloc(elements[0], sizeof(int32_t));
    p->memory[1] = calloc(elements[1] + 1, p->element);
    if (!p->memory[0] || !p->memory[1])
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory to pack sequences of a run of %zu x %zu", p->T, B);
    char *at = p->memory[0];
    p->length = next(&at, B), p->stream = next(&at, B), p->start = next(&at, B), p->order = next(&at, B);
    p->count = next(&at, p->T + 1), p->room = next(&at, 2 * p->leaves);
    p->token = next(&at, N), p->target = next(&at, N), p->weight = next(&at, N), p->keep = next(&at, N);
    p->row = next(&at, B * p->O);
    p->dense = p->memory[1], p->dense_target = p->dense + N * p->I * p->element;
    return BPTT_OK;
}

void packing_close(packing *p)
{
    for (size_t k = 0; k < 2; k++) free(p->memory[k]);
    *p = (packing){0};
}

// ---- placement ------------------------------------------------------------------------------------------------------

// A counting sort of the sequences: longest first, equal ones in their order.
static void sort(packing *p)
{
    int32_t at = 0;
    memset(p->count, 0, (p->T + 1) * sizeof *p->count);
    for (size_t b = 0; b < p->B; b++) p->count[p->length[b]]++;
    for (size_t n = p->T + 1; n-- > 0;) {
        const int32_t here = p->count[n];
        p->count[n] = at, at += here;
    }
    for (size_t b = 0; b < p->B; b++) p->order[p->count[p->length[b]]++] = (int32_t)b;
}

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

static void empty_streams(packing *p)
{
    for (size_t i = 0; i < p->leaves; i++) p->room[p->leaves + i] = i < p->B ? (int32_t)p->T : 0;
    for (size_t i = p->leaves; i-- > 1;) p->room[i] = larger(p->room[2 * i], p->room[2 * i + 1]);
}

// The first stream with room for n steps: p->room is a tree of maxima. Takes the room.
static void place(packing *p, size_t b, int32_t n)
{
    size_t i = 1;
    while (i < p->leaves) i = 2 * i + (p->room[2 * i] < n);
    p->stream[b] = (int32_t)(i - p->leaves), p->start[b] = (int32_t)p->T - p->room[i];
    p->room[i] -= n;
    while (i > 1) {
        i /= 2;
        p->room[i] = larger(p->room[2 * i], p->room[2 * i + 1]);
    }
}

size_t packing_place(packing *p, const int32_t *length)
{
    size_t streams = 0;
    for (size_t b = 0; b < p->B; b++) p->length[b] = length ? length[b] : (int32_t)p->T;
    sort(p);
    empty_streams(p);
    for (size_t k = 0; k < p->B; k++) {
        const size_t b = (size_t)p->order[k];
        if (p->length[b] == 0) break;
        place(p, b, p->length[b]);
        if ((size_t)p->stream[b] >= streams) streams = (size_t)p->stream[b] + 1;
    }
    return streams;
}

// ---- arrays ---------------------------------------------------------------------------------------------------------

// Row of step t of sequence b in an array [T][streams].
static size_t packed_row(const packing *p, size_t streams, size_t b, size_t t)
{
    return ((size_t)p->start[b] + t) * streams + (size_t)p->stream[b];
}

static size_t steps_of(const packing *p, size_t b) { return (size_t)p->length[b]; }

// Packs rows of `bytes` bytes; NULL stays NULL.
static void *pack(const packing *p, size_t streams, size_t bytes, const void *from, void *to)
{
    if (!from) return NULL;
    memset(to, 0, p->T * streams * bytes);
    for (size_t b = 0; b < p->B; b++)
        for (size_t t = 0; t < steps_of(p, b); t++)
            memcpy((char *)to + packed_row(p, streams, b, t) * bytes, (const char *)from + (t * p->B + b) * bytes,
                   bytes);
    return to;
}

// Packs factors: 0 in the first `zeros` steps of a sequence, then those of `from`; NULL: ones.
static float *pack_factors(const packing *p, size_t streams, size_t zeros, const float *from, float *to)
{
    memset(to, 0, p->T * streams * sizeof *to);
    for (size_t b = 0; b < p->B; b++)
        for (size_t t = zeros; t < steps_of(p, b); t++)
            to[packed_row(p, streams, b, t)] = from ? from[t * p->B + b] : 1;
    return to;
}

bptt_window packing_window(packing *p, const bptt_window *w, size_t streams)
{
    const size_t in = p->I * bptt_type_size(w->dense_type), out = p->O * bptt_type_size(w->dense_target_type);
    bptt_window packed = *w;
    assert(!w->dense || bptt_type_size(w->dense_type) <= p->element);
    assert(!w->dense_target || bptt_type_size(w->dense_target_type) <= p->element);
    packed.token = pack(p, streams, sizeof *p->token, w->token, p->token);
    packed.target = pack(p, streams, sizeof *p->target, w->target, p->target);
    packed.dense = pack(p, streams, in, w->dense, p->dense);
    packed.dense_target = pack(p, streams, out, w->dense_target, p->dense_target);
    packed.weight = pack_factors(p, streams, p->burn_in, w->weight, p->weight);
    packed.keep = pack_factors(p, streams, 1, w->keep, p->keep);
    packed.length = NULL;
    return packed;
}

void packing_unpack(const packing *p, size_t streams, size_t bytes, const void *packed, void *x)
{
    memset(x, 0, p->T * p->B * bytes);
    for (size_t b = 0; b < p->B; b++)
        for (size_t t = 0; t < steps_of(p, b); t++)
            memcpy((char *)x + (t * p->B + b) * bytes, (const char *)packed + packed_row(p, streams, b, t) * bytes,
                   bytes);
}

void packing_unpack_step(const packing *p, size_t t, float *out)
{
    for (size_t b = 0; b < p->B; b++) {
        const size_t first = (size_t)p->start[b];
        if (t < first || t - first >= steps_of(p, b)) continue;
        memcpy(out + ((t - first) * p->B + b) * p->O, p->row + (size_t)p->stream[b] * p->O, p->O * sizeof *out);
    }
}
