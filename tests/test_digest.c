// CRC-32C and SHA-256 against published values, and against a CRC taken bit by bit.
#include "digest.h"
#include "suite.h"

#include <string.h>

// From the definition: one bit at a time, reflected polynomial 0x82f63b78.
static uint32_t crc_by_bits(const unsigned char *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

START_TEST(crc32c_gives_the_values_of_rfc_3720)
{
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    const unsigned char read10[48] = {0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0x14, 0, 0, 0, 0,
                                      0,    4,    0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0,    0, 0, 2};
    memset(ones, 0xff, sizeof ones);
    for (unsigned char i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (unsigned char)(31 - i);
    }
    ck_assert_uint_eq(crc32c(0, zeros, 32), 0x8a9136aa);
    ck_assert_uint_eq(crc32c(0, ones, 32), 0x62a8ab43);
    ck_assert_uint_eq(crc32c(0, up, 32), 0x46dd794e);
    ck_assert_uint_eq(crc32c(0, down, 32), 0x113fdb5c);
    ck_assert_uint_eq(crc32c(0, read10, 48), 0xd9963a56);
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c(0, "", 0), 0);
}
END_TEST

START_TEST(crc32c_is_the_bitwise_one_at_every_length_and_alignment_and_goes_on_from_any_split)
{
    unsigned char x[80];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof x; i++) x[i] = (unsigned char)((random = random * 1664525 + 1013904223) >> 24);
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; from + n <= sizeof x; n++) {
            const uint32_t whole = crc_by_bits(x + from, n);
            for (size_t cut = 0; cut <= n; cut++)
                ck_assert_uint_eq(crc32c(crc32c(0, x + from, cut), x + from + cut, n - cut), whole);
        }
    }
}
END_TEST

START_TEST(sha256_gives_the_values_of_fips_180)
{
    char hex[65];
    static unsigned char million[1000000];
    memset(million, 'a', sizeof million);
    sha256_hex("", 0, hex);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abc", 3, hex);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    ck_assert_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    sha256_hex(million, sizeof million, hex);
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

// The padding takes a second block from 56 bytes on. The expected value is Python's:
// hashlib.sha256("".join(hashlib.sha256(b"a" * n).hexdigest() for n in range(131)).encode()).hexdigest()
START_TEST(sha256_is_right_on_both_sides_of_a_block_boundary)
{
    char all[131 * 64 + 1], hex[65], text[131];
    memset(text, 'a', sizeof text);
    for (size_t n = 0; n < 131; n++) sha256_hex(text, n, all + 64 * n);
    sha256_hex(all, 131 * 64, hex);
    ck_assert_str_eq(hex, "5eee4c50e1b5ec4f1a47f34c25ca988850b49da7904f5ab1b3abc5cc0ae66ef9");
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, crc32c_gives_the_values_of_rfc_3720);
    tcase_add_test(c, crc32c_is_the_bitwise_one_at_every_length_and_alignment_and_goes_on_from_any_split);
    tcase_add_test(c, sha256_gives_the_values_of_fips_180);
    tcase_add_test(c, sha256_is_right_on_both_sides_of_a_block_boundary);
}

int main(void) { return run_suite("digest", add, 10); }
