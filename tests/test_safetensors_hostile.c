// The reader accepts exactly the files that the format allows. The headers include those of the reference
// implementation's own tests (duplicate keys, holes, overlaps, overflow, lengths beyond the file).
#define _POSIX_C_SOURCE 200809L

#include "st_file.h"

#include <inttypes.h>
#include <stdbool.h>

// The parts of a tensor of 8 bytes that is named a.
#define D "\"dtype\":\"F32\""
#define S "\"shape\":[2]"
#define O "\"data_offsets\":[0,8]"
#define U8(name, n, from, to) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" n "],\"data_offsets\":[" from "," to "]}"
#define A "\"a\":{" D "," S "," O "}"

START_TEST(foreign_files_within_the_rules_are_taken)
{
    taken("{" A "}", 8, 1);
    taken("{" A "}     ", 8, 1);
    taken("{ \"a\" :\t{\"data_offsets\":[0 , 8],\n\"shape\":[2],\r\"dtype\":\"F32\"}}", 8, 1);
    taken("{\"__metadata__\":{}," A "}", 8, 1);
    taken("{" A ",\"__metadata__\":{\"k\":\"v\"}}", 8, 1);
    taken("{" U8("b", "1", "8", "9") "," A "}", 9, 2); // not in the data's order
    taken("{" U8("b", "", "0", "1") "}", 1, 1);
    taken("{" U8("b", "0,18446744073709551615,2", "0", "0") "}", 0, 1);
    taken("{" U8("b", "0", "8", "8") ",\"c\":{\"dtype\":\"F64\",\"shape\":[2,0],"
                                     "\"data_offsets\":[8,8]}," A "}",
          8, 3);
    taken("{\"b\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, 1);
    taken("{\"b\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]},\"c\":{\"dtype\":\"BOOL\",\"shape\":[1],"
          "\"data_offsets\":[8,9]},\"d\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[9,12]}}",
          12, 3);
    taken("{" U8("b", "1,1,1,1,1,1,1,1", "0", "1") "}", 1, 1);
}
END_TEST

START_TEST(a_header_that_is_not_an_object_padded_with_spaces_is_refused)
{
    static const char *const wrong[] = {"",
                                        "[]",
                                        "\"\"",
                                        "1",
                                        "null",
                                        " {}",
                                        "\t{}",
                                        "\n{}",
                                        "{}\n",
                                        "{}\t",
                                        "{}\r ",
                                        "{} \n ",
                                        "{}}",
                                        "{}{}",
                                        "{",
                                        "}",
                                        "{}x",
                                        "{\"a\":1}",
                                        "{\"a\":null}",
                                        "{\"a\":[]}",
                                        "{'a':{}}",
                                        "\xef\xbb\xbf{}",
                                        "{\"\xff\":{}}",
                                        "{" A ",}",
                                        "{,}",
                                        "        ",
                                        "{\"a\":{}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        refused(wrong[i], 0);
        refused(wrong[i], 8);
    }
    put_header("{}\0", 3, 0);
    ck_assert_ptr_null(open_or_refused());
}
END_TEST

START_TEST(a_header_length_beyond_the_file_is_refused_before_any_memory_is_taken)
{
    static const uint64_t wrong[] = {0,
                                     1,
                                     3,
                                     9,
                                     100000000,
                                     100000001,
                                     UINT64_C(1) << 32,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 7,
                                     UINT64_MAX - 8};
    char file[10] = "12345678{}";
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (size_t b = 0; b < 8; b++) file[b] = (char)(wrong[i] >> 8 * b & 255);
        put_file(file, sizeof file);
        bptt_error e = {.words = ""};
        st_reader *r = NULL;
        ck_assert_msg(st_read_open(path, SIZE_MAX, &r, &e) == BPTT_BAD_FILE, "length %" PRIu64, wrong[i]);
        ck_assert_msg(strstr(e.words, "header length"), "length %" PRIu64 ": %s", wrong[i], e.words);
    }
    put_file(file, 0);
    ck_assert_ptr_null(open_or_refused());
}
END_TEST

