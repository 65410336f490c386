// Part `trace` of `bptt verify`: local error of each stored number of a traced window, against its recomputation from
// the stored numbers it depends on.
#include "trace_window.h"
#include "verify.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct trace_report {
    const verify_options *o;
    size_t *failures;
    const trace_window *w;
} trace_report;

static void report_bounded(const trace_report *t, const char *claim, bool holds, const char *found)
{
    const verify_line line = {
        .part = "trace", .claim = claim, .kind = EVIDENCE_BOUNDED, .holds = holds, .found = found};
    if (!holds) ++*t->failures;
    if (t->o->line) t->o->line(t->o->user, &line);
}

// Text for element i of a tensor with `columns` columns, H for each state or block (word), and `steps` blocks of rows
// in each layer.
static void describe_element(const trace_window *w, size_t i, size_t columns, const char *word, size_t steps,
                             char out[96])
{
    const size_t row = i / columns;
    const int n = snprintf(out, 96, "layer %zu, step %zu, row %zu, unit %zu", row / (steps * w->B), row / w->B % steps,
                           row % w->B, i % w->H);
    if (columns > w->H) (void)snprintf(out + n, 96 - (size_t)n, " of %s %zu", word, i % columns / w->H);
}

static void report_states(const trace_report *t, const finding *f)
{
    const trace_window *w = t->w;
    char found[600], where[96];
    describe_element(w, f->at - w->B * w->W, w->W, "state", w->T + 1, where); // block t+1 is what step t gives
    (void)snprintf(found, sizeof found,
                   "update %" PRIu64 " of %s, %zu layer%s of %zu, %zu step%s of %zu row%s: worst certified local error "
                   "%.3g (of it %.1g for binary64) at %s, %.2g of the limit. The float run is the exact run of a "
                   "recurrence perturbed by at most this each step; of how far it is from the unperturbed one this "
                   "says nothing",
                   w->update, w->where, w->L, w->L == 1 ? "" : "s", w->H, w->T, w->T == 1 ? "" : "s", w->B,
                   w->B == 1 ? "" : "s", f->error, f->slack, where, f->share);
    report_bounded(t,
                   bptt_cell_is_gated(w->model.cell)
                       ? "each state is the cell's of the stored states before and below it, but for rounding"
                       : "each state is f(W x + U h + b) of the stored state before it, but for rounding",
                   f->holds, found);
}

static void report_sums(const trace_report *t, const char *claim, const finding *f, const char *where)
{
    char found[400];
    (void)snprintf(found, sizeof found,
                   "%zu numbers: worst error over the sum of |terms| %.3g, %.2g of the limit; worst error %.3g%s%s",
                   f->n, f->ratio, f->share, f->error, *where ? " at " : "", where);
    report_bounded(t, claim, f->holds, found);
}

bptt_status verify_trace(const verify_options *o, size_t *failures, bptt_error *e)
{
    trace_window *w = NULL;
    finding states, dz, dstates, losses;
    gradient_findings g;
    char where[96];
    if (!o->trace) return bptt_fail(e, BPTT_BAD_INPUT, "the folder of a trace is needed; bptt train --trace makes one");
    bptt_status s = trace_open(o->trace, &w, e);
    if (!s) s = certify_states(w, &states, e);
    if (!s) s = certify_dz(w, &dz, &dstates, e);
    if (!s) s = certify_gradient(w, &g, e);
    if (!s) s = certify_losses(w, &losses, e);
    if (!s) {
        const trace_report t = {o, failures, w};
        const bool gated = bptt_cell_is_gated(w->model.cell);
        report_states(&t, &states);
        describe_element(w, dz.at, w->ZH, "block", w->T, where);
        report_sums(&t,
                    gated ? "each dz is the cell's of the stored states and their stored gradients, but for rounding"
                          : "each dz is (W' dz above + U' dz after) f' of the stored ones, but for rounding",
                    &dz, where);
        describe_element(w, dstates.at, w->W, "state", w->T + 1, where);
        if (gated)
            report_sums(&t, "each gradient of a state is the sum of W' dz above and the cell's of the step after",
                        &dstates, where);
        report_sums(&t, "the weights' gradients are the products of the stored dz and operands, but for rounding",
                    &g.weights, "");
        report_sums(&t, "db is the sum of the stored dz, but for rounding", &g.biases, "");
        report_sums(&t, "the decoder's gradient is that of its softmax at the stored states, but for rounding",
                    &g.decoder, "");
        report_sums(&t, "each loss is that of the softmax at the stored states, but for rounding", &losses, "");
    }
    trace_close(w);
    return s;
}
