// The entries of backend.h that compute element by element or row by row
// (cells, losses, optimizers), and chains of steps, on every backend, against
// the formulas there computed naively in double. See test_battery.c for the
// others.
#include "rig.h"
#include "suite.h"

static const size_t SIZE[] = {1, 7, 33, 50, 65};
enum { SIZES = 5 };
static const double SCALE[] = {1, 30, 1e-3}; // of arguments: usual, saturating, tiny

// one() for N and M awkward, K counting 0, 1, 2, every place, a NaN in none and
// in each operand, flags in t.
static void over_variants(rig *r, int operands, unsigned flags, void (*one)(rig *, const variant *))
{
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES; j++)
            for (int nan = -1; nan < operands; nan++)
                for (int p = 0; p < PLACES; p++)
                    for (unsigned t = 0; t < flags; t++) {
                        const variant v = {.N = SIZE[i],
                                           .M = SIZE[j],
                                           .K = (i + j + t + (size_t)(nan + 1)) % 3,
                                           .where = (place)p,
                                           .t = t,
                                           .nan = nan};
                        one(r, &v);
                    }
}

// ---- cells
// --------------------------------------------------------------------------------------

enum { IN_PLACE = 1, SECOND_BIAS = 2, RELU = 4 };

// An activation costs at most 4 ulp and passes on what two additions rounded
// (both functions have slope <= 1).
static double activation(const variant *v, double u, double z, double b, double b2, double *bound)
{
    const double x = z + b + b2;
    const double y = v->t & RELU ? (x < 0 ? 0 : x) : tanh(x);
    *bound = 2 * gamma_of(2, u) * (fabs(z) + fabs(b) + fabs(b2)) + 8 * u * fabs(y);
    return y;
}

static void cell_forward_case(rig *r, const variant *v)
{
    const double scale = SCALE[v->K];
    const bool second = v->t & SECOND_BIAS, in_place = v->t & IN_PLACE;
    slab z = slab_make(r, v->N, v->M, r->b.real, v->where, false, scale);
    slab b = slab_make(r, 1, v->M, r->b.real, v->where, false, scale);
    slab b2 = slab_make(r, 1, v->M, r->b.real, v->where, false, scale);
    slab h = slab_output(r, &(variant){.where = v->where}, v->N, v->M, false);
    if (v->nan == 0) slab_plant_nan(r, &z);
    if (v->nan == 1) slab_plant_nan(r, &b);
    if (v->nan == 2) slab_plant_nan(r, &b2);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    for (size_t i = 0; i < v->N * v->M; i++)
        want[i] = activation(v, r->u, z.x[i], b.x[i % v->M], second ? b2.x[i % v->M] : 0, &bound[i]);
    const bptt_mat none = {.type = r->b.real};
    run_step(r, (bptt_op){.opcode = BPTT_CELL_FORWARD,
                          .cell = v->t & RELU ? BPTT_RELU : BPTT_TANH,
                          .arg = {z.m, b.m, second ? b2.m : none, in_place ? z.m : h.m}});
    slab_check(r, in_place ? &z : &h, want, bound, v->t & RELU ? "relu" : "tanh");
    slab_same(r, in_place ? &h : &z, "cell_forward's other");
    slab_same(r, &b, "cell_forward's b");
    free(want);
    free(bound);
    slab_free(r, &z);
    slab_free(r, &b);
    slab_free(r, &b2);
    slab_free(r, &h);
}

static void cell_forward_cases(rig *r) { over_variants(r, 3, 8, cell_forward_case); }
START_TEST(cell_forward_adds_its_biases_and_activates) { on_every_rig(cell_forward_cases, false); }
END_TEST

