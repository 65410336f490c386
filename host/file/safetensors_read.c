// The reader: parses the header without a tree, checks it, and frees it; reads data one tensor at a time.
#define _POSIX_C_SOURCE 200809L

#include "safetensors.h"

#include "atomic.h"
#include "error.h"
#include "digest.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RANK_MAX = 8 };

struct st_reader {
    int fd;           // -1: not open
    char *path;       // for messages
    uint64_t data_at; // of the first byte of data in the file
    uint64_t data_bytes;
    st_tensor *tensor; // by begin, then end
    size_t tensors, tensors_room;
    const st_tensor **named; // the same, by name
    st_pair *pair;           // by key
    size_t pairs, pairs_room;
    char *strings; // storage of the strings of `pair`
};

// State of the parser of the header.
typedef struct parse {
    json j;
    st_reader *r;
    char *strings;   // the free end of r->strings
    const char *crc; // the 8 digits of the header's own checksum, in the header; NULL: none
    bptt_error *e;
} parse;

static const struct {
    const char *name;
    st_dtype dtype;
    unsigned bits;
} dtypes[] = {
    {"F32", ST_F32, 32},          {"F64", ST_F64, 64},         {"I64", ST_I64, 64},      {"U8", ST_U8, 8},
    {"F16", ST_F16, 16},          {"BF16", ST_BF16, 16},       {"BOOL", ST_OTHER, 8},    {"I8", ST_OTHER, 8},
    {"I16", ST_OTHER, 16},        {"U16", ST_OTHER, 16},       {"I32", ST_OTHER, 32},    {"U32", ST_OTHER, 32},
    {"U64", ST_OTHER, 64},        {"C64", ST_OTHER, 64},       {"F4", ST_OTHER, 4},      {"F6_E2M3", ST_OTHER, 6},
    {"F6_E3M2", ST_OTHER, 6},     {"F8_E5M2", ST_OTHER, 8},    {"F8_E4M3", ST_OTHER, 8}, {"F8_E8M0", ST_OTHER, 8},
    {"F8_E4M3FNUZ", ST_OTHER, 8}, {"F8_E5M2FNUZ", ST_OTHER, 8}};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

size_t st_dtype_size(st_dtype d)
{
    return d >= ST_F32 && d < ST_OTHER ? dtypes[d].bits / 8 : 0; // the table has the order of the enum
}

const char *st_dtype_name(st_dtype d) { return d >= ST_F32 && d < ST_OTHER ? dtypes[d].name : "other"; }

// ---- errors ---------------------------------------------------------------------------------------------------------

static bptt_status damaged(const st_reader *r, bptt_error *e, const char *what)
{
    return bptt_fail(e, BPTT_BAD_FILE, "%.300s: not a safetensors file, or damaged (%s)", r->path, what);
}

static bptt_status damaged_tensor(const st_reader *r, bptt_error *e, const char *name, const char *what)
{
    char shown[sizeof(((st_tensor *)0)->name)];
    size_t i = 0;
    for (; name[i] != '\0' && i < sizeof shown - 1; i++) // no control characters of the file reach the terminal
        shown[i] = (char)((unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i]);
    shown[i] = '\0';
    return bptt_fail(e, BPTT_BAD_FILE, "%.260s: tensor \"%s\" %s; fetch or save the file again", r->path, shown, what);
}

static bptt_status damaged_at(const parse *p, const char *what)
{
    return bptt_fail(p->e, BPTT_BAD_FILE, "%.300s: not a safetensors file, or damaged (byte %zu of the header: %s)",
                     p->r->path, p->j.at, p->j.why ? p->j.why : what);
}

static bptt_status no_memory(const char *path, bptt_error *e)
{
    return bptt_fail(e, BPTT_NO_MEMORY, "no memory to read the header of %.300s", path);
}

// ---- the header's grammar -------------------------------------------------------------------------------------------

