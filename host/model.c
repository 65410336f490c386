// A model: tensors, initial weights. host/README.md has the table of tensors.
#include "model.h"
#include "config.h"
#include "machine.h"
#include "modules.h"
#include "prng.h"
#include "sized.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

layer_blocks model_blocks(const bptt_model_config *c, layer_tensor which)
{
    const bptt_cell_row *cell = bptt_cell_row_of(c->cell);
    const char *digits[2] = {cell->input, ""};
    if (which == WEIGHT_HH || which == BIAS_HH) digits[0] = cell->hidden;
    if (which == WEIGHT_MIXED || which == BIAS_HH) digits[which == BIAS_HH] = cell->mixed;
    layer_blocks b = {.first = cell->blocks};
    if (which == STATE_0) {
        for (b.first = 0; c->learned_state && b.count < cell->states; b.count++) b.at[b.count] = (unsigned char)b.count;
        return b;
    }
    if (which == BIAS_HH && c->biases == 1) { // the blocks that b_ih does not reach
        b.first = strlen(cell->input);
        for (size_t k = b.first; k < cell->blocks; k++) b.at[b.count++] = (unsigned char)k;
        return b;
    }
    for (size_t i = 0; i < 2; i++)
        for (const char *d = digits[i]; *d; d++) {
            b.at[b.count++] = (unsigned char)(*d - '0');
            if ((size_t)(*d - '0') < b.first) b.first = (size_t)(*d - '0');
        }
    return b;
}

// The tensors of a layer, in order. Returns their number.
static size_t layer_list(const bptt_model_config *c, layer_tensor list[LAYER_TENSORS])
{
    size_t n = 0;
    for (layer_tensor which = WEIGHT_IH; which < LAYER_TENSORS; which++)
        if (model_blocks(c, which).count > 0) list[n++] = which;
    return n;
}

size_t model_outputs(const bptt_model_config *c) { return c->output ? c->output : c->vocab; }

// The k-th tensor of layer l, or of the decoder when l = L. Returns its kind.
static layer_tensor describe_tensor(bptt_tensor *t, const bptt_model_config *c, size_t l, size_t k)
{
    static const char *const name[] = {"weight_ih", "weight_hh", "weight_mixed", "bias_ih", "bias_hh", "h0"};
    const size_t H = c->hidden, in = l > 0 ? H : c->input ? c->input : c->vocab;
    if (l == c->layers) {
        *t = (bptt_tensor){.rows = model_outputs(c), .cols = k == 0 ? H : 1, .rank = k == 0 ? 2 : 1};
        (void)snprintf(t->name, sizeof t->name, "decoder.%s", k == 0 ? "weight" : "bias");
        return LAYER_TENSORS;
    }
    layer_tensor list[LAYER_TENSORS];
    (void)layer_list(c, list);
    const layer_tensor which = list[k];
    const bool bias = which >= BIAS_IH, part = which == BIAS_HH && c->biases == 1;
    *t = (bptt_tensor){.rows = model_blocks(c, which).count * H, .cols = 1, .rank = bias ? 1 : 2};
    if (!bias) t->cols = which == WEIGHT_IH ? in : H;
    (void)snprintf(t->name, sizeof t->name, "rnn.%s_l%zu", part ? "bias_hn" : name[which], l);
    return which;
}

static bool part_needed(const bptt_model_config *c, bptt_part part)
{
#define KEEPS(NAME, number, update, m, v) [number] = {m, v},
    static const bool keeps[][2] = {OPTIMIZER_LIST(KEEPS)};
#undef KEEPS
    return part < BPTT_MOMENT1 || keeps[c->optimizer][part - BPTT_MOMENT1];
}

// The layout rows of one part: the shape of every tensor in memory.
static void part_table(const bptt_model *m, tensor *t, bptt_part part, shape *table)
{
    for (size_t i = 0; i < m->tensors; i++) {
        const bptt_tensor *info = &t[i].info;
        const size_t rows = info->rank == 2 ? info->cols : 1;
        table[i] = (shape){&t[i].part[part], rows, info->rows, m->device->backend.real};
    }
}