// y saturates here and there: exactly 1, -1 and 0 are met.
static void cell_backward_case(rig *r, const variant *v)
{
    const bool relu = v->t & RELU, in_place = v->t & IN_PLACE;
    slab y = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1);
    slab dy = slab_make(r, v->N, v->M, r->b.real, v->where, false, SCALE[v->K]);
    slab dz = slab_output(r, &(variant){.where = v->where}, v->N, v->M, false);
    for (size_t i = 0; i < v->N * v->M; i += 5) y.x[i] = (double)(i % 3) - 1;
    slab_write(r, &y);
    if (v->nan == 0) slab_plant_nan(r, &y);
    if (v->nan == 1) slab_plant_nan(r, &dy);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    for (size_t i = 0; i < v->N * v->M; i++) {
        const double a = y.x[i], d = dy.x[i];
        want[i] = relu ? (a > 0 ? d : isnan(a) ? a : 0) : d * (1 - a * a);
        bound[i] = relu ? 0 : 2 * gamma_of(3, r->u) * fabs(d) * (1 + a * a);
    }
    run_step(r, (bptt_op){.opcode = BPTT_CELL_BACKWARD,
                          .cell = relu ? BPTT_RELU : BPTT_TANH,
                          .arg = {y.m, dy.m, in_place ? dy.m : dz.m}});
    slab_check(r, in_place ? &dy : &dz, want, bound, relu ? "relu back" : "tanh back");
    slab_same(r, &y, "cell_backward's y");
    free(want);
    free(bound);
    slab_free(r, &y);
    slab_free(r, &dy);
    slab_free(r, &dz);
}

static void cell_backward_cases(rig *r) { over_variants(r, 2, 8, cell_backward_case); }
START_TEST(cell_backward_multiplies_by_the_slope_at_the_saved_output) { on_every_rig(cell_backward_cases, false); }
END_TEST

// ---- losses
// -------------------------------------------------------------------------------------

// Row x [M]: its maximum, ln sum exp(x - max), and relative errors: of the sum,
// and of one exp(x - max) over it. Arguments x - max are rounded once (t e^-t <
// 0.4 each), an exp costs at most 4 ulp, a sum M roundings.
typedef struct row_sum {
    double top, log, error;
} row_sum;

static row_sum row_of(const double *x, size_t M, double u)
{
    row_sum s = {.top = x[0]};
    double sum = 0;
    for (size_t j = 1; j < M; j++) s.top = s.top < x[j] ? x[j] : s.top;
    for (size_t j = 0; j < M; j++) sum += exp(x[j] - s.top);
    s.log = log(sum);
    s.error = u * (1.4 * (double)M + 16);
    return s;
}

static double softmax_of(const row_sum *s, double x, double u, double *relative)
{
    *relative = 2 * (s->error + u * (fabs(x - s->top) + 8));
    return exp(x - s->top - s->log);
}

enum { GRADIENT = 1, NO_WEIGHT = 2, LARGE = 4 };

// Rows of k, and where NO_WEIGHT is set the whole window, weigh 0. p below the
// least float may be 0.
static void naive_xent(const rig *r, const variant *v, const slab *id, const slab *k, const slab *x, double weight,
                       double *dx, double *dx_bound, double *loss, double *loss_bound)
{
    for (size_t i = 0; i < v->N; i++) {
        const double *row = x->x + i * v->M, ki = k->x[i];
        const size_t target = (size_t)id->x[i];
        const row_sum s = row_of(row, v->M, r->u);
        loss[i] = ki * (s.log - (row[target] - s.top));
        loss_bound[i] = 2 * ki * (s.error + 4 * r->u * (fabs(s.top) + fabs(row[target]) + fabs(s.log)));
        for (size_t j = 0; j < v->M; j++) {
            double relative;
            const double p = softmax_of(&s, row[j], r->u, &relative);
            const double d = j == target ? p - 1 : p, scale = weight > 0 ? ki / weight : 0;
            dx[i * v->M + j] = scale * d;
            dx_bound[i * v->M + j] = scale * (relative * p + 8 * r->u * fabs(d)) + (r->u == U32 ? 0x1p-126 : 0);
        }
    }
}

