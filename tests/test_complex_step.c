// The gradient of the unrolled net against the complex step (verify/step.h): every element of every tensor.
// The reverse pass is under test; the expected values come from the forward pass over complex numbers.
#include "host_memory.h"
#include "near.h"
#include "step.h"
#include "suite.h"

// V I H L B T, biases, masked, dense targets: T = 1 and B = 1, one to three layers, tokens and dense input, both
// biases, weights and keeps, every loss, with skip and without.
static const net_case SHAPE[] = {
    {0, 5, 0, 4, 1, 3, 5, 1, false, false, 0, TOKENS},
    {0, 5, 0, 4, 2, 1, 4, 2, false, false, 0, TOKENS},
    {0, 4, 0, 3, 3, 2, 4, 1, true, false, 0, TOKENS},
    {0, 3, 5, 4, 1, 2, 4, 1, false, false, 0, TOKENS},
    {0, 3, 2, 3, 3, 2, 3, 2, true, false, 0, TOKENS},
    {0, 7, 0, 1, 1, 1, 1, 1, false, false, 0, TOKENS},
    {0, 2, 1, 5, 2, 3, 1, 1, true, false, 0, TOKENS},
    {0, 6, 0, 7, 1, 1, 9, 1, true, false, 0, TOKENS},
    {0, 2, 5, 4, 2, 3, 4, 1, true, false, 0, {3, BPTT_SQUARED, true}},
    {0, 5, 0, 4, 1, 2, 4, 2, true, false, 0, {3, BPTT_SQUARED, false}},
    {0, 2, 3, 4, 2, 1, 4, 1, false, false, 0, {3, BPTT_ABSOLUTE, true}},
    {0, 2, 3, 4, 1, 3, 4, 2, true, false, 0, {5, BPTT_ABSOLUTE, false}},
    {0, 2, 7, 4, 2, 3, 4, 1, true, false, 0, {1, BPTT_BINARY, true}},
    {0, 4, 0, 5, 3, 1, 4, 1, false, false, 0, {4, BPTT_BINARY, false}},
};
enum { SHAPES = sizeof SHAPE / sizeof *SHAPE };

static void check_complex_step(const bptt_backend *judged, bptt_cell cell, size_t shape, step_found *f)
{
    bptt_error e = {0};
    net_case c = SHAPE[shape];
    c.cell = cell;
    CK_TRUE(step_net(judged, &c, SIZE_MAX, f, &e) == BPTT_OK, "%s", e.words);
}

static void check_all_complex_steps(bptt_cell cell)
{
    const bptt_backend judged = bptt_ref_f64();
    step_found f = {0};
    for (size_t i = 0; i < SHAPES; i++) check_complex_step(&judged, cell, i, &f);
    ck_assert_uint_gt(f.elements, 500);
    CK_TRUE(f.worst <= 1e-13, "off by %.3g of its largest: %s", f.worst, f.where);
}

START_TEST(every_derivative_of_tanh_nets_is_the_complex_steps) { check_all_complex_steps(BPTT_TANH); }
END_TEST

// A kink would need a preactivation within 1e-30 of 0.
START_TEST(every_derivative_of_relu_nets_is_the_complex_steps) { check_all_complex_steps(BPTT_RELU); }
END_TEST

// ---- seen failing -----------------------------------------------------------------------------------

static void column_sums_a_millionth_too_large(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_ref_f64().op[BPTT_COLSUM](d, s, slots);
    double *const db = (double *)s->arg[1].buf->data + s->arg[1].at;
    for (size_t j = 0; j < s->arg[1].cols; j++) db[j] *= 1 + 1e-6;
}

static void nothing(bptt_device *d, const bptt_op *s, const bptt_slots *slots) { (void)d, (void)s, (void)slots; }

START_TEST(wrong_gradients_are_noticed)
{
    bptt_error e = {0};
    double least = 0, largest = 0;
    for (int bug = 0; bug < 2; bug++) {
        bptt_backend judged = bptt_ref_f64();
        judged.op[BPTT_COLSUM] = bug ? nothing : column_sums_a_millionth_too_large;
        step_found f = {0};
        check_complex_step(&judged, BPTT_TANH, 0, &f);
        CK_TRUE(!(f.worst <= 1e-13), "a wrong bias gradient was not noticed");
        if (!bug) continue;
        CK_TRUE(taylor_net(&judged, &SHAPE[0], &least, &largest, &e) == BPTT_OK, "%s", e.words);
        CK_TRUE(least < 1.95, "a missing bias gradient leaves a rest of order %g", least);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_derivative_of_tanh_nets_is_the_complex_steps);
    tcase_add_test(c, every_derivative_of_relu_nets_is_the_complex_steps);
    tcase_add_test(c, wrong_gradients_are_noticed);
}

int main(void) { return run_suite("complex step", add, 60); }
