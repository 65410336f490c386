// Reads models: files of bptt, and files with only PyTorch's tensors.
#include "config.h"
#include "model_file.h"
#include "sized.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bptt_status shape_is(const st_tensor *t, const char *name, int rank, uint64_t rows, uint64_t cols, bptt_error *e)
{
    if (!t) return bptt_fail(e, BPTT_BAD_FILE, "the file has no tensor %s", name);
    if (t->rank != rank || t->shape[0] != rows || (rank == 2 && t->shape[1] != cols))
        return bptt_fail(e, BPTT_BAD_FILE, "%s does not have the shape [%llu%s%.0llu]", name, (unsigned long long)rows,
                         rank == 2 ? ", " : "", rank == 2 ? (unsigned long long)cols : 0);
    if (t->dtype != ST_F32 && t->dtype != ST_F64)
        return bptt_fail(e, BPTT_BAD_FILE, "%s holds %s, but only F32 and F64 can be read; convert it", name,
                         st_dtype_name(t->dtype));
    return BPTT_OK;
}

static bool all_zero(const unsigned char *x, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (x[i]) return false;
    return true;
}

static const st_tensor *layer_tensor_of(const st_reader *r, const char *kind, size_t l)
{
    char name[48];
    (void)snprintf(name, sizeof name, "rnn.%s_l%zu", kind, l);
    return st_find(r, name);
}

// biases = 1 if there is no bias_hh, or each is zero but for its last blocks, which are bias_hn; else 2.
static bptt_status count_biases(st_reader *r, const bptt_model_config *c, int *biases, bptt_error *e)
{
    *biases = 1;
    const bptt_model_config one = {.cell = c->cell, .biases = 1};
    const bptt_model_config both = {.cell = c->cell, .biases = 2};
    const size_t hidden = model_blocks(&both, BIAS_HH).count, own = model_blocks(&one, BIAS_HH).count;
    const bool mixed = *bptt_cell_row_of(c->cell)->mixed != '\0'; // files of these cells hold bias_hn itself
    for (size_t l = 0; l < c->layers && *biases == 1; l++) {
        const st_tensor *t = layer_tensor_of(r, "bias_hh", l);
        if (!t || !hidden) continue;
        const bptt_status fits = shape_is(t, t->name, 1, hidden * c->hidden, 1, e);
        if (fits) return fits;
        const size_t bytes = (size_t)(t->end - t->begin);
        unsigned char *x = malloc(bytes + 1);
        if (!x) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to read %s", t->name);
        const bptt_status s = st_read(r, t, x, e);
        if (!s && (mixed || !all_zero(x, bytes / hidden * (hidden - own)))) *biases = 2;
        free(x);
        if (s) return s;
    }
    return BPTT_OK;
}

static bptt_status unknown_cell(const char *word, bptt_error *e)
{
    char known[160] = "";
    for (unsigned k = 0; k < bptt_cells; k++) {
        const size_t n = strlen(known);
        (void)snprintf(known + n, sizeof known - n, "%s%s", k ? ", " : "", bptt_cell_table[k].word);
    }
    return bptt_fail(e, BPTT_BAD_FILE, "the cell \"%.40s\" is unknown to this version; it knows %s", word, known);
}

// Reads the optional key "cell"; *named is false if it is absent.
static bptt_status cell_from_metadata(const st_reader *r, bptt_cell *cell, bool *named, bptt_error *e)
{
    const char *word = st_metadata(r, "cell");
    unsigned k = 0;
    *named = word != NULL;
    while (word && k < bptt_cells && strcmp(word, bptt_cell_table[k].word) != 0) k++;
    if (word && k == bptt_cells) return unknown_cell(word, e);
    if (word) *cell = (bptt_cell)k;
    return BPTT_OK;
}

// Reads the optional keys "output", 0 for token targets or the width of dense targets, "loss" and "skip".
static bptt_status output_width(const st_reader *r, size_t rows, bptt_model_config *c, bptt_error *e)
{
    static const field_id id[] = {FIELD_LOSS, FIELD_SKIP};
    uint64_t width = 0;
    bptt_status s = st_metadata(r, "output") ? get_count(r, "output", &width, e) : BPTT_OK;
    if (s || width == 0) return s;
    if (width != rows)
        return bptt_fail(e, BPTT_BAD_FILE,
                         "the metadata say \"output\" %" PRIu64 " (0: tokens), but decoder.weight has %zu rows", width,
                         rows);
    c->output = rows, c->loss = BPTT_SQUARED;
    for (size_t i = 0; !s && i < sizeof id / sizeof *id; i++) s = get_field(r, &field_table[id[i]], c, e);
    return s;
}

