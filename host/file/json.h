// A strict JSON tokenizer (RFC 8259) over a buffer in memory: no allocation, no recursion, no tree.
//
//   json j;  json_token t;
//   json_start(&j, text, bytes, 3);
//   while ((kind = json_next(&j, &t)) != JSON_END)
//       if (kind == JSON_BAD) return complain(j.at, j.why);  else ...
//
// Refused: invalid UTF-8, control characters and lone surrogates in strings, a byte-order mark, comments, NaN and
// Infinity, leading zeros, a point without digits, trailing commas, anything after the value, too much depth.
// Duplicate keys are not detected; that is up to the caller.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum json_kind {
    JSON_BAD, // json.at and json.why have position and reason; further calls return the same
    JSON_END, // the value is complete, followed only by blanks
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY, // key of an object; the next token is its value, the colon is consumed
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
} json_kind;

typedef struct json_token {
    const char *text; // in the buffer; for strings and keys the raw text between the quotes, escapes included
    size_t bytes;
} json_token;

typedef struct json {
    const char *text;
    size_t bytes, at; // at: bytes read so far
    const char *why;  // NULL, or what is wrong
    unsigned depth, depth_max;
    int next;         // tokens allowed next
    uint64_t objects; // bit d: the container at depth d + 1 is an object
} json;

#define JSON_DEPTH 64 // upper limit of depth_max; larger values are reduced to it

void json_start(json *j, const char *text, size_t bytes, unsigned depth_max);
json_kind json_next(json *j, json_token *t);

// All four return false and do not change *n and *x if the token has another kind.
// out receives the decoded string or key and a NUL; *n is its length without the NUL. t->bytes + 1 bytes always
// suffice. "\u0000" is legal JSON: for a C string, compare *n with strlen(out).
bool json_string(const json_token *t, char *out, size_t room, size_t *n);
bool json_is(const json_token *t, const char *ascii); // exactly this text, without escapes
bool json_u64(const json_token *t, uint64_t *x);      // a number of digits only, below 2^64
bool json_real(const json_token *t, double *x);       // nearest double; finite; spelt in at most 255 characters

// Length in bytes of the valid UTF-8 sequence at the start of p [n], 0 if there is none.
size_t json_utf8(const char *p, size_t n);
#endif
