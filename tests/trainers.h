// Texts, configurations and saved states for the tests of trainers.
#ifndef TRAINERS_H
#define TRAINERS_H

#include "nets.h"

#include <stdio.h>
#include <unistd.h>

// A text of n bytes in V letters, each of them in it; bytes above 127 too.
static inline unsigned char *text_of(size_t n, size_t V, uint64_t seed)
{
    unsigned char *text = must_alloc(n, 1);
    for (size_t i = 0; i < n; i++) text[i] = (unsigned char)(240 - 7 * (i < V ? i : random_below(&seed, V)));
    return text;
}

// The same with a newline for one of the letters: a text of many documents.
static inline unsigned char *lines_of(size_t n, size_t V, uint64_t seed)
{
    unsigned char *text = text_of(n, V, seed);
    for (size_t i = 0; i < n; i++)
        if (text[i] == 240) text[i] = '\n';
    return text;
}

static inline bptt_trainer_config config_of(const char *backend, bptt_type type)
{
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model = net_config(backend, type, 0, 7, 2);
    c.batch = 3, c.steps = 5, c.rate = 0.02, c.valid = 0.25, c.valid_every = 4, c.iterations = 15;
    return c;
}

typedef struct file {
    unsigned char *bytes;
    size_t n;
} file;

static inline void temporary(char path[32])
{
    strcpy(path, "/tmp/bptt-test-XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static inline file slurp(const char *path)
{
    enum { MOST = 1 << 20 };
    file f = {must_alloc(MOST, 1), 0};
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(in);
    f.n = fread(f.bytes, 1, MOST, in);
    fclose(in);
    return f;
}

static inline file saved(bptt_trainer *t)
{
    char path[32];
    temporary(path);
    CK_OK(bptt_trainer_save(t, path, NULL));
    const file f = slurp(path);
    unlink(path);
    return f;
}

// Both are freed.
static inline bool same_files(file a, file b)
{
    const bool same = a.n == b.n && a.n > 0 && memcmp(a.bytes, b.bytes, a.n) == 0;
    free(a.bytes), free(b.bytes);
    return same;
}

// `steps` updates with the scheduled validations that fall due.
static inline void trainer_go(bptt_trainer *t, int steps)
{
    for (int k = 0; k < steps; k++) {
        bptt_error e = {0};
        CK_TRUE(bptt_trainer_step(t, NULL, &e) == BPTT_OK, "step %d: %s", k, e.words);
        if (!bptt_trainer_validation_due(t)) continue;
        bptt_report report;
        CK_TRUE(bptt_trainer_validate(t, NULL, NULL, &report, &e) == BPTT_OK, "%s", e.words);
        bptt_trainer_record_validation(t, report.loss, NULL);
    }
}

#endif
