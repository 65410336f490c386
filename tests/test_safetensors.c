// Written files read back unchanged, damage is detected, and the writer refuses files that the reader would refuse.
#define _POSIX_C_SOURCE 200809L

#include "digest.h"
#include "st_file.h"

#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>

// ---- a small file, with everything in it ----------------------------------------------------------------------------

static const float weights[6] = {1, -2, 3.5F, 0, 1e-30F, -1e30F};
static const double moments[2] = {0.1, -1e300};
static const unsigned char bytes[3] = {0, 127, 255};
static const int64_t step = INT64_C(-9007199254740993);

static const st_tensor tensors[] = {
    {.name = "a.weight", .dtype = ST_F32, .rank = 2, .shape = {2, 3}},
    {.name = "quote\" slash\\ line\n \x01 \xc3\xa9", .dtype = ST_U8, .rank = 1, .shape = {3}},
    {.name = "", .dtype = ST_F64, .rank = 1, .shape = {2}}, // and not aligned
    {.name = "empty", .dtype = ST_F16, .rank = 3, .shape = {4, 0, 7}},
    {.name = "scalar", .dtype = ST_I64, .rank = 0}};
static const void *const data[] = {weights, bytes, moments, NULL, &step};
static const size_t sizes[] = {24, 3, 16, 0, 8};
enum { TENSORS = 5 };

static const st_pair metadata[] = {
    {"format", "pt"}, {"vocabulary", "\"\\\n\t\x1f\x7f\xf0\x9f\x98\x80"}, {"", ""}, {"a", "first by key"}};
enum { PAIRS = 4 };

static void write_small(size_t chunk)
{
    char all[64];
    size_t n = 0;
    st_writer *w = NULL;
    bptt_error e;
    for (int i = 0; i < TENSORS; i++) {
        if (sizes[i] > 0) memcpy(all + n, data[i], sizes[i]);
        n += sizes[i];
    }
    ck_assert_int_eq(st_write_open(path, tensors, TENSORS, metadata, PAIRS, &w, &e), BPTT_OK);
    for (size_t at = 0; at < n; at += chunk)
        ck_assert_int_eq(st_write(w, all + at, chunk < n - at ? chunk : n - at, &e), BPTT_OK);
    ck_assert_int_eq(st_write_commit(w, &e), BPTT_OK);
}

// True if r has exactly the tensors that were written.
static bool same_tensors(st_reader *r)
{
    if (st_count(r) != TENSORS) return false;
    for (int i = 0; i < TENSORS; i++) {
        unsigned char out[32];
        const st_tensor *t = st_find(r, tensors[i].name);
        memset(out, '#', sizeof out);
        if (!t || t->dtype != tensors[i].dtype || t->rank != tensors[i].rank) return false;
        if (t->end - t->begin != sizes[i]) return false;
        if (memcmp(t->shape, tensors[i].shape, sizeof t->shape) != 0) return false;
        if (st_read(r, t, out, NULL) != BPTT_OK || out[sizes[i]] != '#') return false;
        if (sizes[i] > 0 && memcmp(out, data[i], sizes[i]) != 0) return false;
    }
    return true;
}

static bool same_metadata(const st_reader *r)
{
    for (int i = 0; i < PAIRS; i++) {
        const char *value = st_metadata(r, metadata[i].key);
        if (!value || strcmp(value, metadata[i].value) != 0) return false;
    }
    return true;
}

// ---- writing and reading back ---------------------------------------------------------------------------------------

