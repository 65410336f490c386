// Reading a trace: every size, shape and number is checked before it is used.
#include "model_file.h"
#include "trace.h"
#include "trace_window.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    st_reader *r;
    trace_window *w;
    const char *path;
} reading;

enum { MOST_V = 256, MOST_H = 65536, MOST_L = 64 }; // a text is bytes

// ---- metadata ------------------------------------------------------------------------------------------------------

static bptt_status get_size(const reading *k, const char *key, uint64_t most, size_t *size, bptt_error *e)
{
    uint64_t n = 0;
    const bptt_status s = get_count(k->r, key, &n, e);
    if (s) return s;
    if (n == 0 || n > most)
        return bptt_fail(e, BPTT_BAD_FILE, "%.300s: %s is %llu, but must be from 1 to %llu", k->path, key,
                         (unsigned long long)n, (unsigned long long)most);
    *size = (size_t)n;
    return BPTT_OK;
}

static bptt_status unknown_word(const reading *k, const char *key, const char *word, bptt_error *e)
{
    return bptt_fail(e, BPTT_BAD_FILE, "%.300s: the %s \"%.40s\" is unknown to this version", k->path, key,
                     word ? word : "");
}

static bptt_status get_cell(const reading *k, bptt_cell *cell, bptt_error *e)
{
    const char *const word = st_metadata(k->r, "cell");
    for (size_t i = 0; word && i < bptt_cells; i++)
        if (strcmp(word, bptt_cell_table[i].word) == 0) {
            *cell = (bptt_cell)i;
            return BPTT_OK;
        }
    return unknown_word(k, "cell", word, e);
}

// Index of a metadata word in a list.
static bptt_status get_word(const reading *k, const char *key, const char *const *list, size_t n, size_t *place,
                            bptt_error *e)
{
    const char *word = st_metadata(k->r, key);
    for (*place = 0; word && *place < n; ++*place)
        if (strcmp(word, list[*place]) == 0) return BPTT_OK;
    return unknown_word(k, key, word, e);
}

static bptt_status get_sizes(const reading *k, bptt_error *e)
{
    trace_window *w = k->w;
    const char *version = st_metadata(k->r, "trace");
    uint64_t number = 0;
    size_t biases = 0, precision = 0;
    if (!version) return bptt_fail(e, BPTT_BAD_FILE, "%.300s is no trace; bptt train --trace makes one", k->path);
    bptt_status s = get_count(k->r, "trace", &number, e);
    if (!s && number != TRACE_VERSION)
        s = bptt_fail(e, BPTT_BAD_FILE, "%.300s: a trace of version %.20s; this program reads version %d", k->path,
                      version, TRACE_VERSION);
    if (!s) s = get_size(k, "vocab", MOST_V, &w->V, e);
    if (!s) s = get_size(k, "hidden", MOST_H, &w->H, e);
    if (!s) s = get_size(k, "layers", MOST_L, &w->L, e);
    if (!s) s = get_size(k, "biases", 2, &biases, e);
    if (!s) s = get_size(k, "trace.steps", INT32_MAX, &w->T, e);
    if (!s) s = get_size(k, "trace.batch", INT32_MAX, &w->B, e);
    if (!s) s = get_count(k->r, "trace.update", &w->update, e);
    if (!s) s = get_cell(k, &w->model.cell, e);
    if (!s && st_metadata(k->r, "learned_state"))
        s = bptt_fail(e, BPTT_BAD_FILE, "%.300s: the model has a learned initial state, which is not checked yet",
                      k->path);
    if (!s) s = get_word(k, "trace.precision", bptt_precision_word, BPTT_PRECISIONS, &precision, e);
    if (s) return s;
    static const double operand[BPTT_PRECISIONS] = {0, 0x1p-11, 0x1p-8, 0x1p-11};
    const char *backend = st_metadata(k->r, "trace.backend");
    const bptt_cell_row *cell = bptt_cell_row_of(w->model.cell);
    w->W = cell->states * w->H, w->ZH = cell->blocks * w->H;
    w->model.biases = (int)biases, w->operand = operand[precision];
    (void)snprintf(w->where, sizeof w->where, "%.80s, %s", backend ? backend : "?", bptt_precision_word[precision]);
    return BPTT_OK;
}

// ---- tensors -------------------------------------------------------------------------------------------------------

