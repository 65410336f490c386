// What the subcommands share.
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

exit_code exit_code_of(bptt_status s)
{
    switch (s) {
    case BPTT_OK: return CODE_OK;
    case BPTT_BAD_CONFIG: return CODE_CONFIG;
    case BPTT_BAD_INPUT:
    case BPTT_BAD_FILE: return CODE_DATA;
    case BPTT_IO: return CODE_IO;
    case BPTT_NO_INPUT: return CODE_NO_INPUT;
    case BPTT_NO_MEMORY: return CODE_MEMORY;
    case BPTT_NO_BACKEND:
    case BPTT_DEVICE: return CODE_UNAVAILABLE;
    case BPTT_NOT_FINITE:
    case BPTT_CANCELLED: break;
    }
    return CODE_INTERNAL;
}

void complain(const char *format, ...)
{
    va_list a;
    va_start(a, format);
    flockfile(stderr); // one piece, whoever else writes
    fputs("bptt: ", stderr);
    vfprintf(stderr, format, a);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(a);
}

void complain_wrapped(const char *format, ...)
{
    char text[1024];
    va_list a;
    va_start(a, format);
    vsnprintf(text, sizeof text, format, a);
    va_end(a);
    flockfile(stderr);
    fputs("bptt: ", stderr);
    print_wrapped(stderr, text, 6, 6);
    funlockfile(stderr);
}

void print_wrapped(FILE *f, const char *text, int at, int indent)
{
    enum { WIDTH = 79 };
    while (*text) {
        const int n = (int)strcspn(text, " ");
        if (at > indent && at + 1 + n > WIDTH) {
            putc('\n', f);
            at = 0;
        }
        if (at < indent) {
            fprintf(f, "%*s", indent - at, "");
            at = indent;
        } else if (at > indent) {
            putc(' ', f);
            at++;
        }
        fprintf(f, "%.*s", n, text);
        at += n;
        text += n + (text[n] == ' ');
    }
    putc('\n', f);
}

const char *grouped(uint64_t n, char out[32])
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    int k = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = '\0';
    return out;
}

const char *plural(uint64_t n) { return n == 1 ? "" : "s"; }

exit_code complain_of(const bptt_error *e)
{
    complain("%s", e->words[0] ? e->words : bptt_status_text(e->code));
    return exit_code_of(e->code);
}

// All that is left of f, into *text [n]; false: errno says why.
static bool read_rest(FILE *f, size_t expected, unsigned char **text, size_t *n)
{
    size_t room = expected + 1, have = 0; // one more, so that the end shows without growing
    unsigned char *x = malloc(room);
    while (x) {
        have += fread(x + have, 1, room - have, f);
        if (have < room) break;
        unsigned char *bigger = room <= SIZE_MAX / 2 ? realloc(x, room * 2) : NULL;
        if (!bigger) free(x);
        x = bigger;
        room *= 2;
    }
    if (!x) errno = ENOMEM;
    if (x && ferror(f)) {
        free(x);
        x = NULL;
    }
    if (!x) return false;
    *text = x;
    *n = have;
    return true;
}

bool input_is_given(void)
{
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode));
}

exit_code read_text(const char *path, unsigned char **text, size_t *n)
{
    const bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    FILE *f = standard ? stdin : fopen(path, "rb");
    if (!f) {
        complain("cannot open %s: %s", name, strerror(errno));
        return CODE_NO_INPUT;
    }
    struct stat st;
    const bool known = fstat(fileno(f), &st) == 0;
    if (known && S_ISDIR(st.st_mode)) {
        complain("%s is a folder, not a text", name);
        if (!standard) fclose(f);
        return CODE_NO_INPUT;
    }
    const size_t expected = known && S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 65535;
    const bool ok = read_rest(f, expected, text, n);
    const int why = errno;
    if (!standard) fclose(f);
    if (ok) return CODE_OK;
    complain("cannot read %s: %s", name, strerror(why));
    return why == ENOMEM ? CODE_MEMORY : CODE_IO;
}

