// JSON output: a builder of one object, and a log with one object a line.
#ifndef JSONL_H
#define JSONL_H

#include "bptt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The text of one object. Members are added in order; a key of NULL adds to the array that is open.
typedef struct jsonl {
    char *text; // [n], no NUL
    size_t n, room;
    bool failed; // out of memory: the object is incomplete
} jsonl;

void jsonl_start(jsonl *j); // begins "{"; reuses the memory of the last object. First use: jsonl j = {0}
void jsonl_free(jsonl *j);
void jsonl_bytes(jsonl *j, const char *key, const void *bytes, size_t n); // bytes that are not UTF-8 become U+FFFD
void jsonl_text(jsonl *j, const char *key, const char *text);
void jsonl_count(jsonl *j, const char *key, uint64_t x);
void jsonl_real(jsonl *j, const char *key, double x); // reads back equal; NaN, infinite: null
void jsonl_flag(jsonl *j, const char *key, bool x);
void jsonl_open(jsonl *j, const char *key, char bracket); // '{' or '['
void jsonl_close(jsonl *j, char bracket);                 // '}' or ']'
void jsonl_finish(jsonl *j);                              // "}" and a newline
// Finishes j, writes it to standard output and frees it. False: out of memory.
bool jsonl_print(jsonl *j);
// The logged fields of a configuration, under the names of the command line.
void jsonl_config(jsonl *j, const bptt_trainer_config *c);

// ---- log -----------------------------------------------------------------------------------------------------------

typedef struct json_log json_log;
// Both return BAD_INPUT for a file that is not empty and does not look like such a log. A new run replaces the file.
bptt_status log_open(const char *path, json_log **log, bptt_error *e);
// A resumed run appends to the file, after removing lines with an "iteration" beyond that one and a torn last line.
bptt_status log_resume(const char *path, uint64_t iteration, json_log **log, bptt_error *e);
void log_close(json_log *log); // NULL is fine
// Finishes j and appends it with one write(2), so that readers never see a partial line. IO, NO_MEMORY.
bptt_status log_append(json_log *log, jsonl *j, bptt_error *e);

#endif