// Grows the array by room for one item; NULL on failure, the old array stays valid.
static void *grown(void *array, size_t n, size_t *room, size_t item)
{
    if (n < *room) return array;
    const size_t more = *room > 0 ? 2 * *room : 16;
    void *larger = more <= SIZE_MAX / item ? realloc(array, more * item) : NULL;
    if (larger) *room = more;
    return larger;
}

static bptt_status expect(parse *p, json_kind kind, json_token *t, const char *otherwise)
{
    return json_next(&p->j, t) == kind ? BPTT_OK : damaged_at(p, otherwise);
}

// Decodes the next string or key into r->strings. It has the size of the header, which suffices: decoding drops the
// quotes and adds a NUL.
static bptt_status keep_string(parse *p, const json_token *t, const char **kept)
{
    size_t n;
    if (!json_string(t, p->strings, t->bytes + 1, &n) || strlen(p->strings) != n)
        return damaged_at(p, "a NUL character in the metadata");
    *kept = p->strings;
    p->strings += n + 1;
    return BPTT_OK;
}

static bool hex8(const char *s, size_t n, uint32_t *x)
{
    *x = 0;
    for (size_t i = 0; i < n; i++) {
        const bool digit = s[i] >= '0' && s[i] <= '9';
        if (i == 8 || !(digit || (s[i] >= 'a' && s[i] <= 'f'))) return false;
        *x = *x << 4 | (uint32_t)(digit ? s[i] - '0' : s[i] - 'a' + 10);
    }
    return n == 8;
}

static bptt_status parse_metadata(parse *p)
{
    json_token t;
    bptt_status s = expect(p, JSON_OBJECT, &t, "__metadata__ is not an object");
    json_kind kind = JSON_BAD;
    while (s == BPTT_OK && (kind = json_next(&p->j, &t)) == JSON_KEY) {
        st_pair *pair = grown(p->r->pair, p->r->pairs, &p->r->pairs_room, sizeof *pair);
        if (!pair) return no_memory(p->r->path, p->e);
        p->r->pair = pair;
        pair += p->r->pairs;
        s = keep_string(p, &t, &pair->key);
        if (s == BPTT_OK) s = expect(p, JSON_STRING, &t, "a value in __metadata__ that is not a string");
        if (s == BPTT_OK) s = keep_string(p, &t, &pair->value);
        if (s == BPTT_OK && strcmp(pair->key, "crc32c") == 0) p->crc = t.text;
        p->r->pairs++;
    }
    return s == BPTT_OK && kind != JSON_OBJECT_END ? damaged_at(p, "a metadata key is missing") : s;
}

// Parses an array of at most `room` counts.
static bptt_status parse_counts(parse *p, uint64_t *x, int room, int *n)
{
    json_token t;
    json_kind kind = JSON_BAD;
    const bptt_status s = expect(p, JSON_ARRAY, &t, "not an array of numbers");
    if (s != BPTT_OK) return s;
    for (*n = 0; (kind = json_next(&p->j, &t)) == JSON_NUMBER; ++*n) {
        if (*n == room) return damaged_at(p, "too many numbers (two offsets, at most 8 dimensions)");
        if (!json_u64(&t, &x[*n])) return damaged_at(p, "not a whole number from 0 to 2^64 - 1");
    }
    return kind == JSON_ARRAY_END ? BPTT_OK : damaged_at(p, "not a number");
}

static bptt_status parse_dtype(parse *p, st_tensor *x, unsigned *bits)
{
    json_token t;
    const bptt_status s = expect(p, JSON_STRING, &t, "dtype is not a string");
    if (s != BPTT_OK) return s;
    for (size_t i = 0; i < DTYPES; i++) {
        if (!json_is(&t, dtypes[i].name)) continue;
        x->dtype = dtypes[i].dtype;
        *bits = dtypes[i].bits;
        return BPTT_OK;
    }
    return damaged_at(p, "an unknown dtype");
}

// Bytes of n elements of `bits` bits. False: overflow, or not a multiple of 8 bits.
static bool size_of(const st_tensor *x, unsigned bits, uint64_t *bytes)
{
    uint64_t n = bits;
    for (int d = 0; d < x->rank; d++) {
        if (x->shape[d] != 0 && n > UINT64_MAX / x->shape[d]) return false;
        n *= x->shape[d];
    }
    *bytes = n / 8;
    return n % 8 == 0;
}