static bptt_status make_tensors(bptt_model *m, bptt_error *e)
{
    const bptt_model_config *c = &m->config;
    layer_tensor list[LAYER_TENSORS];
    m->per_layer = layer_list(c, list);
    m->tensors = m->L * m->per_layer + 2;
    m->tensor = calloc(m->tensors, sizeof *m->tensor);
    shape *table = calloc(m->tensors, sizeof *table);
    bptt_status s = m->tensor && table ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory for a table of tensors");
    for (size_t i = 0; !s && i < m->tensors; i++)
        m->tensor[i].kind = describe_tensor(&m->tensor[i].info, c, i / m->per_layer < m->L ? i / m->per_layer : m->L,
                                            i / m->per_layer < m->L ? i % m->per_layer : i - m->L * m->per_layer);
    for (bptt_part p = BPTT_WEIGHTS; !s && p <= BPTT_MOMENT2; p++) {
        if (!part_needed(c, p)) continue;
        part_table(m, m->tensor, p, table);
        s = layout_alloc(m->device, table, m->tensors, m->block[p], e);
        if (s) break;
        const bptt_mat last = m->tensor[m->tensors - 1].part[p];
        const size_t words = last.at + last.ld;
        m->whole[p] = (bptt_mat){.buf = last.buf, .rows = 1, .cols = words, .ld = words, .type = last.type};
    }
    free(table);
    return s;
}

// ---- the loss scale ------------------------------------------------------------------------------------------------

// Initial loss scale of fp16, as in PyTorch's GradScaler.
static const double first_scale[2] = {65536, 0};

static shape scale_shape(const bptt_model_config *c, bptt_mat *view, bptt_type sum)
{
    return (shape){view, c->compute.precision == BPTT_PRECISION_FP16 ? 1 : 0, 2, sum};
}

static bptt_status make_scale(bptt_model *m, bptt_error *e)
{
    const shape table = scale_shape(&m->config, &m->scale, m->device->backend.sum);
    const bptt_status s = layout_alloc(m->device, &table, 1, m->scale_block, e);
    return s || !m->scale.buf ? s : model_write_scale(m, first_scale, e);
}

bptt_status model_read_scale(bptt_model *m, double scale[2], bptt_error *e)
{
    return m->device->backend.read(m->device, scale, BPTT_F64, m->scale, e);
}

bptt_status model_write_scale(bptt_model *m, const double scale[2], bptt_error *e)
{
    return m->device->backend.write(m->device, m->scale, scale, BPTT_F64, e);
}

// ---- opening -------------------------------------------------------------------------------------------------------

// Ones in the block of a layer's bias_ih that the cell names; x is zero.
static void set_ones(const bptt_model *m, float *x)
{
    const layer_blocks b = model_blocks(&m->config, BIAS_IH);
    for (size_t k = 0; k < b.count; k++)
        for (size_t j = 0; j < m->H && b.at[k] == m->cell->one; j++) x[k * m->H + j] = 1;
}

// Initial weights, one tensor at a time, in PyTorch's layout.
static bptt_status first_weights(bptt_model *m, bptt_error *e)
{
    const double k = 1 / sqrt((double)m->config.hidden);
    uint64_t random = m->config.seed;
    for (size_t i = 0; i < m->tensors; i++) {
        const bptt_tensor *t = &m->tensor[i].info;
        const layer_tensor kind = m->tensor[i].kind;
        const bool zero = kind == STATE_0 || (t->rank == 1 && m->config.init == BPTT_INIT_REFERENCE);
        const bool ones = zero && m->cell->one >= 0 && kind == BIAS_IH;
        if (zero && !ones) continue; // zero already
        float *x = calloc(t->rows * t->cols, sizeof *x);
        if (!x) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for the initial weights of %s", t->name);
        if (ones) set_ones(m, x);
        for (size_t n = 0; !zero && n < t->rows * t->cols; n++)
            x[n] = (float)((2 * splitmix_uniform24(&random) - 1) * k);
        const bptt_status s = bptt_model_write(m, BPTT_WEIGHTS, i, x, BPTT_F32, e);
        free(x);
        if (s) return s;
    }
    return BPTT_OK;
}

static bptt_status build(const choice *ch, const bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    size_t bytes = 0;
    bptt_status s = model_size(&ch->b, c, &bytes, e);
    if (!s && !ch->b.list) s = check_memory(NULL, bytes, 0, "this model", e);
    if (s) return s;
    bptt_model *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a model");
    made->config = *c;
    made->info = ch->info;
    made->V = c->vocab, made->O = model_outputs(c);
    made->I = c->input ? c->input : c->vocab;
    made->cell = bptt_cell_row_of(c->cell);
    made->H = c->hidden, made->L = c->layers, made->S = made->cell->states;
    s = open_picked(ch, &c->compute, &made->device, e);
    if (!s) {
        fill_device_info(made->device, &made->info);
        (void)snprintf(made->number, sizeof made->number, "%u", made->info.number);
        made->config.compute.backend = made->device->backend.name;
        made->config.compute.device = ch->b.list ? made->number : NULL;
        made->config.compute.threads = made->device->threads;
        s = check_memory(made->device, bytes, 0, "this model", e);
    }
    if (!s) s = make_tensors(made, e);
    if (!s) s = make_scale(made, e);
    if (!s) s = first_weights(made, e);
    if (s) {
        bptt_model_close(made);
        return s;
    }
    *m = made;
    return BPTT_OK;
}

