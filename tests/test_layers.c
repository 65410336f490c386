// The layers alone (plan_layers): forward and backward from a given gradient of the top states, together and apart.
#include "bare_layers.h"
#include "exact_net.h"
#include "nets.h"
#include "plain_rnn.h"
#include "suite.h"

static const struct {
    size_t I, H, L, B, T;
} SHAPE[] = {{7, 5, 1, 3, 6}, {33, 65, 1, 7, 5}, {5, 7, 3, 1, 9}, {50, 33, 2, 5, 4},
             {1, 1, 2, 1, 1}, {3, 50, 3, 2, 7},  {9, 8, 1, 1, 70}};
enum { SHAPES = sizeof SHAPE / sizeof SHAPE[0] };

// A net with its layers prepared, and a gradient dy for them.
typedef struct fixture {
    net n;
    bare_layers b;
    double *dy; // [T][B][H]
    char says[120];
} fixture;

static void set_up(fixture *f, const bptt_model_config *c, size_t B, size_t T, bool keep)
{
    bptt_error e = {0};
    net_open(&f->n, c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1, .input_gradient = 1, .keep = keep});
    uint64_t random = 8;
    f->dy = reals(T * B * c->hidden);
    random_reals(&random, 1, f->dy, T * B * c->hidden);
    CK_TRUE(bare_open(f->n.r, &f->b, &e) == BPTT_OK, "%s", e.words);
    snprintf(f->says, sizeof f->says, "%s %d precision %d %s I %zu H %zu L %zu B %zu T %zu", c->compute.backend,
             (int)c->type, (int)c->compute.precision, c->cell ? "relu" : "tanh", c->input, c->hidden, c->layers, B, T);
}

static void tear_down(fixture *f)
{
    bare_close(&f->b);
    net_close(&f->n);
    free(f->dy);
}

static void go(fixture *f, layers_part part)
{
    bptt_error e = {0};
    CK_TRUE(bare_go(&f->b, part, 1, &e) == BPTT_OK, "%s: %s", f->says, e.words);
}

// Loads x, dy and the first state. Fills the other buffers of the run with NaN, so that reads of stale data show.
static void load(fixture *f, const double *x, const double *dy, const double *h0)
{
    bptt_device *d = f->n.m->device;
    const run_memory *mem = &f->n.r->mem;
    const bptt_mat spoilt[] = {mem->dh[0], mem->dh[1], mem->dx, mem->dstate, mem->h[0], mem->h[f->n.c.layers - 1]};
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        const bptt_op s = {.opcode = BPTT_FILL, .value = (double)NAN, .arg = {spoilt[i]}};
        if (spoilt[i].buf) d->backend.op[BPTT_FILL](d, &s, &(bptt_slots){0});
    }
    CK_OK(bare_write(&f->b, x, dy, BPTT_F64, NULL));
    CK_OK(bptt_run_write_state(f->n.r, h0, BPTT_F64, NULL));
}

// Reads the i-th result: tensors' gradients, then states, gradient of the first state, of the input.
static double *result(fixture *f, size_t i, size_t count)
{
    double *x = reals(count);
    const size_t tensors = bptt_model_tensors(f->n.m) - 2;
    if (i < tensors)
        CK_OK(bptt_model_read(f->n.m, BPTT_GRADIENT, i, x, BPTT_F64, NULL));
    else
        CK_OK(bptt_run_read(f->n.r, (bptt_result)(i - tensors), x, BPTT_F64, NULL));
    return x;
}

// ---- against the plain net ----------------------------------------------------------------------

// Sums of H + I + B terms in each of T steps of L layers, as in test_run.c.
static double roundings(const net *n)
{
    const double terms = (double)(n->c.hidden + n->c.input + n->rc.batch + 20);
    return (double)(n->rc.steps * n->c.layers) * terms * (n->c.type == BPTT_F64 ? U64 : U32);
}

