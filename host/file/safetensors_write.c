// The writer. Writes the header with zeros for the checksums, then the data, and rewrites the header with the checksums
// at the end: one pass over the data, without a copy.
#define _POSIX_C_SOURCE 200809L

#include "safetensors.h"

#include "atomic.h"
#include "error.h"
#include "digest.h"
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 }; // of the first byte of data in the file, for readers that use mmap

typedef struct piece { // progress of one tensor
    uint64_t bytes;
    size_t crc_at; // of its 8 digits, in header
    uint32_t crc;
} piece;

struct st_writer {
    atomic_file *file;
    int fd;
    char *path;   // for messages
    char *header; // including the 8 bytes of the length
    size_t header_bytes, header_crc_at;
    size_t now;    // index of the tensor of the next byte
    uint64_t done; // bytes of it already written
    bool failed;   // a write failed or exceeded the size: only abort is possible
    size_t n;
    piece t[];
};

// ---- checks of the input --------------------------------------------------------------------------------------------

static bool utf8(const char *s)
{
    for (size_t left = strlen(s); left > 0;) {
        const size_t n = json_utf8(s, left);
        if (n == 0) return false;
        s += n;
        left -= n;
    }
    return true;
}

static bool times(uint64_t *x, uint64_t by) // false: overflow
{
    if (by != 0 && *x > UINT64_MAX / by) return false;
    *x *= by;
    return true;
}

static bptt_status check_tensor(const st_tensor *t, size_t i, uint64_t *bytes, bptt_error *e)
{
    *bytes = st_dtype_size(t->dtype);
    if (!memchr(t->name, '\0', sizeof t->name) || !utf8(t->name) || strcmp(t->name, "__metadata__") == 0)
        return bptt_fail(e, BPTT_BAD_INPUT, "tensor %zu has a name that a safetensors file cannot hold", i);
    if (*bytes == 0) return bptt_fail(e, BPTT_BAD_INPUT, "tensor %s is of a type that cannot be written", t->name);
    if (t->rank < 0 || t->rank > 8) return bptt_fail(e, BPTT_BAD_INPUT, "tensor %s has rank %d", t->name, t->rank);
    for (int d = 0; d < t->rank; d++)
        if (!times(bytes, t->shape[d])) return bptt_fail(e, BPTT_BAD_INPUT, "tensor %s is too large", t->name);
    return BPTT_OK;
}

static bptt_status check_metadata(const st_pair *p, bptt_error *e)
{
    if (!utf8(p->key) || !utf8(p->value)) return bptt_fail(e, BPTT_BAD_INPUT, "metadata that are not UTF-8");
    if (strncmp(p->key, "crc32c", 6) == 0)
        return bptt_fail(e, BPTT_BAD_INPUT, "the metadata key %s is reserved for checksums", p->key);
    return BPTT_OK;
}

// Checks all tensors and computes their sizes. Compares every pair of names: there are a few hundred at most.
static bptt_status check_all(st_writer *w, const st_tensor *t, const st_pair *metadata, size_t m, bptt_error *e)
{
    uint64_t total = 0;
    bptt_status s = BPTT_OK;
    for (size_t i = 0; i < w->n && s == BPTT_OK; i++) {
        s = check_tensor(&t[i], i, &w->t[i].bytes, e);
        if (s != BPTT_OK) break;
        if (w->t[i].bytes > (uint64_t)INT64_MAX / 2 - total) return bptt_fail(e, BPTT_BAD_INPUT, "too much data");
        total += w->t[i].bytes;
        for (size_t k = 0; k < i; k++)
            if (strcmp(t[i].name, t[k].name) == 0)
                return bptt_fail(e, BPTT_BAD_INPUT, "two tensors are named %s", t[i].name);
    }
    for (size_t i = 0; i < m && s == BPTT_OK; i++) {
        s = check_metadata(&metadata[i], e);
        for (size_t k = 0; k < i && s == BPTT_OK; k++)
            if (strcmp(metadata[i].key, metadata[k].key) == 0)
                s = bptt_fail(e, BPTT_BAD_INPUT, "the metadata key %s appears twice", metadata[i].key);
    }
    return s;
}

// ---- the header -----------------------------------------------------------------------------------------------------

static void put_escaped(FILE *f, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            fprintf(f, "\\u%04x", (unsigned)*s);
        else
            fputc(*s, f);
    }
}

static void put_string(FILE *f, const char *s)
{
    fputc('"', f);
    put_escaped(f, s);
    fputc('"', f);
}

// Appends a string of eight zeros as a placeholder; returns its offset.
static size_t put_place(FILE *f)
{
    const long at = ftell(f);
    fputs("\"00000000\"", f);
    return at < 0 ? 0 : (size_t)at + 1;
}

static void put_tensor(FILE *f, const st_tensor *t, uint64_t begin, uint64_t end)
{
    fputs(",\n", f);
    put_string(f, t->name);
    fprintf(f, ":{\"dtype\":\"%s\",\"shape\":[", st_dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++) fprintf(f, "%s%" PRIu64, d > 0 ? "," : "", t->shape[d]);
    fprintf(f, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, end);
}