// Allocates memory that trace_close frees. The table has room for all tensors.
static void *alloc_block(trace_window *w, size_t n, size_t size)
{
    void *p = calloc(n, size);
    w->block[w->blocks++] = p;
    return p;
}

// Reads a tensor of the given shape and one of two types, as raw bytes.
static bptt_status read_raw(const reading *k, const char *name, st_dtype a, st_dtype b, int rank, const uint64_t *sizes,
                            void **raw, st_tensor *found, bptt_error *e)
{
    const st_tensor *t = st_find(k->r, name);
    if (!t) return bptt_fail(e, BPTT_BAD_FILE, "%.300s has no tensor %s", k->path, name);
    if (t->rank != rank || memcmp(t->shape, sizes, (size_t)rank * sizeof *sizes) != 0)
        return bptt_fail(e, BPTT_BAD_FILE, "%.300s: %s has another shape than the metadata say", k->path, name);
    if (t->dtype != a && t->dtype != b)
        return bptt_fail(e, BPTT_BAD_FILE, "%.300s: %s holds %s", k->path, name, st_dtype_name(t->dtype));
    *found = *t;
    *raw = malloc((size_t)(t->end - t->begin) + 1);
    if (!*raw) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to read %s", name);
    const bptt_status s = st_read(k->r, t, *raw, e);
    if (s) free(*raw);
    return s;
}

// Reads numbers as doubles. Numbers that are not finite are accepted here; they fail every bound later.
static bptt_status read_reals(const reading *k, const char *name, int rank, const uint64_t *sizes, double **x,
                              bptt_error *e)
{
    st_tensor t;
    void *raw = NULL;
    const bptt_status s = read_raw(k, name, ST_F32, ST_F64, rank, sizes, &raw, &t, e);
    if (s) return s;
    const size_t n = (size_t)(t.end - t.begin) / st_dtype_size(t.dtype);
    *x = alloc_block(k->w, n ? n : 1, sizeof **x);
    for (size_t i = 0; *x && i < n; i++) (*x)[i] = t.dtype == ST_F64 ? ((double *)raw)[i] : (double)((float *)raw)[i];
    free(raw);
    return *x ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to read %s", name);
}

static bptt_status read_ids(const reading *k, const char *name, size_t **id, bptt_error *e)
{
    trace_window *w = k->w;
    st_tensor t;
    void *raw = NULL;
    bptt_status s = read_raw(k, name, ST_I64, ST_I64, 2, (uint64_t[]){w->T, w->B}, &raw, &t, e);
    if (s) return s;
    *id = alloc_block(w, w->T * w->B, sizeof **id);
    if (!*id) s = bptt_fail(e, BPTT_NO_MEMORY, "no memory to read %s", name);
    for (size_t i = 0; !s && i < w->T * w->B; i++) {
        const int64_t v = ((int64_t *)raw)[i];
        if (v < 0 || v >= (int64_t)w->V)
            s = bptt_fail(e, BPTT_BAD_FILE, "%.300s: %s holds %lld, not in 0..%zu", k->path, name, (long long)v,
                          w->V - 1);
        else
            (*id)[i] = (size_t)v;
    }
    free(raw);
    return s;
}

static bptt_status read_keep(const reading *k, bptt_error *e)
{
    const trace_window *w = k->w;
    bptt_status s = read_reals(k, "trace.keep", 2, (uint64_t[]){w->T, w->B}, &k->w->keep, e);
    for (size_t i = 0; !s && i < w->T * w->B; i++)
        if (w->keep[i] != 0 && w->keep[i] != 1)
            s = bptt_fail(e, BPTT_BAD_FILE, "%.300s: trace.keep holds %g, not 0 or 1", k->path, w->keep[i]);
    return s;
}

// Reads a tensor of a layer. A bias_hn of a weight may be the end of a complete bias_hh (host/model_file.c).
static bptt_status read_tensor(const reading *k, const char *before, size_t l, layer_tensor which, double **x,
                               bptt_error *e)
{
    static const char *const kind[] = {"weight_ih", "weight_hh", "weight_mixed", "bias_ih", "bias_hh"};
    const trace_window *w = k->w;
    const bool bias = which >= BIAS_IH, alone = which == BIAS_HH && w->model.biases == 1;
    const size_t rows = model_blocks(&w->model, which).count * w->H;
    const size_t cols = bias ? 1 : which == WEIGHT_IH && l == 0 ? w->V : w->H;
    char name[96];
    (void)snprintf(name, sizeof name, "%srnn.%s_l%zu", before, alone ? "bias_hn" : kind[which], l);
    if (!alone || st_find(k->r, name)) return read_reals(k, name, bias ? 1 : 2, (uint64_t[]){rows, cols}, x, e);
    const size_t all = model_blocks(&w->model, WEIGHT_HH).count * w->H;
    (void)snprintf(name, sizeof name, "%srnn.bias_hh_l%zu", before, l);
    const bptt_status s = read_reals(k, name, 1, (uint64_t[]){all}, x, e);
    if (!s) *x += all - rows;
    return s;
}