static bptt_status parse_tensor(parse *p, st_tensor *x)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    json_token t;
    unsigned bits = 0, seen = 0;
    uint64_t offset[2] = {0, 0}, bytes = 0;
    bptt_status s = expect(p, JSON_OBJECT, &t, "a tensor that is not an object");
    json_kind kind = JSON_BAD;
    while (s == BPTT_OK && (kind = json_next(&p->j, &t)) == JSON_KEY) {
        const unsigned key = json_is(&t, "dtype")          ? DTYPE
                             : json_is(&t, "shape")        ? SHAPE
                             : json_is(&t, "data_offsets") ? OFFSETS
                                                           : 0;
        int n = 2;
        if (key == 0) return damaged_at(p, "an unknown key in a tensor");
        if (seen & key) return damaged_at(p, "a duplicate key in a tensor");
        seen |= key;
        if (key == DTYPE)
            s = parse_dtype(p, x, &bits);
        else if (key == SHAPE)
            s = parse_counts(p, x->shape, RANK_MAX, &x->rank);
        else
            s = parse_counts(p, offset, 2, &n);
        if (s == BPTT_OK && n != 2) return damaged_at(p, "data_offsets are not two");
    }
    if (s != BPTT_OK) return s;
    if (kind != JSON_OBJECT_END) return damaged_at(p, "dtype, shape or data_offsets expected");
    if (seen != (DTYPE | SHAPE | OFFSETS)) return damaged_at(p, "dtype, shape or data_offsets is missing");
    x->begin = offset[0];
    x->end = offset[1];
    if (!size_of(x, bits, &bytes)) return damaged_tensor(p->r, p->e, x->name, "has an impossible shape");
    if (x->end < x->begin || x->end - x->begin != bytes)
        return damaged_tensor(p->r, p->e, x->name, "has offsets that do not fit its shape");
    return BPTT_OK;
}

static bptt_status parse_header(parse *p)
{
    st_reader *r = p->r;
    json_token t;
    bool metadata = false;
    bptt_status s = expect(p, JSON_OBJECT, &t, "an object expected");
    json_kind kind = JSON_BAD;
    while (s == BPTT_OK && (kind = json_next(&p->j, &t)) == JSON_KEY) {
        size_t n;
        st_tensor *x = grown(r->tensor, r->tensors, &r->tensors_room, sizeof *x);
        if (!x) return no_memory(r->path, p->e);
        r->tensor = x;
        x += r->tensors;
        *x = (st_tensor){.rank = 0};
        if (!json_string(&t, x->name, sizeof x->name, &n)) return damaged_at(p, "a name longer than 95 bytes");
        if (strlen(x->name) != n) return damaged_at(p, "a NUL character in a name");
        if (strcmp(x->name, "__metadata__") != 0) {
            s = parse_tensor(p, x);
            r->tensors++;
        } else {
            if (metadata) return damaged_at(p, "__metadata__ appears twice");
            metadata = true;
            s = parse_metadata(p);
        }
    }
    if (s != BPTT_OK) return s;
    if (kind != JSON_OBJECT_END) return damaged_at(p, "a name expected");
    return expect(p, JSON_END, &t, "text after the end");
}

// ---- checks of the header -------------------------------------------------------------------------------------------

static int by_data(const void *a, const void *b)
{
    const st_tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name); // empty tensors may share an offset
}