bptt_status model_open_chosen(const choice *ch, const bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    bptt_error why = {0};
    const bptt_status s = build(ch, c, m, &why);
    if (s && ch->automatic && s != BPTT_NO_MEMORY && s != BPTT_BAD_CONFIG) {
        choice other;
        const bptt_status none = pick_fallback(module_load, ch, why.words, c->compute.precision, &other, e);
        return none ? none : model_open_chosen(&other, c, m, e);
    }
    if (s && e) *e = why;
    return s;
}

bptt_status bptt_model_open_on(const bptt_backend *b, const bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    choice ch;
    bptt_status s = compute_check(&c->compute, e);
    if (!s) s = pick_on_backend(b, c->compute.device, &ch, e);
    return s ? s : model_open_chosen(&ch, c, m, e);
}

bptt_status bptt_model_open(const bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    if (!c || !m) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_model_open needs a configuration and an output pointer");
    choice ch;
    bptt_model_config whole;
    bptt_status s = model_config_in(&whole, c, e);
    if (!s) s = model_check(&whole, e);
    if (!s) s = pick_device(&whole.compute, whole.type, &ch, e);
    return s ? s : model_open_chosen(&ch, &whole, m, e);
}

void bptt_model_close(bptt_model *m)
{
    if (!m) return;
    if (m->device) {
        for (size_t p = 0; p < PARTS; p++) layout_free(m->device, m->block[p]);
        layout_free(m->device, m->scale_block);
        m->device->backend.close(m->device);
    }
    free(m->tensor);
    free(m->vocabulary);
    free(m);
}

bptt_status model_size(const bptt_backend *b, const bptt_model_config *c, size_t *bytes, bptt_error *e)
{
    bptt_mat scale;
    bptt_status s = model_check(c, e);
    const shape scaled = scale_shape(c, &scale, b->sum);
    if (!s) s = layout_size(b, &scaled, 1, bytes, e);
    if (s) return s;
    layer_tensor list[LAYER_TENSORS];
    const size_t per_layer = layer_list(c, list);
    for (size_t l = 0; l <= c->layers; l++)
        for (size_t k = 0; k < (l == c->layers ? 2 : per_layer); k++) {
            bptt_tensor t;
            bptt_mat view;
            (void)describe_tensor(&t, c, l, k);
            size_t one;
            const bptt_status st =
                layout_size(b, &(shape){&view, t.rank == 2 ? t.cols : 1, t.rows, b->real}, 1, &one, e);
            if (st) return st;
            for (bptt_part p = BPTT_WEIGHTS; p <= BPTT_MOMENT2; p++)
                if (part_needed(c, p)) *bytes += one;
        }
    return BPTT_OK;
}

bptt_mat model_layer(const bptt_model *m, bptt_part part, size_t l, layer_tensor which)
{
    for (const tensor *t = m->tensor + l * m->per_layer; t < m->tensor + (l + 1) * m->per_layer; t++)
        if (t->kind == which) return t->part[part];
    return (bptt_mat){0};
}

bptt_mat model_decoder_weight(const bptt_model *m, bptt_part part) { return m->tensor[m->tensors - 2].part[part]; }
bptt_mat model_decoder_bias(const bptt_model *m, bptt_part part) { return m->tensor[m->tensors - 1].part[part]; }

void bptt_model_get_config_sized(const bptt_model *m, bptt_model_config *c, size_t size)
{
    model_config_out(c, size, &m->config);
}

size_t bptt_model_tensors(const bptt_model *m) { return m->tensors; }
uint64_t bptt_model_updates(const bptt_model *m) { return m->updates; }
int bptt_model_cell_assumed(const bptt_model *m) { return m->cell_assumed; }

size_t bptt_model_parameters(const bptt_model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->tensors; i++) n += m->tensor[i].info.rows * m->tensor[i].info.cols;
    return n;
}

bptt_status bptt_model_tensor(const bptt_model *m, size_t i, bptt_tensor *t, bptt_error *e)
{
    if (i >= m->tensors)
        return bptt_fail(e, BPTT_BAD_INPUT, "tensor %zu does not exist: the model has %zu, numbered from 0", i,
                         m->tensors);
    *t = m->tensor[i].info;
    return BPTT_OK;
}

bptt_status bptt_model_set_updates(bptt_model *m, uint64_t n, bptt_error *e)
{
    if (m->run_in_flight) return bptt_fail(e, BPTT_BAD_INPUT, "windows are in flight; call bptt_run_collect first");
    if (n >= UINT64_C(1) << 53)
        return bptt_fail(e, BPTT_BAD_INPUT, "`n` is %" PRIu64 " updates, but must be below 2^53", n);
    m->updates = n;
    return BPTT_OK;
}

