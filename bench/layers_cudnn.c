// cuDNN as a contestant: adapts peers/cudnn_rnn.h to the interface of layers.h. Times are device times: events before
// and after several runs on its stream.
#include "cudnn_rnn.h"
#include "layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cudnn_contestant {
    const problem *p;
    cudnn_rnn *rnn;
    float *y, *dx, *dw;
} cudnn_contestant;

static void cudnn_close(void *own)
{
    cudnn_contestant *c = own;
    if (!c) return;
    cudnn_rnn_close(c->rnn);
    free(c->y), free(c->dx), free(c->dw);
    free(c);
}

// "standard" or, forward and backward, "small+standard". The number of an algorithm; 4: there is none of that name.
static unsigned algorithm_of(const char *name, size_t n)
{
    static const char *const word[] = {"standard", "static", "dynamic", "small"}; // in the order of NN_STANDARD ...
    unsigned a = 0;
    while (a < 4 && (strlen(word[a]) != n || strncmp(name, word[a], n) != 0)) a++;
    return a;
}

static bptt_status configure(const problem *p, const contestant_name *n, cudnn_rnn_config *c, bptt_error *e)
{
    static const unsigned cell[LAYERS_CELLS] = {NN_TANH, NN_RELU, NN_GRU, NN_LSTM};
    const size_t first = strcspn(n->word[1], "+"), all = strlen(n->word[1]);
    const unsigned algorithm = algorithm_of(n->word[1], first);
    const unsigned backward = first == all ? algorithm : algorithm_of(n->word[1] + first + 1, all - first - 1);
    *c = (cudnn_rnn_config){.cell = cell[p->cell],
                            .algorithm = algorithm,
                            .backward = backward,
                            .precision = p->precision,
                            .H = p->H,
                            .L = p->L,
                            .B = p->B,
                            .T = p->T};
    if (algorithm == 4 || backward == 4)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "cuDNN's algorithm is standard, static, small or dynamic, or two of them with + between, not "
                         "\"%s\"",
                         n->word[1]);
    for (size_t i = 2; i < LAYERS_WORDS && *n->word[i]; i++) {
        const bool graph = strcmp(n->word[i], "graph") == 0, packed = strcmp(n->word[i], "packed") == 0;
        if (!graph && !packed && strcmp(n->word[i], "eager") != 0)
            return bptt_fail(e, BPTT_BAD_CONFIG, "after the algorithm come graph, eager, packed, not \"%s\"",
                             n->word[i]);
        c->graph = c->graph || graph, c->packed = c->packed || packed;
    }
    return BPTT_OK;
}

static bptt_status cudnn_open(const problem *p, const contestant_name *n, void **own, char device[100], bptt_error *e)
{
    cudnn_rnn_config config;
    const nn_api *api = NULL;
    bptt_status s = configure(p, n, &config, e);
    if (!s) s = nn_load(&api, e);
    if (s) return s;
    cudnn_contestant *c = calloc(1, sizeof *c);
    if (!c) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a contestant");
    c->p = p;
    c->y = calloc(p->window, sizeof *c->y), c->dx = calloc(p->window, sizeof *c->dx);
    c->dw = calloc(p->weights, sizeof *c->dw);
    if (!c->y || !c->dx || !c->dw) s = bptt_fail(e, BPTT_NO_MEMORY, "no memory for cuDNN's results");
    if (!s) s = cudnn_rnn_open(&config, &c->rnn, e);
    if (!s) s = cudnn_rnn_write(c->rnn, p->x, p->dy, p->w, e);
    if (s)
        cudnn_close(c);
    else
        *own = c;
    if (!s)
        (void)snprintf(device, 100, "%.50s, cuDNN %.20s%s", api->gpu, api->version,
                       cudnn_rnn_default_math(c->rnn) ? ", NN_DEFAULT_MATH" : "");
    return s;
}

// The initial state is a buffer of zeros; no state is carried between runs.
static bptt_status cudnn_restart(void *own, bptt_error *e)
{
    (void)own, (void)e;
    return BPTT_OK;
}

static bptt_status cudnn_go(void *own, layers_timed what, size_t times, double *seconds, bptt_error *e)
{
    static const cudnn_part part[TIMED] = {
        [FORWARD] = CUDNN_FORWARD, [BOTH] = CUDNN_BOTH, [DATA] = CUDNN_DATA, [WEIGHTS] = CUDNN_WEIGHTS};
    return cudnn_rnn_go(((cudnn_contestant *)own)->rnn, part[what], times, seconds, e);
}

static bptt_status cudnn_read(void *own, const outcome *to, bptt_error *e)
{
    cudnn_contestant *c = own;
    const bptt_status s = cudnn_rnn_read(c->rnn, c->y, c->dx, c->dw, e);
    for (size_t i = 0; !s && i < c->p->window; i++) to->y[i] = (double)c->y[i], to->dx[i] = (double)c->dx[i];
    for (size_t i = 0; !s && i < c->p->weights; i++) to->dw[i] = (double)c->dw[i];
    return s;
}

const contestant_kind layers_cudnn = {.name = "cudnn",
                                      .clock = "device",
                                      .timed = 1u << FORWARD | 1u << BOTH | 1u << DATA | 1u << WEIGHTS,
                                      .open = cudnn_open,
                                      .restart = cudnn_restart,
                                      .go = cudnn_go,
                                      .read = cudnn_read,
                                      .close = cudnn_close};