START_TEST(the_limit_of_the_header_is_16_mib_unless_told_and_never_above_100_000_000)
{
    static const struct {
        size_t bytes, limit;
        bool taken;
    } cases[] = {{100, 99, false},
                 {100, 100, true},
                 {16 << 20, 0, true},
                 {(16 << 20) + 1, 0, false},
                 {100000001, 0, false},
                 {(16 << 20) + 1, 20000000, true},
                 {100000001, SIZE_MAX, false},
                 {100000000, SIZE_MAX, true}};
    char *file = malloc(8 + 100000000);
    memset(file + 8, ' ', 100000000);
    memcpy(file + 8, "{}", 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        st_reader *r = NULL;
        for (size_t b = 0; b < 8; b++) file[b] = (char)((uint64_t)cases[i].bytes >> 8 * b & 255);
        put_file(file, cases[i].taken ? 8 + cases[i].bytes : 10);
        ck_assert_int_eq(truncate(path, 8 + (off_t)cases[i].bytes), 0); // refused ones: NULs that take no room
        bptt_error e = {.words = ""};
        ck_assert_int_eq(st_read_open(path, cases[i].limit, &r, &e), cases[i].taken ? BPTT_OK : BPTT_BAD_FILE);
        ck_assert(cases[i].taken || strstr(e.words, "limit"));
        st_read_close(r);
    }
    free(file);
}
END_TEST

START_TEST(keys_that_occur_twice_are_refused)
{
    refused("{" A "," A "}", 8);
    refused("{" A ",\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,8]}}", 8);
    refused("{" A "," U8("b", "0", "8", "8") "," U8("a", "0", "8", "8") "}", 8);
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0);
    refused("{\"__metadata__\":{\"k\":\"1\",\"j\":\"\",\"k\":\"2\"}}", 0);
    refused("{\"__metadata__\":{\"k\":\"1\",\"\\u006b\":\"1\"}}", 0);
    refused("{\"a\":{" D "," D "," S "," O "}}", 8);
    refused("{\"a\":{" D "," S "," S "," O "}}", 8);
    refused("{\"a\":{" D "," S "," O "," O "}}", 8);
}
END_TEST

START_TEST(a_tensor_that_is_described_wrongly_is_refused)
{
    static const char *const wrong[] = {S "," O,
                                        D "," O,
                                        D "," S,
                                        D "," S "," O ",\"x\":1",
                                        D "," S "," O ",",
                                        "",
                                        "\"dtype\":\"F33\"," S "," O,
                                        "\"dtype\":\"f32\"," S "," O,
                                        "\"dtype\":32," S "," O,
                                        "\"dtype\":\"\"," S "," O,
                                        D ",\"shape\":2," O,
                                        D ",\"shape\":[\"2\"]," O,
                                        D ",\"shape\":[2.0]," O,
                                        D ",\"shape\":[2e0]," O,
                                        D ",\"shape\":[-2]," O,
                                        D ",\"shape\":[02]," O,
                                        D ",\"shape\":[[2]]," O,
                                        D ",\"shape\":null," O,
                                        D ",\"shape\":[3]," O,
                                        D ",\"shape\":[]," O,
                                        D ",\"shape\":[0]," O,
                                        D ",\"shape\":[18446744073709551618]," O,
                                        D "," S ",\"data_offsets\":[0]",
                                        D "," S ",\"data_offsets\":[]",
                                        D "," S ",\"data_offsets\":[0,8,8]",
                                        D "," S ",\"data_offsets\":[-0,8]",
                                        D "," S ",\"data_offsets\":[0,8.0]",
                                        D "," S ",\"data_offsets\":null",
                                        D "," S ",\"data_offsets\":[8,0]",
                                        D "," S ",\"data_offsets\":[0,18446744073709551624]",
                                        D "," S ",\"data_offsets\":[18446744073709551608,0]",
                                        "\"dtype\":\"F64\"," S "," O,
                                        "\"dtype\":\"F4\",\"shape\":[15]," O,
                                        "\"dtype\":\"F4\",\"shape\":[17]," O,
                                        "\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,8]," O};
    char header[256];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(header, sizeof header, "{\"a\":{%s}}", wrong[i]);
        refused(header, 8);
    }
    refused("{\"a\":{" D ",\"data_offsets\":[0,4]}}", 4); // where the size alone would not tell
    refused("{\"a\":{" S ",\"data_offsets\":[0,0]}}", 0);
    refused("{\"a\":{" D ",\"shape\":[0]}}", 0);
    refused("{\"a\":{" D ",\"shape\":[0],\"data_offsets\":[0]}}", 0);
    refused("{\"a\":{" D ",\"shape\":[0],\"data_offsets\":[]}}", 0);
}
END_TEST

