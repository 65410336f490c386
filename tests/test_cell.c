// The seed's cell, bptt_elman_*: numbers computed by hand, each cotangent alone, and the adjoint identity
// <J v, s> = <v, J' s> over (x, h, W, b), where J v comes from a complex step through the formula; its jvp against the
// same.
#include "bptt_cells.h" // before complex.h, whose I is a macro

#include <complex.h>
#undef I

#include "near.h"
#include "suite.h"

typedef double complex number;

// All tensors of one cell in double: sizes, values, cotangents, results. Every array is one longer, for a canary.
enum { X, HID, W_, BIAS, LEAVES };                 // of the inputs and of their gradients
enum { S_X, S_H, S_CONCAT, S_PRE, S_NEXT, TRACE }; // the five tensors of the trace
#define CANARY 4321.5

typedef struct cell {
    bptt_elman e;
    size_t n[LEAVES], m[TRACE];
    double *in[LEAVES], *v[LEAVES], *grad[LEAVES];
    double *trace[TRACE], *s[TRACE], *jv[TRACE];
    double *terms; // [B][H]: sum of the sizes of the terms of J v's z
} cell;

static double *guarded(size_t n)
{
    double *x = reals(n + 1);
    x[n] = CANARY;
    return x;
}

static void cell_open(cell *c, bptt_cell kind, size_t B, size_t I, size_t H, uint64_t seed)
{
    *c = (cell){.e = {.type = BPTT_F64, .cell = kind, .B = B, .I = I, .H = H},
                .n = {B * I, B * H, H * (I + H), H},
                .m = {B * I, B * H, B * (I + H), B * H, B * H}};
    for (int i = 0; i < LEAVES; i++) {
        c->in[i] = guarded(c->n[i]), c->v[i] = guarded(c->n[i]), c->grad[i] = guarded(c->n[i]);
        random_reals(&seed, 1, c->in[i], c->n[i]);
        random_reals(&seed, 1, c->v[i], c->n[i]);
    }
    for (int i = 0; i < TRACE; i++) {
        c->trace[i] = guarded(c->m[i]), c->s[i] = guarded(c->m[i]), c->jv[i] = guarded(c->m[i]);
        random_reals(&seed, 1, c->s[i], c->m[i]);
    }
    c->terms = reals(B * H);
    c->e.W = c->in[W_], c->e.b = c->in[BIAS];
}

static void cell_close(cell *c)
{
    for (int i = 0; i < LEAVES; i++) {
        CK_TRUE(c->grad[i][c->n[i]] == CANARY, "gradient %d was written past its end", i);
        free(c->in[i]), free(c->v[i]), free(c->grad[i]);
    }
    for (int i = 0; i < TRACE; i++) {
        CK_TRUE(c->trace[i][c->m[i]] == CANARY, "tensor %d of the trace was written past its end", i);
        free(c->trace[i]), free(c->s[i]), free(c->jv[i]);
    }
    free(c->terms);
}

static void forward(cell *c)
{
    memcpy(c->trace[S_X], c->in[X], c->n[X] * sizeof(double));
    memcpy(c->trace[S_H], c->in[HID], c->n[HID] * sizeof(double));
    ck_assert_int_eq(
        bptt_elman_forward(&c->e, c->in[X], c->in[HID], c->trace[S_CONCAT], c->trace[S_PRE], c->trace[S_NEXT], NULL),
        BPTT_OK);
}

// Cotangents from a bit mask: bit i enables slot i of the five.
static bptt_elman_cotangent cotangent(const cell *c, unsigned slots)
{
    return (bptt_elman_cotangent){.x = slots & 1 << S_X ? c->s[S_X] : NULL,
                                  .h = slots & 1 << S_H ? c->s[S_H] : NULL,
                                  .concat = slots & 1 << S_CONCAT ? c->s[S_CONCAT] : NULL,
                                  .pre = slots & 1 << S_PRE ? c->s[S_PRE] : NULL,
                                  .next = slots & 1 << S_NEXT ? c->s[S_NEXT] : NULL};
}

static void reverse(cell *c, unsigned slots)
{
    const bptt_elman_cotangent s = cotangent(c, slots);
    ck_assert_int_eq(bptt_elman_vjp(&c->e, c->trace[S_CONCAT], c->trace[S_NEXT], &s, c->grad[X], c->grad[HID],
                                    c->grad[W_], c->grad[BIAS], NULL),
                     BPTT_OK);
}

