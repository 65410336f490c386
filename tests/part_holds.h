// Shared check for parts of `bptt verify` that compute on backends: all claims hold on every backend present; a missing
// backend is not a failed claim.
#ifndef PART_HOLDS_H
#define PART_HOLDS_H

#include "near.h"
#include "place.h"
#include "verify.h"

typedef struct part_lines {
    const char *part;
    size_t n, exact;
} part_lines;

static inline void part_print(void *user, const verify_line *l)
{
    part_lines *lines = user;
    printf("  %s  %s: %s\n", l->holds ? "holds" : "WRONG", l->claim, l->found);
    CK_TRUE(strcmp(l->part, lines->part) == 0 && l->claim[0] && l->found[0], "a line without words");
    fflush(stdout); // a test that fails ends without
    lines->n++;
    lines->exact += l->kind == EVIDENCE_EXACT;
}

// backend NULL: all that are present. Its lines.
static inline part_lines part_holds(verify_part *check, const char *part, const char *backend)
{
    size_t failures = 0;
    bptt_error e = {0};
    part_lines lines = {.part = part};
    const verify_options o = {
        .backend = backend, .device = backend ? getenv("BPTT_DEVICE") : NULL, .line = part_print, .user = &lines};
    CK_TRUE(check(&o, &failures, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(failures == 0, "%zu of %zu claims do not hold", failures, lines.n);
    return lines;
}

static inline void part_refuses_a_backend(verify_part *check, const char *part)
{
    size_t failures = 0;
    bptt_error e = {0};
    part_lines lines = {.part = part};
    const verify_options o = {.backend = "abacus", .line = part_print, .user = &lines};
    ck_assert_int_eq(check(&o, &failures, &e), BPTT_NO_BACKEND);
    ck_assert_uint_eq(failures, 0);
    ck_assert_int_eq(e.code, BPTT_NO_BACKEND);
    CK_TRUE(strstr(e.words, "cpu, ref, cuda, opencl"), "%s", e.words);
}

#endif
