// A folder of its own for each test, and one file in it: made of given bytes, opened, refused or taken.
#ifndef ST_FILE_H
#define ST_FILE_H

#include "safetensors.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[96];

static inline void make_folder(void)
{
    strcpy(folder, "/tmp/bptt_st_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f", folder);
}

static inline void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); // nothing else was left in it
}

static inline void put_file(const void *bytes, size_t n)
{
    unlink(path); // a new file is fast where a truncated one is flushed on close
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static inline size_t get_file(char *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    const size_t n = fread(bytes, 1, room, f);
    ck_assert_uint_lt(n, room);
    fclose(f);
    return n;
}

// A file of this header, without padding, and so many zero bytes of data.
static inline void put_header(const char *header, size_t n, size_t data)
{
    char file[4096] = {0};
    ck_assert_uint_lt(8 + n + data, sizeof file);
    for (size_t i = 0; i < 8; i++) file[i] = (char)((uint64_t)n >> 8 * i & 255);
    memcpy(file + 8, header, n);
    put_file(file, 8 + n + data);
}

// Opens it; a refusal must be BAD_FILE, with words, and must leave the result alone.
static inline st_reader *open_or_refused(void)
{
    st_reader *const nobody = (st_reader *)folder;
    st_reader *r = nobody;
    bptt_error e = {.words = ""};
    const bptt_status s = st_read_open(path, 0, &r, &e);
    if (s == BPTT_OK) {
        ck_assert_ptr_ne(r, nobody);
        return r;
    }
    ck_assert_msg(s == BPTT_BAD_FILE, "status %d: %s", (int)s, e.words);
    ck_assert_int_eq(e.code, s);
    ck_assert_ptr_nonnull(strstr(e.words, path));
    ck_assert_ptr_eq(r, nobody);
    return NULL;
}

static inline void refused(const char *header, size_t data)
{
    put_header(header, strlen(header), data);
    ck_assert_msg(open_or_refused() == NULL, "taken: %s", header);
}

static inline void taken(const char *header, size_t data, size_t tensors)
{
    put_header(header, strlen(header), data);
    st_reader *r = open_or_refused();
    ck_assert_msg(r != NULL, "refused: %s", header);
    ck_assert_uint_eq(st_count(r), tensors);
    st_read_close(r);
}

#endif
