// `bptt verify cell`: correct cells pass, and every planted bug is detected. Also the arithmetic that the exact checks
// depend on: the check and the checked code multiply in different ways and agree.
#include "field.h"
#include "identity.h"
#include "modp.h"
#include "near.h"
#include "suite.h"
#include "verify.h"

// ---- planted bugs -----------------------------------------------------------------------------------

typedef struct vjp_arguments {
    bptt_elman e;
    const uint64_t *concat, *next;
    bptt_elman_cotangent s;
    uint64_t *dx, *dh, *dW, *db;
} vjp_arguments;

static bptt_status vjp(const vjp_arguments *a)
{
    return bptt_elman_vjp(&a->e, a->concat, a->next, &a->s, a->dx, a->dh, a->dW, a->db, NULL);
}

static bptt_status (*bent)(vjp_arguments *a);
static bptt_status bent_vjp(const bptt_elman *e, const void *concat, const void *next, const bptt_elman_cotangent *s,
                            void *dx, void *dh, void *dW, void *db, bptt_error *error)
{
    (void)error;
    vjp_arguments a = {*e, concat, next, *s, dx, dh, dW, db};
    return bent(&a);
}

static bptt_status drops_x(vjp_arguments *a) { return a->s.x = NULL, vjp(a); }
static bptt_status drops_h(vjp_arguments *a) { return a->s.h = NULL, vjp(a); }
static bptt_status drops_concat(vjp_arguments *a) { return a->s.concat = NULL, vjp(a); }
static bptt_status drops_pre(vjp_arguments *a) { return a->s.pre = NULL, vjp(a); }
static bptt_status drops_next(vjp_arguments *a) { return a->s.next = NULL, vjp(a); }

// dz = s.pre + s.next (1 - y), the square lost.
static bptt_status loses_the_square(vjp_arguments *a)
{
    const size_t n = a->e.B * a->e.H;
    uint64_t *dz = must_alloc(n, sizeof *dz);
    const uint64_t *const pre = a->s.pre, *const next = a->s.next;
    for (size_t i = 0; i < n; i++)
        dz[i] = modp_add(pre ? pre[i] : 0, next ? modp_mul(next[i], modp_sub(1, a->next[i])) : 0);
    a->s.pre = dz, a->s.next = NULL;
    const bptt_status s = vjp(a);
    free(dz);
    return s;
}

static bptt_status overwrites_dW(vjp_arguments *a)
{
    memset(a->dW, 0, a->e.H * (a->e.I + a->e.H) * sizeof *a->dW);
    return vjp(a);
}
static bptt_status overwrites_db(vjp_arguments *a) { return memset(a->db, 0, a->e.H * sizeof *a->db), vjp(a); }

static bptt_status adds_to_dx(vjp_arguments *a)
{
    const uint64_t was = a->dx[0];
    const bptt_status s = vjp(a);
    a->dx[0] = modp_add(a->dx[0], was);
    return s;
}

static bptt_status reads_concat_one_off(vjp_arguments *a) { return a->concat++, vjp(a); }
static bptt_status forgets_a_row_in_db(vjp_arguments *a)
{
    uint64_t *const db = a->db;
    a->db = NULL;
    const bptt_status s = vjp(a);
    a->e.B--, a->dx = a->dh = a->dW = NULL, a->db = db;
    return s ? s : vjp(a);
}
static bptt_status has_one_wrong_element(vjp_arguments *a)
{
    const bptt_status s = vjp(a);
    a->dh[3] = modp_add(a->dh[3], 1);
    return s;
}

static const struct {
    const char *what;
    bptt_status (*vjp)(vjp_arguments *a);
} BUG[] = {
    {"s.x dropped", drops_x},
    {"s.h dropped", drops_h},
    {"s.concat dropped", drops_concat},
    {"s.pre dropped", drops_pre},
    {"s.next dropped", drops_next},
    {"1 - y for 1 - y y", loses_the_square},
    {"dW overwritten", overwrites_dW},
    {"db overwritten", overwrites_db},
    {"dx added to", adds_to_dx},
    {"concat one element off", reads_concat_one_off},
    {"a row forgotten in db", forgets_a_row_in_db},
    {"one wrong element", has_one_wrong_element},
};
enum { BUGS = sizeof BUG / sizeof BUG[0] };
static const cell_case CASE = {BPTT_TANH, 3, 4, 5, CELL_ALL_SLOTS};

static cell_verdict verdict(const cell_calls *judged)
{
    cell_verdict v = {false, false};
    bptt_error e = {0};
    CK_TRUE(identity_cell(judged, &CASE, &v, &e) == BPTT_OK, "%s", e.words);
    return v;
}

