// A text as tokens: vocabulary, training and validation part, B contiguous streams, windows.
#ifndef CORPUS_H
#define CORPUS_H

#include "backend.h"

typedef struct corpus {
    unsigned char *id; // [n]: the text, each byte replaced by its token
    size_t n, V, n_train;
    unsigned char byte[256]; // [V]: the byte of each token, ascending
    char sha256[65];         // of the text, in hex
} corpus;

// Copies text [n]. 0 <= valid < 1.  Errors: BAD_INPUT (fewer than two distinct bytes), BAD_CONFIG, NO_MEMORY.
bptt_status corpus_open(const void *text, size_t n, double valid, corpus *c, bptt_error *e);
void corpus_close(corpus *c);
size_t corpus_stream(const corpus *c, size_t B); // len: bytes of each stream
// Window k: token[t*B + b] = id[b*len + k*T + t], target one byte later. Both [T][B].
void corpus_window(const corpus *c, size_t B, size_t T, size_t k, int32_t *token, int32_t *target);

// Tokens first .. first + T - 1 of one stream id [n] and their targets; beyond the end token 0 with weight 0.
// token, target, weight [T]. Returns the number of predictions in the window.
size_t stream_window(const unsigned char *id, size_t n, size_t first, size_t T, int32_t *token, int32_t *target,
                     float *weight);

#endif