// Reads the optional key "input": 0 for tokens, or the width of dense vectors, which must match the tensors.
// Without the key, a width equal to the rows of the decoder means tokens, unless targets are dense. Sets vocab too.
static bptt_status input_width(const st_reader *r, size_t columns, size_t rows, bptt_model_config *c, bptt_error *e)
{
    uint64_t width = columns == rows && !c->output ? 0 : columns;
    const bptt_status s = st_metadata(r, "input") ? get_count(r, "input", &width, e) : BPTT_OK;
    if (s) return s;
    const size_t V = !c->output ? rows : width ? 0 : columns;
    if ((width ? width : V) != columns)
        return bptt_fail(e, BPTT_BAD_FILE,
                         "the metadata say \"input\" %" PRIu64
                         " (0: tokens), but rnn.weight_ih_l0 has %zu columns, and "
                         "decoder.weight %zu rows",
                         width, columns, rows);
    c->input = (size_t)width, c->vocab = V;
    return BPTT_OK;
}

// The first cell of PyTorch's whose weights have these shapes, for H hidden units.
static bptt_status cell_from_shapes(const st_tensor *ih, const st_tensor *hh, uint64_t H, bptt_cell *cell,
                                    bptt_error *e)
{
    for (size_t k = 0; k < bptt_cells; k++) {
        const bptt_cell_row *row = &bptt_cell_table[k];
        if (*row->mixed || !*row->hidden || hh->shape[1] != H) continue;
        if (ih->shape[0] != strlen(row->input) * H || hh->shape[0] != strlen(row->hidden) * H) continue;
        *cell = (bptt_cell)k;
        return BPTT_OK;
    }
    return bptt_fail(e, BPTT_BAD_FILE,
                     "decoder.weight has %" PRIu64
                     " columns, which is the number of hidden units, rnn.weight_ih_l0 has "
                     "%" PRIu64 " rows, and rnn.weight_hh_l0 %" PRIu64 " x %" PRIu64 ": no known cell has such weights",
                     H, ih->shape[0], hh->shape[0], hh->shape[1]);
}

// Sizes from the shapes of the tensors, for files not written by bptt; the cell too unless the file names it.
static bptt_status sizes_from_tensors(st_reader *r, bool cell_named, bptt_model_config *c, bptt_error *e)
{
    const st_tensor *ih = layer_tensor_of(r, "weight_ih", 0), *hh = layer_tensor_of(r, "weight_hh", 0);
    const st_tensor *out = st_find(r, "decoder.weight");
    if (st_find(r, "encoder.weight"))
        return bptt_fail(e, BPTT_BAD_FILE,
                         "the file has an embedding (encoder.weight), which this version cannot read");
    if (!ih || !out || ih->rank != 2 || out->rank != 2 || (hh ? hh->rank != 2 : !cell_named))
        return bptt_fail(e, BPTT_BAD_FILE,
                         "not a recurrent model: rnn.weight_ih_l0, rnn.weight_hh_l0 or decoder.weight "
                         "is missing, or no matrix");
    bptt_status s = cell_named ? BPTT_OK : cell_from_shapes(ih, hh, out->shape[1], &c->cell, e);
    if (s) return s;
    c->hidden = (size_t)out->shape[1];
    const size_t rows = (size_t)out->shape[0];
    s = output_width(r, rows, c, e);
    if (!s) s = input_width(r, (size_t)ih->shape[1], rows, c, e);
    if (s) return s;
    c->layers = 0;
    while (layer_tensor_of(r, "weight_ih", c->layers) && c->layers < 65) c->layers++;
    return count_biases(r, c, &c->biases, e);
}

// BAD_FILE if a layer or the decoder has a tensor that is not the model's.
static bptt_status check_names(const bptt_model *m, const st_reader *r, bptt_error *e)
{
    const size_t n = weight_entries(m, NULL);
    st_tensor *own = calloc(n, sizeof *own);
    if (!own) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a table of tensors");
    (void)weight_entries(m, own);
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && i < st_count(r); i++) {
        const char *const name = st_at(r, i)->name;
        size_t k = 0;
        if (strncmp(name, "rnn.", 4) != 0 && strncmp(name, "decoder.", 8) != 0) continue;
        while (k < n && strcmp(own[k].name, name) != 0) k++;
        if (k == n)
            s = bptt_fail(e, BPTT_BAD_FILE,
                          "the file has the tensor %.80s, which is not one of %zu layers of cell %s; bidirectional "
                          "layers and projections cannot be read",
                          name, m->L, m->cell->word);
    }
    free(own);
    return s;
}