static int by_name(const void *a, const void *b)
{
    const st_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int by_key(const void *a, const void *b)
{
    const st_pair *x = a, *y = b;
    return strcmp(x->key, y->key);
}

// The tensors cover the data without gap, overlap or rest.
static bptt_status check_tiling(st_reader *r, bptt_error *e)
{
    uint64_t at = 0;
    if (r->tensors > 0) qsort(r->tensor, r->tensors, sizeof r->tensor[0], by_data);
    for (size_t i = 0; i < r->tensors; i++) {
        if (r->tensor[i].begin != at)
            return damaged_tensor(r, e, r->tensor[i].name, "overlaps another one or leaves a hole before it");
        at = r->tensor[i].end;
    }
    if (at > r->data_bytes)
        return bptt_fail(e, BPTT_BAD_FILE, "%.300s: truncated: %" PRIu64 " of %" PRIu64 " bytes of tensors are there",
                         r->path, r->data_bytes, at);
    if (at < r->data_bytes)
        return bptt_fail(e, BPTT_BAD_FILE, "%.300s: %" PRIu64 " bytes after the last tensor: damaged", r->path,
                         r->data_bytes - at);
    return BPTT_OK;
}

static bptt_status check_names(st_reader *r, bptt_error *e)
{
    r->named = malloc((r->tensors + 1) * sizeof r->named[0]);
    if (!r->named) return no_memory(r->path, e);
    for (size_t i = 0; i < r->tensors; i++) r->named[i] = &r->tensor[i];
    qsort(r->named, r->tensors, sizeof r->named[0], by_name);
    for (size_t i = 1; i < r->tensors; i++)
        if (strcmp(r->named[i - 1]->name, r->named[i]->name) == 0)
            return damaged_tensor(r, e, r->named[i]->name, "appears twice");
    if (r->pairs > 0) qsort(r->pair, r->pairs, sizeof r->pair[0], by_key);
    for (size_t i = 1; i < r->pairs; i++)
        if (strcmp(r->pair[i - 1].key, r->pair[i].key) == 0) return damaged(r, e, "a duplicate metadata key");
    return BPTT_OK;
}

// Checksum of the header, computed with zeros in place of its digits.
static bptt_status check_header_crc(const parse *p, const char *header, size_t n)
{
    if (!p->crc) return BPTT_OK;
    const size_t at = (size_t)(p->crc - header);
    const char *quote = memchr(p->crc, '"', n - at);
    uint32_t said;
    if (!quote || !hex8(p->crc, (size_t)(quote - p->crc), &said))
        return damaged(p->r, p->e, "a checksum that is not 8 hexadecimal digits");
    uint32_t crc = crc32c(0, header, at);
    crc = crc32c(crc, "00000000", 8);
    crc = crc32c(crc, header + at + 8, n - at - 8);
    return crc == said ? BPTT_OK : damaged(p->r, p->e, "the checksum of the header is wrong");
}

// ---- the file -------------------------------------------------------------------------------------------------------

static bptt_status read_at(const st_reader *r, uint64_t at, void *out, size_t bytes, bptt_error *e)
{
    char *p = out;
    while (bytes > 0) {
        const ssize_t n = pread(r->fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_fail(e, BPTT_IO, r->path, "cannot read");
        if (n == 0) return damaged(r, e, "shrank while it was read");
        p += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return BPTT_OK;
}

static bptt_status read_header(st_reader *r, char *header, size_t n, bptt_error *e)
{
    bptt_status s = read_at(r, 8, header, n, e);
    if (s != BPTT_OK) return s;
    size_t end = n;
    while (end > 0 && header[end - 1] == ' ') end--;
    if (header[0] != '{' || header[end - 1] != '}')
        return damaged(r, e, "the header is not an object padded with spaces");
    r->strings = malloc(n);
    if (!r->strings) return no_memory(r->path, e);
    parse p = {.r = r, .strings = r->strings, .e = e};
    json_start(&p.j, header, n, 3);
    s = parse_header(&p);
    if (s == BPTT_OK) s = check_tiling(r, e);
    if (s == BPTT_OK) s = check_names(r, e);
    return s == BPTT_OK ? check_header_crc(&p, header, n) : s;
}

static bptt_status open_file(st_reader *r, const char *path, size_t header_max, bptt_error *e)
{
    struct stat f;
    unsigned char b[8];
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // O_NONBLOCK: does not block on a pipe
    if (r->fd < 0) return file_fail(e, BPTT_NO_INPUT, path, "cannot open");
    if (fstat(r->fd, &f) != 0) return file_fail(e, BPTT_IO, path, "cannot get its size");
    if (!S_ISREG(f.st_mode)) return bptt_fail(e, BPTT_NO_INPUT, "%.300s: not a regular file", path);
    const uint64_t bytes = (uint64_t)f.st_size;
    if (bytes < sizeof b + 2) return damaged(r, e, "shorter than the smallest header");
    bptt_status s = read_at(r, 0, b, sizeof b, e);
    if (s != BPTT_OK) return s;
    uint64_t n = 0;
    for (size_t i = 8; i > 0; i--) n = n << 8 | b[i - 1];
    if (n < 2 || n > bytes - sizeof b) return damaged(r, e, "impossible header length");
    if (n > header_max)
        return bptt_fail(e, BPTT_BAD_FILE, "%.300s: a header of %" PRIu64 " bytes, more than the limit of %zu", path, n,
                         header_max);
    r->data_at = sizeof b + n;
    r->data_bytes = bytes - r->data_at;
    char *header = malloc((size_t)n);
    if (!header) return no_memory(path, e);
    s = read_header(r, header, (size_t)n, e);
    free(header);
    return s;
}

bptt_status st_read_open(const char *path, size_t header_max, st_reader **out, bptt_error *e)
{
    st_reader *r = calloc(1, sizeof *r);
    if (!r) return no_memory(path, e);
    r->fd = -1;
    r->path = strdup(path);
    if (header_max == 0) header_max = ST_HEADER_DEFAULT;
    if (header_max > ST_HEADER_MAX) header_max = ST_HEADER_MAX;
    const bptt_status s = r->path ? open_file(r, path, header_max, e) : no_memory(path, e);
    if (s != BPTT_OK) {
        st_read_close(r);
        return s;
    }
    *out = r;
    return BPTT_OK;
}

void st_read_close(st_reader *r)
{
    if (!r) return;
    if (r->fd >= 0) close(r->fd);
    free(r->strings);
    free(r->pair);
    free(r->named);
    free(r->tensor);
    free(r->path);
    free(r);
}

// ---- access ---------------------------------------------------------------------------------------------------------

size_t st_count(const st_reader *r) { return r->tensors; }
const st_tensor *st_at(const st_reader *r, size_t i) { return i < r->tensors ? &r->tensor[i] : NULL; }

static int find_name(const void *name, const void *item)
{
    const st_tensor *const *t = item;
    return strcmp(name, (*t)->name);
}

const st_tensor *st_find(const st_reader *r, const char *name)
{
    const st_tensor **found = bsearch(name, r->named, r->tensors, sizeof r->named[0], find_name);
    return found ? *found : NULL;
}

const char *st_metadata(const st_reader *r, const char *key)
{
    const st_pair wanted = {key, NULL};
    if (r->pairs == 0) return NULL;
    const st_pair *found = bsearch(&wanted, r->pair, r->pairs, sizeof wanted, by_key);
    return found ? found->value : NULL;
}

size_t st_metadata_count(const st_reader *r) { return r->pairs; }
st_pair st_metadata_at(const st_reader *r, size_t i) { return i < r->pairs ? r->pair[i] : (st_pair){NULL, NULL}; }

bptt_status st_read(st_reader *r, const st_tensor *t, void *out, bptt_error *e)
{
    char key[sizeof t->name + 8] = "crc32c.";
    uint32_t said;
    if (t->begin > t->end || t->end > r->data_bytes)
        return bptt_fail(e, BPTT_BAD_INPUT, "%.95s is not a tensor of %.300s", t->name, r->path);
    const size_t bytes = (size_t)(t->end - t->begin);
    const bptt_status s = read_at(r, r->data_at + t->begin, out, bytes, e);
    if (s != BPTT_OK) return s;
    memcpy(key + 7, t->name, sizeof t->name);
    const char *digits = st_metadata(r, key);
    if (!digits) return BPTT_OK;
    if (!hex8(digits, strlen(digits), &said) || said != crc32c(0, out, bytes))
        return damaged_tensor(r, e, t->name, "has a wrong checksum");
    return BPTT_OK;
}