START_TEST(what_was_written_comes_back_whatever_the_chunks)
{
    static const size_t chunks[] = {1, 2, 3, 23, 24, 25, 50, 51, 60};
    for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++) {
        write_small(chunks[k]);
        st_reader *r = open_or_refused();
        ck_assert_ptr_nonnull(r);
        ck_assert(same_tensors(r));
        ck_assert(same_metadata(r));
        ck_assert_uint_eq(st_metadata_count(r), PAIRS + TENSORS + 1);
        for (size_t i = 0; i < st_metadata_count(r); i++) {
            const st_pair p = st_metadata_at(r, i);
            ck_assert_ptr_eq(st_metadata(r, p.key), p.value);
            if (i > 0) ck_assert_int_lt(strcmp(st_metadata_at(r, i - 1).key, p.key), 0);
        }
        uint64_t at = 0;
        for (size_t i = 0; i < st_count(r); i++) {
            ck_assert_uint_eq(st_at(r, i)->begin, at);
            at = st_at(r, i)->end;
        }
        ck_assert_ptr_null(st_at(r, TENSORS));
        ck_assert_ptr_null(st_find(r, "no such"));
        ck_assert_ptr_null(st_find(r, "__metadata__"));
        ck_assert_ptr_null(st_metadata(r, "no such"));
        st_read_close(r);
    }
}
END_TEST

START_TEST(the_layout_is_length_header_spaces_and_data_at_a_multiple_of_64)
{
    char file[4096];
    write_small(7);
    const size_t n = get_file(file, sizeof file);
    uint64_t header = 0;
    for (size_t i = 8; i > 0; i--) header = header << 8 | (unsigned char)file[i - 1];
    ck_assert_uint_eq((8 + header) % 64, 0);
    ck_assert_uint_eq(8 + header + 51, n);
    ck_assert_int_eq(memcmp(file + 8, "{\"__metadata__\":{\"format\":\"pt\",", 31), 0);
    ck_assert_mem_eq(file + 8 + header, weights, 24);
    ck_assert_mem_eq(file + n - 8, &step, 8);
    size_t end = 8 + (size_t)header;
    while (file[end - 1] == ' ') end--;
    ck_assert_int_eq(file[end - 1], '}');
    ck_assert_uint_gt(end + 64, 8 + header);
}
END_TEST

START_TEST(the_checksums_are_those_of_the_format)
{
    char file[4096], digits[9];
    write_small(51);
    const size_t n = get_file(file, sizeof file);
    file[n] = '\0';
    st_reader *r = open_or_refused();
    snprintf(digits, sizeof digits, "%08" PRIx32, crc32c(0, weights, 24));
    ck_assert_str_eq(st_metadata(r, "crc32c.a.weight"), digits);
    ck_assert_str_eq(st_metadata(r, "crc32c.empty"), "00000000");
    char *place = strstr(file + 8, "\"crc32c\":\"") + 10;
    memcpy(place, "00000000", 8);
    snprintf(digits, sizeof digits, "%08" PRIx32, crc32c(0, file + 8, n - 8 - 51));
    ck_assert_str_eq(st_metadata(r, "crc32c"), digits);
    st_read_close(r);
}
END_TEST

START_TEST(the_same_contents_make_the_same_bytes)
{
    char one[4096], two[4096];
    write_small(1);
    const size_t n = get_file(one, sizeof one);
    unlink(path);
    write_small(51);
    ck_assert_uint_eq(get_file(two, sizeof two), n);
    ck_assert_mem_eq(one, two, n);
}
END_TEST

START_TEST(a_file_of_no_tensors_and_no_metadata_is_a_file)
{
    st_writer *w = NULL;
    ck_assert_int_eq(st_write_open(path, NULL, 0, NULL, 0, &w, NULL), BPTT_OK);
    ck_assert_int_eq(st_write_commit(w, NULL), BPTT_OK);
    st_reader *r = open_or_refused();
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_eq(st_count(r), 0);
    ck_assert_ptr_null(st_find(r, "x"));
    st_read_close(r);
    taken("{}", 0, 0);
    st_read_close(NULL);
    st_write_abort(NULL);
}
END_TEST

