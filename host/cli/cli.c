// Functions shared by the subcommands.
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
    flockfile(stderr); // keeps the line in one piece
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

const char *loss_figure(bool dense, double loss, char out[32])
{
    snprintf(out, 32, dense ? "%.4g" : "%.4f", loss);
    return out;
}

const char *parameters_to_flags(const char *words, char out[ERROR_WORDS])
{
    size_t n = 0;
    for (const char *w = words; *w && n + 1 < ERROR_WORDS; w++) {
        const size_t length = *w == '`' ? strcspn(w + 1, "`") : 0;
        const field *f = field_table;
        while (f < field_table + FIELDS && (strncmp(f->name, w + 1, length) != 0 || f->name[length])) f++;
        if (length == 0 || w[1 + length] != '`' || f == field_table + FIELDS) {
            out[n++] = *w;
            continue;
        }
        const char *const flag = f->option ? f->option : f->name;
        n += (size_t)snprintf(out + n, ERROR_WORDS - n, "%s%s", f->option ? "--" : "", flag);
        if (n >= ERROR_WORDS) n = ERROR_WORDS - 1;
        w += length + 1;
    }
    out[n] = '\0';
    return out;
}

exit_code complain_of(const bptt_error *e)
{
    char words[ERROR_WORDS];
    complain("%s", parameters_to_flags(e->words[0] ? e->words : bptt_status_text(e->code), words));
    return exit_code_of(e->code);
}

// Reads the rest of f into *text [n]. False: errno has the reason.
static bool read_rest(FILE *f, size_t expected, unsigned char **text, size_t *n)
{
    size_t room = expected + 1, have = 0; // one more byte, to detect the end without growing
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

bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (a && b && strcmp(a, b) == 0) return true;
    return a && b && stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
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
        complain("%s is a folder, not a file", name);
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
    clearerr(stdout); // reports the failure only once
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
        complain("--cell %s has no effect: %s tells its cell; leave it out", cell->text, model);
        return CODE_CONFIG;
    }
    if (assumed && !cell->given && !o->value[OPT_QUIET].given)
        complain("%s does not name its cell; assuming tanh (--cell relu for a relu network)", model);
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
    for (size_t i = 0; i < OPTIONS; i++) {
        const field *f = option_table[i].of;
        if (f && v[i].given) field_set(f, field_config(f, c), v[i].count, v[i].real, v[i].text);
    }
    if (v[OPT_GRU_RESET].given && v[OPT_GRU_RESET].count == 1) c->model.cell = BPTT_GRU_BEFORE; // options_agree: gru
    if (v[OPT_PRECISION].given) c->change_precision = 1;
    if (v[OPT_EPOCHS].given) c->iterations = 0;
}
