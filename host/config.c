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

bptt_status model_check(const bptt_model_config *c, bptt_error *e)
{
    // a gradient of zero would give 0 / 0: threads and devices may flush subnormal numbers to zero
    const bool divides = c->optimizer != BPTT_SGD;
    const bptt_status s = fields_check(OF_MODEL, c, e);
    if (!s && divides && !((float)c->epsilon >= FLT_MIN))
        return bptt_fail(e, BPTT_BAD_CONFIG, "`epsilon` is %g, but must be at least %.3g, the smallest normal number",
                         c->epsilon, (double)FLT_MIN);
    if (!s && c->documents != BPTT_DOCUMENTS_NONE && c->input)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`documents` is for models of text, but `input` is %zu: leave it 0",
                         c->input);
    if (!s && c->reserved)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "model.reserved is %u, but must be 0 in this version (%s): clear the struct, or install a "
                         "newer bptt",
                         c->reserved, BPTT_VERSION);
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

bptt_status trainer_check(const bptt_trainer_config *c, bptt_error *e)
{
    bptt_trainer_config used = *c;
    if (c->iterations) used.epochs = 1; // not used
    if (c->model.input)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`input` is not 0, but a trainer reads text: dense input is not possible");
    return fields_check(OF_TRAINER, &used, e);
}
