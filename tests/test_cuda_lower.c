// Lowering for CUDA, without CUDA: launches of real plans, their dependencies and streams, validity of 16-bit copies.
// The references are plain: pairs of launches, and a version number for every element.
#include "half_type.h"
#include "host_memory.h"
#include "lower/lower_plan.h"
#include "lower/order.h"
#include "nets.h"
#include "run.h"
#include "stage.h"
#include "suite.h"

// A model on `ref` with CUDA's row padding.
typedef struct lowered {
    bptt_model *m;
    bptt_run *r;
    bptt_plan p; // a copy, with a scale in fp16
    lower_rules rules;
    bptt_buf scratch, slots, scale, per_scale;
    launch_list launches;
    launch_order order;
} lowered;

typedef struct what {
    size_t H, L, B, T;
    size_t cell; // 0: tanh
    size_t M;    // outputs of dense targets; 0: targets are classes
    bool dense, keep, two;
    work work;
    bptt_precision precision;
    bool graph;
} what;

static bptt_mat made_up(bptt_buf *b, size_t at, size_t rows, size_t cols, bptt_type type)
{
    return (bptt_mat){.buf = b, .at = at, .rows = rows, .cols = cols, .ld = cols, .type = type};
}

static void open_run(lowered *x, const what *w)
{
    bptt_backend b = bptt_ref_f32();
    b.pad = lower_pad, b.overlaps = true;
    bptt_model_config c = net_config("ref", BPTT_F32, 11, w->H, w->L);
    c.compute.backend = "ref", c.input = w->dense ? 3 : 0, c.biases = w->two ? 2 : 1, c.cell = (bptt_cell)w->cell;
    if (w->M) c.vocab = 0, c.output = w->M, c.loss = BPTT_SQUARED, c.skip = 1;
    CK_OK(bptt_model_open_on(&b, &c, &x->m, NULL));
    const bptt_run_config rc = {.size = sizeof(bptt_run_config),
                                .batch = w->B,
                                .steps = w->T,
                                .gradient = 1,
                                .keep = w->keep,
                                .input_gradient = w->dense};
    CK_OK(bptt_run_open(x->m, &rc, &x->r, NULL));
}

static lowered *lower_it(const what *w)
{
    lowered *x = must_alloc(1, sizeof *x);
    open_run(x, w);
    x->p = x->r->plan[w->work];
    x->rules = (lower_rules){.precision = w->precision, .pieces = w->graph, .scratch = &x->scratch};
    size_t rows = 0;
    if (w->precision == BPTT_PRECISION_FP16) {
        x->p.scale = made_up(&x->scale, 0, 1, 2, BPTT_F32);
        x->rules.per_scale = made_up(&x->per_scale, 0, 1, 2, BPTT_F32);
    }
    if (lower_sorts(&x->p, &x->rules.sorted, &rows)) {
        x->rules.start = made_up(&x->slots, 16, rows + 1, 1, BPTT_I32);
        x->rules.order = made_up(&x->slots, 17 + rows, w->B * w->T, 1, BPTT_I32);
    }
    lower_plan(&x->p, &x->rules, &x->launches);
    ck_assert(!x->launches.failed);
    CK_OK(order_launches(&x->launches, w->graph ? MOST_STREAMS : 1, &x->order, NULL));
    return x;
}

static void drop(lowered *x)
{
    order_free(&x->order);
    launch_list_free(&x->launches);
    bptt_run_close(x->r);
    bptt_model_close(x->m);
    free(x);
}

// Every kind of plan once in a few hundred cases.
static what case_of(size_t i)
{
    static const size_t H[] = {5, 64, 100}, T[] = {1, 2, 9, 33}, B[] = {1, 3};
    static const work kind[] = {EVALUATE, NEXT, GRADIENT, TRAIN};
    what w = {.H = H[i % 3],
              .L = 1 + i / 3 % 3,
              .B = B[i / 2 % 2],
              .T = T[i / 5 % 4],
              .dense = i / 7 % 3 == 0,
              .keep = i / 4 % 2,
              .two = i / 11 % 2,
              .work = kind[i % 4 ? 3 - i / 13 % 2 : i / 4 % 4],
              .precision = (bptt_precision)(i / 2 % 4),
              .graph = i % 8 != 5};
    if (w.dense && w.work == NEXT) w.work = TRAIN;
    if (i / 3 % 2) w.cell = 2 + i / 6 % (bptt_cells - 2); // gated
    if (w.dense && i / 21 % 2) w.M = 3;
    return w;
}
enum { CASES = 240 };