// ---- by hand ------------------------------------------------------------------------------------

// x = 0.5, h = 0.25, W = [2 3], b = -1: z = 0.75, tanh z = 0.6351489523872873, 1 - y y = 0.5965858082813314.
static void by_hand(cell *c)
{
    cell_open(c, BPTT_TANH, 1, 1, 1, 1);
    c->in[X][0] = 0.5, c->in[HID][0] = 0.25, c->in[W_][0] = 2, c->in[W_][1] = 3, c->in[BIAS][0] = -1;
    for (int i = 0; i < TRACE; i++) c->s[i][0] = 1;
    c->s[S_CONCAT][0] = 10, c->s[S_CONCAT][1] = 20;
    forward(c);
}

START_TEST(a_cell_of_one_unit_is_what_a_hand_computes)
{
    cell c;
    by_hand(&c);
    const double concat[] = {0.5, 0.25}, pre = 0.75, next = 0.6351489523872873, near_bound = 2 * U64;
    CK_NEAR(near_all(c.trace[S_CONCAT], concat, NULL, 2), "concat");
    CK_NEAR(near_all(c.trace[S_PRE], &pre, NULL, 1), "pre");
    CK_NEAR(near_all(c.trace[S_NEXT], &next, &near_bound, 1), "next");
    cell_close(&c);
}
END_TEST

// Rows: slots; columns: dx, dh, dW[0], dW[1], db.
START_TEST(each_cotangent_alone_gives_what_a_hand_computes)
{
    const double k = 0.5965858082813314;
    const double want[TRACE][5] = {
        {1, 0, 0, 0, 0}, {0, 1, 0, 0, 0}, {10, 20, 0, 0, 0}, {2, 3, 0.5, 0.25, 1}, {2 * k, 3 * k, k / 2, k / 4, k},
    };
    for (int slot = 0; slot < TRACE; slot++) {
        cell c;
        by_hand(&c);
        reverse(&c, 1u << slot);
        const double got[] = {c.grad[X][0], c.grad[HID][0], c.grad[W_][0], c.grad[W_][1], c.grad[BIAS][0]};
        double bound[5];
        for (int i = 0; i < 5; i++) bound[i] = slot == S_NEXT ? 8 * U64 * want[slot][i] : 0;
        char what[40];
        snprintf(what, sizeof what, "cotangent %d alone", slot);
        CK_NEAR(near_all(got, want[slot], bound, 5), what);
        cell_close(&c);
    }
}
END_TEST

START_TEST(the_slope_of_relu_is_one_above_zero_and_zero_at_and_below_it)
{
    for (int side = -1; side <= 1; side++) {
        cell c;
        by_hand(&c);
        c.e.cell = BPTT_RELU;
        c.in[BIAS][0] = -1.75 + side; // z = side
        forward(&c);
        reverse(&c, 1u << S_NEXT);
        const double got[] = {c.trace[S_PRE][0], c.trace[S_NEXT][0], c.grad[BIAS][0], c.grad[X][0]};
        const double on = side > 0, want[] = {side, on, on, 2 * on};
        CK_NEAR(near_all(got, want, NULL, 4), "relu");
        cell_close(&c);
    }
}
END_TEST

// ---- the identity -------------------------------------------------------------------------------

