// The contents of a trace file, to be changed and written again.
#ifndef TRACE_EDIT_H
#define TRACE_EDIT_H

#include "near.h"
#include "nets.h"
#include "safetensors.h"
#include "suite.h"

typedef struct contents {
    size_t n, pairs;
    st_tensor t[128];
    void *data[128];
    st_pair pair[64];
    char text[64][600], key[64][64];
} contents;

static inline contents *read_trace(const char *path)
{
    contents *c = must_alloc(1, sizeof *c);
    st_reader *r = NULL;
    CK_OK(st_read_open(path, 0, &r, NULL));
    c->n = st_count(r);
    ck_assert_uint_lt(c->n, 128);
    for (size_t i = 0; i < c->n; i++) {
        c->t[i] = *st_at(r, i);
        c->data[i] = must_alloc((size_t)(c->t[i].end - c->t[i].begin), 1);
        CK_OK(st_read(r, st_at(r, i), c->data[i], NULL));
    }
    for (size_t i = 0; i < st_metadata_count(r); i++) {
        const st_pair p = st_metadata_at(r, i);
        if (strncmp(p.key, "crc32c", 6) == 0) continue;
        const size_t at = c->pairs++;
        ck_assert_uint_lt(at, 64);
        snprintf(c->key[at], sizeof c->key[at], "%s", p.key);
        snprintf(c->text[at], sizeof c->text[at], "%s", p.value);
        c->pair[at] = (st_pair){c->key[at], c->text[at]};
    }
    st_read_close(r);
    return c;
}

// Frees c.
static inline void write_trace(const char *path, contents *c)
{
    st_writer *w = NULL;
    CK_OK(st_write_open(path, c->t, c->n, c->pair, c->pairs, &w, NULL));
    for (size_t i = 0; i < c->n; i++) {
        size_t bytes = st_dtype_size(c->t[i].dtype);
        for (int d = 0; d < c->t[i].rank; d++) bytes *= (size_t)c->t[i].shape[d];
        CK_OK(st_write(w, c->data[i], bytes, NULL));
        free(c->data[i]);
    }
    CK_OK(st_write_commit(w, NULL));
    free(c);
}

static inline size_t index_of(const contents *c, const char *name)
{
    size_t i = 0;
    while (i < c->n && strcmp(c->t[i].name, name) != 0) i++;
    CK_TRUE(i < c->n, "no tensor %s", name);
    return i;
}

static inline float *floats_of(contents *c, const char *name) { return c->data[index_of(c, name)]; }
static inline char *text_at(contents *c, const char *key)
{
    for (size_t i = 0; i < c->pairs; i++)
        if (strcmp(c->key[i], key) == 0) return c->text[i];
    ck_abort_msg("no key %s", key);
    return NULL;
}

#endif
