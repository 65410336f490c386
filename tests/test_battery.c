// Every entry of backend.h that moves, multiplies or adds, on every backend,
// against its formula there computed naively in double: awkward shapes,
// transposes, padded and odd leading dimensions, unaligned views, outputs that
// start non-zero (or NaN where they must be overwritten), canaries all around,
// a planted NaN. The others: test_pointwise.c.
#include "rig.h"
#include "suite.h"

static const size_t SIZE[] = {1, 7, 33, 50, 65, 128, 200}; // the last two: worth tiles and threads
enum { SMALL = 5, ALL = 7 };

// one() for N and M awkward, K another such size, every place, both betas, a
// NaN in none and in each of `operands`.
static void over_variants(rig *r, int operands, unsigned flags, void (*one)(rig *, const variant *))
{
    for (size_t i = 0; i < SMALL; i++)
        for (size_t j = 0; j < SMALL; j++)
            for (int nan = -1; nan < operands; nan++)
                for (int beta = 0; beta < 2; beta++)
                    for (int p = 0; p < PLACES; p++)
                        for (unsigned t = 0; t < flags; t++) {
                            const variant v = {.N = SIZE[i],
                                               .M = SIZE[j],
                                               .K = SIZE[(i + 2 * j + 1) % SMALL],
                                               .where = (place)p,
                                               .t = t,
                                               .alpha = 1,
                                               .beta = beta,
                                               .nan = nan};
                            one(r, &v);
                        }
}

// ---- gemm
// ---------------------------------------------------------------------------------------

static void naive_gemm(const variant *v, const slab *a, const slab *b, const slab *c, double u, double *want,
                       double *bound)
{
    for (size_t i = 0; i < v->N; i++)
        for (size_t j = 0; j < v->M; j++) {
            double sum = v->beta ? c->x[i * v->M + j] : 0, size = fabs(sum);
            for (size_t k = 0; k < v->K; k++) {
                const double ab = a->x[i * v->K + k] * b->x[k * v->M + j];
                sum += v->alpha * ab;
                size += fabs(ab);
            }
            want[i * v->M + j] = sum;
            bound[i * v->M + j] = 2 * gamma_of((double)v->K + 2, u) * size;
        }
}

static void gemm_case(rig *r, const variant *v)
{
    slab a = slab_make(r, v->N, v->K, r->b.real, v->where, v->t & 1, 1);
    slab b = slab_make(r, v->K, v->M, r->b.real, v->where, v->t & 2, 1);
    slab c = slab_output(r, v, v->N, v->M, v->t & 4);
    if (v->nan == 0) slab_plant_nan(r, &a);
    if (v->nan == 1) slab_plant_nan(r, &b);
    if (v->nan == 2 && v->beta) slab_plant_nan(r, &c);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    naive_gemm(v, &a, &b, &c, r->u, want, bound);
    run_step(r, (bptt_op){.opcode = BPTT_GEMM, .alpha = v->alpha, .beta = v->beta, .arg = {a.m, b.m, c.m}});
    slab_check(r, &c, want, bound, v->nan < 0 ? "gemm" : "gemm with a NaN");
    slab_same(r, &a, "gemm's a");
    slab_same(r, &b, "gemm's b");
    free(want);
    free(bound);
    slab_free(r, &a);
    slab_free(r, &b);
    slab_free(r, &c);
}

static void gemm_cases(rig *r)
{
    for (size_t i = 0; i < ALL; i++)
        for (size_t n = 0; n < 3; n++)
            for (unsigned t = 0; t < 8; t++)
                for (int sign = 0; sign < 4; sign++) {
                    const variant v = {.N = SIZE[i],
                                       .K = SIZE[(i + 2 * n) % ALL],
                                       .M = SIZE[(i + 3 * n + 1) % ALL],
                                       .where = (place)((i + n + t) % PLACES),
                                       .t = t,
                                       .nan = (int)(i + t) % 4 - 1,
                                       .alpha = sign & 1 ? -1 : 1,
                                       .beta = sign >> 1};
                    gemm_case(r, &v);
                }
}