static void near_sum(fixture *f, size_t i, const double *want, const double *size, size_t count)
{
    double *got = result(f, i, count), *bound = reals(count);
    char says[160];
    snprintf(says, sizeof says, "%s result %zu", f->says, i);
    for (size_t k = 0; k < count; k++) bound[k] = 2 * roundings(&f->n) * size[k];
    CK_NEAR(near_all(got, want, bound, count), says);
    free(got), free(bound);
}

static void check_gradients_of_layers(fixture *f)
{
    net *n = &f->n;
    plain_rnn p = plain_of(n->m, n->rc.batch, n->rc.steps), s = plain_of(n->m, n->rc.batch, n->rc.steps);
    p.dy = s.dy = f->dy;
    plain_gradient(&p, &n->w, n->h0);
    plain_gradient(&s, &n->w, n->h0);
    plain_sizes(&s, &n->w);
    const size_t tensors = p.tensors - 2, states = p.L * (p.T + 1) * p.B * p.H, top = p.T * p.B * p.H;
    for (size_t i = 0; i < tensors; i++) near_sum(f, i, p.dw[i], s.dw[i], p.size[i]);
    near_sum(f, tensors + BPTT_GRAD_STATE, p.dh0, s.dh0, p.L * p.B * p.H);
    near_sum(f, tensors + BPTT_GRAD_INPUT, p.dx, s.dx, p.T * p.B * p.I);
    double *h = result(f, tensors + BPTT_STATES, states), *y = reals(top), *carried = net_state(n->r, p.L * p.B * p.H);
    CK_NEAR(near_scaled(h, p.h, states, 2 * roundings(n)), f->says);
    CK_OK(bare_read_top(&f->b, y, BPTT_F64, NULL));
    ck_assert(same_bits(y, h + ((p.L - 1) * (p.T + 1) + 1) * p.B * p.H, top));
    for (size_t l = 0; l < p.L; l++) // the last state of each layer is the next window's first
        ck_assert(same_bits(carried + l * p.B * p.H, h + (l * (p.T + 1) + p.T) * p.B * p.H, p.B * p.H));
    free(h), free(y), free(carried);
    plain_free(&p), plain_free(&s);
}

START_TEST(layers_give_the_plain_nets_states_and_gradients)
{
    for (size_t i = SHAPES * first_row(); i < SHAPES * end_row(NET_BACKENDS); i++)
        for (int variant = 0; variant < 8; variant++) {
            const size_t k = i % SHAPES, who = i / SHAPES;
            bptt_model_config c =
                net_config(NET_BACKEND[who].backend, NET_BACKEND[who].type, 2, SHAPE[k].H, SHAPE[k].L);
            c.input = SHAPE[k].I, c.biases = 1 + (variant >> 2), c.compute.threads = NET_BACKEND[who].threads;
            c.cell = variant & 1 ? BPTT_RELU : BPTT_TANH;
            fixture f;
            set_up(&f, &c, SHAPE[k].B, SHAPE[k].T, variant & 2);
            load(&f, f.n.dense, f.dy, f.n.h0);
            if (variant & 2) { // apart, and backward twice: it leaves the states and dy as they are
                go(&f, LAYERS_FORWARD);
                go(&f, LAYERS_BACKWARD);
                go(&f, LAYERS_BACKWARD);
            } else {
                go(&f, LAYERS_BOTH);
            }
            check_gradients_of_layers(&f);
            tear_down(&f);
        }
}
END_TEST

START_TEST(the_layers_parts_have_the_bits_of_the_whole)
{
    for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++) {
        bptt_model_config c = net_config(NET_BACKEND[who].backend, NET_BACKEND[who].type, 2, 33, 3);
        c.input = 7, c.compute.threads = NET_BACKEND[who].threads;
        fixture f;
        set_up(&f, &c, 5, 9, false);
        const size_t tensors = bptt_model_tensors(f.n.m) - 2, count = 3 * 10 * 5 * 33; // the largest: the states
        for (size_t i = 0; i < tensors + 3; i++) {
            load(&f, f.n.dense, f.dy, f.n.h0);
            go(&f, LAYERS_BOTH);
            double *whole = result(&f, i, count);
            load(&f, f.n.dense, f.dy, f.n.h0);
            go(&f, LAYERS_FORWARD), go(&f, LAYERS_BACKWARD);
            double *parts = result(&f, i, count);
            CK_TRUE(same_bits(whole, parts, count), "%s: result %zu", f.says, i);
            free(whole), free(parts);
        }
        tear_down(&f);
    }
}
END_TEST