// ---- order ----------------------------------------------------------------------------------------------------------

static bool is_half(const bptt_mat *m) { return type_is_half(m->type); }

static bool meet(const bptt_mat *a, const bptt_mat *b)
{
    if (!a->buf || a->buf != b->buf || is_half(a) != is_half(b)) return false;
    for (size_t i = 0; i < view_lines(a); i++)
        for (size_t j = 0; j < view_lines(b); j++) {
            const size_t p = a->at + i * a->ld, q = b->at + j * b->ld;
            if (p < q + view_width(b) && q < p + view_width(a)) return true;
        }
    return false;
}

// The written operand of every kernel, from its comment in backend.h and launch.h: a table of the test's own.
static bool written(const launch *n, size_t k)
{
    switch (n->kernel) {
    case KERNEL_update: return k == 0 || k == 2 || k == 3;
    case KERNEL_gates_forward:
    case KERNEL_gates_backward: return k == 0 || k == 4;
    case KERNEL_mix: return k == 0 || k == 2;
    case KERNEL_mix_backward: return k == 0 || k == 3;
    case KERNEL_softmax_xent:
    case KERNEL_dense_loss: return k >= 2;
    case LOWERED_cast: return k == 1;
    case LOWERED_cell_forward_cast: return k >= 3;
    case LOWERED_cell_backward_cast: return k == 2 || k == 3;
    case LOWERED_rescale: return true;
    case LAUNCH_PRODUCT: return k == 2;
    default: return k + 1 == n->operands;
    }
}

static bool conflict(const launch *a, const launch *b)
{
    for (size_t i = 0; i < a->operands; i++)
        for (size_t k = 0; k < b->operands; k++)
            if ((written(a, i) || written(b, k)) && meet(&a->arg[i], &b->arg[k])) return true;
    return false;
}

// before[i * n + k]: launch k is over when launch i starts. By launches, in the order of the queue.
static bool *closure(const lowered *x)
{
    const size_t n = x->launches.n;
    bool *before = must_alloc(n * n, 1);
    size_t last[MOST_STREAMS];
    for (size_t s = 0; s < MOST_STREAMS; s++) last[s] = n;
    for (size_t i = 0; i < n; i++) {
        const size_t at = x->order.queue[i], stream = x->order.at[at].stream;
        size_t from[64 + 1], froms = 0;
        if (last[stream] < n) from[froms++] = last[stream];
        for (size_t k = x->order.wait_first[i]; k < x->order.wait_first[i + 1]; k++) {
            ck_assert_uint_lt(froms, 64);
            from[froms++] = x->order.wait[k];
            ck_assert(x->order.at[x->order.wait[k]].awaited);
        }
        for (size_t k = 0; k < froms; k++) {
            before[at * n + from[k]] = true;
            for (size_t j = 0; j < n; j++) before[at * n + j] |= before[from[k] * n + j];
        }
        last[stream] = at;
    }
    return before;
}

START_TEST(launches_that_meet_are_ordered_as_the_plan_has_them)
{
    for (size_t i = 0; i < CASES; i++) {
        const what w = case_of(i);
        lowered *x = lower_it(&w);
        const size_t n = x->launches.n;
        bool *before = closure(x);
        for (size_t a = 0; a < n; a++)
            for (size_t b = a + 1; b < n; b++) {
                CK_TRUE(!before[a * n + b] || !conflict(&x->launches.at[a], &x->launches.at[b]),
                        "case %zu: launches %zu and %zu are the wrong way round", i, a, b);
                CK_TRUE(before[b * n + a] || !conflict(&x->launches.at[a], &x->launches.at[b]),
                        "case %zu: nothing orders launch %zu (kernel %u) and launch %zu (kernel %u)", i, a,
                        x->launches.at[a].kernel, b, x->launches.at[b].kernel);
            }
        free(before);
        drop(x);
    }
}
END_TEST

START_TEST(every_launch_has_its_turn_once)
{
    for (size_t i = 0; i < CASES; i++) {
        const what w = case_of(i);
        lowered *x = lower_it(&w);
        bool *seen = must_alloc(x->launches.n, 1);
        ck_assert_uint_eq(x->order.n, x->launches.n);
        for (size_t k = 0; k < x->launches.n; k++) {
            ck_assert(!seen[x->order.queue[k]]);
            seen[x->order.queue[k]] = true;
            ck_assert(w.graph || x->order.queue[k] == k);
            ck_assert_uint_lt(x->order.at[k].stream, w.graph ? MOST_STREAMS : 1);
        }
        free(seen);
        drop(x);
    }
}
END_TEST