START_TEST(gemm_is_alpha_a_b_plus_beta_c) { on_every_rig(gemm_cases, true); }
END_TEST

// ---- rows moved by index
// ------------------------------------------------------------------------

static void gather_case(rig *r, const variant *v)
{
    slab id = slab_tokens(r, v->N, v->K, v->where);
    slab w = slab_make(r, v->K, v->M, r->b.real, v->where, false, 1);
    slab z = slab_output(r, v, v->N, v->M, false);
    if (v->nan == 0) slab_plant_nan(r, &w);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    for (size_t i = 0; i < v->N * v->M; i++) {
        const double x = w.x[(size_t)id.x[i / v->M] * v->M + i % v->M];
        want[i] = v->beta ? z.x[i] + x : x;
        bound[i] = v->beta ? 2 * r->u * (fabs(z.x[i]) + fabs(x)) : 0;
    }
    run_step(r, (bptt_op){.opcode = BPTT_GATHER, .alpha = 1, .beta = v->beta, .arg = {id.m, w.m, z.m}});
    slab_check(r, &z, want, bound, "gather");
    slab_same(r, &id, "gather's id");
    slab_same(r, &w, "gather's w");
    free(want);
    free(bound);
    slab_free(r, &id);
    slab_free(r, &w);
    slab_free(r, &z);
}

static void gather_cases(rig *r) { over_variants(r, 1, 1, gather_case); }
START_TEST(gather_takes_the_rows_that_the_tokens_name) { on_every_rig(gather_cases, false); }
END_TEST

static void scatter_case(rig *r, const variant *v)
{
    slab id = slab_tokens(r, v->N, v->K, v->where);
    slab dz = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1);
    slab dw = slab_output(r, v, v->K, v->M, false);
    if (v->nan == 0) slab_plant_nan(r, &dz);
    double *want = reals(v->K * v->M), *bound = reals(v->K * v->M);
    for (size_t i = 0; i < v->K * v->M; i++) {
        double size = 0;
        want[i] = v->beta ? dw.x[i] : 0;
        for (size_t n = 0; n < v->N; n++)
            if ((size_t)id.x[n] == i / v->M) {
                want[i] += dz.x[n * v->M + i % v->M];
                size += fabs(dz.x[n * v->M + i % v->M]);
            }
        bound[i] = 2 * gamma_of((double)v->N + 1, r->u) * (size + (v->beta && size > 0 ? fabs(dw.x[i]) : 0));
    }
    run_step(r, (bptt_op){.opcode = BPTT_SCATTER, .alpha = 1, .beta = v->beta, .arg = {id.m, dz.m, dw.m}});
    slab_check(r, &dw, want, bound, "scatter");
    slab_same(r, &dz, "scatter's dz");
    free(want);
    free(bound);
    slab_free(r, &id);
    slab_free(r, &dz);
    slab_free(r, &dw);
}

static void scatter_cases(rig *r) { over_variants(r, 1, 1, scatter_case); }
START_TEST(scatter_adds_the_rows_of_repeated_tokens) { on_every_rig(scatter_cases, false); }
END_TEST

// ---- copy, fill, rows scaled and added
// ----------------------------------------------------------

static void copy_case(rig *r, const variant *v)
{
    slab x = slab_make(r, v->N, v->M, r->b.real, v->where, v->t & 1, 1);
    slab y = slab_output(r, v, v->N, v->M, v->t & 2);
    if (v->nan == 0) slab_plant_nan(r, &x);
    run_step(r, (bptt_op){.opcode = BPTT_COPY, .alpha = 1, .arg = {x.m, y.m}});
    slab_check(r, &y, x.x, NULL, "copy");
    slab_same(r, &x, "copy's x");
    slab_free(r, &x);
    slab_free(r, &y);
}