bptt_status read_part(bptt_model *m, bptt_part part, const char *prefix, st_reader *r, bptt_error *e)
{
    for (size_t i = 0; m->whole[part].buf && i < m->tensors; i++) {
        const bptt_tensor *info = &m->tensor[i].info;
        char name[96], own[48];
        const size_t zeros = file_zeros(m, i, own), before = part == BPTT_WEIGHTS ? zeros : 0;
        if (part == BPTT_WEIGHTS)
            (void)snprintf(name, sizeof name, "%s", own);
        else
            (void)snprintf(name, sizeof name, "train.%s.%s", prefix, info->name);
        const st_tensor *t = st_find(r, name);
        bptt_status s = shape_is(t, name, info->rank, before + info->rows, info->cols, e);
        if (s) return s;
        const bptt_type type = t->dtype == ST_F64 ? BPTT_F64 : BPTT_F32;
        char *x = malloc((size_t)(t->end - t->begin) + 1);
        if (!x) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to read %s", name);
        s = st_read(r, t, x, e);
        if (!s) s = bptt_model_write(m, part, i, x + before * bptt_type_size(type), type, e);
        free(x);
        if (s) return s;
    }
    return BPTT_OK;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bptt_status read_vocabulary(bptt_model *m, const st_reader *r, bptt_error *e)
{
    const char *text = st_metadata(r, "vocabulary");
    unsigned char byte[256];
    if (!text) return BPTT_OK;
    const size_t n = strlen(text) / 2;
    if (strlen(text) % 2 || n > sizeof byte || n != m->V)
        return bptt_fail(e, BPTT_BAD_FILE, "the vocabulary does not hold %zu bytes in hex", m->V);
    for (size_t v = 0; v < n; v++) {
        const int high = hex(text[2 * v]), low = hex(text[2 * v + 1]);
        if (high < 0 || low < 0) return bptt_fail(e, BPTT_BAD_FILE, "the vocabulary is not lower-case hex");
        byte[v] = (unsigned char)(16 * high + low);
    }
    const bptt_status s = bptt_model_set_vocabulary(m, byte, n, e);
    return s == BPTT_BAD_INPUT ? bptt_fail(e, BPTT_BAD_FILE, "the vocabulary names a byte twice") : s;
}

bptt_status model_from(st_reader *r, const bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    bptt_model_config made;
    bptt_model_defaults(&made);
    const bool ours = st_metadata(r, "bptt") != NULL;
    bool cell_named = false;
    bptt_status s = cell_from_metadata(r, &made.cell, &cell_named, e);
    if (!s && !ours) s = sizes_from_tensors(r, cell_named, &made, e);
    if (!s && ours && !cell_named) s = bptt_fail(e, BPTT_BAD_FILE, "the file's metadata do not name its cell");
    if (!s && ours) s = get_fields(r, OF_MODEL, &made, e);
    if (s) return s;
    if (c) made.compute = c->compute, made.type = c->type;
    const bool assumed = !cell_named && !bptt_cell_is_gated(made.cell); // tanh and relu have the same shapes
    if (c && assumed) made.cell = c->cell;
    if (assumed && (unsigned)made.cell >= BPTT_PLAIN_CELLS)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`cell` is %d, but the file has the tensors of an Elman network: 0 (tanh) or 1 (relu)",
                         (int)made.cell);
    const st_tensor *out = st_find(r, "decoder.weight"); // checks the sizes against the file before any allocation
    s = shape_is(out, "decoder.weight", 2, model_outputs(&made), made.hidden, e);
    if (s) return s;
    bptt_error why = {0};
    if (model_check(&made, &why))
        return bptt_fail(e, BPTT_BAD_FILE, "the file does not describe a valid model: %.300s", why.words);
    bptt_model *opened = NULL;
    s = bptt_model_open(&made, &opened, e);
    if (s) return s;
    opened->cell_assumed = assumed;
    s = read_part(opened, BPTT_WEIGHTS, "", r, e);
    if (!s) s = check_names(opened, r, e);
    if (!s) s = read_vocabulary(opened, r, e);
    if (s)
        bptt_model_close(opened);
    else
        *m = opened;
    return s;
}

bptt_status bptt_model_load(const char *path, const bptt_model_config *c, bptt_model **m, bptt_error *e)
{
    if (!path || !m) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_model_load needs a path and an output pointer");
    st_reader *r = NULL;
    bptt_model_config whole;
    bptt_status s = c ? model_config_in(&whole, c, e) : BPTT_OK;
    if (!s) s = st_read_open(path, 0, &r, e);
    if (!s) s = model_from(r, c ? &whole : NULL, m, e);
    st_read_close(r);
    return s;
}