START_TEST(every_bug_in_the_reverse_pass_is_noticed)
{
    const cell_calls judged = {bptt_elman_forward, bent_vjp};
    bent = BUG[_i].vjp;
    const cell_verdict v = verdict(&judged);
    CK_TRUE(v.formula, "%s: the forward pass is not to blame", BUG[_i].what);
    CK_TRUE(!v.adjoint, "%s was not noticed", BUG[_i].what);
}
END_TEST

static bptt_status forward_without_b(const bptt_elman *e, const void *x, const void *h, void *concat, void *pre,
                                     void *next, bptt_error *error)
{
    bptt_elman other = *e;
    uint64_t *const none = must_alloc(2 * e->H, sizeof *none);
    other.b = none;
    const bptt_status s = bptt_elman_forward(&other, x, h, concat, pre, next, error);
    free(none);
    return s;
}

START_TEST(a_forward_pass_that_is_another_function_is_noticed)
{
    const cell_calls judged = {forward_without_b, bptt_elman_vjp};
    CK_TRUE(!verdict(&judged).formula, "the bias was dropped, and nobody noticed");
}
END_TEST

START_TEST(all_claims_of_the_part_hold)
{
    size_t failures = 0;
    const cell_calls judged = {bptt_elman_forward, bptt_elman_vjp};
    bptt_error e = {0};
    CK_TRUE(verdict(&judged).formula && verdict(&judged).adjoint, "the cell is right, and is blamed");
    CK_TRUE(verify_cell(&(verify_options){0}, &failures, &e) == BPTT_OK, "%s", e.words);
    ck_assert_uint_eq(failures, 0);
}
END_TEST

// ---- numbers modulo p -------------------------------------------------------------------------------

START_TEST(the_check_and_the_cell_compute_alike_modulo_p)
{
    const uint64_t edge[] = {0, 1, 2, MODP - 1, MODP - 2, MODP / 2, MODP / 2 + 1, UINT64_C(1) << 32, UINT64_C(1) << 60};
    uint64_t random = 9;
    for (size_t i = 0; i < 100000; i++) {
        uint64_t x[2];
        modp_draw(&random, x, 2);
        if (i < 81) x[0] = edge[i / 9], x[1] = edge[i % 9];
        const bool same = field_mul(x[0], x[1]) == modp_mul(x[0], x[1]) &&
                          field_add(x[0], x[1]) == modp_add(x[0], x[1]) &&
                          field_sub(x[0], x[1]) == modp_sub(x[0], x[1]);
        CK_TRUE(same, "of %llu and %llu", (unsigned long long)x[0], (unsigned long long)x[1]);
        CK_TRUE(x[0] == 0 || i % 100 || modp_mul(field_inverse(x[0]), x[0]) == 1, "1 / %llu", (unsigned long long)x[0]);
    }
}
END_TEST

START_TEST(doubles_become_elements_without_rounding)
{
    uint64_t random = 9;
    ck_assert_uint_eq(field_of(0), 0);
    ck_assert_uint_eq(field_of(-1), MODP - 1);
    ck_assert_uint_eq(modp_mul(field_of(0.5), 2), 1);
    ck_assert_uint_eq(field_of(0x1p61), 1);
    ck_assert_uint_eq(field_of(0x1p-61), 1);
    for (int i = 0; i < 1000; i++) {
        const double a = random_real(&random), b = ldexp(random_real(&random), i % 9 - 4);
        ck_assert_uint_eq(field_of(a * b), modp_mul(field_of(a), field_of(b))); // 24 bits times 24 bits
        ck_assert_uint_eq(field_of(a + b), modp_add(field_of(a), field_of(b)));
        ck_assert_uint_eq(field_of((double)(float)(i * 0x1p-24)), modp_fraction((uint64_t)i));
    }
}
END_TEST

// A choice needs one of three.
START_TEST(an_element_is_above_zero_or_zero_or_below)
{
    const uint64_t edge[] = {0, 1, MODP - 1, MODP / 2, MODP / 2 + 1};
    const int above[] = {0, 1, 0, 1, 0}, below[] = {0, 0, 1, 0, 1};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(field_above_zero(edge[i]), above[i]);
        ck_assert_int_eq(field_below_zero(edge[i]), below[i]);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, every_bug_in_the_reverse_pass_is_noticed, 0, BUGS);
    tcase_add_test(c, a_forward_pass_that_is_another_function_is_noticed);
    tcase_add_test(c, all_claims_of_the_part_hold);
    tcase_add_test(c, the_check_and_the_cell_compute_alike_modulo_p);
    tcase_add_test(c, doubles_become_elements_without_rounding);
    tcase_add_test(c, an_element_is_above_zero_or_zero_or_below);
}

int main(void) { return run_suite("verify cell", add, 60); }
