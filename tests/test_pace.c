// Backend cpu uses its threads where they help: with the times that windows have on quiet and on busy cores.
#include "suite.h"

#include "pace.h"

// Times of a window, in any unit: on all threads, of which the caller waits so long; on one.
typedef struct machine {
    double all, waits, one;
} machine;

static const machine QUIET = {5, 0.3, 9.5}, BUSY = {11, 5, 9.5}, HELPED = {7, 3, 9.5};

// How many of n windows run on one thread.
static size_t alone_of(pace *p, const machine *m, size_t n)
{
    size_t alone = 0;
    for (size_t i = 0; i < n; i++) {
        const bool now = pace_alone(p);
        alone += now;
        pace_took(p, now ? m->one : m->all, now ? 0 : m->waits);
    }
    return alone;
}

START_TEST(quiet_cores_are_always_used)
{
    pace p;
    pace_begin(&p);
    ck_assert_uint_eq(alone_of(&p, &QUIET, 5000), 0);
}
END_TEST

START_TEST(a_busy_core_is_left_alone)
{
    pace p;
    pace_begin(&p);
    ck_assert_uint_ge(alone_of(&p, &BUSY, 100), 80);
    ck_assert_uint_ge(alone_of(&p, &BUSY, 5000), 4900);
}
END_TEST

START_TEST(half_a_core_is_used_where_it_helps)
{
    pace p;
    pace_begin(&p);
    ck_assert_uint_le(alone_of(&p, &HELPED, 100), 12);
    ck_assert_uint_le(alone_of(&p, &HELPED, 5000), 100);
}
END_TEST

START_TEST(a_core_that_is_free_again_is_used_again)
{
    pace p;
    pace_begin(&p);
    (void)alone_of(&p, &BUSY, 5000);
    ck_assert_uint_le(alone_of(&p, &QUIET, 5000), 600);
    ck_assert(!pace_alone(&p));
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, quiet_cores_are_always_used);
    tcase_add_test(c, a_busy_core_is_left_alone);
    tcase_add_test(c, half_a_core_is_used_where_it_helps);
    tcase_add_test(c, a_core_that_is_free_again_is_used_again);
}

int main(void) { return run_suite("pace", add, 30); }
