// Sequences of numbers: files of floats, and WAV files.
#include "dense_data.h"
#include "wav.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool is_dense(const options *o) { return o->value[OPT_DATA].given || o->value[OPT_WAV].given; }

void dense_data_free(dense_data *d)
{
    free(d->x);
    free(d->y);
    *d = (dense_data){0};
}

double mean_square(const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)y[i] * (double)y[i];
    return n > 0 ? sum / (double)n : 0;
}

static const char *name_of(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }

// ---- files of floats ------------------------------------------------------------------------------------------------

static float load_float(const unsigned char *b)
{
    const uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static exit_code check_rows(const char *name, const unsigned char *bytes, size_t n, const dense_data *d)
{
    const size_t row = (d->inputs + d->targets) * sizeof(float);
    char columns[80];
    if (d->targets > 0)
        snprintf(columns, sizeof columns, "%zu input%s and %zu target%s", d->inputs, plural(d->inputs), d->targets,
                 plural(d->targets));
    else
        snprintf(columns, sizeof columns, "%zu input%s", d->inputs, plural(d->inputs));
    if (n == 0)
        complain("%s is empty, but must hold rows of %s, each a 32-bit float", name, columns);
    else if (n >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WAVE", 4) == 0)
        complain("%s is a WAV file: give it with --wav instead of --data", name);
    else if (n % row != 0)
        complain("%s has %zu bytes, which is not a whole number of rows of %s (%zu bytes each): correct the numbers of "
                 "inputs and targets, or cut the last %zu bytes",
                 name, n, columns, row, n % row);
    else
        return CODE_OK;
    return CODE_DATA;
}

// Splits the rows of a file into inputs and targets.
static exit_code split_rows(const char *name, const unsigned char *bytes, dense_data *d)
{
    const size_t I = d->inputs, M = d->targets, width = I + M;
    d->x = malloc(d->n * I * sizeof *d->x);
    d->y = M > 0 ? malloc(d->n * M * sizeof *d->y) : NULL;
    if (!d->x || (M > 0 && !d->y)) {
        complain("no memory for the %zu rows of %s", d->n, name);
        return CODE_MEMORY;
    }
    for (size_t i = 0; i < d->n; i++)
        for (size_t j = 0; j < width; j++) {
            const float v = load_float(bytes + (i * width + j) * sizeof v);
            if (!isfinite(v)) {
                complain("%s: row %zu, column %zu (of %zu) is %g, but must be a finite number; --inputs and --targets "
                         "may be wrong",
                         name, i + 1, j + 1, width, (double)v);
                return CODE_DATA;
            }
            if (j < I)
                d->x[i * I + j] = v;
            else
                d->y[i * M + j - I] = v;
        }
    return CODE_OK;
}

static exit_code read_floats(const char *path, dense_data *d)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    exit_code code = read_text(path, &bytes, &n);
    if (code == CODE_OK) code = check_rows(name_of(path), bytes, n, d);
    d->n = n / ((d->inputs + d->targets) * sizeof(float));
    if (code == CODE_OK) code = split_rows(name_of(path), bytes, d);
    free(bytes);
    return code;
}

// ---- WAV files ------------------------------------------------------------------------------------------------------

static exit_code read_wav(const char *path, float **x, size_t *frames, size_t *channels, unsigned *rate)
{
    char words[WAV_WORDS];
    const exit_code code = wav_read(path, x, frames, channels, rate, words);
    if (code != CODE_OK) {
        complain("%s", words);
        return code;
    }
    for (size_t i = 0; i < *frames * *channels; i++)
        if (!isfinite((*x)[i])) {
            complain("%s: frame %zu, channel %zu is %g, but must be a finite number", path, i / *channels + 1,
                     i % *channels + 1, (double)(*x)[i]);
            return CODE_DATA;
        }
    if (*frames > 0) return CODE_OK;
    complain("%s has no samples", path);
    return CODE_DATA;
}

static exit_code read_pair(const char *input, const char *target, dense_data *d)
{
    size_t n = 0;
    unsigned rate = 0;
    exit_code code = read_wav(input, &d->x, &d->n, &d->inputs, &d->rate);
    d->targets = 0;
    if (code != CODE_OK || !target) return code;
    code = read_wav(target, &d->y, &n, &d->targets, &rate);
    if (code != CODE_OK) return code;
    if (n != d->n)
        complain("%s has %zu samples, but %s has %zu: cut both to the same length", input, d->n, target, n);
    else if (rate != d->rate)
        complain("%s has %u samples a second, but %s has %u: convert one of them", input, d->rate, target, rate);
    else
        return CODE_OK;
    return CODE_DATA;
}

exit_code dense_data_read(const options *o, size_t inputs, size_t targets, const char *target, dense_data *d)
{
    const option_value *v = o->value;
    *d = (dense_data){.inputs = inputs, .targets = targets};
    const exit_code code = v[OPT_WAV].given ? read_pair(v[OPT_WAV].text, target, d) : read_floats(v[OPT_DATA].text, d);
    if (code != CODE_OK) dense_data_free(d);
    return code;
}

exit_code dense_data_suits(const dense_data *d, size_t inputs, size_t targets, const char *path)
{
    if (d->inputs != inputs)
        complain("the input has %zu channel%s, but the model %s has %zu input%s", d->inputs, plural(d->inputs), path,
                 inputs, plural(inputs));
    else if (d->targets > 0 && d->targets != targets)
        complain("the target has %zu channel%s, but the model %s has %zu output%s", d->targets, plural(d->targets),
                 path, targets, plural(targets));
    else
        return CODE_OK;
    return CODE_DATA;
}
