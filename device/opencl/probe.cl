// Arithmetic probe: eight results for each triple (a, b, c), which the host compares with the same text compiled as C.
// out: [PROBE_FUNCTIONS][PROBE_INPUTS].
KERNEL(probe)(ITEM GLOBAL const float *in, GLOBAL float *out)
{
    INDEPENDENT for (word i = COLUMN; i < PROBE_INPUTS; i += COLUMNS)
    {
        const float a = in[3 * i], b = in[3 * i + 1], c = in[3 * i + 2], product = a * b;
        out[i] = f32_tanh(a);
        out[1 * PROBE_INPUTS + i] = f32_exp(a);
        out[2 * PROBE_INPUTS + i] = f32_log(a);
        out[3 * PROBE_INPUTS + i] = f32_sigmoid(a);
        out[4 * PROBE_INPUTS + i] = f32_divide(a, b);
        out[5 * PROBE_INPUTS + i] = f32_sqrt(a);
        out[6 * PROBE_INPUTS + i] = product + c; // two roundings
        out[7 * PROBE_INPUTS + i] = F32_FMA(a, b, c);
    }
}