// ---- time that layers share -----------------------------------------------------------------------------------------

// The longest path through a training step.
static size_t depth(const what *w)
{
    lowered *x = lower_it(w);
    size_t most = 0;
    for (size_t i = 0; i < x->launches.n; i++)
        if (x->order.at[i].level > most) most = x->order.at[i].level;
    drop(x);
    return most + 1;
}

// Launches of a step of time, there and back: a product and a cell each; in a mixed cell two products, a mix and a
// cell; in minGRU no product.
static size_t step_launches(size_t cell)
{
    const bptt_cell_row *row = &bptt_cell_table[cell];
    return *row->mixed ? 8 : *row->hidden ? 4 : 2;
}

// A layer more adds the time of a piece, an eighth of the window, and a few launches. With keep, a step has two more.
START_TEST(layers_overlap_in_time)
{
    const size_t T = 64;
    for (size_t i = 0; i < 2 * bptt_cells; i++) {
        const size_t cell = i / 2, few = 10;
        size_t path[4] = {0};
        for (size_t L = 1; L <= 3; L++)
            path[L] = depth(
                &(what){.cell = cell, .H = 64, .L = L, .B = 2, .T = T, .keep = i % 2, .work = TRAIN, .graph = true});
        const size_t steps = path[1] / 8 + few;
        if (i % 2 == 0) ck_assert_uint_ge(path[1], step_launches(cell) * T);
        if (i % 2 == 0) ck_assert_uint_lt(path[1], step_launches(cell) * T + 30);
        CK_TRUE(path[2] < path[1] + steps, "cell %zu, two layers: %zu, one: %zu", cell, path[2], path[1]);
        CK_TRUE(path[3] < path[2] + steps, "cell %zu, three layers: %zu, two: %zu", cell, path[3], path[2]);
        const size_t apart = depth(&(what){.cell = cell, .H = 64, .L = 2, .B = 2, .T = T, .work = TRAIN});
        CK_TRUE(i % 2 || apart > 2 * path[1] - 30, "without pieces: %zu, one layer: %zu", apart, path[1]);
    }
}
END_TEST

// A launch of one step of time: a cell, or a product with as many rows as there are streams.
static bool of_recurrence(const launch *l, size_t B)
{
    if (l->kernel == LAUNCH_PRODUCT) return !l->arg[0].t && l->arg[2].rows == B;
    return l->kernel == KERNEL_cell_forward || l->kernel == KERNEL_cell_backward;
}

// Launches of a layer's weight gradient are on no stream of a recurrence that is still running.
START_TEST(gradients_of_weights_leave_the_recurrence_alone)
{
    const what w = {.H = 64, .L = 2, .B = 2, .T = 32, .work = TRAIN, .graph = true};
    lowered *x = lower_it(&w);
    size_t aside = 0;
    for (size_t i = 0; i < x->launches.n; i++) {
        const launch *n = &x->launches.at[i];
        if (n->kernel != LAUNCH_PRODUCT || !n->arg[0].t) continue; // dW = h' dz
        for (size_t k = i + 1; k < x->launches.n; k++) {
            const ordered_launch *at = &x->order.at[i], *later = &x->order.at[k];
            if (!of_recurrence(&x->launches.at[k], w.B) || later->level <= at->level) continue;
            CK_TRUE(later->stream != at->stream, "launch %zu stands before launch %zu of a recurrence", i, k);
            aside++;
        }
    }
    ck_assert_uint_gt(aside, 30);
    drop(x);
}
END_TEST

START_TEST(pieces_cover_their_product)
{
    for (size_t i = 0; i < CASES; i++) {
        what w = case_of(i);
        size_t rows[2];
        for (size_t pass = 0; pass < 2; pass++) {
            w.graph = pass == 1;
            lowered *x = lower_it(&w);
            rows[pass] = 0;
            for (size_t k = 0; k < x->launches.n; k++)
                if (x->launches.at[k].kernel == LAUNCH_PRODUCT)
                    rows[pass] +=
                        x->launches.at[k].arg[2].rows * x->launches.at[k].arg[2].cols * x->launches.at[k].arg[0].cols;
            drop(x);
        }
        ck_assert_uint_eq(rows[0], rows[1]);
    }
}
END_TEST