static void xent_case(rig *r, const variant *v)
{
    slab id = slab_tokens(r, v->N, v->M, v->where);
    slab k = slab_make(r, v->N, 1, r->b.real, v->where, false, 1);
    slab x = slab_make(r, v->N, v->M, r->b.real, v->where, false, v->t & LARGE ? 100 : 1);
    slab loss = slab_make(r, v->N, 1, r->b.sum, v->where, false, 1);
    for (size_t i = 0; i < v->N; i++) k.x[i] = i % 5 == 3 ? 0 : fabs(k.x[i]);
    slab_write(r, &k);
    if (v->nan == 0) slab_plant_nan(r, &x);
    const double weight = v->t & NO_WEIGHT ? 0 : 17.5;
    double *dx = reals(v->N * v->M), *dx_bound = reals(v->N * v->M), *l = reals(v->N), *l_bound = reals(v->N);
    naive_xent(r, v, &id, &k, &x, weight, dx, dx_bound, l, l_bound);
    bptt_op s = {.opcode = BPTT_SOFTMAX_XENT, .gradient = v->t & GRADIENT, .arg = {id.m, k.m, x.m, loss.m}};
    run_plan(r, &s, 1, &(bptt_slots){.scalar = {[BPTT_WEIGHT] = weight}});
    slab_check(r, &loss, l, l_bound, "loss");
    if (!(v->t & GRADIENT))
        slab_same(r, &x, "softmax_xent's x");
    else if (!(v->t & NO_WEIGHT && v->nan == 0))
        slab_check(r, &x, dx, dx_bound, "softmax_xent");
    slab_same(r, &k, "softmax_xent's k");
    slab_same(r, &id, "softmax_xent's id");
    free(dx);
    free(dx_bound);
    free(l);
    free(l_bound);
    slab_free(r, &id);
    slab_free(r, &k);
    slab_free(r, &x);
    slab_free(r, &loss);
}

static void xent_cases(rig *r) { over_variants(r, 1, 8, xent_case); }
START_TEST(softmax_xent_gives_each_row_its_loss_and_gradient) { on_every_rig(xent_cases, false); }
END_TEST

static void log_softmax_case(rig *r, const variant *v)
{
    slab x = slab_make(r, v->N, v->M, r->b.real, v->where, false, v->t ? 100 : 1);
    if (v->nan == 0) slab_plant_nan(r, &x);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    for (size_t i = 0; i < v->N; i++) {
        const row_sum s = row_of(x.x + i * v->M, v->M, r->u);
        for (size_t j = 0; j < v->M; j++) {
            const double xj = x.x[i * v->M + j];
            want[i * v->M + j] = xj - s.top - s.log + 0 * x.x[i * v->M];
            bound[i * v->M + j] = 2 * (s.error + 4 * r->u * (fabs(s.top) + fabs(xj) + fabs(s.log)));
        }
    }
    run_step(r, (bptt_op){.opcode = BPTT_LOG_SOFTMAX, .arg = {x.m}});
    slab_check(r, &x, want, bound, "log_softmax");
    free(want);
    free(bound);
    slab_free(r, &x);
}

static void log_softmax_cases(rig *r) { over_variants(r, 1, 2, log_softmax_case); }
START_TEST(log_softmax_gives_log_probabilities) { on_every_rig(log_softmax_cases, false); }
END_TEST

// ---- the optimizers
// -----------------------------------------------------------------------------

enum { CLIPS = 4 }; // none, norm that bites, norm that does not, value

typedef struct update_case {
    slab w, g, m, v, stat;
    struct bptt_rule o;
    double rate, root;
} update_case;

// One element by bptt.h's formulas; *x are values, *e their bounds. The clipped
// gradient is off by 3 roundings.
static void naive_update(const update_case *c, size_t i, double u, double *w, double *m, double *v, double e[3])
{
    const struct bptt_rule *o = &c->o;
    const double norm = sqrt(c->stat.x[1]);
    double g = c->g.x[i], step = 0, m_error = 0;
    if (o->clip > 0 && o->clip_mode == BPTT_CLIP_NORM && norm > o->clip) g *= o->clip / (norm + 1e-6);
    if (o->clip > 0 && o->clip_mode == BPTT_CLIP_VALUE) g = fmin(fmax(g, -o->clip), o->clip);
    const double m0 = *m, beta1 = o->optimizer == BPTT_SGD ? o->momentum : o->beta1;
    const double rest1 = o->optimizer == BPTT_SGD ? 1 : 1 - beta1;
    const double beta2 = o->optimizer == BPTT_ADAM ? o->beta2 : o->decay;
    *m = beta1 * m0 + rest1 * g;
    m_error = gamma_of(12, u) * (fabs(beta1 * m0) + fabs(rest1 * g));
    *v = beta2 * *v + (1 - beta2) * g * g;
    if (o->optimizer == BPTT_SGD) step = c->rate * *m;
    if (o->optimizer == BPTT_RMSPROP) step = c->rate * g / (sqrt(*v) + o->epsilon);
    if (o->optimizer == BPTT_ADAM) step = c->rate * *m / (sqrt(*v) / c->root + o->epsilon);
    const double slope = o->optimizer == BPTT_SGD ? c->rate : c->rate / (sqrt(*v) / c->root + o->epsilon);
    e[0] = 2 * u * fabs(*w) + gamma_of(40, u) * fabs(step) + (o->optimizer == BPTT_RMSPROP ? 0 : slope * m_error);
    e[1] = m_error;
    e[2] = gamma_of(24, u) * *v;
    *w -= step;
}

