// Writes models; functions shared by model files and checkpoints.
#include "model_file.h"
#include "number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- metadata -------------------------------------------------------------------------------------------------------

void put_text(metadata *m, const char *key, const char *value)
{
    if (m->n == PAIRS) return;
    char *const kept = m->value[m->n];
    (void)snprintf(kept, sizeof m->value[0], "%s", value);
    m->pair[m->n++] = (st_pair){key, kept};
}

void put_count(metadata *m, const char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    put_text(m, key, text);
}

void put_real(metadata *m, const char *key, double value)
{
    char text[32];
    format_real(text, value);
    put_text(m, key, text);
}

void put_fields(metadata *m, field_owner owner, const void *config)
{
    char word[32];
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        if (f->owner != owner || !(f->kept & FIELD_SAVED)) continue;
        if (f->kept & FIELD_UNLESS_0 && field_count(f, config) == 0) continue;
        if (f->kind == FIELD_IS_REAL)
            put_real(m, f->key, field_real(f, config));
        else if (f->kind == FIELD_IS_WORD)
            put_text(m, f->key, word_at(f->words, (size_t)field_count(f, config), word));
        else
            put_count(m, f->key, field_count(f, config));
    }
}

void put_model(metadata *m, const bptt_model *model)
{
    put_text(m, "format", "pt");
    put_text(m, "bptt", BPTT_VERSION);
    put_fields(m, OF_MODEL, &model->config);
    put_count(m, "updates", model->updates);
    if (!model->vocabulary || m->n == PAIRS) return;
    for (size_t v = 0; v < model->V; v++) (void)snprintf(m->vocabulary + 2 * v, 3, "%02x", model->vocabulary[v]);
    m->pair[m->n++] = (st_pair){"vocabulary", m->vocabulary};
}

bptt_status get_count(const st_reader *r, const char *key, uint64_t *value, bptt_error *e)
{
    const char *text = st_metadata(r, key);
    if (text && parse_count(text, value)) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_FILE, "the file's metadata has no whole number \"%s\"", key);
}

bptt_status get_real(const st_reader *r, const char *key, double *value, bptt_error *e)
{
    const char *text = st_metadata(r, key);
    if (text && parse_real(text, value)) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_FILE, "the file's metadata has no number \"%s\"", key);
}

static bptt_status unreadable(const field *f, const char *text, bptt_error *e)
{
    const bool word = f->kind == FIELD_IS_WORD;
    if (text && word)
        return bptt_fail(e, BPTT_BAD_FILE, "the %s \"%.40s\" is unknown to this version; it knows %s", f->name, text,
                         f->words);
    return bptt_fail(e, BPTT_BAD_FILE, "the file's metadata has no %s \"%s\"",
                     word                       ? "word"
                     : f->kind == FIELD_IS_REAL ? "number"
                                                : "whole number",
                     f->key);
}

bptt_status get_field(const st_reader *r, const field *f, void *config, bptt_error *e)
{
    const char *const text = st_metadata(r, f->key);
    uint64_t wide = 0;
    if (!text && f->kept & FIELD_UNLESS_0) return BPTT_OK;
    if (!text || !field_parse(f, config, text)) return unreadable(f, text, e);
    const uint64_t count =
        parse_count(text, &wide) ? wide : field_count(f, config); // detects a member narrower than 64 bits
    if (field_in_range(f, count, field_real(f, config))) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_FILE, "\"%s\" is out of range in the metadata", f->key);
}

bptt_status get_fields(const st_reader *r, field_owner owner, void *config, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (const field *f = field_table; !s && f < field_table + FIELDS; f++)
        if (f->owner == owner && f->kept & FIELD_SAVED) s = get_field(r, f, config, e);
    return s;
}

// ---- tensors --------------------------------------------------------------------------------------------------------

static void describe_entry(st_tensor *t, const bptt_model *m, const bptt_tensor *info, const char *before)
{
    *t = (st_tensor){.dtype = m->device->backend.real == BPTT_F64 ? ST_F64 : ST_F32, .rank = info->rank};
    t->shape[0] = info->rows;
    t->shape[1] = info->cols;
    (void)snprintf(t->name, sizeof t->name, "%s%s", before, info->name);
}

// With one trained bias, files of the cells that PyTorch has hold a complete bias_hh: zeros after this bias_ih, or
// zeros before the rows of this bias_hn.
static bool padded(const bptt_model *m, size_t i, layer_tensor which)
{
    if (m->config.biases != 1 || *m->cell->mixed || !*m->cell->hidden || m->tensor[i].kind != which) return false;
    return which == BIAS_HH || model_blocks(&m->config, BIAS_HH).count == 0;
}
static bool zeros_follow(const bptt_model *m, size_t i) { return padded(m, i, BIAS_IH); }

