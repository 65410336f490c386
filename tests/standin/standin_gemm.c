// The stand-in's matrix product. Operands are packed as float, in panels, so that the inner loop is vector code.
#include "standin_gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TALL = 32, WIDE = 2 };

static float from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

// IEEE 754 binary16; exact.
static float of_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 0) return from_bits(sign) + (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    if (exponent == 31) return from_bits(sign | 0x7f800000u | fraction << 13);
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

// To nearest, ties to even; NaN and infinities stay.
static float to_tf32(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7f800000u) == 0x7f800000u) return x;
    return from_bits((u + 0xfffu + (u >> 13 & 1)) & ~0x1fffu);
}

float standin_number(const void *x, size_t i, int type, bool tf32)
{
    if (type == BLAS_F32) {
        float f;
        memcpy(&f, (const char *)x + 4 * i, sizeof f);
        return tf32 ? to_tf32(f) : f;
    }
    uint16_t h;
    memcpy(&h, (const char *)x + 2 * i, sizeof h);
    return type == BLAS_F16 ? of_f16(h) : from_bits((uint32_t)h << 16);
}

// Panels of `wide` rows: out[panel][k][wide], zeros past the last row. Row i, column p of x is at i*down + p*across.
static float *packed(const standin_gemm *g, const void *x, size_t rows, size_t down, size_t across, size_t wide)
{
    const size_t panels = (rows + wide - 1) / wide;
    float *out = standin_more(NULL, panels * wide * g->k, sizeof *out);
    for (size_t panel = 0; panel < panels; panel++)
        for (size_t p = 0; p < g->k; p++)
            for (size_t l = 0; l < wide; l++) {
                const size_t i = panel * wide + l;
                out[(panel * g->k + p) * wide + l] =
                    i < rows ? standin_number(x, i * down + p * across, g->type, g->tf32) : 0.0f;
            }
    return out;
}

typedef float tile[WIDE][TALL];

static inline __attribute__((always_inline)) void tile_text(const float *a, const float *b, size_t k, tile out)
{
    tile sum = {{0}};
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < WIDE; j++)
            for (size_t i = 0; i < TALL; i++) sum[j][i] = fmaf(a[p * TALL + i], b[p * WIDE + j], sum[j][i]);
    memcpy(out, sum, sizeof sum);
}

typedef void tile_function(const float *a, const float *b, size_t k, tile out);

static void plain_tile(const float *a, const float *b, size_t k, tile out) { tile_text(a, b, k, out); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void fast_tile(const float *a, const float *b, size_t k, tile out)
{
    tile_text(a, b, k, out);
}
static tile_function *choose_tile(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? fast_tile : plain_tile;
}
#else
static tile_function *choose_tile(void) { return plain_tile; }
#endif

static void store_tile(const standin_gemm *g, tile sum, size_t i0, size_t j0, float *c, float alpha, float beta)
{
    for (size_t j = j0; j < g->n && j < j0 + WIDE; j++)
        for (size_t i = i0; i < g->m && i < i0 + TALL; i++) {
            float *cij = &c[j * g->c_ld + i];
            const float product = alpha * sum[j - j0][i - i0];
            *cij = beta == 0 ? product : beta * *cij + product; // c is not read where beta is 0
        }
}

void standin_multiply(const standin_gemm *g, const void *a, const void *b, float *c, float alpha, float beta)
{
    tile_function *const multiply_tile = choose_tile();
    float *pa = packed(g, a, g->m, g->a_turned ? g->a_ld : 1, g->a_turned ? 1 : g->a_ld, TALL);
    float *pb = packed(g, b, g->n, g->b_turned ? 1 : g->b_ld, g->b_turned ? g->b_ld : 1, WIDE);
    for (size_t j = 0; j < g->n; j += WIDE)
        for (size_t i = 0; i < g->m; i += TALL) {
            tile sum;
            multiply_tile(pa + i * g->k, pb + j * g->k, g->k, sum);
            store_tile(g, sum, i, j, c, alpha, beta);
        }
    free(pa), free(pb);
}