START_TEST(shapes_whose_product_overflows_are_refused)
{
    static const char *const wrong[] = {"[2,18446744073709551614]",  "[18446744073709551615,18446744073709551615]",
                                        "[4294967296,4294967296]",   "[4611686018427387904]",
                                        "[4611686018427387906]",     "[9223372036854775808,2]",
                                        "[65536,65536,65536,65536]", "[18446744073709551615,2,0]"};
    char header[256];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (size_t bytes_there = 0; bytes_there <= 8; bytes_there += 8) {
            snprintf(header, sizeof header, "{\"a\":{" D ",\"shape\":%s,\"data_offsets\":[0,%zu]}}", wrong[i],
                     bytes_there);
            refused(header, bytes_there);
        }
    }
}
END_TEST

START_TEST(holes_overlaps_and_data_outside_the_file_are_refused)
{
    refused("{" U8("a", "4", "4", "8") "}", 8);                            // nothing at the start
    refused("{" U8("a", "2", "0", "2") "," U8("b", "2", "4", "6") "}", 6); // a hole
    refused("{" U8("a", "4", "0", "4") "," U8("b", "4", "2", "6") "}", 6); // an overlap
    refused("{" U8("a", "4", "0", "4") "," U8("b", "4", "0", "4") "}", 4); // the same bytes twice
    refused("{" U8("a", "8", "0", "8") "," U8("b", "2", "2", "4") "}", 8); // one inside the other
    refused("{" U8("a", "8", "0", "8") "," U8("b", "0", "4", "4") "}", 8); // an empty one inside
    refused("{" U8("a", "8", "0", "8") "," U8("b", "0", "9", "9") "}", 8);
    refused("{" U8("a", "8", "0", "8") "}", 7); // beyond the end
    refused("{" U8("a", "8", "0", "8") "}", 9); // a tail
    refused("{}", 1);
    refused("{" U8("a", "18446744073709551615", "0", "18446744073709551615") "}", 8);
    refused("{" U8("a", "8", "18446744073709551608", "18446744073709551616") "}", 8);
    refused("{" U8("a", "8", "0", "8") "," U8("b", "18446744073709551608", "8", "18446744073709551616") "}", 8);
}
END_TEST

// Eight tensors of 2^61 - 1 bytes reach 2^64 - 8; eight bytes more end at 0, and there the file ends, too.
START_TEST(offsets_that_go_once_around_are_refused)
{
    char header[2048] = "{", *p = header + 1;
    const uint64_t n = (UINT64_C(1) << 61) - 1;
    for (uint64_t i = 0; i <= 8; i++)
        p += sprintf(p, U8("%c", "%" PRIu64, "%" PRIu64, "%" PRIu64) "%c", (int)('a' + i), i < 8 ? n : 8, i * n,
                     i < 8 ? (i + 1) * n : 0, i < 8 ? ',' : '}');
    refused(header, 0);
}
END_TEST

START_TEST(metadata_hold_strings_only)
{
    static const char *const wrong[] = {"1",
                                        "null",
                                        "[]",
                                        "\"x\"",
                                        "{\"k\":1}",
                                        "{\"k\":null}",
                                        "{\"k\":{}}",
                                        "{\"k\":[\"v\"]}",
                                        "{\"k\":true}",
                                        "{\"k\"}",
                                        "{\"k\":\"a\\u0000b\"}",
                                        "{\"k\\u0000\":\"v\"}",
                                        "{\"k\":\"\\ud800\"}",
                                        "{\"k\":\"\n\"}",
                                        "{\"k\":\"\xc0\xaf\"}",
                                        "{\"k\":\"v\",}"};
    char header[256];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(header, sizeof header, "{\"__metadata__\":%s," A "}", wrong[i]);
        refused(header, 8);
    }
}
END_TEST

