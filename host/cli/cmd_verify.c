// bptt verify: runs the parts of verify/ and prints a line for each claim.
#include "cli.h"
#include "cmd_verify.h"
#include "jsonl.h"
#include "progress.h"

#include <stdio.h>
#include <string.h>

typedef struct printer {
    bool as_json, failed; // failed: out of memory for a line
    size_t claims;
    bool used[EVIDENCE_SAMPLED + 1]; // kinds of evidence that occurred
    share_progress progress;
} printer;

static const struct {
    const char *word, *meaning;
} evidence_words[] = {
    [EVIDENCE_EXACT] = {"exact", "equal as integers, without rounding, on random inputs"},
    [EVIDENCE_EXHAUSTIVE] = {"exhaustive", "all possible inputs were tried"},
    [EVIDENCE_BOUNDED] = {"bounded", "within a bound computed from the rounding"},
    [EVIDENCE_SAMPLED] = {"sampled", "some inputs were tried, within a tolerance"},
};

static const char not_claimed[] =
    "this is not a proof: exact claims are about the formulas as executed here, on the shapes tried, in exact "
    "numbers, and assume the derivatives of tanh, sigmoid, exp and log. No claim is made about rounding unless stated, "
    "about optimizers and clipping, about devices that are not present, or about how well a model learns.";

static void print_line(void *user, const verify_line *l)
{
    printer *p = user;
    const char *kind = evidence_words[l->kind].word;
    progress_clear(&p->progress.line);
    p->claims++;
    p->used[l->kind] = true;
    if (!p->as_json) {
        printf("%-6s  %-10s  %-10s  %s (%s)\n", l->holds ? "OK" : "FAILED", l->part, kind, l->claim, l->found);
    } else {
        jsonl j = {0};
        jsonl_start(&j);
        jsonl_text(&j, "part", l->part);
        jsonl_text(&j, "evidence", kind);
        jsonl_text(&j, "claim", l->claim);
        jsonl_text(&j, "found", l->found);
        jsonl_flag(&j, "holds", l->holds);
        if (!jsonl_print(&j)) p->failed = true;
    }
    fflush(stdout); // the next part may take long
}

static void print_progress(void *user, const char *what, double done)
{
    printer *p = user;
    share_update(&p->progress, what, done);
}

static bool print_end(const printer *p, size_t failures)
{
    if (p->as_json) {
        jsonl j = {0};
        jsonl_start(&j);
        jsonl_count(&j, "claims", p->claims);
        jsonl_count(&j, "failed", failures);
        jsonl_text(&j, "not_claimed", not_claimed);
        return jsonl_print(&j);
    }
    printf("%zu claims, %zu failed.", p->claims, failures);
    for (size_t i = 0; i <= EVIDENCE_SAMPLED; i++)
        if (p->used[i]) printf(" %s: %s.", evidence_words[i].word, evidence_words[i].meaning);
    printf("\nNot claimed: %s\n", not_claimed);
    return true;
}

static exit_code no_part(const char *name, const verify_row *rows, size_t n)
{
    char parts[200] = "";
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(parts);
        snprintf(parts + at, sizeof parts - at, "%s%s", at ? ", " : "", rows[i].name);
    }
    complain("there is no part '%.60s'; the parts are %s", name, parts);
    return CODE_USAGE;
}

exit_code verify_parts(const options *o, const verify_row *rows, size_t n)
{
    const option_value *v = o->value;
    printer p = {.as_json = v[OPT_JSON].given};
    const char *const part = o->arguments > 0 ? o->argument[0] : NULL;
    const char *const trace = o->arguments > 1 ? o->argument[1] : NULL;
    if (trace && strcmp(part, "trace") != 0) {
        complain("part '%.60s' takes no folder; only trace does", part);
        return CODE_USAGE;
    }
    const verify_options wanted = {.backend = v[OPT_BACKEND].given ? v[OPT_BACKEND].text : NULL,
                                   .device = v[OPT_DEVICE].given ? v[OPT_DEVICE].text : NULL,
                                   .exhaustive = v[OPT_EXHAUSTIVE].given,
                                   .trace = trace,
                                   .line = print_line,
                                   .progress = print_progress,
                                   .user = &p};
    share_start(&p.progress, v[OPT_QUIET].given);
    size_t failures = 0, ran = 0;
    for (size_t i = 0; i < n; i++) {
        bptt_error e = {0};
        if (part ? strcmp(rows[i].name, part) != 0 : !rows[i].plain) continue;
        const bptt_status s = rows[i].check(&wanted, &failures, &e);
        progress_clear(&p.progress.line);
        if (s) return complain_of(&e);
        ran++;
    }
    if (part && !ran) return no_part(part, rows, n);
    if (!print_end(&p, failures) || p.failed) return CODE_MEMORY;
    return failures ? CODE_FAILED : CODE_OK;
}

exit_code run_verify(const options *o) { return verify_parts(o, verify_table, verify_rows); }