// ---- copies in 16 bits ----------------------------------------------------------------------------------------------

// Versions of every element of a buffer and of its copy; whether the copy was scaled; whether the number is a gradient.
typedef struct versions {
    const bptt_buf *buf;
    unsigned *own, *copy;
    bool *scaled, *gradient;
} versions;

enum { BUFFERS = 24 };

static versions *versions_of(versions *all, const bptt_mat *m)
{
    size_t i = 0;
    while (i < BUFFERS && all[i].buf && all[i].buf != m->buf) i++;
    ck_assert_uint_lt(i, BUFFERS);
    if (!all[i].buf) {
        const size_t n = m->buf->bytes ? m->buf->bytes / sizeof(float) : 1u << 16;
        all[i] = (versions){m->buf, must_alloc(n, sizeof(unsigned)), must_alloc(n, sizeof(unsigned)), must_alloc(n, 1),
                            must_alloc(n, 1)};
        for (size_t k = 0; k < n; k++) all[i].own[k] = 1; // a copy is at 0: stale
    }
    return &all[i];
}

#define EACH_ELEMENT(m, at) \
    for (size_t line_ = 0; line_ < view_lines(m); line_++) \
        for (size_t at = (m)->at + line_ * (m)->ld; at < (m)->at + line_ * (m)->ld + view_width(m); at++)

// Applies launch i to the versions, and checks the operands of products.
static void step_versions(versions *all, const lowered *x, size_t i, bool fp16)
{
    const launch *n = &x->launches.at[i];
    size_t scaled_operands = 0;
    for (size_t k = 0; k < n->operands; k++) {
        const bptt_mat *m = &n->arg[k];
        if (!m->buf || n->kernel != LAUNCH_PRODUCT || k >= 2) continue;
        versions *v = versions_of(all, m);
        bool scaled = false;
        EACH_ELEMENT(m, at)
        {
            CK_TRUE(v->copy[at] == v->own[at], "launch %zu, operand %zu: a stale copy", i, k);
            CK_TRUE(v->scaled[at] == (v->gradient[at] && fp16), "launch %zu, operand %zu: scaled wrongly", i, k);
            scaled = scaled || v->scaled[at];
        }
        scaled_operands += scaled;
    }
    if (n->kernel == LAUNCH_PRODUCT) ck_assert_uint_eq(scaled_operands, n->operands == 4);
    const bool backward = n->kernel == LOWERED_cell_backward_cast;
    const bool loss = n->kernel == KERNEL_softmax_xent || n->kernel == KERNEL_dense_loss;
    const bool gates = n->kernel == KERNEL_gates_backward || n->kernel == KERNEL_mix_backward;
    for (size_t k = 0; k < n->operands; k++) {
        const bptt_mat *m = &n->arg[k];
        if (!m->buf || !written(n, k) || is_half(m)) continue;
        versions *v = versions_of(all, m);
        const bool gradient = backward || (gates && k == 0) || (loss && k == 2 && n->constants.op.gradient);
        EACH_ELEMENT(m, at) v->own[at]++, v->gradient[at] = gradient;
    }
    for (size_t k = 0; k < n->operands; k++) {
        const bptt_mat *m = &n->arg[k];
        if (!m->buf || !written(n, k) || !is_half(m)) continue;
        versions *v = versions_of(all, m);
        const size_t scale = n->kernel == LOWERED_cast ? 2 : 4;
        EACH_ELEMENT(m, at)
        v->copy[at] = v->own[at], v->scaled[at] = n->kernel != LOWERED_cell_forward_cast && n->arg[scale].buf != NULL;
    }
}

START_TEST(no_product_reads_a_stale_copy)
{
    size_t products = 0, casts = 0;
    for (size_t i = 0; i < CASES; i++) {
        what w = case_of(i);
        w.precision = i % 2 ? BPTT_PRECISION_FP16 : BPTT_PRECISION_BF16;
        lowered *x = lower_it(&w);
        versions all[BUFFERS] = {0};
        for (size_t k = 0; k < x->launches.n; k++) {
            step_versions(all, x, k, i % 2);
            products += x->launches.at[k].kernel == LAUNCH_PRODUCT;
            casts += x->launches.at[k].kernel == LOWERED_cast;
        }
        for (size_t k = 0; k < BUFFERS; k++)
            free(all[k].own), free(all[k].copy), free(all[k].scaled), free(all[k].gradient);
        drop(x);
    }
    ck_assert_uint_gt(products, 1000);
    CK_TRUE(casts < products, "%zu copies for %zu products", casts, products);
}
END_TEST

