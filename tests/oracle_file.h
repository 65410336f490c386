// Reads tests/data/oracles.json and its like: one flat object of "name": {"shape": [..], "data": [..]}.
#ifndef ORACLE_FILE_H
#define ORACLE_FILE_H

#include "json.h"
#include "near.h"

#include <stdio.h>

#ifndef TEST_DATA
#define TEST_DATA "tests/data"
#endif

enum { ORACLES = 800, ORACLE_BYTES = 1 << 19 };

typedef struct oracle {
    char name[64];
    size_t n;
    double *x;
} oracle;

typedef struct oracle_file {
    size_t n;
    oracle at[ORACLES];
} oracle_file;

// The numbers of the array whose opening bracket was just read; out NULL only counts.
static inline size_t oracle_array(json *j, double *out)
{
    json_token t;
    size_t n = 0;
    for (;; n++) {
        const json_kind k = json_next(j, &t);
        if (k == JSON_ARRAY_END) return n;
        double x;
        ck_assert(k == JSON_NUMBER && json_real(&t, &x));
        if (out) out[n] = x;
    }
}

static inline void oracle_entry(json *j, oracle *o)
{
    json_token t;
    ck_assert_int_eq(json_next(j, &t), JSON_OBJECT);
    while (json_next(j, &t) == JSON_KEY) {
        const bool data = json_is(&t, "data");
        ck_assert_int_eq(json_next(j, &t), JSON_ARRAY);
        json copy = *j;
        const size_t n = oracle_array(&copy, NULL);
        if (data) o->x = reals(o->n = n);
        (void)oracle_array(j, data ? o->x : NULL);
    }
}

// name: of a file in tests/data.
static inline void oracle_open_file(oracle_file *f, const char *name)
{
    char path[sizeof TEST_DATA + 40];
    snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
    char *text = must_alloc(ORACLE_BYTES, 1);
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(in);
    const size_t bytes = fread(text, 1, ORACLE_BYTES, in);
    fclose(in);
    json j;
    json_token t;
    json_start(&j, text, bytes, 4);
    f->n = 0;
    ck_assert_int_eq(json_next(&j, &t), JSON_OBJECT);
    while (json_next(&j, &t) == JSON_KEY && f->n < ORACLES) {
        size_t n;
        oracle *o = &f->at[f->n++];
        ck_assert(json_string(&t, o->name, sizeof o->name, &n));
        oracle_entry(&j, o);
    }
    ck_assert_int_eq(json_next(&j, &t), JSON_END);
    free(text);
}

static inline void oracle_open(oracle_file *f) { oracle_open_file(f, "oracles.json"); }

static inline void oracle_close(oracle_file *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->at[i].x);
}

// The oracle called group.name, which must be there and have n numbers.
static inline const double *oracle_get(const oracle_file *f, const char *group, const char *name, size_t n)
{
    char whole[200];
    snprintf(whole, sizeof whole, "%s.%s", group, name);
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->at[i].name, whole) == 0) {
            CK_TRUE(f->at[i].n == n, "%s has %zu numbers, not %zu", whole, f->at[i].n, n);
            return f->at[i].x;
        }
    ck_abort_msg("the file of oracles has no %s", whole);
    return NULL;
}

static inline size_t oracle_size(const oracle_file *f, const char *group, const char *name)
{
    return (size_t)oracle_get(f, group, name, 1)[0];
}

#endif
