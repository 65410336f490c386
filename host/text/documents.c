// Documents of a text. The definition is at bptt_ends_document in bptt_trainer.h.
#include "documents.h"

#include <string.h>

static int token_of(const unsigned char *byte, size_t V, char c)
{
    const unsigned char *const at = V > 0 ? memchr(byte, c, V) : NULL;
    return at ? (int)(at - byte) : -1;
}

separator separator_of(bptt_documents documents, const unsigned char *byte, size_t V)
{
    return (separator){documents, token_of(byte, V, '\n'), token_of(byte, V, '\r')};
}

bool ends_document(const separator *s, const unsigned char *id, size_t i)
{
    if (s->documents == BPTT_DOCUMENTS_NONE || id[i] != s->newline) return false;
    if (s->documents == BPTT_DOCUMENTS_LINE) return true;
    return (i >= 1 && id[i - 1] == s->newline) ||
           (i >= 2 && id[i - 1] == s->carriage_return && id[i - 2] == s->newline);
}

void fill_keep(const separator *s, const unsigned char *id, size_t first, size_t T, size_t stride, float *keep)
{
    for (size_t t = 0; t < T; t++) keep[t * stride] = ends_document(s, id, first + t) ? 0 : 1;
}

size_t count_documents(const separator *s, const unsigned char *id, size_t n)
{
    size_t count = 1;
    for (size_t i = 0; i + 1 < n; i++) count += ends_document(s, id, i);
    return count;
}

int bptt_ends_document(bptt_documents d, const void *text, size_t i)
{
    const separator s = {d, '\n', '\r'};
    return ends_document(&s, text, i);
}
