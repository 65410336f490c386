// bptt score: the mean loss of a text under a model.
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int show_score_progress(void *user, size_t done, size_t total)
{
    int *percent = user;
    const int now = total ? (int)((double)done / (double)total * 100) : 100;
    if (now != *percent) fprintf(stderr, "\r%3d%%", now);
    *percent = now;
    return 0;
}

static exit_code print_score(const options *o, const bptt_report *r)
{
    const double bpc = r->loss / NATS_PER_BIT;
    if (!o->value[OPT_JSON].given) {
        printf("nats %.9f\nbpc  %.9f\nn    %.0f\n", r->loss, bpc, r->weight);
        return CODE_OK;
    }
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_real(&j, "nats", r->loss);
    jsonl_real(&j, "bpc", bpc);
    jsonl_count(&j, "n", (uint64_t)r->weight);
    return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
}

exit_code run_score(const options *o)
{
    unsigned char *text = NULL;
    size_t n = 0;
    exit_code code = read_text(o->argument[1], &text, &n);
    if (code != CODE_OK) return code;
    const size_t first = o->value[OPT_PART].given ? bptt_split(n, o->value[OPT_PART].real) : 0;
    const bool watched = !o->value[OPT_QUIET].given && isatty(STDERR_FILENO);
    int percent = -1;
    bptt_trainer_config c;
    bptt_model *m = NULL;
    bptt_report report;
    bptt_error e = {0};
    bptt_trainer_defaults(&c);
    config_apply(o, &c);
    bptt_status s = bptt_model_load(o->argument[0], &c.model, &m, &e);
    if (s == BPTT_OK) code = check_cell(o, bptt_model_cell_assumed(m));
    if (s == BPTT_OK && code == CODE_OK)
        s = bptt_score(m, text + first, n - first, watched ? show_score_progress : NULL, &percent, &report, &e);
    if (percent >= 0) fputs("\r    \r", stderr);
    bptt_model_close(m);
    free(text);
    if (s != BPTT_OK) return complain_of(&e);
    return code == CODE_OK ? print_score(o, &report) : code;
}