// Rows of one of four square matrices, or some of them across.
static bptt_mat some_rows(bptt_buf *b, uint64_t *random, size_t rows)
{
    enum { N = 64 };
    bptt_mat m = {.buf = &b[random_below(random, 3)], .rows = N, .cols = N, .ld = N, .type = BPTT_F32};
    return bptt_rows(m, random_below(random, N / rows) * rows, rows);
}

// Steps as no plan of ours has them: products, cells and plain kernels over pieces of the same few matrices.
static void random_step(bptt_op *s, bptt_buf *b, uint64_t *random)
{
    static const bptt_opcode kind[] = {BPTT_GEMM, BPTT_GEMM,         BPTT_COPY,
                                       BPTT_FILL, BPTT_CELL_FORWARD, BPTT_CELL_BACKWARD};
    static const size_t some[] = {8, 16, 32};
    const size_t rows = some[random_below(random, 3)];
    *s = (bptt_op){.opcode = kind[random_below(random, 6)], .alpha = 1};
    const bptt_mat x = some_rows(b, random, rows), y = some_rows(b, random, rows), z = some_rows(b, random, rows);
    bptt_mat weight = {.buf = &b[3], .rows = 64, .cols = 64, .ld = 64, .type = BPTT_F32, .t = random_below(random, 2)};
    switch (s->opcode) {
    case BPTT_GEMM: s->arg[0] = x, s->arg[1] = weight, s->arg[2] = y; break;
    case BPTT_COPY: s->arg[0] = x, s->arg[1] = y; break;
    case BPTT_FILL: s->arg[0] = y; break;
    case BPTT_CELL_FORWARD: s->arg[0] = x, s->arg[3] = y; break;
    default: s->arg[0] = x, s->arg[1] = z, s->arg[2] = y; break;
    }
}

START_TEST(copies_follow_whatever_is_written)
{
    uint64_t random = 7;
    for (size_t i = 0; i < 200; i++) {
        enum { STEPS = 40 };
        bptt_op step[STEPS];
        bptt_buf b[4] = {0}, per = {0};
        lowered x = {.p = {.op = step, .ops = STEPS}, .rules = {.precision = BPTT_PRECISION_BF16}};
        x.rules.per_scale = made_up(&per, 0, 1, 2, BPTT_F32);
        for (size_t k = 0; k < STEPS; k++) random_step(&step[k], b, &random);
        lower_plan(&x.p, &x.rules, &x.launches);
        versions all[BUFFERS] = {0};
        for (size_t k = 0; k < x.launches.n; k++) step_versions(all, &x, k, false);
        for (size_t k = 0; k < BUFFERS; k++)
            free(all[k].own), free(all[k].copy), free(all[k].scaled), free(all[k].gradient);
        launch_list_free(&x.launches);
    }
}
END_TEST

// In a training step: each weight once, the carried states, the gradients of the decoder. No state and no dz.
START_TEST(copies_are_made_once)
{
    const what w = {.H = 64, .L = 2, .B = 3, .T = 24, .work = TRAIN, .precision = BPTT_PRECISION_FP16, .graph = true};
    lowered *x = lower_it(&w);
    size_t casts = 0;
    for (size_t k = 0; k < x->launches.n; k++) casts += x->launches.at[k].kernel == LOWERED_cast;
    ck_assert_uint_eq(casts, 4 + 2 + 1); // hh, hh, ih of layer 1, decoder; two states; dlogits
    drop(x);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, launches_that_meet_are_ordered_as_the_plan_has_them);
    tcase_add_test(c, every_launch_has_its_turn_once);
    tcase_add_test(c, layers_overlap_in_time);
    tcase_add_test(c, gradients_of_weights_leave_the_recurrence_alone);
    tcase_add_test(c, pieces_cover_their_product);
    tcase_add_test(c, no_product_reads_a_stale_copy);
    tcase_add_test(c, copies_follow_whatever_is_written);
    tcase_add_test(c, copies_are_made_once);
}

int main(void) { return run_suite("cuda_lower", add, 120); }
