// The op DENSE_LOSS of backend.h on every backend, against the formulas of bptt.h in double.
#include "rig.h"
#include "suite.h"

static const size_t SIZE[] = {1, 7, 33, 50, 65};
enum { SIZES = 5, GRADIENT = 1, NO_WEIGHT = 2, LARGE = 4, FLAGS = 8, LOSSES = 3 };

// l and its slope, and what rounding scales with: the values, and the sizes of the terms that they are made of.
typedef struct loss_point {
    double value, slope, value_size, slope_size;
} loss_point;

static loss_point loss_point_of(bptt_loss loss, double x, double y)
{
    const double d = x - y, p = 1 / (1 + exp(-x)), size = fabs(x) + fabs(y);
    if (loss == BPTT_SQUARED) return (loss_point){d * d, 2 * d, 4 * fabs(d) * size, 2 * size};
    if (loss == BPTT_ABSOLUTE) return (loss_point){fabs(d), d > 0 ? 1 : d < 0 ? -1 : 0 * d, size, 1};
    return (loss_point){fmax(x, 0) - x * y + log1p(exp(-fabs(x))) + 0 * x, p - y, fabs(x) * (1 + fabs(y)) + 1, p + y};
}

// v->t: bits, then the loss. Targets are in 0..1 for the binary loss; every third output equals its
// target.
static void dense_loss_case(rig *r, const variant *v)
{
    const bptt_loss loss = (bptt_loss)(v->t / FLAGS + 1);
    slab y = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1);
    slab k = slab_make(r, v->N, 1, r->b.real, v->where, false, 1);
    slab x = slab_make(r, v->N, v->M, r->b.real, v->where, false, v->t & LARGE ? 100 : 1);
    slab l = slab_make(r, v->N, 1, r->b.sum, v->where, false, 1);
    for (size_t i = 0; i < v->N; i++) k.x[i] = i % 5 == 3 ? 0 : fabs(k.x[i]);
    for (size_t i = 0; i < v->N * v->M; i++) y.x[i] = i % 3 == 1 ? x.x[i] : y.x[i];
    for (size_t i = 0; i < v->N * v->M; i++) y.x[i] = loss == BPTT_BINARY ? fmin(fabs(y.x[i]), 1) : y.x[i];
    slab_write(r, &k);
    slab_write(r, &y);
    if (v->nan == 0) slab_plant_nan(r, &x);
    if (v->nan == 1) slab_plant_nan(r, &y);
    const double weight = v->t & NO_WEIGHT ? 0 : 17.5, u = gamma_of((double)v->M + 16, r->u);
    double *dx = reals(v->N * v->M), *dx_bound = reals(v->N * v->M), *want = reals(v->N), *bound = reals(v->N);
    for (size_t i = 0; i < v->N; i++)
        for (size_t j = 0; j < v->M; j++) {
            const size_t at = i * v->M + j;
            const loss_point p = loss_point_of(loss, x.x[at], y.x[at]);
            const double M = (double)v->M, scale = weight > 0 ? k.x[i] / weight / M : 0;
            want[i] += k.x[i] * p.value / M, bound[i] += k.x[i] * u * p.value_size / M;
            dx[at] = scale * p.slope, dx_bound[at] = scale * u * p.slope_size;
        }
    bptt_op s = {.opcode = BPTT_DENSE_LOSS, .loss = loss, .gradient = v->t & GRADIENT, .arg = {y.m, k.m, x.m, l.m}};
    run_plan(r, &s, 1, &(bptt_slots){.scalar = {[BPTT_WEIGHT] = weight}});
    slab_check(r, &l, want, bound, "dense loss");
    if (!(v->t & GRADIENT))
        slab_same(r, &x, "dense_loss's x");
    else
        slab_check(r, &x, dx, dx_bound, "dense_loss");
    slab_same(r, &k, "dense_loss's k");
    slab_same(r, &y, "dense_loss's y");
    free(dx), free(dx_bound), free(want), free(bound);
    slab_free(r, &y);
    slab_free(r, &k);
    slab_free(r, &x);
    slab_free(r, &l);
}

static void dense_loss_cases(rig *r)
{
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES; j++)
            for (int nan = -1; nan < 2; nan++)
                for (int p = 0; p < PLACES; p++)
                    for (unsigned t = 0; t < LOSSES * FLAGS; t++)
                        dense_loss_case(r,
                                        &(variant){.N = SIZE[i], .M = SIZE[j], .where = (place)p, .t = t, .nan = nan});
    for (unsigned loss = 0; loss < LOSSES; loss++) { // large enough for tiles
        dense_loss_case(r, &(variant){.N = 3, .M = 20011, .t = FLAGS * loss + GRADIENT, .nan = -1});
        dense_loss_case(r, &(variant){.N = 3001, .M = 7, .t = FLAGS * loss + GRADIENT, .nan = -1});
    }
}

START_TEST(dense_losses_give_each_row_the_mean_and_its_gradient) { on_every_rig(dense_loss_cases, false); }
END_TEST

static void add(TCase *c) { tcase_add_test(c, dense_losses_give_each_row_the_mean_and_its_gradient); }

int main(void) { return run_suite("dense loss", add, 60); }
