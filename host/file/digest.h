// Checksums: CRC-32C (Castagnoli, RFC 3720) and SHA-256 (FIPS 180-4).
#ifndef DIGEST_H
#define DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes); // crc: 0, or the result of the bytes before
void sha256_hex(const void *data, size_t bytes, char out[65]); // lower case, NUL-terminated
#endif