static void put_header(st_writer *w, FILE *f, const st_tensor *t, const st_pair *metadata, size_t m)
{
    fputs("length..{\"__metadata__\":{", f); // placeholder for the 8 bytes of the length
    for (size_t i = 0; i < m; i++) {
        put_string(f, metadata[i].key);
        fputc(':', f);
        put_string(f, metadata[i].value);
        fputs(",\n", f);
    }
    fputs("\"crc32c\":", f);
    w->header_crc_at = put_place(f);
    for (size_t i = 0; i < w->n; i++) {
        fputs(",\n\"crc32c.", f);
        put_escaped(f, t[i].name);
        fputs("\":", f);
        w->t[i].crc_at = put_place(f);
    }
    fputc('}', f);
    uint64_t at = 0;
    for (size_t i = 0; i < w->n; at += w->t[i++].bytes) put_tensor(f, &t[i], at, at + w->t[i].bytes);
    fputc('}', f);
    for (long end = ftell(f); end >= 0 && end % ALIGNMENT != 0; end++) fputc(' ', f);
}

static bptt_status make_header(st_writer *w, const st_tensor *t, const st_pair *metadata, size_t m, bptt_error *e)
{
    FILE *f = open_memstream(&w->header, &w->header_bytes);
    if (!f) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for the header of %.300s", w->path);
    put_header(w, f, t, metadata, m);
    const int broken = ferror(f);
    if (fclose(f) != 0 || broken) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for the header of %.300s", w->path);
    const size_t length = w->header_bytes - 8;
    if (length > ST_HEADER_DEFAULT)
        return bptt_fail(e, BPTT_BAD_INPUT, "%.300s would have a header of %zu bytes; at most 16 MiB", w->path, length);
    for (size_t i = 0; i < 8; i++) w->header[i] = (char)((uint64_t)length >> 8 * i & 255);
    return BPTT_OK;
}

static void put_crc(char *at, uint32_t crc)
{
    char digits[9];
    snprintf(digits, sizeof digits, "%08" PRIx32, crc);
    memcpy(at, digits, 8);
}

// ---- the file -------------------------------------------------------------------------------------------------------

bptt_status st_write_open(const char *path, const st_tensor *t, size_t n, const st_pair *metadata, size_t m,
                          st_writer **out, bptt_error *e)
{
    st_writer *w = n < ST_HEADER_DEFAULT ? calloc(1, sizeof *w + n * sizeof w->t[0]) : NULL;
    if (w) w->path = strdup(path);
    if (!w || !w->path) {
        st_write_abort(w);
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory to write %.300s", path);
    }
    w->n = n;
    bptt_status s = check_all(w, t, metadata, m, e);
    if (s == BPTT_OK) s = make_header(w, t, metadata, m, e);
    if (s == BPTT_OK) s = atomic_open(path, &w->file, &w->fd, e);
    if (s == BPTT_OK) s = write_all(w->fd, w->header, w->header_bytes, path, e);
    if (s != BPTT_OK) {
        st_write_abort(w);
        return s;
    }
    *out = w;
    return BPTT_OK;
}

static void skip_full(st_writer *w) // advances past complete tensors
{
    for (; w->now < w->n && w->done == w->t[w->now].bytes; w->now++) w->done = 0;
}

bptt_status st_write(st_writer *w, const void *data, size_t bytes, bptt_error *e)
{
    const char *p = data;
    for (skip_full(w); bytes > 0; skip_full(w)) {
        if (w->now == w->n || w->failed) {
            w->failed = true;
            return bptt_fail(e, BPTT_BAD_INPUT, "%.300s: more data than its tensors hold, or after a failure", w->path);
        }
        piece *t = &w->t[w->now];
        const uint64_t missing = t->bytes - w->done;
        const size_t part = bytes < missing ? bytes : (size_t)missing;
        const bptt_status s = write_all(w->fd, p, part, w->path, e);
        if (s != BPTT_OK) {
            w->failed = true;
            return s;
        }
        t->crc = crc32c(t->crc, p, part);
        w->done += part;
        p += part;
        bytes -= part;
    }
    return BPTT_OK;
}

static bptt_status finish_header(st_writer *w, bptt_error *e)
{
    skip_full(w);
    if (w->failed || w->now < w->n)
        return bptt_fail(e, BPTT_BAD_INPUT, "the data of %.300s are incomplete; the file was not written", w->path);
    for (size_t i = 0; i < w->n; i++) put_crc(w->header + w->t[i].crc_at, w->t[i].crc);
    put_crc(w->header + w->header_crc_at, crc32c(0, w->header + 8, w->header_bytes - 8));
    if (lseek(w->fd, 0, SEEK_SET) != 0) return file_fail(e, BPTT_IO, w->path, "cannot go back to the header");
    return write_all(w->fd, w->header, w->header_bytes, w->path, e);
}

bptt_status st_write_commit(st_writer *w, bptt_error *e)
{
    bptt_status s = finish_header(w, e);
    if (s == BPTT_OK) {
        s = atomic_commit(w->file, e);
        w->file = NULL;
    }
    st_write_abort(w);
    return s;
}

void st_write_abort(st_writer *w)
{
    if (!w) return;
    atomic_abort(w->file);
    free(w->header);
    free(w->path);
    free(w);
}