// ---- in whole numbers ---------------------------------------------------------------------------

static void exactly(fixture *f, size_t i, const double *want, size_t count)
{
    double *got = result(f, i, count);
    char says[160];
    snprintf(says, sizeof says, "%s: exact result %zu", f->says, i);
    CK_NEAR(near_all(got, want, NULL, count), says);
    free(got);
}

static void check_exact(const bptt_model_config *c, const exact_net *x)
{
    fixture f;
    set_up(&f, c, x->B, x->T, false);
    const size_t tensors = 4 * x->L, states = x->L * x->B * x->H;
    for (size_t i = 0; i < tensors; i++) CK_OK(bptt_model_write(f.n.m, BPTT_WEIGHTS, i, x->w[i], BPTT_F64, NULL));
    load(&f, x->x, x->dy, x->h0);
    if (f.n.m->scale.buf) { // a power of two, under which all gradients stay fp16's
        const double scale[2] = {1024, 0};
        CK_TRUE(x->back * scale[0] < 65504, "gradients to %g", x->back);
        CK_OK(model_write_scale(f.n.m, scale, NULL));
    }
    go(&f, LAYERS_BOTH);
    for (size_t i = 0; i < tensors; i++) exactly(&f, i, x->dw[i], exact_size(x, i));
    exactly(&f, tensors + BPTT_STATES, x->h, (x->T + 1) * states);
    exactly(&f, tensors + BPTT_GRAD_STATE, x->dh0, states);
    exactly(&f, tensors + BPTT_GRAD_INPUT, x->dx, x->T * x->B * x->I);
    tear_down(&f);
}

// Sizes around the tiles of products and of whole-window kernels.
static const struct {
    size_t I, H, L, B, T;
} WHOLE[] = {{7, 5, 1, 3, 6},    {33, 65, 1, 7, 5},  {5, 7, 3, 1, 9},       {50, 33, 2, 5, 4},   {16, 64, 2, 8, 16},
             {64, 64, 3, 33, 7}, {3, 128, 1, 9, 25}, {128, 128, 2, 16, 20}, {96, 200, 1, 17, 12}};
enum { WHOLES = sizeof WHOLE / sizeof WHOLE[0] };

START_TEST(whole_numbers_come_out_exactly_from_every_backend)
{
    for (size_t k = 0; k < WHOLES; k++) {
        exact_net x = exact_make(WHOLE[k].I, WHOLE[k].H, WHOLE[k].L, WHOLE[k].B, WHOLE[k].T, 31 + k);
        for (size_t who = first_row(); who < end_row(NET_BACKENDS); who++) {
            bptt_model_config c = net_config(NET_BACKEND[who].backend, NET_BACKEND[who].type, 2, x.H, x.L);
            c.input = x.I, c.biases = 2, c.cell = BPTT_RELU, c.compute.threads = NET_BACKEND[who].threads;
            const bool narrow = strcmp(c.compute.backend, "cuda") == 0;
            for (int precision = 0; precision <= (narrow ? BPTT_PRECISION_FP16 : BPTT_PRECISION_FP32); precision++) {
                c.compute.precision = (bptt_precision)precision;
                check_exact(&c, &x);
            }
        }
        exact_free(&x);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, the_layers_parts_have_the_bits_of_the_whole);
    if (placed_precision() != BPTT_PRECISION_FP32) return; // the rest sets its own precision
    tcase_add_test(c, layers_give_the_plain_nets_states_and_gradients);
    tcase_add_test(c, whole_numbers_come_out_exactly_from_every_backend);
}

int main(void) { return run_suite("layers", add, 120); }
