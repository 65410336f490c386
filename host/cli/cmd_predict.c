// bptt predict: the outputs of a model for a sequence of inputs.
#define _POSIX_C_SOURCE 200809L

#include "atomic.h"
#include "dense_data.h"
#include "error.h"
#include "wav.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PREDICT_STEPS = 256 }; // steps of a window

static bool to_standard_output(const options *o) { return strcmp(o->value[OPT_PREDICTIONS].text, "-") == 0; }

// Outputs y [n][M] for x [n][I], from zero state.
static bptt_status predict_sequence(bptt_model *m, const dense_data *d, size_t M, float *y, bptt_error *e)
{
    enum { T = PREDICT_STEPS };
    bptt_run *r = NULL;
    float *x = calloc(T * d->inputs, sizeof *x), *out = malloc(T * M * sizeof *out);
    bptt_status s = x && out ? BPTT_OK : bptt_fail(e, BPTT_NO_MEMORY, "no memory for a window of %d steps", T);
    bptt_model_config c;
    bptt_model_get_config(m, &c);
    const bptt_run_config one = {.size = sizeof one, .batch = 1, .steps = T, .keep = c.learned_state};
    if (!s) s = bptt_run_open(m, &one, &r, e);
    for (size_t first = 0; !s && first < d->n; first += T) {
        const size_t n = d->n - first < T ? d->n - first : T;
        memcpy(x, d->x + first * d->inputs, n * d->inputs * sizeof *x);
        s = bptt_run_predict(r, &(bptt_window){.size = sizeof(bptt_window), .dense = x, .dense_type = BPTT_F32}, out,
                             e);
        if (!s) memcpy(y + first * M, out, n * M * sizeof *y);
    }
    bptt_run_close(r);
    free(x);
    free(out);
    return s;
}

static void store_floats(const float *y, size_t n, unsigned char *bytes)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &y[i], sizeof bits);
        for (int k = 0; k < 4; k++) bytes[4 * i + (size_t)k] = (unsigned char)(bits >> 8 * k);
    }
}

// Writes n floats, little-endian, to standard output or to a file that is replaced as a whole.
static exit_code write_floats(const options *o, const float *y, size_t n)
{
    const char *const path = o->value[OPT_PREDICTIONS].text;
    unsigned char *const bytes = malloc(4 * n);
    atomic_file *f = NULL;
    bptt_error e = {0};
    int fd = -1;
    if (!bytes) {
        complain("no memory for %zu outputs", n);
        return CODE_MEMORY;
    }
    store_floats(y, n, bytes);
    exit_code code = CODE_OK;
    if (to_standard_output(o)) {
        errno = 0;
        if (fwrite(bytes, 4, n, stdout) != n) code = output_failed(errno);
    } else if (atomic_open(path, &f, &fd, &e) != BPTT_OK) {
        code = CODE_CREATE;
    } else if (write_all(fd, bytes, 4 * n, path, &e) != BPTT_OK) {
        atomic_abort(f);
        code = CODE_IO;
    } else if (atomic_commit(f, &e) != BPTT_OK) {
        code = CODE_IO;
    }
    if (e.words[0]) complain("%s", e.words);
    free(bytes);
    return code;
}

static exit_code write_outputs(const options *o, const dense_data *d, const float *y, size_t M)
{
    char words[WAV_WORDS];
    if (d->rate == 0) return write_floats(o, y, d->n * M);
    const exit_code code = wav_write(o->value[OPT_PREDICTIONS].text, y, d->n, M, d->rate, words);
    if (code != CODE_OK) complain("%s", words);
    return code;
}

static exit_code predict_and_write(const options *o, bptt_model *m, const dense_data *d, size_t M)
{
    bptt_error e = {0};
    float *const y = d->n <= SIZE_MAX / M / sizeof(float) ? malloc(d->n * M * sizeof *y) : NULL;
    if (!y) {
        complain("no memory for the outputs of %zu steps", d->n);
        return CODE_MEMORY;
    }
    const bptt_status s = predict_sequence(m, d, M, y, &e);
    const exit_code code = s == BPTT_OK ? write_outputs(o, d, y, M) : complain_of(&e);
    free(y);
    return code;
}

// Checks before any work that the outputs have a place to go.
static exit_code check_place(const options *o)
{
    const option_value *v = o->value;
    const bool wav = v[OPT_WAV].given, standard = to_standard_output(o);
    const char *const path = v[OPT_PREDICTIONS].text;
    if (!standard &&
        (same_file(path, o->argument[0]) || same_file(path, v[OPT_DATA].text) || same_file(path, v[OPT_WAV].text)))
        complain("%s is the model or the input; name another file with --output", path);
    else if (standard && wav)
        complain("--wav needs a file for the outputs: --output FILE.wav");
    else if (standard && isatty(STDOUT_FILENO))
        complain("the outputs are binary numbers, which no terminal shows: give --output FILE");
    else
        return CODE_OK;
    return CODE_USAGE;
}

exit_code run_predict(const options *o)
{
    bptt_trainer_config c;
    bptt_model *m = NULL;
    bptt_error e = {0};
    dense_data d = {0};
    exit_code code = check_place(o);
    if (code != CODE_OK) return code;
    bptt_trainer_defaults(&c);
    config_apply(o, &c);
    if (bptt_model_load(o->argument[0], &c.model, &m, &e) != BPTT_OK) return complain_of(&e);
    code = check_cell(o, bptt_model_cell_assumed(m));
    bptt_model_get_config(m, &c.model);
    if (code == CODE_OK && !(c.model.input && c.model.output)) {
        complain("%s is a model of text, which bptt sample and bptt score read", o->argument[0]);
        code = CODE_DATA;
    }
    if (code == CODE_OK) code = dense_data_read(o, c.model.input, o->value[OPT_TARGETS].count, NULL, &d);
    if (code == CODE_OK) code = dense_data_suits(&d, c.model.input, d.targets, o->argument[0]);
    if (code == CODE_OK) code = predict_and_write(o, m, &d, c.model.output);
    dense_data_free(&d);
    bptt_model_close(m);
    return code;
}
