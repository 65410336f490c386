// Models, runs and random windows for the tests of host/.
#ifndef NETS_H
#define NETS_H

#include "bptt.h"
#include "near.h"
#include "place.h"

#define CK_OK(call) \
    do { \
        const bptt_status status_ = (call); \
        if (status_) ck_abort_msg("%s: %s", #call, bptt_status_text(status_)); \
    } while (0)

// The call fails with that status and words that contain `part`; it may use e.
#define REFUSED(call, status, part) \
    do { \
        bptt_error e_ = {0}; \
        bptt_error *const e = &e_; \
        const bptt_status got_ = (call); \
        CK_TRUE(got_ == (status) && e_.code == got_ && strstr(e_.words, part), "%s: %s, \"%s\"", #call, \
                bptt_status_text(got_), e_.words); \
    } while (0)

// Backends of the tests that compare with a plain net.
static const struct {
    const char *backend;
    bptt_type type;
    unsigned threads;
} NET_BACKEND[] = {{"ref", BPTT_F64, 1}, {"ref", BPTT_F32, 1}, {"cpu", BPTT_F32, 1}, {"cpu", BPTT_F32, 2}};
enum { NET_BACKENDS = sizeof NET_BACKEND / sizeof NET_BACKEND[0] };

// A model with a run, and one window for it: weight and keep random, used where the test says so.
typedef struct net {
    bptt_model_config c;
    bptt_run_config rc;
    bptt_model *m;
    bptt_run *r;
    double *h0;              // [L][B][H]
    double *dense;           // [T][B][I]
    double *dense_target;    // [T][B][M], in 0..1
    int32_t *token, *target; // [T][B]
    float *weight, *keep;    // [T][B]
    bptt_window w;           // of ones: no weight, no keep
} net;

static inline bptt_model_config net_config(const char *backend, bptt_type type, size_t V, size_t H, size_t L)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.compute.backend = backend, c.type = type, c.vocab = V, c.hidden = H, c.layers = L;
    c.compute.threads = 1, c.init = BPTT_INIT_UNIFORM, c.seed = 5;
    move_to_place(&c);
    return c;
}

static inline void net_random_window(net *n, uint64_t seed)
{
    const size_t N = n->rc.steps * n->rc.batch;
    random_reals(&seed, 1, n->dense, N * n->c.input);
    if (n->c.vocab) random_tokens(&seed, n->c.vocab, n->token, N);
    if (n->c.vocab) random_tokens(&seed, n->c.vocab, n->target, N);
    for (size_t i = 0; i < N; i++) {
        const double r = random_real(&seed);
        n->weight[i] = r < -0.5 ? 0 : (float)(r + 1);
        n->keep[i] = i % 5 == 2 ? 0 : i % 5 == 4 ? 0.5f : 1;
    }
    for (size_t i = 0; i < N * n->c.output; i++) n->dense_target[i] = fabs(random_real(&seed));
    n->w = (bptt_window){.size = sizeof(bptt_window),
                         .token = n->c.input ? NULL : n->token,
                         .dense = n->c.input ? n->dense : NULL,
                         .dense_type = BPTT_F64,
                         .target = n->c.output ? NULL : n->target,
                         .dense_target = n->c.output ? n->dense_target : NULL,
                         .dense_target_type = BPTT_F64};
}

// rc->size is set here.
static inline void net_open(net *n, const bptt_model_config *c, const bptt_run_config *rc)
{
    *n = (net){.c = *c, .rc = *rc};
    n->rc.size = sizeof n->rc;
    CK_OK(bptt_model_open(c, &n->m, NULL));
    CK_OK(bptt_run_open(n->m, &n->rc, &n->r, NULL));
    const size_t N = rc->steps * rc->batch;
    uint64_t random = 21;
    n->h0 = reals(c->layers * rc->batch * c->hidden);
    n->dense = reals(N * c->input), n->dense_target = reals(N * c->output);
    n->token = must_alloc(N, sizeof *n->token), n->target = must_alloc(N, sizeof *n->target);
    n->weight = must_alloc(N, sizeof *n->weight), n->keep = must_alloc(N, sizeof *n->keep);
    random_reals(&random, 1, n->h0, c->layers * rc->batch * c->hidden);
    net_random_window(n, 22);
}

// Another run of a model; c.size is set here.
static inline bptt_run *run_on(bptt_model *m, bptt_run_config c)
{
    bptt_run *r = NULL;
    c.size = sizeof c;
    CK_OK(bptt_run_open(m, &c, &r, NULL));
    return r;
}

static inline void net_close(net *n)
{
    bptt_run_close(n->r);
    bptt_model_close(n->m);
    free(n->h0), free(n->dense), free(n->dense_target), free(n->token), free(n->target), free(n->weight), free(n->keep);
}

// All of one part of a model as doubles, tensor after tensor (an exact copy: floats widen). NULL if it has none.
static inline double *net_part(bptt_model *m, bptt_part part)
{
    double *x = reals(bptt_model_parameters(m));
    size_t at = 0;
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(m, i, &t, NULL));
        if (bptt_model_read(m, part, i, x + at, BPTT_F64, NULL)) {
            free(x);
            return NULL;
        }
        at += t.rows * t.cols;
    }
    return x;
}

static inline double *net_state(bptt_run *r, size_t n)
{
    double *h = reals(n);
    CK_OK(bptt_run_read_state(r, h, BPTT_F64, NULL));
    return h;
}

// The same bytes, NaN for NaN.
static inline bool same_bits(const double *a, const double *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

// Everything a model holds, to see that nothing has changed.
typedef struct snapshot {
    size_t n;
    double *part[4];
    uint64_t updates;
} snapshot;

static inline snapshot snapshot_of(bptt_model *m)
{
    snapshot s = {.n = bptt_model_parameters(m), .updates = bptt_model_updates(m)};
    for (int p = 0; p < 4; p++) s.part[p] = net_part(m, (bptt_part)p);
    return s;
}

// True if m still equals the snapshot s (the gradient only if gradient_too). Frees s.
static inline bool snapshot_holds(snapshot *s, bptt_model *m, bool gradient_too)
{
    bool same = s->updates == bptt_model_updates(m);
    for (int p = 0; p < 4; p++) {
        double *now = net_part(m, (bptt_part)p);
        if (p != BPTT_GRADIENT || gradient_too) same = same && !now == !s->part[p];
        if (now && (p != BPTT_GRADIENT || gradient_too)) same = same && same_bits(now, s->part[p], s->n);
        free(now);
        free(s->part[p]);
    }
    return same;
}

#endif