START_TEST(names_with_escapes_are_names_and_a_nul_or_a_96th_byte_in_one_is_refused)
{
    char header[512], name[200];
    static const char escaped[] = "{" U8("\\u0061\\n\\ud83d\\ude00", "", "0", "1") "}";
    put_header(escaped, sizeof escaped - 1, 1);
    st_reader *r = open_or_refused();
    ck_assert_ptr_nonnull(r);
    ck_assert_ptr_nonnull(st_find(r, "a\n\xf0\x9f\x98\x80"));
    st_read_close(r);
    refused("{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1);
    for (size_t n = 90; n < 130; n++) {
        memset(name, 'n', n);
        name[n] = '\0';
        snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
        if (n < 96)
            taken(header, 1, 1);
        else
            refused(header, 1);
    }
}
END_TEST

START_TEST(a_hostile_name_does_not_reach_the_terminal)
{
    bptt_error e;
    st_reader *r = NULL;
    const char *h = "{\"\\u001b[2J\\u007f\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,1]}}";
    put_header(h, strlen(h), 1);
    ck_assert_int_eq(st_read_open(path, 0, &r, &e), BPTT_BAD_FILE);
    ck_assert_ptr_nonnull(strstr(e.words, "?[2J?"));
    for (const char *p = e.words; *p != '\0'; p++) ck_assert((unsigned char)*p >= 0x20 && *p != 0x7f);
}
END_TEST

START_TEST(a_header_full_of_tensors_is_read_in_seconds)
{
    const size_t n = 200000;
    char *file = malloc(8 + 64 * n + 16), *p = file + 8;
    *p++ = '{';
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "%s\"%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i > 0 ? "," : "",
                     (i * 7919) % n);
    *p++ = '}';
    const size_t header = (size_t)(p - file) - 8;
    for (size_t b = 0; b < 8; b++) file[b] = (char)((uint64_t)header >> 8 * b & 255);
    put_file(file, 8 + header);
    st_reader *r = NULL;
    ck_assert_int_eq(st_read_open(path, 0, &r, NULL), BPTT_OK);
    ck_assert_uint_eq(st_count(r), n);
    for (size_t i = 0; i < n; i += 97) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        ck_assert_str_eq(st_find(r, name)->name, name);
    }
    st_read_close(r);
    free(file);
}
END_TEST

START_TEST(the_header_checksum_is_found_however_its_key_is_spelt)
{
    refused("{\"__metadata__\":{\"crc32\\u0063\":\"00000000\"}}", 0);
    refused("{\"__metadata\\u005f_\":{\"crc32c\":\"00000000\"}}", 0);
}
END_TEST

START_TEST(checksums_that_are_no_checksums_are_refused)
{
    static const char *const wrong[] = {"0",         "",         "0000000",  "000000000",     "0000000g",
                                        "A0000000",  "0x000000", " 0000000", "\\u0030000000", "ffffffff",
                                        "f16177d20", "F16177D2", "f16177d",  "f16177d2 "};
    char header[256], out[8];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(header, sizeof header, "{\"__metadata__\":{\"crc32c\":\"%s\"}}", wrong[i]);
        refused(header, 0);
        snprintf(header, sizeof header, "{\"__metadata__\":{\"crc32c.a\":\"%s\"}," U8("a", "2", "0", "2") "}",
                 wrong[i]);
        put_header(header, strlen(header), 2);
        st_reader *r = open_or_refused();
        ck_assert_ptr_nonnull(r);
        ck_assert_int_eq(st_read(r, st_at(r, 0), out, NULL), BPTT_BAD_FILE);
        st_read_close(r);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, make_folder, remove_folder);
    tcase_add_test(c, foreign_files_within_the_rules_are_taken);
    tcase_add_test(c, a_header_that_is_not_an_object_padded_with_spaces_is_refused);
    tcase_add_test(c, a_header_length_beyond_the_file_is_refused_before_any_memory_is_taken);
    tcase_add_test(c, the_limit_of_the_header_is_16_mib_unless_told_and_never_above_100_000_000);
    tcase_add_test(c, keys_that_occur_twice_are_refused);
    tcase_add_test(c, a_tensor_that_is_described_wrongly_is_refused);
    tcase_add_test(c, shapes_whose_product_overflows_are_refused);
    tcase_add_test(c, holes_overlaps_and_data_outside_the_file_are_refused);
    tcase_add_test(c, offsets_that_go_once_around_are_refused);
    tcase_add_test(c, metadata_hold_strings_only);
    tcase_add_test(c, names_with_escapes_are_names_and_a_nul_or_a_96th_byte_in_one_is_refused);
    tcase_add_test(c, a_hostile_name_does_not_reach_the_terminal);
    tcase_add_test(c, a_header_full_of_tensors_is_read_in_seconds);
    tcase_add_test(c, the_header_checksum_is_found_however_its_key_is_spelt);
    tcase_add_test(c, checksums_that_are_no_checksums_are_refused);
}

int main(void) { return run_suite("safetensors_hostile", add, 20); }