static void copy_cases(rig *r)
{
    over_variants(r, 1, 4, copy_case);
    for (unsigned t = 0; t < 4; t++) copy_case(r, &(variant){.N = 1, .M = 3001, .t = t, .where = ODD, .nan = -1});
}
START_TEST(copy_copies_under_any_transposes) { on_every_rig(copy_cases, false); }
END_TEST

static void fill_case(rig *r, const variant *v)
{
    slab y = slab_output(r, v, v->N, v->M, v->t & 1);
    double *want = reals(v->N * v->M);
    for (size_t i = 0; i < v->N * v->M; i++) want[i] = v->beta ? 0 : -1.25;
    run_step(r, (bptt_op){.opcode = BPTT_FILL, .alpha = 1, .value = v->beta ? 0 : -1.25, .arg = {y.m}});
    slab_check(r, &y, want, NULL, "fill");
    free(want);
    slab_free(r, &y);
}

static void fill_cases(rig *r)
{
    over_variants(r, 0, 2, fill_case);
    for (int p = 0; p < PLACES; p++) fill_case(r, &(variant){.N = 1, .M = 4096, .where = (place)p}); // a long row
    for (unsigned t = 0; t < 2; t++) fill_case(r, &(variant){.N = 1, .M = 3001, .t = t, .where = ODD});
}
START_TEST(fill_fills_the_view_and_nothing_else) { on_every_rig(fill_cases, false); }
END_TEST

static void scale_rows_case(rig *r, const variant *v)
{
    slab k = slab_make(r, v->N, 1, r->b.real, v->where, false, 1);
    slab x = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1);
    slab y = slab_output(r, v, v->N, v->M, false);
    k.x[v->N / 2] = 0;
    slab_write(r, &k);
    if (v->nan == 0) slab_plant_nan(r, &k);
    if (v->nan == 1) slab_plant_nan(r, &x);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    for (size_t i = 0; i < v->N * v->M; i++) {
        const double kx = k.x[i / v->M] * x.x[i], old = v->beta ? y.x[i] : 0;
        want[i] = old + kx;
        bound[i] = 2 * gamma_of(2, r->u) * (fabs(kx) + fabs(old));
    }
    run_step(r, (bptt_op){.opcode = BPTT_SCALE_ROWS, .alpha = 1, .beta = v->beta, .arg = {k.m, x.m, y.m}});
    slab_check(r, &y, want, bound, "scale_rows");
    slab_same(r, &k, "scale_rows' k");
    slab_same(r, &x, "scale_rows' x");
    free(want);
    free(bound);
    slab_free(r, &k);
    slab_free(r, &x);
    slab_free(r, &y);
}

static void scale_rows_cases(rig *r) { over_variants(r, 2, 1, scale_rows_case); }
START_TEST(scale_rows_scales_each_row_by_its_own_factor) { on_every_rig(scale_rows_cases, false); }
END_TEST

static void add_row_case(rig *r, const variant *v)
{
    slab b = slab_make(r, 1, v->M, r->b.real, v->where, false, 1);
    slab x = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1);
    if (v->nan == 0) slab_plant_nan(r, &b);
    if (v->nan == 1) slab_plant_nan(r, &x);
    double *want = reals(v->N * v->M), *bound = reals(v->N * v->M);
    for (size_t i = 0; i < v->N * v->M; i++) {
        want[i] = x.x[i] + b.x[i % v->M];
        bound[i] = 2 * r->u * (fabs(x.x[i]) + fabs(b.x[i % v->M]));
    }
    run_step(r, (bptt_op){.opcode = BPTT_ADD_ROW, .alpha = 1, .beta = 1, .arg = {b.m, x.m}});
    slab_check(r, &x, want, bound, "add_row");
    slab_same(r, &b, "add_row's b");
    free(want);
    free(bound);
    slab_free(r, &b);
    slab_free(r, &x);
}

