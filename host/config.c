// Configurations: defaults and range checks from the table of fields.
#include "config.h"
#include "error.h"
#include "fields.h"

#include <float.h>

void model_config_defaults(bptt_model_config *c)
{
    *c = (bptt_model_config){.size = sizeof *c, .type = BPTT_F32};
    fields_default(OF_MODEL, c);
}

void trainer_config_defaults(bptt_trainer_config *c)
{
    *c = (bptt_trainer_config){.size = sizeof *c};
    model_config_defaults(&c->model);
    fields_default(OF_TRAINER, c);
}

// Fields that depend on each other.
static bptt_status check_targets(const bptt_model_config *c, bptt_error *e)
{
    if (c->vocab == 0 && !(c->input && c->output))
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`vocab` is 0, but must be 2 to 65536, unless inputs and targets are dense (`input` and "
                         "`output` above 0)");
    if (c->output && c->loss == BPTT_SOFTMAX)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`output` is %zu, so targets are dense, but `loss` is softmax, which is for tokens: choose "
                         "another loss, or set `output` to 0",
                         c->output);
    if (!c->output && c->loss != BPTT_SOFTMAX)
        return bptt_fail(
            e, BPTT_BAD_CONFIG,
            "`loss` is %d, which is for dense targets: set `output` to their width, or `loss` to 0 (softmax)",
            (int)c->loss);
    if (c->skip != 0 && c->skip != 1) return bptt_fail(e, BPTT_BAD_CONFIG, "`skip` is %d, but must be 0 or 1", c->skip);
    if (c->skip && !(c->output && c->input >= c->output))
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`skip` adds the first `output` inputs to the outputs, so `input` (%zu) must be at least "
                         "`output` (%zu), and `output` above 0",
                         c->input, c->output);
    return BPTT_OK;
}

bptt_status model_check(const bptt_model_config *c, bptt_error *e)
{
    // a gradient of zero would give 0 / 0: threads and devices may flush subnormal numbers to zero
    const bool divides = c->optimizer != BPTT_SGD;
    bptt_status s = fields_check(OF_MODEL, c, e);
    if (!s) s = check_targets(c, e);
    if (!s && divides && !((float)c->epsilon >= FLT_MIN))
        return bptt_fail(e, BPTT_BAD_CONFIG, "`epsilon` is %g, but must be at least %.3g, the smallest normal number",
                         c->epsilon, (double)FLT_MIN);
    if (!s && c->documents != BPTT_DOCUMENTS_NONE && c->input)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`documents` is for models of text, but `input` is %zu: leave it 0",
                         c->input);
    return s;
}

bptt_status compute_check(const bptt_compute *c, bptt_error *e)
{
    const bptt_status s = fields_check(OF_COMPUTE, c, e);
    for (size_t i = 0; !s && i < sizeof c->reserved / sizeof c->reserved[0]; i++)
        if (c->reserved[i])
            return bptt_fail(e, BPTT_BAD_CONFIG,
                             "compute.reserved[%zu] is %u, but must be 0 in this version (%s): clear the struct, or "
                             "install a newer bptt",
                             i, c->reserved[i], BPTT_VERSION);
    return s;
}

// A trainer of text has neither dense inputs nor dense targets, a trainer of a sequence has both.
static bptt_status check_data(const bptt_trainer_config *c, bool dense, bptt_error *e)
{
    const bptt_model_config *m = &c->model;
    if (!dense && (m->input || m->output))
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`%s` is %zu, but this trainer reads text: leave it 0, or use bptt_trainer_open_dense",
                         m->input ? "input" : "output", m->input ? m->input : m->output);
    if (!dense && c->burn_in)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`burn_in` is %zu, but this trainer reads text: it is for sequences of floats; leave it 0",
                         c->burn_in);
    if (dense && (!m->input || !m->output))
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`%s` is 0, but a trainer of a sequence needs the widths of its inputs and targets",
                         m->input ? "output" : "input");
    if (dense && c->burn_in >= c->steps)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`burn_in` is %zu, but must be below `steps` (%zu): every window must carry a loss",
                         c->burn_in, c->steps);
    return BPTT_OK;
}

bptt_status trainer_check(const bptt_trainer_config *c, bool dense, bptt_error *e)
{
    bptt_trainer_config used = *c;
    if (c->iterations) used.epochs = 1; // not used
    const bptt_status s = fields_check(OF_TRAINER, &used, e);
    return s ? s : check_data(c, dense, e);
}