static bptt_status read_layer(const reading *k, const char *before, size_t l, trace_layer *m, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (layer_tensor which = WEIGHT_IH; !s && which < LAYER_TENSORS; which++)
        if (model_blocks(&k->w->model, which).count > 0) s = read_tensor(k, before, l, which, &m->of[which], e);
    return s;
}

static bptt_status read_all(const reading *k, bptt_error *e)
{
    trace_window *w = k->w;
    const uint64_t L = w->L, T = w->T, B = w->B, H = w->H, W = w->W, ZH = w->ZH, out[2] = {w->V, H};
    const bool gated = bptt_cell_is_gated(w->model.cell), mixed = *bptt_cell_row_of(w->model.cell)->mixed;
    static const char *const grad = "train.gradient.";
    w->weight = alloc_block(w, w->L, sizeof *w->weight);
    w->gradient = alloc_block(w, w->L, sizeof *w->gradient);
    bptt_status s = w->weight && w->gradient ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to read a trace");
    if (!s) s = read_ids(k, "trace.token", &w->token, e);
    if (!s) s = read_ids(k, "trace.target", &w->target, e);
    if (!s) s = read_keep(k, e);
    if (!s) s = read_reals(k, "trace.states", 4, (uint64_t[]){L, T + 1, B, W}, &w->states, e);
    if (!s) s = read_reals(k, "trace.dz", 4, (uint64_t[]){L, T, B, ZH}, &w->dz, e);
    if (!s && gated) s = read_reals(k, "trace.dstates", 4, (uint64_t[]){L, T + 1, B, W}, &w->dstates, e);
    if (!s && mixed) s = read_reals(k, "trace.mixed", 4, (uint64_t[]){L, T, B, H}, &w->mixed, e);
    if (!s) s = read_reals(k, "trace.losses", 2, (uint64_t[]){T, B}, &w->losses, e);
    for (size_t l = 0; !s && l < w->L; l++) s = read_layer(k, "", l, &w->weight[l], e);
    for (size_t l = 0; !s && l < w->L; l++) s = read_layer(k, grad, l, &w->gradient[l], e);
    if (!s) s = read_reals(k, "decoder.weight", 2, out, &w->out_weight, e);
    if (!s) s = read_reals(k, "decoder.bias", 1, out, &w->out_bias, e);
    if (!s) s = read_reals(k, "train.gradient.decoder.weight", 2, out, &w->grad_out_weight, e);
    if (!s) s = read_reals(k, "train.gradient.decoder.bias", 1, out, &w->grad_out_bias, e);
    if (!s) w->unit = st_find(k->r, "trace.states")->dtype == ST_F64 ? 0x1p-53 : 0x1p-24;
    return s;
}

// ---- the whole -----------------------------------------------------------------------------------------------------

bptt_status trace_open(const char *folder, trace_window **out, bptt_error *e)
{
    enum { TABLE = 2 * LAYER_TENSORS * MOST_L + 16 };
    const size_t room = strlen(folder) + sizeof "/" TRACE_FILE;
    char *path = malloc(room);
    trace_window *w = calloc(1, sizeof *w);
    if (w) w->block = calloc(TABLE, sizeof *w->block);
    reading k = {.w = w, .path = path};
    bptt_status s = path && w && w->block ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to read a trace");
    if (!s) {
        (void)snprintf(path, room, "%s/" TRACE_FILE, folder);
        s = st_read_open(path, 0, &k.r, e);
    }
    if (!s) s = get_sizes(&k, e);
    if (!s) s = read_all(&k, e);
    st_read_close(k.r);
    free(path);
    if (s) {
        trace_close(w);
        return s;
    }
    *out = w;
    return BPTT_OK;
}

void trace_close(trace_window *w)
{
    if (!w) return;
    for (size_t i = 0; i < w->blocks; i++) free(w->block[i]);
    free(w->block);
    free(w);
}
