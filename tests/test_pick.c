// A token is drawn with the probability that it has.
#include "near.h"
#include "suite.h"

#include "prng.h"

#include <math.h>

START_TEST(a_drawn_token_is_in_range_and_of_the_right_frequency)
{
    const float logp[5] = {logf(0.5f), -INFINITY, logf(0.125f), logf(0.375f), -INFINITY};
    const double p[5] = {0.5, 0, 0.125, 0.375, 0};
    uint64_t random = 1;
    ck_assert_int_eq(bptt_pick(logp, 5, 0, &random), 0);
    ck_assert_uint_eq(random, 1); // no draw at temperature 0
    uint64_t reference = 1;
    int count[5] = {0};
    enum { DRAWS = 20000 };
    for (int i = 0; i < DRAWS; i++) {
        const int32_t k = bptt_pick(logp, 5, 1, &random);
        ck_assert(k >= 0 && k < 5);
        count[k]++;
        (void)random_word(&reference);
        ck_assert_uint_eq(random, reference); // one draw each
    }
    for (int k = 0; k < 5; k++) {
        const double got = (double)count[k] / DRAWS, bound = 5 * sqrt(p[k] * (1 - p[k]) / DRAWS); // 5 sigma
        CK_NEAR(near_all(&got, p + k, &bound, 1), "frequency");
    }
    for (int i = 0; i < 200; i++) { // cold: the largest; hot: any that is possible
        ck_assert_int_eq(bptt_pick(logp, 5, 1e-9, &random), 0);
        const int32_t k = bptt_pick(logp, 5, 1e9, &random);
        ck_assert(k == 0 || k == 2 || k == 3);
    }
    const float nan[2] = {(float)NAN, (float)NAN};
    for (int i = 0; i < 50; i++) ck_assert_int_lt(bptt_pick(nan, 2, 1, &random), 2);
}
END_TEST

// A draw u picks the first token at which the sum of exp(logp / temperature) passes u times the whole sum. Draws so
// near a boundary that rounding decides are left out.
START_TEST(picks_invert_the_distribution_of_exp)
{
    enum { MOST = 600 };
    static float logp[MOST];
    uint64_t random = 3;
    size_t judged = 0;
    for (int i = 0; i < 20000; i++) {
        const size_t V = i % 50 ? 2 + (size_t)i % 7 : MOST; // 600: more than are weighed at once
        const double temperature = 0.3 + (double)(i % 5) * 0.4;
        for (size_t v = 0; v < V; v++)
            logp[v] = (float)(-20 * splitmix_uniform53(&random) * splitmix_uniform53(&random));
        double sum = 0, part = 0;
        for (size_t v = 0; v < V; v++) sum += exp((double)logp[v] / temperature);
        uint64_t copy = random;
        const double at = splitmix_uniform53(&copy) * sum;
        const size_t got = (size_t)bptt_pick(logp, V, temperature, &random);
        ck_assert(random == copy && got < V);
        for (size_t v = 0; v < got; v++) part += exp((double)logp[v] / temperature);
        const double end = part + exp((double)logp[got] / temperature), near = 1e-12 * sum;
        ck_assert_msg(part < at + near && at < end + near, "token %zu of %zu spans %g to %g, but %g was drawn", got, V,
                      part, end, at);
        judged += part + near < at && at + near < end;
    }
    ck_assert_uint_gt(judged, 19990);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_drawn_token_is_in_range_and_of_the_right_frequency);
    tcase_add_test(c, picks_invert_the_distribution_of_exp);
}

int main(void) { return run_suite("pick", add, 60); }
