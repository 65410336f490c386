// JSON output: a builder of one object, and a log with one object a line.
#define _POSIX_C_SOURCE 200809L

#include "jsonl.h"
#include "json.h"

#include "atomic.h"
#include "error.h"
#include "fields.h"
#include "number.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- builder -------------------------------------------------------------------------------------------------------

static void append(jsonl *j, const char *text, size_t n)
{
    if (j->failed) return;
    if (n > j->room - j->n) {
        const size_t room = (j->n + n) * 2 + 512;
        char *bigger = realloc(j->text, room);
        j->failed = bigger == NULL;
        if (j->failed) return;
        j->text = bigger;
        j->room = room;
    }
    memcpy(j->text + j->n, text, n);
    j->n += n;
}

static void append_word(jsonl *j, const char *text) { append(j, text, strlen(text)); }

static void add_string(jsonl *j, const unsigned char *s, size_t n)
{
    char code[8];
    append(j, "\"", 1);
    for (size_t i = 0; i < n;) {
        const size_t length = json_utf8((const char *)s + i, n - i);
        if (length == 0) {
            append_word(j, "\\ufffd");
        } else if (s[i] == '"' || s[i] == '\\') {
            append(j, (const char[]){'\\', (char)s[i]}, 2);
        } else if (s[i] < 0x20 || s[i] == 0x7F) {
            snprintf(code, sizeof code, "\\u%04x", (unsigned)s[i]);
            append_word(j, code);
        } else {
            append(j, (const char *)s + i, length);
        }
        i += length ? length : 1;
    }
    append(j, "\"", 1);
}

// Writes the comma before a member, and its key.
static void add_key(jsonl *j, const char *key)
{
    const char last = j->n ? j->text[j->n - 1] : '{';
    if (last != '{' && last != '[') append(j, ",", 1);
    if (!key) return;
    add_string(j, (const unsigned char *)key, strlen(key));
    append(j, ":", 1);
}

void jsonl_start(jsonl *j)
{
    j->n = 0;
    j->failed = false;
    append(j, "{", 1);
}

void jsonl_free(jsonl *j)
{
    free(j->text);
    *j = (jsonl){0};
}

void jsonl_bytes(jsonl *j, const char *key, const void *bytes, size_t n)
{
    add_key(j, key);
    add_string(j, bytes, n);
}

void jsonl_text(jsonl *j, const char *key, const char *text) { jsonl_bytes(j, key, text, strlen(text)); }

void jsonl_count(jsonl *j, const char *key, uint64_t x)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)x);
    add_key(j, key);
    append_word(j, digits);
}

void jsonl_real(jsonl *j, const char *key, double x)
{
    char digits[32] = "null";
    if (isfinite(x)) format_real(digits, x);
    add_key(j, key);
    append_word(j, digits);
}

void jsonl_flag(jsonl *j, const char *key, bool x)
{
    add_key(j, key);
    append_word(j, x ? "true" : "false");
}

void jsonl_open(jsonl *j, const char *key, char bracket)
{
    add_key(j, key);
    append(j, &bracket, 1);
}

void jsonl_close(jsonl *j, char bracket) { append(j, &bracket, 1); }

void jsonl_finish(jsonl *j) { append(j, "}\n", 2); }

bool jsonl_print(jsonl *j)
{
    jsonl_finish(j);
    const bool whole = !j->failed;
    if (whole) fwrite(j->text, 1, j->n, stdout); // main checks ferror(stdout)
    jsonl_free(j);
    return whole;
}

// JSON key of a field: the name of its option with underscores.
static const char *key_of(const field *f, char out[32])
{
    snprintf(out, 32, "%s", f->option ? f->option : f->name);
    for (char *c = out; *c; c++)
        if (*c == '-') *c = '_';
    return out;
}

void jsonl_config(jsonl *j, const bptt_trainer_config *c)
{
    char key[32], word[32];
    const void *const config[] = {[OF_MODEL] = &c->model, [OF_TRAINER] = c, [OF_COMPUTE] = &c->model.compute};
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        const void *const at = config[f->owner];
        if (!(f->kept & FIELD_LOGGED)) continue;
        key_of(f, key);
        switch (f->kind) {
        case FIELD_IS_REAL: jsonl_real(j, key, field_real(f, at)); break;
        case FIELD_IS_TEXT: jsonl_text(j, key, field_text(f, at)); break;
        case FIELD_IS_WORD: jsonl_text(j, key, word_at(f->words, (size_t)field_count(f, at), word)); break;
        case FIELD_IS_COUNT:
        case FIELD_IS_SEED:
        case FIELD_IS_FLAG: jsonl_count(j, key, field_count(f, at)); break;
        }
    }
}