static void add_row_cases(rig *r) { over_variants(r, 2, 1, add_row_case); }
START_TEST(add_row_adds_one_row_to_all) { on_every_rig(add_row_cases, false); }
END_TEST

// ---- sums
// ---------------------------------------------------------------------------------------

static void colsum_case(rig *r, const variant *v)
{
    slab dz = slab_make(r, v->N, v->M, r->b.real, v->where, false, 1);
    slab db = slab_output(r, v, 1, v->M, false);
    if (v->nan == 0) slab_plant_nan(r, &dz);
    double *want = reals(v->M), *bound = reals(v->M);
    for (size_t j = 0; j < v->M; j++) {
        double size = v->beta ? fabs(db.x[j]) : 0;
        want[j] = v->beta ? db.x[j] : 0;
        for (size_t i = 0; i < v->N; i++) {
            want[j] += dz.x[i * v->M + j];
            size += fabs(dz.x[i * v->M + j]);
        }
        bound[j] = 2 * gamma_of((double)v->N + 1, r->u) * size;
    }
    run_step(r, (bptt_op){.opcode = BPTT_COLSUM, .alpha = 1, .beta = v->beta, .arg = {dz.m, db.m}});
    slab_check(r, &db, want, bound, "colsum");
    slab_same(r, &dz, "colsum's dz");
    free(want);
    free(bound);
    slab_free(r, &dz);
    slab_free(r, &db);
}

static void colsum_cases(rig *r)
{
    over_variants(r, 1, 1, colsum_case);
    for (int beta = 0; beta < 2; beta++) colsum_case(r, &(variant){.N = 200, .M = 33, .beta = beta, .nan = -1});
}
START_TEST(colsum_sums_each_column) { on_every_rig(colsum_cases, false); }
END_TEST

// SUM adds numbers of the type of sums, SUMSQ squares of reals; both put one
// number of the type of sums.
static void total_case(rig *r, const variant *v, bptt_opcode entry)
{
    const bool square = entry == BPTT_SUMSQ;
    slab x = slab_make(r, v->N, v->M, square ? r->b.real : r->b.sum, v->where, false, 1);
    slab out = slab_make(r, 1, 1, r->b.sum, v->where, false, 1);
    if (!v->beta || square) out.x[0] = (double)NAN;
    slab_write(r, &out);
    if (v->nan == 0) slab_plant_nan(r, &x);
    double want = v->beta && !square ? out.x[0] : 0, size = fabs(want);
    for (size_t i = 0; i < v->N * v->M; i++) {
        const double term = square ? x.x[i] * x.x[i] : x.x[i];
        want += term;
        size += fabs(term);
    }
    const double bound = 2 * gamma_of((double)(v->N * v->M) + 2, r->b.sum == BPTT_F64 ? U64 : U32) * size;
    run_step(r, (bptt_op){.opcode = entry, .alpha = 1, .beta = v->beta, .arg = {x.m, out.m}});
    slab_check(r, &out, &want, &bound, bptt_opcode_name[entry]);
    slab_same(r, &x, "a sum's x");
    slab_free(r, &x);
    slab_free(r, &out);
}

static void sum_case(rig *r, const variant *v) { total_case(r, v, BPTT_SUM); }
static void sum_cases(rig *r)
{
    over_variants(r, 1, 1, sum_case);
    for (int beta = 0; beta < 2; beta++) // losses are one long column
        for (int p = 0; p < PLACES; p++)
            sum_case(r, &(variant){.N = 2500, .M = 1, .beta = beta, .where = (place)p, .nan = beta - 1});
}
START_TEST(sum_sums_all_of_x) { on_every_rig(sum_cases, false); }
END_TEST

static void sumsq_case(rig *r, const variant *v) { total_case(r, v, BPTT_SUMSQ); }
static void sumsq_cases(rig *r)
{
    over_variants(r, 1, 1, sumsq_case);
    sumsq_case(r, &(variant){.N = 1, .M = 70001, .nan = -1}); // the gradient is one long row
    sumsq_case(r, &(variant){.N = 1, .M = 70001, .nan = 0});
}
START_TEST(sumsq_sums_the_squares_of_all_of_x) { on_every_rig(sumsq_cases, false); }
END_TEST