static void update_check(rig *r, update_case *c, size_t n, bool left_alone)
{
    double *want[3], *bound[3];
    for (int k = 0; k < 3; k++) want[k] = reals(n), bound[k] = reals(n);
    for (size_t i = 0; i < n; i++) {
        double e[3];
        want[0][i] = c->w.x[i], want[1][i] = c->m.x[i], want[2][i] = c->v.x[i];
        if (left_alone) continue;
        naive_update(c, i, r->u, &want[0][i], &want[1][i], &want[2][i], e);
        for (int k = 0; k < 3; k++) bound[k][i] = e[k];
    }
    slab_check(r, &c->w, want[0], left_alone ? NULL : bound[0], "update's w");
    if (c->o.optimizer != BPTT_RMSPROP) slab_check(r, &c->m, want[1], left_alone ? NULL : bound[1], "update's m");
    if (c->o.optimizer != BPTT_SGD) slab_check(r, &c->v, want[2], left_alone ? NULL : bound[2], "update's v");
    slab_same(r, &c->g, "update's g");
    slab_same(r, &c->stat, "update's stat");
    for (int k = 0; k < 3; k++) free(want[k]), free(bound[k]);
}

// v->t: optimizer * CLIPS + clipping; v->nan: 0 a NaN loss, 1 an infinite norm, 2 an update refused earlier.
static void update_one(rig *r, const variant *v)
{
    const unsigned clip = v->t % CLIPS;
    update_case c = {.w = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1),
                     .g = slab_make(r, v->N, v->M, r->b.real, v->where, false, SCALE[v->K]),
                     .m = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1),
                     .v = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1),
                     .stat = slab_make(r, 1, 3, r->b.sum, v->where, false, 1),
                     .o = {.optimizer = (bptt_optimizer)(v->t / CLIPS),
                           .clip_mode = clip == 3 ? BPTT_CLIP_VALUE : BPTT_CLIP_NORM,
                           .clip = clip == 0   ? 0
                                   : clip == 1 ? 0.7
                                   : clip == 2 ? 1e9
                                               : 0.3 * SCALE[v->K],
                           .momentum = 0.6,
                           .decay = 0.95,
                           .beta1 = 0.9,
                           .beta2 = 0.999,
                           .epsilon = 1e-8},
                     .rate = 0.0125,
                     .root = v->t / CLIPS == BPTT_ADAM ? sqrt(1 - 0.999 * 0.999 * 0.999) : 1};
    c.stat.x[2] = v->nan == 2 ? 1 : 0;
    c.stat.x[0] = v->nan == 0 ? (double)NAN : 2.5;
    c.stat.x[1] = v->nan == 1 ? (double)INFINITY : 0.5; // at least 0.7, so that clip 1 bites
    for (size_t i = 0; i < v->N * v->M; i++) {
        c.v.x[i] = fabs(c.v.x[i]);
        if (v->nan < 0) c.stat.x[1] += c.g.x[i] * c.g.x[i];
    }
    slab_write(r, &c.v);
    slab_write(r, &c.stat);
    const bptt_mat none = {.type = r->b.real};
    bptt_op s = {.opcode = BPTT_UPDATE,
                 .rule = c.o,
                 .arg = {c.w.m, c.g.m, c.o.optimizer == BPTT_RMSPROP ? none : c.m.m,
                         c.o.optimizer == BPTT_SGD ? none : c.v.m, c.stat.m}};
    run_plan(r, &s, 1, &(bptt_slots){.scalar = {[BPTT_RATE] = c.rate, [BPTT_ROOT] = c.root}});
    update_check(r, &c, v->N * v->M, v->nan >= 0);
    slab_free(r, &c.w);
    slab_free(r, &c.g);
    slab_free(r, &c.m);
    slab_free(r, &c.v);
    slab_free(r, &c.stat);
}