size_t file_zeros(const bptt_model *m, size_t i, char name[48])
{
    (void)snprintf(name, 48, "%s", m->tensor[i].info.name);
    if (!padded(m, i, BIAS_HH)) return 0;
    (void)snprintf(name, 48, "rnn.bias_hh_l%zu", i / m->per_layer);
    return model_blocks(&m->config, WEIGHT_HH).count * m->H - m->tensor[i].info.rows;
}

size_t weight_entries(const bptt_model *m, st_tensor *t)
{
    size_t n = 0;
    for (size_t i = 0; i < m->tensors; i++) {
        bptt_tensor info = m->tensor[i].info;
        info.rows += file_zeros(m, i, info.name);
        if (t) describe_entry(&t[n], m, &info, "");
        n++;
        if (!zeros_follow(m, i)) continue;
        (void)snprintf(info.name, sizeof info.name, "rnn.bias_hh_l%zu", i / m->per_layer);
        info.rows = model_blocks(&m->config, WEIGHT_HH).count * m->H;
        if (t) describe_entry(&t[n], m, &info, "");
        n++;
    }
    return n;
}

size_t part_entries(const bptt_model *m, bptt_part part, const char *prefix, st_tensor *t)
{
    if (!m->whole[part].buf) return 0;
    char before[32];
    (void)snprintf(before, sizeof before, "train.%s.", prefix);
    for (size_t i = 0; t && i < m->tensors; i++) describe_entry(&t[i], m, &m->tensor[i].info, before);
    return m->tensors;
}

// Writes this many rows of zeros, then the tensor unless i is m->tensors. Holds one tensor at a time in host memory.
static bptt_status write_tensor(bptt_model *m, bptt_part part, size_t i, size_t zeros, st_writer *w, bptt_error *e)
{
    const bptt_type real = m->device->backend.real;
    const size_t before = zeros * bptt_type_size(real);
    const bptt_tensor *info = i < m->tensors ? &m->tensor[i].info : &(bptt_tensor){.name = "zeros"};
    const size_t bytes = before + info->rows * info->cols * bptt_type_size(real);
    char *x = calloc(1, bytes);
    if (!x) return bptt_fail(e, BPTT_NO_MEMORY, "no memory to write %s", info->name);
    bptt_status s = i < m->tensors ? bptt_model_read(m, part, i, x + before, real, e) : BPTT_OK;
    if (!s) s = st_write(w, x, bytes, e);
    free(x);
    return s;
}

bptt_status write_weights(bptt_model *m, st_writer *w, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    const size_t rows = model_blocks(&m->config, WEIGHT_HH).count * m->H;
    char name[48];
    for (size_t i = 0; !s && i < m->tensors; i++) {
        s = write_tensor(m, BPTT_WEIGHTS, i, file_zeros(m, i, name), w, e);
        if (!s && zeros_follow(m, i)) s = write_tensor(m, BPTT_WEIGHTS, m->tensors, rows, w, e);
    }
    return s;
}

bptt_status write_part(bptt_model *m, bptt_part part, st_writer *w, bptt_error *e)
{
    bptt_status s = BPTT_OK;
    for (size_t i = 0; !s && m->whole[part].buf && i < m->tensors; i++) s = write_tensor(m, part, i, 0, w, e);
    return s;
}

bptt_status close_file(st_writer *w, bptt_status written, bptt_error *e)
{
    if (written == BPTT_OK) return st_write_commit(w, e);
    st_write_abort(w);
    return written;
}

bptt_status bptt_model_save(bptt_model *m, const char *path, bptt_error *e)
{
    if (!m || !path) return bptt_fail(e, BPTT_BAD_INPUT, "bptt_model_save needs a model and a path");
    const size_t n = weight_entries(m, NULL);
    st_tensor *t = calloc(n, sizeof *t);
    metadata *meta = calloc(1, sizeof *meta);
    st_writer *w = NULL;
    bptt_status s = t && meta ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory to write %s", path);
    if (!s) {
        (void)weight_entries(m, t);
        put_model(meta, m);
        s = st_write_open(path, t, n, meta->pair, meta->n, &w, e);
    }
    if (!s) {
        s = close_file(w, write_weights(m, w, e), e);
    }
    free(t);
    free(meta);
    return s;
}