// ---- the table and the door
// ---------------------------------------------------------------------

START_TEST(no_entry_of_any_backend_is_missing)
{
    for (size_t i = 0; i < RIGS; i++) {
        if (!rig_wanted(&RIG[i])) continue;
        rig r;
        rig_open(&r, &RIG[i]);
        for (int e = 0; e < BPTT_OPCODES; e++)
            CK_TRUE(r.b.op[e] && r.d->backend.op[e], "%s has no %s", r.name, bptt_opcode_name[e]);
        rig_close(&r);
    }
}
END_TEST

// run() copies the slots' data to the places in the plan, converted; NULL slots change
// nothing.
static void input_cases(rig *r)
{
    slab x = slab_make(r, 33, 7, r->b.real, ODD, false, 1), k = slab_make(r, 33, 1, r->b.real, PADDED, false, 1);
    slab id = slab_tokens(r, 33, 65, ODD);
    double *fresh = reals((size_t)33 * 7);
    float *factor = must_alloc(33, sizeof *factor);
    random_reals(&r->random, 1, fresh, (size_t)33 * 7);
    for (size_t i = 0; i < 33; i++) k.x[i] = factor[i] = (float)random_real(&r->random);
    const bptt_plan p = {.input = {x.m, k.m, id.m}};
    const bptt_slots s = {.input = {fresh, factor, NULL}, .type = {BPTT_F64, BPTT_F32, BPTT_I32}};
    void *handle = NULL;
    ck_assert_int_eq(r->b.prepare(r->d, &p, &handle, NULL), BPTT_OK);
    ck_assert_int_eq(r->b.run(r->d, handle, &s, NULL), BPTT_OK);
    ck_assert_int_eq(r->b.sync(r->d, NULL), BPTT_OK);
    r->b.forget(r->d, handle);
    slab_check(r, &x, fresh, NULL, "dense input");
    slab_check(r, &k, k.x, NULL, "factors");
    slab_same(r, &id, "tokens not given");
    free(fresh);
    free(factor);
    slab_free(r, &x);
    slab_free(r, &k);
    slab_free(r, &id);
}

START_TEST(run_writes_the_inputs_that_are_given_and_no_others) { on_every_rig(input_cases, false); }
END_TEST

START_TEST(nothing_is_freed_twice_by_freeing_nothing)
{
    for (size_t i = 0; i < RIGS; i++) {
        if (!rig_wanted(&RIG[i])) continue;
        rig r;
        rig_open(&r, &RIG[i]);
        r.b.free(r.d, NULL);
        r.b.forget(r.d, NULL);
        rig_close(&r);
        r.b.close(NULL);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, gemm_is_alpha_a_b_plus_beta_c);
    tcase_add_test(c, gather_takes_the_rows_that_the_tokens_name);
    tcase_add_test(c, scatter_adds_the_rows_of_repeated_tokens);
    tcase_add_test(c, copy_copies_under_any_transposes);
    tcase_add_test(c, fill_fills_the_view_and_nothing_else);
    tcase_add_test(c, scale_rows_scales_each_row_by_its_own_factor);
    tcase_add_test(c, add_row_adds_one_row_to_all);
    tcase_add_test(c, colsum_sums_each_column);
    tcase_add_test(c, sum_sums_all_of_x);
    tcase_add_test(c, sumsq_sums_the_squares_of_all_of_x);
    tcase_add_test(c, no_entry_of_any_backend_is_missing);
    tcase_add_test(c, run_writes_the_inputs_that_are_given_and_no_others);
    tcase_add_test(c, nothing_is_freed_twice_by_freeing_nothing);
}

int main(void) { return run_suite("battery", add, 60); }
