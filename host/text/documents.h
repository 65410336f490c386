// Documents of a text: their separators, and the steps that start from zero state.
#ifndef DOCUMENTS_H
#define DOCUMENTS_H

#include "bptt.h"

#include <stdbool.h>

typedef struct separator {
    bptt_documents documents;
    int newline, carriage_return; // tokens; -1: not in the vocabulary
} separator;

// byte [V]: the byte of each token; NULL: no vocabulary, V = 0.
separator separator_of(bptt_documents documents, const unsigned char *byte, size_t V);
// True if token i is the last of a separator. Reads id[i - 2 .. i], from 0 on.
bool ends_document(const separator *s, const unsigned char *id, size_t i);
// keep[t * stride] = 0 if token first + t is the last of a separator, else 1; t from 0 to T - 1.
void fill_keep(const separator *s, const unsigned char *id, size_t first, size_t T, size_t stride, float *keep);
// Number of documents in the n tokens of a text, of which the last is never read.
size_t count_documents(const separator *s, const unsigned char *id, size_t n);

#endif