static void update_cases(rig *r)
{
    over_variants(r, 3, 3 * CLIPS, update_one);
    for (unsigned t = 0; t < 3 * CLIPS; t++) update_one(r, &(variant){.N = 1, .M = 20011, .t = t, .nan = -1});
}
START_TEST(update_is_the_optimizer_of_the_header_and_spares_all_from_what_is_not_finite)
{
    on_every_rig(update_cases, false);
}
END_TEST

// Each of the first two as it may be; the third as 0, refused, or any number.
static void guard_cases(rig *r)
{
    static const double value[] = {2.5, 0, -1e38, (double)NAN, (double)INFINITY, -(double)INFINITY},
                        old[] = {0, 1, 0.25};
    for (int i = 0; i < 6 * 6 * 3 * PLACES; i++) {
        slab stat = slab_make(r, 1, 3, r->b.sum, (place)(i % PLACES), false, 1);
        stat.x[0] = value[i / PLACES % 6], stat.x[1] = value[i / PLACES / 6 % 6], stat.x[2] = old[i / PLACES / 36];
        slab_write(r, &stat);
        const bool finite = isfinite(stat.x[0]) && isfinite(stat.x[1]);
        const double want[] = {stat.x[0], stat.x[1], finite ? stat.x[2] : 1};
        run_step(r, (bptt_op){.opcode = BPTT_GUARD, .arg = {stat.m}});
        slab_check(r, &stat, want, NULL, "guard");
        slab_free(r, &stat);
    }
}

START_TEST(guard_marks_sums_that_are_not_finite_and_keeps_old_marks) { on_every_rig(guard_cases, false); }
END_TEST

// ---- chains
// -------------------------------------------------------------------------------------

enum { T = 4, MOST_OPS = 5 * T };

// Block t of N rows, which moves by `blocks` from step to step.
static bptt_mat by(bptt_mat m, size_t t, size_t N, ptrdiff_t blocks)
{
    m = bptt_rows(m, t * N, N);
    m.move[0] = blocks * (ptrdiff_t)(N * m.ld);
    return m;
}

// Appends n ops that run `times` times: as a loop, or written out. Returns how many ops there are then.
static size_t repeat(bptt_op *s, size_t at, bool looped, bptt_loop_kind kind, size_t times, const bptt_op *op, size_t n)
{
    if (looped) s[at++] = (bptt_op){.opcode = BPTT_LOOP, .loop = {kind, times, n}};
    for (size_t t = 0; t < (looped ? 1 : times); t++)
        for (size_t k = 0; k < n; k++) s[at++] = bptt_op_at(&op[k], t, 0);
    return at;
}