START_TEST(a_file_with_missing_or_surplus_data_is_not_written)
{
    st_writer *w = NULL;
    bptt_error e;
    const char zeros[64] = {0};
    for (size_t n = 0; n < 64; n++) {
        if (n == 51) continue;
        ck_assert_int_eq(st_write_open(path, tensors, TENSORS, metadata, PAIRS, &w, &e), BPTT_OK);
        ck_assert_int_eq(st_write(w, zeros, n, &e), n > 51 ? BPTT_BAD_INPUT : BPTT_OK);
        ck_assert_int_eq(st_write_commit(w, &e), BPTT_BAD_INPUT);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ck_assert_int_eq(st_write_open(path, tensors, TENSORS, metadata, PAIRS, &w, &e), BPTT_OK);
    st_write_abort(w);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

static void not_written(const st_tensor *t, size_t n, const st_pair *m, size_t pairs)
{
    st_writer *w = NULL;
    bptt_error e = {.words = ""};
    ck_assert_int_eq(st_write_open(path, t, n, m, pairs, &w, &e), BPTT_BAD_INPUT);
    ck_assert_uint_gt(strlen(e.words), 0);
    ck_assert_ptr_null(w);
    ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(what_our_reader_would_refuse_is_not_written)
{
    const st_tensor good = {.name = "a", .dtype = ST_F32, .rank = 1, .shape = {1}};
    st_tensor t[2] = {good, good};
    not_written(t, 2, NULL, 0); // one name twice
    strcpy(t[0].name, "__metadata__");
    not_written(t, 1, NULL, 0);
    strcpy(t[0].name, "\xff");
    not_written(t, 1, NULL, 0);
    memset(t[0].name, 'a', sizeof t[0].name); // no end
    not_written(t, 1, NULL, 0);
    t[0] = good;
    t[0].dtype = ST_OTHER;
    not_written(t, 1, NULL, 0);
    t[0] = good;
    t[0].rank = 9;
    not_written(t, 1, NULL, 0);
    t[0].rank = -1;
    not_written(t, 1, NULL, 0);
    t[0] = (st_tensor){.name = "a", .dtype = ST_F32, .rank = 2, .shape = {2, UINT64_MAX - 1}};
    not_written(t, 1, NULL, 0);
    t[0] = (st_tensor){.name = "a", .dtype = ST_F32, .rank = 2, .shape = {UINT64_C(1) << 32, UINT64_C(1) << 32}};
    not_written(t, 1, NULL, 0); // 2^66 bytes, which is 0 for who does not look
    t[0] = t[1] = (st_tensor){.name = "a", .dtype = ST_U8, .rank = 1, .shape = {UINT64_MAX / 2 + 1}};
    t[1].name[0] = 'b';
    not_written(t, 2, NULL, 0);
    not_written(&good, 1, (st_pair[]){{"crc32c", "00000000"}}, 1);
    not_written(&good, 1, (st_pair[]){{"crc32c.a", "00000000"}}, 1);
    not_written(&good, 1, (st_pair[]){{"k", "1"}, {"k", "1"}}, 2);
    not_written(&good, 1, (st_pair[]){{"k", "\xc3("}}, 1);
    not_written(&good, 1, (st_pair[]){{"\x80", ""}}, 1);
    char *huge = malloc((17 << 20) + 1);
    memset(huge, 'a', 17 << 20);
    huge[17 << 20] = '\0';
    not_written(&good, 1, (st_pair[]){{"k", huge}}, 1);
    free(huge);
}
END_TEST

// ---- damage ---------------------------------------------------------------------------------------------------------

START_TEST(a_file_cut_at_any_length_is_refused_and_so_is_one_with_a_tail)
{
    char file[4096];
    write_small(51);
    const size_t n = get_file(file, sizeof file - 64);
    for (size_t cut = 0; cut < n; cut++) {
        put_file(file, cut);
        ck_assert_msg(open_or_refused() == NULL, "the first %zu bytes of %zu were taken", cut, n);
    }
    memcpy(file + n, "PK\5\6 the end of an archive", 26);
    for (size_t tail = 1; tail <= 26; tail++) {
        put_file(file, n + tail);
        ck_assert_msg(open_or_refused() == NULL, "%zu bytes at the end were taken", tail);
    }
}
END_TEST

// Harmless: the flip hit the key that announces the header's checksum; it is then not checked, but all else stands.
START_TEST(a_flipped_bit_anywhere_is_refused_or_harmless)
{
    char file[4096];
    write_small(51);
    const size_t n = get_file(file, sizeof file);
    size_t harmless = 0;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
        put_file(file, n);
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
        st_reader *r = open_or_refused();
        if (r && same_tensors(r)) {
            ck_assert_msg(same_metadata(r), "bit %zu changed the metadata", bit);
            harmless++;
        }
        st_read_close(r);
    }
    ck_assert_uint_le(harmless, 6 * 8);
}
END_TEST

START_TEST(a_flipped_bit_in_the_data_is_found_when_that_tensor_is_read_and_only_then)
{
    char file[4096], out[32];
    write_small(51);
    const size_t n = get_file(file, sizeof file);
    for (size_t at = n - 51; at < n; at++) {
        size_t wrong = 0;
        file[at] ^= 16;
        put_file(file, n);
        file[at] ^= 16;
        st_reader *r = open_or_refused();
        ck_assert_ptr_nonnull(r);
        for (size_t i = 0; i < TENSORS; i++) {
            const st_tensor *t = st_at(r, i);
            bptt_error e;
            const bptt_status s = st_read(r, t, out, &e);
            const bool here = at - (n - 51) >= t->begin && at - (n - 51) < t->end;
            ck_assert_int_eq(s, here ? BPTT_BAD_FILE : BPTT_OK);
            wrong += s != BPTT_OK;
        }
        ck_assert_uint_eq(wrong, 1);
        st_read_close(r);
    }
}
END_TEST

START_TEST(a_file_that_shrinks_after_it_was_opened_is_an_error_not_zeros)
{
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}";
    char out[4];
    put_header(header, sizeof header - 1, 8);
    st_reader *r = open_or_refused();
    ck_assert_int_eq(truncate(path, 8 + sizeof header - 1 + 7), 0);
    ck_assert_int_eq(st_read(r, st_find(r, "a"), out, NULL), BPTT_OK);
    ck_assert_int_eq(st_read(r, st_find(r, "b"), out, NULL), BPTT_BAD_FILE);
    st_read_close(r);
}
END_TEST

START_TEST(what_cannot_be_opened_is_no_input)
{
    st_reader *r = NULL;
    bptt_error e = {.words = ""};
    ck_assert_int_eq(st_read_open(path, 0, &r, &e), BPTT_NO_INPUT);
    ck_assert_ptr_nonnull(strstr(e.words, path));
    ck_assert_int_eq(st_read_open(folder, 0, &r, &e), BPTT_NO_INPUT);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(st_read_open(path, 0, &r, &e), BPTT_NO_INPUT); // and does not wait
    ck_assert_int_eq(st_read_open("/dev/zero", 0, &r, &e), BPTT_NO_INPUT);
    ck_assert_ptr_null(r);
}
END_TEST

START_TEST(a_tensor_of_another_file_is_not_read)
{
    char out[8];
    const st_tensor t = {.name = "x", .dtype = ST_U8, .rank = 1, .shape = {8}, .begin = 48, .end = 56};
    write_small(51);
    st_reader *r = open_or_refused();
    ck_assert_int_eq(st_read(r, &t, out, NULL), BPTT_BAD_INPUT);
    st_read_close(r);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, make_folder, remove_folder);
    tcase_add_test(c, what_was_written_comes_back_whatever_the_chunks);
    tcase_add_test(c, the_layout_is_length_header_spaces_and_data_at_a_multiple_of_64);
    tcase_add_test(c, the_checksums_are_those_of_the_format);
    tcase_add_test(c, the_same_contents_make_the_same_bytes);
    tcase_add_test(c, a_file_of_no_tensors_and_no_metadata_is_a_file);
    tcase_add_test(c, a_file_with_missing_or_surplus_data_is_not_written);
    tcase_add_test(c, what_our_reader_would_refuse_is_not_written);
    tcase_add_test(c, a_file_cut_at_any_length_is_refused_and_so_is_one_with_a_tail);
    tcase_add_test(c, a_flipped_bit_anywhere_is_refused_or_harmless);
    tcase_add_test(c, a_flipped_bit_in_the_data_is_found_when_that_tensor_is_read_and_only_then);
    tcase_add_test(c, a_file_that_shrinks_after_it_was_opened_is_an_error_not_zeros);
    tcase_add_test(c, what_cannot_be_opened_is_no_input);
    tcase_add_test(c, a_tensor_of_another_file_is_not_read);
}

int main(void) { return run_suite("safetensors", add, 20); }