// The formula at in + i 1e-30 v; jv is the imaginary part over 1e-30, and the real part bounds the trace.
static void complex_step(cell *c)
{
    const double tiny = 1e-30;
    const size_t I = c->e.I, H = c->e.H, C = I + H;
    for (size_t b = 0; b < c->e.B; b++)
        for (size_t j = 0; j < H; j++) {
            number z = c->in[BIAS][j] + tiny * c->v[BIAS][j] * _Complex_I;
            c->terms[b * H + j] = fabs(c->v[BIAS][j]);
            for (size_t k = 0; k < C; k++) {
                const size_t leaf = k < I ? X : HID, at = k < I ? b * I + k : b * H + k - I;
                const number w = c->in[W_][j * C + k] + tiny * c->v[W_][j * C + k] * _Complex_I;
                z += w * (c->in[leaf][at] + tiny * c->v[leaf][at] * _Complex_I);
                c->jv[S_CONCAT][b * C + k] = c->v[leaf][at];
                c->terms[b * H + j] += fabs(creal(w) * c->v[leaf][at]) + fabs(c->v[W_][j * C + k] * c->in[leaf][at]);
            }
            const number y = c->e.cell == BPTT_TANH ? ctanh(z) : creal(z) > 0 ? z : 0;
            c->jv[S_PRE][b * H + j] = cimag(z) / tiny;
            c->jv[S_NEXT][b * H + j] = cimag(y) / tiny;
            const double got[] = {c->trace[S_PRE][b * H + j], c->trace[S_NEXT][b * H + j]};
            const double want[] = {creal(z), creal(y)}, bound = 2 * gamma_of((double)C + 4, U64) * (double)(C + 1);
            CK_NEAR(near_all(got, want, (double[]){bound, bound}, 2), "the trace");
        }
    memcpy(c->jv[S_X], c->v[X], c->n[X] * sizeof(double));
    memcpy(c->jv[S_H], c->v[HID], c->n[HID] * sizeof(double));
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Both sides are sums of the same products; size adds up their absolute values, n counts the roundings of one product.
static double adjoint_bound(const cell *c, unsigned slots)
{
    const size_t C = c->e.I + c->e.H, H = c->e.H, B = c->e.B;
    double size = 0;
    for (int i = 0; i < TRACE; i++)
        for (size_t k = 0; slots & 1u << i && k < c->m[i]; k++)
            size += fabs(c->s[i][k]) * (i >= S_PRE ? c->terms[k] : fabs(c->jv[i][k]));
    return 2 * gamma_of((double)(H * C + 3 * B * C + 100), U64) * size;
}

static const struct {
    size_t B, I, H;
} SHAPE[] = {{1, 1, 1}, {1, 7, 1}, {7, 1, 7}, {3, 33, 7}, {7, 50, 33}, {1, 65, 50}};
enum { SHAPES = 6, ALL_SLOTS = (1 << TRACE) - 1 };

static void adjoint(bptt_cell kind, size_t shape, unsigned slots)
{
    cell c;
    cell_open(&c, kind, SHAPE[shape].B, SHAPE[shape].I, SHAPE[shape].H, 100 + shape);
    forward(&c);
    complex_step(&c);
    reverse(&c, slots);
    double left = 0, right = 0;
    for (int i = 0; i < TRACE; i++)
        if (slots & 1u << i) left += dot(c.jv[i], c.s[i], c.m[i]);
    for (int i = 0; i < LEAVES; i++) right += dot(c.v[i], c.grad[i], c.n[i]);
    const double bound = adjoint_bound(&c, slots);
    CK_NEAR(near_all(&left, &right, &bound, 1), "<J v, s> = <v, J' s>");
    cell_close(&c);
}

START_TEST(the_reverse_pass_is_the_adjoint_of_the_derivative_for_any_cotangents)
{
    for (size_t shape = 0; shape < SHAPES; shape++)
        for (unsigned slots = 1; slots <= ALL_SLOTS; slots++) {
            adjoint(BPTT_TANH, shape, slots);
            adjoint(BPTT_RELU, shape, slots);
        }
}
END_TEST

// bptt_elman_jvp, all directions or each alone, against the complex step.
static void derivative(bptt_cell kind, size_t shape, unsigned leaves)
{
    cell c;
    cell_open(&c, kind, SHAPE[shape].B, SHAPE[shape].I, SHAPE[shape].H, 300 + shape);
    for (int i = 0; i < LEAVES; i++)
        if (!(leaves & 1u << i)) memset(c.v[i], 0, c.n[i] * sizeof(double));
    forward(&c);
    complex_step(&c);
    double *got[TRACE], *bound = reals(c.m[S_CONCAT]);
    for (int i = S_CONCAT; i < TRACE; i++) got[i] = guarded(c.m[i]);
    const double *const v[LEAVES] = {leaves & 1 ? c.v[X] : NULL, leaves & 2 ? c.v[HID] : NULL,
                                     leaves & 4 ? c.v[W_] : NULL, leaves & 8 ? c.v[BIAS] : NULL};
    CK_TRUE(bptt_elman_jvp(&c.e, v[W_] ? c.trace[S_CONCAT] : NULL, c.trace[S_NEXT], v[X], v[HID], v[W_], v[BIAS],
                           got[S_CONCAT], got[S_PRE], got[S_NEXT], NULL) == BPTT_OK,
            "refused");
    CK_NEAR(near_all(got[S_CONCAT], c.jv[S_CONCAT], NULL, c.m[S_CONCAT]), "dconcat");
    // f' is 1 - y y on one side, and on the other what a library's ctanh makes of it; z is off by roundings of its own.
    for (size_t i = 0; i < c.m[S_PRE]; i++)
        bound[i] = 2 * gamma_of(4 * (double)(c.e.I + c.e.H) + 30, U64) * (c.terms[i] * (double)(c.e.I + c.e.H + 1));
    CK_NEAR(near_all(got[S_PRE], c.jv[S_PRE], bound, c.m[S_PRE]), "dpre");
    CK_NEAR(near_all(got[S_NEXT], c.jv[S_NEXT], bound, c.m[S_NEXT]), "dnext");
    for (int i = S_CONCAT; i < TRACE; i++) {
        CK_TRUE(got[i][c.m[i]] == CANARY, "tangent %d was written past its end", i);
        free(got[i]);
    }
    free(bound);
    cell_close(&c);
}

START_TEST(the_tangent_of_a_cell_is_its_complex_step)
{
    for (size_t shape = 0; shape < SHAPES; shape++)
        for (unsigned leaves = 0; leaves < 1u << LEAVES; leaves++) {
            derivative(BPTT_TANH, shape, leaves);
            derivative(BPTT_RELU, shape, leaves);
        }
}
END_TEST

// ---- the calling convention ---------------------------------------------------------------------

START_TEST(weight_gradients_are_added_to_and_the_others_overwritten)
{
    cell c, again;
    cell_open(&c, BPTT_TANH, 7, 5, 3, 9);
    cell_open(&again, BPTT_TANH, 7, 5, 3, 9);
    forward(&c);
    forward(&again);
    reverse(&c, ALL_SLOTS);
    for (int i = 0; i < LEAVES; i++)
        for (size_t k = 0; k < c.n[i]; k++) again.grad[i][k] = i == W_ || i == BIAS ? c.v[i][k] : (double)NAN;
    reverse(&again, ALL_SLOTS);
    for (int i = 0; i < LEAVES; i++) {
        double bound[40] = {0}; // of a sum of the old value and 7 rows of terms below 4
        ck_assert_uint_le(c.n[i], 40);
        for (size_t k = 0; k < c.n[i] && (i == W_ || i == BIAS); k++) {
            c.grad[i][k] += c.v[i][k];
            bound[k] = 2 * gamma_of(9, U64) * (7 * 4 + 1);
        }
        CK_NEAR(near_all(again.grad[i], c.grad[i], bound, c.n[i]), "gradients");
    }
    cell_close(&c);
    cell_close(&again);
}
END_TEST

START_TEST(any_output_may_be_null_without_changing_the_others)
{
    cell c;
    cell_open(&c, BPTT_TANH, 3, 4, 5, 5);
    forward(&c);
    reverse(&c, ALL_SLOTS);
    for (unsigned mask = 0; mask < 16; mask++) {
        cell d;
        cell_open(&d, BPTT_TANH, 3, 4, 5, 5);
        ck_assert_int_eq(bptt_elman_forward(&d.e, d.in[X], d.in[HID], mask & 1 ? d.trace[S_CONCAT] : NULL,
                                            mask & 2 ? d.trace[S_PRE] : NULL, mask & 4 ? d.trace[S_NEXT] : NULL, NULL),
                         BPTT_OK);
        for (int i = S_CONCAT; i < TRACE; i++)
            if (mask & 1u << (i - S_CONCAT)) CK_NEAR(near_all(d.trace[i], c.trace[i], NULL, c.m[i]), "a saved tensor");
        forward(&d);
        const bptt_elman_cotangent s = cotangent(&d, ALL_SLOTS);
        double *out[LEAVES];
        for (int i = 0; i < LEAVES; i++) out[i] = mask & 1u << i ? d.grad[i] : NULL;
        ck_assert_int_eq(bptt_elman_vjp(&d.e, out[W_] ? d.trace[S_CONCAT] : NULL, d.trace[S_NEXT], &s, out[X], out[HID],
                                        out[W_], out[BIAS], NULL),
                         BPTT_OK);
        for (int i = 0; i < LEAVES; i++)
            if (out[i]) CK_NEAR(near_all(out[i], c.grad[i], NULL, c.n[i]), "a gradient");
        cell_close(&d);
    }
    cell_close(&c);
}
END_TEST

START_TEST(a_cotangent_of_null_is_one_of_zeros)
{
    for (unsigned slots = 0; slots <= ALL_SLOTS; slots++) {
        cell c, zeros;
        cell_open(&c, BPTT_TANH, 3, 4, 5, 5);
        cell_open(&zeros, BPTT_TANH, 3, 4, 5, 5);
        forward(&c);
        forward(&zeros);
        for (int i = 0; i < TRACE; i++)
            if (!(slots & 1u << i)) memset(zeros.s[i], 0, c.m[i] * sizeof(double));
        reverse(&c, slots);
        reverse(&zeros, ALL_SLOTS);
        for (int i = 0; i < LEAVES; i++) CK_NEAR(near_all(c.grad[i], zeros.grad[i], NULL, c.n[i]), "a gradient");
        cell_close(&c);
        cell_close(&zeros);
    }
}
END_TEST

START_TEST(bad_cells_are_refused_and_nothing_is_written)
{
    cell c;
    cell_open(&c, BPTT_TANH, 2, 3, 2, 5);
    const bptt_elman good = c.e;
    bptt_elman bad[7] = {good, good, good, good, good, good, good};
    bad[0].B = 0, bad[1].I = 0, bad[2].H = 0, bad[3].type = BPTT_I32, bad[4].type = BPTT_C128;
    bad[5].W = NULL, bad[6].b = NULL;
    const bptt_elman_cotangent s = cotangent(&c, ALL_SLOTS);
    for (int i = 0; i < 7; i++) {
        const bptt_status want = i < 5 ? BPTT_BAD_CONFIG : BPTT_BAD_INPUT;
        bptt_error e = {0};
        ck_assert_int_eq(bptt_elman_forward(&bad[i], c.in[X], c.in[HID], NULL, NULL, c.trace[S_NEXT], &e), want);
        ck_assert_int_eq(e.code, want);
        ck_assert(e.words[0] != 0);
        if (i == 6) continue; // the reverse pass does not read b
        ck_assert_int_eq(bptt_elman_vjp(&bad[i], c.trace[S_CONCAT], c.trace[S_NEXT], &s, c.grad[X], c.grad[HID],
                                        c.grad[W_], c.grad[BIAS], NULL),
                         want);
    }
    c.e = good;
    ck_assert_int_eq(bptt_elman_forward(&c.e, NULL, c.in[HID], NULL, NULL, c.trace[S_NEXT], NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_elman_forward(&c.e, c.in[X], NULL, NULL, NULL, c.trace[S_NEXT], NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_elman_vjp(&c.e, NULL, c.trace[S_NEXT], &s, NULL, NULL, c.grad[W_], NULL, NULL),
                     BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_elman_vjp(&c.e, c.trace[S_CONCAT], NULL, &s, c.grad[X], NULL, NULL, NULL, NULL),
                     BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_elman_vjp(&c.e, c.trace[S_CONCAT], c.trace[S_NEXT], NULL, c.grad[X], NULL, NULL, NULL, NULL),
                     BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_elman_jvp(&c.e, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, c.s[S_NEXT], NULL),
                     BPTT_BAD_INPUT);
    ck_assert_int_eq(
        bptt_elman_jvp(&c.e, NULL, c.trace[S_NEXT], NULL, NULL, c.v[W_], NULL, NULL, c.s[S_NEXT], NULL, NULL),
        BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_elman_jvp(&bad[0], NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                     BPTT_BAD_CONFIG);
    const double zeros[16] = {0};
    CK_NEAR(near_all(c.trace[S_NEXT], zeros, NULL, c.m[S_NEXT]), "next");
    for (int i = 0; i < LEAVES; i++) CK_NEAR(near_all(c.grad[i], zeros, NULL, c.n[i]), "a gradient");
    cell_close(&c);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_cell_of_one_unit_is_what_a_hand_computes);
    tcase_add_test(c, each_cotangent_alone_gives_what_a_hand_computes);
    tcase_add_test(c, the_slope_of_relu_is_one_above_zero_and_zero_at_and_below_it);
    tcase_add_test(c, the_reverse_pass_is_the_adjoint_of_the_derivative_for_any_cotangents);
    tcase_add_test(c, the_tangent_of_a_cell_is_its_complex_step);
    tcase_add_test(c, weight_gradients_are_added_to_and_the_others_overwritten);
    tcase_add_test(c, any_output_may_be_null_without_changing_the_others);
    tcase_add_test(c, a_cotangent_of_null_is_one_of_zeros);
    tcase_add_test(c, bad_cells_are_refused_and_nothing_is_written);
}

int main(void) { return run_suite("cell", add, 30); }