// A window of recurrence forward and backward over N rows, H units, tokens below V: in whole numbers, where every order
// of summation is exact. looped: as two loops, else op by op.
static void window(rig *r, size_t N, size_t H, bool looped, double *h_out, double *dz_out)
{
    const size_t V = 9;
    slab id = slab_tokens(r, T * N, V, TIGHT), w = slab_make(r, V, H, r->b.real, PADDED, false, 1);
    slab u = slab_make(r, H, H, r->b.real, PADDED, false, 1), b = slab_make(r, 1, H, r->b.real, PADDED, false, 1);
    slab h = slab_make(r, (T + 1) * N, H, r->b.real, PADDED, false, 1);
    slab z = slab_make(r, T * N, H, r->b.real, PADDED, false, 1);
    slab dh = slab_make(r, T * N, H, r->b.real, PADDED, false, 1);
    slab *whole[] = {&w, &u, &b, &h, &z, &dh};
    for (size_t k = 0; k < 6; k++) {
        for (size_t i = 0; i < whole[k]->m.rows * whole[k]->m.cols; i++) whole[k]->x[i] = rint(1.4 * whole[k]->x[i]);
        slab_write(r, whole[k]);
    }
    bptt_op s[MOST_OPS], body[5];
    size_t n = 0;
    const bptt_mat none = {.type = r->b.real}, now = by(h.m, 0, N, 1), next = by(h.m, 1, N, 1), zt = by(z.m, 0, N, 1);
    const bptt_mat d = by(dh.m, T - 1, N, -1), before = by(dh.m, T - 2, N, -1);
    body[0] = (bptt_op){.opcode = BPTT_GATHER, .alpha = 1, .arg = {by(id.m, 0, N, 1), w.m, zt}};
    body[1] = (bptt_op){.opcode = BPTT_GEMM, .alpha = 1, .beta = 1, .arg = {now, u.m, zt}};
    body[2] = (bptt_op){.opcode = BPTT_CELL_FORWARD, .cell = BPTT_RELU, .arg = {zt, b.m, none, next}};
    body[3] = (bptt_op){.opcode = BPTT_CELL_BACKWARD, .cell = BPTT_RELU, .arg = {by(h.m, T, N, -1), d, d}};
    body[4] = (bptt_op){.opcode = BPTT_GEMM, .alpha = 1, .beta = 1, .arg = {d, bptt_flip(u.m), before}};
    n = repeat(s, n, looped, BPTT_LOOP_FORWARD, T, body, 3);
    n = repeat(s, n, looped, BPTT_LOOP_BACKWARD, T - 1, body + 3, 2);
    s[n++] = bptt_op_at(&body[3], T - 1, 0);
    run_plan(r, s, n, &(bptt_slots){0});
    bptt_error e;
    ck_assert_int_eq(r->b.read(r->d, h_out, BPTT_F64, h.m, &e), BPTT_OK);
    ck_assert_int_eq(r->b.read(r->d, dz_out, BPTT_F64, dh.m, &e), BPTT_OK);
    digest(r, h_out, (T + 1) * N * H);
    digest(r, dz_out, T * N * H);
    slab_free(r, &id);
    for (size_t k = 0; k < 6; k++) slab_free(r, whole[k]);
}

static void loop_cases(rig *r)
{
    for (size_t i = 0; i < SIZES; i++) {
        const size_t N = SIZE[i],
                     H = SIZE[(i + 3) % 4]; // H <= 50: the numbers stay exact
        const size_t nh = (T + 1) * N * H, nz = T * N * H;
        double *h[3], *d[3];
        for (int k = 0; k < 3; k++) {
            h[k] = reals(nh), d[k] = reals(nz);
            rig reference;
            if (k == 2) rig_open(&reference, rig_called("ref f64"));
            rig *on = k == 2 ? &reference : r;
            on->random = 40 + i; // the same numbers three times
            window(on, N, H, k == 1, h[k], d[k]);
            if (k == 2) rig_close(&reference);
        }
        CK_NEAR(near_all(h[0], h[2], NULL, nh), "states, step by step");
        CK_NEAR(near_all(d[0], d[2], NULL, nz), "gradients, step by step");
        CK_NEAR(near_all(h[1], h[2], NULL, nh), "states of a loop");
        CK_NEAR(near_all(d[1], d[2], NULL, nz), "gradients of a loop");
        for (int k = 0; k < 3; k++) free(h[k]), free(d[k]);
    }
}

START_TEST(a_loop_gives_exactly_what_its_ops_give) { on_every_rig(loop_cases, false); }
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, cell_forward_adds_its_biases_and_activates);
    tcase_add_test(c, cell_backward_multiplies_by_the_slope_at_the_saved_output);
    tcase_add_test(c, softmax_xent_gives_each_row_its_loss_and_gradient);
    tcase_add_test(c, log_softmax_gives_log_probabilities);
    tcase_add_test(c, update_is_the_optimizer_of_the_header_and_spares_all_from_what_is_not_finite);
    tcase_add_test(c, guard_marks_sums_that_are_not_finite_and_keeps_old_marks);
    tcase_add_test(c, a_loop_gives_exactly_what_its_ops_give);
}

int main(void) { return run_suite("pointwise", add, 60); }