// ---- log -----------------------------------------------------------------------------------------------------------

struct json_log {
    int fd;
    char *path; // for messages
};

static bptt_status log_new(const char *path, int flags, json_log **out, bptt_error *e)
{
    json_log *log = malloc(sizeof *log);
    char *name = malloc(strlen(path) + 1);
    if (!log || !name) {
        free(log);
        free(name);
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a log");
    }
    log->path = strcpy(name, path);
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | flags, 0666);
    if (log->fd < 0) {
        const bptt_status s = bptt_fail(e, BPTT_IO, "cannot open the log %s: %s", path, strerror(errno));
        log_close(log);
        return s;
    }
    *out = log;
    return BPTT_OK;
}

// A file that is not empty and does not begin like a log is probably another file, given by mistake.
static bptt_status check_log(const char *path, bptt_error *e)
{
    static const char start[] = "{\"event\":";
    char first[sizeof start - 1];
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) return BPTT_OK;
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(first, 1, sizeof first, f) : 0;
    if (f) fclose(f);
    if (n == sizeof first && memcmp(first, start, n) == 0) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT, "%s exists and is not a log of bptt; remove it or choose another file", path);
}

bptt_status log_open(const char *path, json_log **log, bptt_error *e)
{
    const bptt_status s = check_log(path, e);
    return s == BPTT_OK ? log_new(path, O_TRUNC, log, e) : s;
}

void log_close(json_log *log)
{
    if (!log) return;
    if (log->fd >= 0) close(log->fd);
    free(log->path);
    free(log);
}

// The iteration of a line; 0 for lines without one, which belong to the start. Quotes in strings are escaped, so the
// search cannot match inside a string.
static uint64_t iteration_of(const char *line)
{
    static const char key[] = "\"iteration\":";
    char digits[24] = "";
    uint64_t n = 0;
    const char *at = strstr(line, key);
    if (!at) return 0;
    at += sizeof key - 1;
    snprintf(digits, sizeof digits, "%.*s", (int)strspn(at, "0123456789"), at);
    return parse_count(digits, &n) ? n : 0;
}

static bptt_status copy_lines(FILE *from, int to, const char *path, uint64_t iteration, bptt_error *e)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    bptt_status s = BPTT_OK;
    while (s == BPTT_OK && (n = getline(&line, &room, from)) > 0)
        if (line[n - 1] == '\n' && iteration_of(line) <= iteration) s = write_all(to, line, (size_t)n, path, e);
    if (s == BPTT_OK && ferror(from)) s = bptt_fail(e, BPTT_IO, "cannot read the log %s: %s", path, strerror(errno));
    free(line);
    return s;
}

bptt_status log_resume(const char *path, uint64_t iteration, json_log **log, bptt_error *e)
{
    struct stat st;
    bptt_status s = check_log(path, e);
    if (s != BPTT_OK) return s;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return log_new(path, 0, log, e);
    FILE *f = fopen(path, "rb");
    if (!f) return bptt_fail(e, BPTT_IO, "cannot read the log %s: %s", path, strerror(errno));
    atomic_file *a = NULL;
    int fd = -1;
    s = atomic_open(path, &a, &fd, e);
    if (s == BPTT_OK) s = copy_lines(f, fd, path, iteration, e);
    fclose(f);
    if (s != BPTT_OK) {
        atomic_abort(a);
        return s;
    }
    s = atomic_commit(a, e);
    return s == BPTT_OK ? log_new(path, 0, log, e) : s;
}

bptt_status log_append(json_log *log, jsonl *j, bptt_error *e)
{
    jsonl_finish(j);
    if (j->failed) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a line of the log");
    ssize_t n;
    do n = write(log->fd, j->text, j->n);
    while (n < 0 && errno == EINTR);
    if (n < 0) return bptt_fail(e, BPTT_IO, "cannot write to the log %s: %s", log->path, strerror(errno));
    if ((size_t)n < j->n) return bptt_fail(e, BPTT_IO, "the log %s took only part of a line", log->path);
    return BPTT_OK;
}
