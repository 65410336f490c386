// Files for cli_dense.sh, and a judge that shares no code with bptt. All numbers are little-endian.
//   dense_files floats FILE ROWS INPUTS TARGETS          rows of inputs, then targets in 0..1
//   dense_files wav FILE BITS CHANNELS RATE FRAMES x|y   the first channels of inputs or targets; BITS 32: floats
//   dense_files put FILE AT VALUE                        overwrites float number AT
//   dense_files loss OUTPUTS DATA INPUTS TARGETS FIRST   prints the mean squared error and the error-to-signal ratio of
//                                                        the rows from FIRST on
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double input_at(size_t i, size_t j) { return 0.6 * sin(0.21 * (double)(i + 3 * j)) * cos(0.037 * (double)i); }

static double target_at(size_t i, size_t k)
{
    const double before = i > 0 ? input_at(i - 1, 0) : 0;
    return 0.5 + 0.4 * tanh(2 * input_at(i, 0) + before + 0.2 * (double)k);
}

static void put_word(FILE *f, uint32_t word, int bytes)
{
    for (int k = 0; k < bytes; k++) fputc((int)(word >> 8 * k & 255), f);
}

static void put_float(FILE *f, double x)
{
    const float narrow = (float)x;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_word(f, bits, 4);
}

static double get_float(FILE *f)
{
    uint32_t bits = 0;
    float x;
    for (int k = 0; k < 4; k++) {
        const int c = fgetc(f);
        if (c == EOF) exit(2);
        bits |= (uint32_t)c << 8 * k;
    }
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

static FILE *opened(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f) exit(2);
    return f;
}

static void make_floats(char **a)
{
    const size_t rows = strtoul(a[1], NULL, 10), I = strtoul(a[2], NULL, 10), M = strtoul(a[3], NULL, 10);
    FILE *f = opened(a[0], "wb");
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < I; j++) put_float(f, input_at(i, j));
        for (size_t k = 0; k < M; k++) put_float(f, target_at(i, k));
    }
    fclose(f);
}

static void make_wav(char **a)
{
    const uint32_t bits = (uint32_t)strtoul(a[1], NULL, 10), channels = (uint32_t)strtoul(a[2], NULL, 10);
    const uint32_t rate = (uint32_t)strtoul(a[3], NULL, 10), frames = (uint32_t)strtoul(a[4], NULL, 10);
    const uint32_t block = channels * bits / 8;
    FILE *f = opened(a[0], "wb");
    fputs("RIFF", f), put_word(f, 36 + frames * block, 4), fputs("WAVEfmt ", f), put_word(f, 16, 4);
    put_word(f, bits == 32 ? 3 : 1, 2), put_word(f, channels, 2), put_word(f, rate, 4), put_word(f, rate * block, 4);
    put_word(f, block, 2), put_word(f, bits, 2), fputs("data", f), put_word(f, frames * block, 4);
    for (uint32_t i = 0; i < frames; i++)
        for (uint32_t j = 0; j < channels; j++) {
            const double x = a[5][0] == 'x' ? input_at(i, j) : target_at(i, j);
            if (bits == 32)
                put_float(f, x);
            else
                put_word(f, (uint32_t)(int32_t)lrint(x * (double)((1u << (bits - 1)) - 1)), (int)bits / 8);
        }
    fclose(f);
}

static void put_number(char **a)
{
    FILE *f = opened(a[0], "r+b");
    fseek(f, 4 * strtol(a[1], NULL, 10), SEEK_SET);
    put_float(f, strtod(a[2], NULL));
    fclose(f);
}

static void print_loss(char **a)
{
    const size_t I = strtoul(a[2], NULL, 10), M = strtoul(a[3], NULL, 10), first = strtoul(a[4], NULL, 10);
    FILE *out = opened(a[0], "rb"), *data = opened(a[1], "rb");
    double error = 0, signal = 0, n = 0;
    for (size_t i = 0;; i++) {
        const int c = fgetc(data);
        if (c == EOF) break;
        ungetc(c, data);
        for (size_t j = 0; j < I; j++) (void)get_float(data);
        for (size_t k = 0; k < M; k++) {
            const double y = get_float(data), x = get_float(out);
            if (i < first) continue;
            error += (x - y) * (x - y), signal += y * y, n++;
        }
    }
    if (fgetc(out) != EOF) exit(2);
    printf("%.9f\n%.9f\n", error / n, error / signal);
    fclose(out), fclose(data);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **);
    } command[] = {{"floats", 4, make_floats}, {"wav", 6, make_wav}, {"put", 3, put_number}, {"loss", 5, print_loss}};
    for (size_t i = 0; argc > 1 && i < sizeof command / sizeof command[0]; i++)
        if (strcmp(argv[1], command[i].name) == 0 && argc == 2 + command[i].arguments) {
            command[i].run(argv + 2);
            return 0;
        }
    return 2;
}
