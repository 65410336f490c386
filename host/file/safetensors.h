// safetensors: 8 bytes header length (little-endian), a JSON header, then the data without gaps.
// Format: huggingface/safetensors README; limits and strictness as in host/README.md.
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "bptt.h"

typedef enum st_dtype {
    ST_F32,
    ST_F64,
    ST_I64,
    ST_U8,
    ST_F16,
    ST_BF16,
    ST_OTHER
} st_dtype; // OTHER: valid, not used by bptt

typedef struct st_tensor {
    char name[96];
    st_dtype dtype;
    int rank; // 0..8
    uint64_t shape[8];
    uint64_t begin, end; // bytes, from the start of the data; the writer fills them
} st_tensor;

typedef struct st_pair {
    const char *key, *value;
} st_pair; // UTF-8

#define ST_HEADER_DEFAULT ((size_t)16 << 20) // bytes: the reader's default limit, and the writer's limit
#define ST_HEADER_MAX ((size_t)100000000)    // the format's own limit

// ---- writer: replaces path atomically (temporary file, fsync, rename, fsync of the folder) --------------------------
typedef struct st_writer st_writer;
// Data must be written in the order of t[0..n). metadata must not have keys that start with "crc32c"; those are added:
// crc32c.<name> for every tensor and crc32c (of the header with that one value as zeros), 8 lower-case hex digits each.
// The header starts after the 8 bytes of its length and includes the padding.
// Errors: BAD_INPUT (duplicate names, names not in UTF-8, size overflow, header above 16 MiB), IO, NO_MEMORY.
bptt_status st_write_open(const char *path, const st_tensor *t, size_t n, const st_pair *metadata, size_t m,
                          st_writer **w, bptt_error *e);
bptt_status st_write(st_writer *w, const void *data, size_t bytes,
                     bptt_error *e); // the next bytes, in chunks of any size
// Always closes w. BAD_INPUT if data are missing.
bptt_status st_write_commit(st_writer *w, bptt_error *e);
void st_write_abort(st_writer *w); // closes w, removes the temporary file; NULL is fine

// ---- reader: strict, streaming, bounded -----------------------------------------------------------------------------
typedef struct st_reader st_reader;
// header_max: refuse longer headers (0: 16 MiB; never above 100,000,000). Memory: under 6 times the header.
// Beyond the format's rules: names of at most 95 bytes, rank at most 8, spaces as the only padding, no unknown keys.
// Errors: NO_INPUT, IO, BAD_FILE, NO_MEMORY.
bptt_status st_read_open(const char *path, size_t header_max, st_reader **r, bptt_error *e);
void st_read_close(st_reader *r); // NULL is fine
size_t st_count(const st_reader *r);
const st_tensor *st_at(const st_reader *r, size_t i);           // in the order of the data
const st_tensor *st_find(const st_reader *r, const char *name); // NULL if absent
const char *st_metadata(const st_reader *r, const char *key);   // NULL if absent; belongs to r
size_t st_metadata_count(const st_reader *r);
st_pair st_metadata_at(const st_reader *r, size_t i); // in the order of the keys' bytes
// Reads all bytes of t into out [t->end - t->begin] and checks its CRC if the file has one (BAD_FILE).
bptt_status st_read(st_reader *r, const st_tensor *t, void *out, bptt_error *e);

size_t st_dtype_size(st_dtype d);      // bytes; 0 for ST_OTHER
const char *st_dtype_name(st_dtype d); // "F32"; "other" for ST_OTHER
#endif
