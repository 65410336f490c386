// The probe's kernel as host C: what the device should give.
#include "prelude_c.h"
#include "f32.h"
#include "cl_probe.h"
#include "probe.cl"

void cl_probe_host(const float *in, float *out); // cl_internal.h, whose types a prelude has too
void cl_probe_host(const float *in, float *out)
{
    const work_item one = {.columns = 1, .rows = 1, .groups = 1, .lanes = 1};
    bptt_probe(&one, in, out);
}