exit_code output_failed(int why)
{
    if (why != EPIPE) complain("cannot write to standard output: %s", why ? strerror(why) : "an earlier write failed");
    clearerr(stdout); // told once is enough
    return CODE_IO;
}

exit_code flush_output(void)
{
    const bool failed = ferror(stdout) != 0;
    errno = 0;
    return fflush(stdout) != 0 || failed ? output_failed(errno) : CODE_OK;
}

exit_code check_cell(const options *o, bool assumed)
{
    const option_value *cell = &o->value[OPT_FILE_CELL];
    const char *const model = o->argument[0];
    if (!assumed && cell->given) {
        complain("--cell %s has no effect: %s names its cell; leave it out", cell->text, model);
        return CODE_CONFIG;
    }
    if (assumed && !cell->given && !o->value[OPT_QUIET].given)
        complain("%s does not name its cell: tanh is assumed; --cell relu for a relu network", model);
    return CODE_OK;
}

char *beside(const char *output, const char *mark)
{
    const char *extension = ".safetensors";
    size_t n = strlen(output);
    const size_t tail = strlen(extension);
    if (n > tail && strcmp(output + n - tail, extension) == 0) n -= tail;
    const size_t room = n + strlen(mark) + tail + 1;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%.*s%s%s", (int)n, output, mark, extension);
    return path;
}

void config_apply(const options *o, bptt_trainer_config *c)
{
    const option_value *v = o->value;
    bptt_model_config *m = &c->model;
    if (v[OPT_CELL].given) m->cell = (bptt_cell)v[OPT_CELL].count;
    if (v[OPT_FILE_CELL].given) m->cell = (bptt_cell)v[OPT_FILE_CELL].count;
    if (v[OPT_HIDDEN].given) m->hidden = (size_t)v[OPT_HIDDEN].count;
    if (v[OPT_LAYERS].given) m->layers = (size_t)v[OPT_LAYERS].count;
    if (v[OPT_BIASES].given) m->biases = (int)v[OPT_BIASES].count;
    if (v[OPT_INIT].given) m->init = (bptt_init)v[OPT_INIT].count;
    if (v[OPT_SEED].given) m->seed = v[OPT_SEED].count;
    if (v[OPT_OPTIMIZER].given) m->optimizer = (bptt_optimizer)v[OPT_OPTIMIZER].count;
    if (v[OPT_MOMENTUM].given) m->momentum = v[OPT_MOMENTUM].real;
    if (v[OPT_CLIP].given) m->clip = v[OPT_CLIP].real;
    if (v[OPT_CLIP_MODE].given) m->clip_mode = (bptt_clip)v[OPT_CLIP_MODE].count;
    if (v[OPT_BACKEND].given) m->compute.backend = v[OPT_BACKEND].text;
    if (v[OPT_DEVICE].given) m->compute.device = v[OPT_DEVICE].text;
    if (v[OPT_LOWERING].given) m->compute.lowering = (bptt_lowering)v[OPT_LOWERING].count;
    if (v[OPT_PRODUCT].given) m->compute.product = (bptt_product)v[OPT_PRODUCT].count;
    if (v[OPT_PRECISION].given) m->compute.precision = (bptt_precision)v[OPT_PRECISION].count, c->change_precision = 1;
    if (v[OPT_PROFILE].given) m->compute.profile = 1;
    if (v[OPT_THREADS].given) m->compute.threads = (unsigned)v[OPT_THREADS].count;
    if (v[OPT_BATCH].given) c->batch = (size_t)v[OPT_BATCH].count;
    if (v[OPT_STEPS].given) c->steps = (size_t)v[OPT_STEPS].count;
    if (v[OPT_RATE].given) c->rate = v[OPT_RATE].real;
    if (v[OPT_VALID].given) c->valid = v[OPT_VALID].real;
    if (v[OPT_VALID_EVERY].given) c->valid_every = v[OPT_VALID_EVERY].count;
    if (v[OPT_EPOCHS].given) c->epochs = v[OPT_EPOCHS].real;
    if (v[OPT_ITERATIONS].given || v[OPT_EPOCHS].given) c->iterations = v[OPT_ITERATIONS].count;
}
