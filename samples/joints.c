// A chain of four Elman cells joined by context builders: teacher forcing (a given token), feedback of the network's
// own prediction, and a custom builder (a leaky state). Checks the adjoint identity <J d, s> = <d, J's> and prints
// gradients. Builds only inside the repository: bptt_cells.h and its functions are not installed.
#include <bptt_cells.h>

#include <math.h>
#include <stdio.h>

enum { I = 2, H = 3, STEPS = 4 };

// A leaky state, linear: x = 0, h = next + h / 2.
static void leak(const bptt_elman_trace *a, double *x, double *h)
{
    for (int i = 0; i < I; i++) x[i] = 0;
    for (int j = 0; j < H; j++) h[j] = ((double *)a->next)[j] + ((double *)a->h)[j] / 2;
}

static bptt_status leak_apply(const bptt_builder_call *at, void *x, void *h, bptt_error *e)
{
    (void)e;
    leak(at->trace, x, h);
    return BPTT_OK;
}

static bptt_status leak_jvp(const bptt_builder_call *at, const bptt_elman_trace *d, void *dx, void *dh, bptt_error *e)
{
    (void)at, (void)e;
    leak(d, dx, dh);
    return BPTT_OK;
}

static bptt_status leak_vjp(const bptt_builder_call *at, const void *dx, const void *dh, const bptt_elman_trace *s,
                            bptt_error *e)
{
    (void)at, (void)dx, (void)e;
    for (int j = 0; j < H; j++) {
        ((double *)s->next)[j] += ((const double *)dh)[j];
        ((double *)s->h)[j] += ((const double *)dh)[j] / 2;
    }
    return BPTT_OK;
}

// Storage of the five tensors of every step.
typedef struct tensors {
    double x[STEPS][I], h[STEPS][H], concat[STEPS][I + H], pre[STEPS][H], next[STEPS][H];
} tensors;

static void point(tensors *m, bptt_elman_trace t[STEPS])
{
    for (int i = 0; i < STEPS; i++) t[i] = (bptt_elman_trace){m->x[i], m->h[i], m->concat[i], m->pre[i], m->next[i]};
}

int main(void)
{
    const double weight[H][I + H] = {{1, 0, .5, -.5, 0}, {0, 1, 0, .5, -.5}, {-1, 1, .5, 0, .5}},
                               bias[H] = {.1, 0, -.1};
    const double token[I] = {0, 1}, readout[I][H] = {{1, 0, 1}, {0, 1, 0}};
    const bptt_context given[] = {{.kind = BPTT_TEACHER, .x = token}, {.kind = BPTT_FEEDBACK, .readout = readout}};
    const bptt_builder join[STEPS - 1] = {
        bptt_context_builder(&given[0]), bptt_context_builder(&given[1]), {leak_apply, leak_jvp, leak_vjp, NULL}};
    const bptt_elman one = {.type = BPTT_F64, .cell = BPTT_TANH, .B = 1, .I = I, .H = H, .W = weight, .b = bias};
    const bptt_elman cell[STEPS] = {one, one, one, one}; // the same weights at every step
    const bptt_chain chain = {STEPS, cell, join};

    tensors at = {.x = {{1, 0}}}, d = {.x = {{1, 2}}, .h = {{3, -1, 1}}}, s = {.next = {[STEPS - 1] = {1, 1, 1}}};
    bptt_elman_trace trace[STEPS], tangent[STEPS], cotangent[STEPS];
    point(&at, trace), point(&d, tangent), point(&s, cotangent);
    double dW[H][I + H] = {{0}}, db[H] = {0};
    void *const dWs[STEPS] = {dW, dW, dW, dW}, *const dbs[STEPS] = {db, db, db, db};
    bptt_error e;
    if (bptt_chain_forward(&chain, trace, &e) || bptt_chain_jvp(&chain, trace, tangent, NULL, NULL, &e) ||
        bptt_chain_vjp(&chain, trace, cotangent, dWs, dbs, &e))
        return fprintf(stderr, "%s\n", e.words), 1;

    double left = 0, right = 0; // the loss is the sum of the last state
    for (int j = 0; j < H; j++) left += d.next[STEPS - 1][j], right += d.h[0][j] * s.h[0][j];
    for (int i = 0; i < I; i++) right += d.x[0][i] * s.x[0][i];
    printf("<J d, s> = %.12f\n<d, J's> = %.12f\n", left, right);
    for (int j = 0; j < H; j++) printf("dh(0)[%d] = %9.6f   db[%d] = %9.6f\n", j, s.h[0][j], j, db[j]);
    return fabs(left - right) < 1e-12 ? 0 : 1;
}