bptt_status check_type(const char *name, bptt_type t, bptt_error *e)
{
    // the last three are used by verify
    if (t == BPTT_F32 || t == BPTT_F64 || t == BPTT_C128 || t == BPTT_FP || t == BPTT_DUAL) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT, "`%s` is %d, but must be BPTT_F32 or BPTT_F64", name, (int)t);
}

// View of a part of a tensor with PyTorch's rows and columns.
static bptt_status outside_view(bptt_model *m, bptt_part part, size_t i, const void *x, bptt_type as, bptt_mat *view,
                                bptt_error *e)
{
    if (i >= m->tensors)
        return bptt_fail(e, BPTT_BAD_INPUT, "tensor %zu does not exist: the model has %zu, numbered from 0", i,
                         m->tensors);
    if ((unsigned)part >= PARTS || !m->tensor[i].part[part].buf)
        return bptt_fail(e, BPTT_BAD_INPUT, "the optimizer of this model has no part %d", (int)part);
    if (!x) return bptt_fail(e, BPTT_BAD_INPUT, "`x` is NULL, but must point to memory for %s", m->tensor[i].info.name);
    const bptt_status s = check_type("as", as, e);
    if (s) return s;
    *view = m->tensor[i].info.rank == 2 ? bptt_flip(m->tensor[i].part[part]) : m->tensor[i].part[part];
    return BPTT_OK;
}

// Calls of read or write for tensor i: one for each block of H rows if memory has them in another order than the file.
// *b: its blocks of z.
static size_t pieces(const bptt_model *m, size_t i, layer_blocks *b)
{
    if (m->tensor[i].kind == LAYER_TENSORS) return 1;
    *b = model_blocks(&m->config, m->tensor[i].kind);
    for (size_t k = 0; k < b->count; k++)
        if (b->at[k] != b->first + k) return b->count;
    return 1;
}

// The k-th of n pieces of a view with PyTorch's rows.
static bptt_mat piece_of(const bptt_model *m, bptt_mat view, const layer_blocks *b, size_t n, size_t k)
{
    if (n == 1) return view;
    const size_t first = (b->at[k] - b->first) * m->H;
    return view.t ? bptt_rows(view, first, m->H) : bptt_cols(view, first, m->H);
}

bptt_status bptt_model_read(bptt_model *m, bptt_part part, size_t i, void *x, bptt_type as, bptt_error *e)
{
    bptt_mat view;
    layer_blocks b;
    bptt_status s = outside_view(m, part, i, x, as, &view, e);
    for (size_t k = 0, n = s ? 0 : pieces(m, i, &b); !s && k < n; k++) {
        const size_t at = k * (view.rows * view.cols / n) * bptt_type_size(as);
        s = m->device->backend.read(m->device, (char *)x + at, as, piece_of(m, view, &b, n, k), e);
    }
    return s;
}

bptt_status bptt_model_write(bptt_model *m, bptt_part part, size_t i, const void *x, bptt_type as, bptt_error *e)
{
    bptt_mat view;
    layer_blocks b;
    bptt_status s = outside_view(m, part, i, x, as, &view, e);
    for (size_t k = 0, n = s ? 0 : pieces(m, i, &b); !s && k < n; k++) {
        const size_t at = k * (view.rows * view.cols / n) * bptt_type_size(as);
        s = m->device->backend.write(m->device, piece_of(m, view, &b, n, k), (const char *)x + at, as, e);
    }
    return s;
}

bptt_status bptt_model_set_vocabulary(bptt_model *m, const unsigned char *bytes, size_t n, bptt_error *e)
{
    if (!bytes || n != m->V || n > 256)
        return bptt_fail(e, BPTT_BAD_INPUT, "a vocabulary of %zu bytes does not fit a model of %zu tokens", n, m->V);
    bool seen[256] = {false};
    for (size_t i = 0; i < n; i++) {
        if (seen[bytes[i]]) return bptt_fail(e, BPTT_BAD_INPUT, "the vocabulary contains byte 0x%02x twice", bytes[i]);
        seen[bytes[i]] = true;
    }
    unsigned char *copy = malloc(n);
    if (!copy) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a vocabulary");
    memcpy(copy, bytes, n);
    free(m->vocabulary);
    m->vocabulary = copy;
    return BPTT_OK;
}

void bptt_model_vocabulary(const bptt_model *m, const unsigned char **bytes, size_t *n)
{
    *bytes = m->vocabulary;
    *n = m->vocabulary ? m->V : 0;
}
