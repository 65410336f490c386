// Backend cpu uses its threads where they help: with the times that windows have on quiet and on busy cores.
#include "suite.h"

#include "pace.h"
#include "pool.h"

#include <string.h>

// Times of a window, in any unit: on all threads, of which the caller waits so long; on one.
typedef struct machine {
    double all, waits, one;
} machine;

// clang-format off
#define QUIET {5, 0.3, 9.5}
#define BUSY {11, 5, 9.5}
#define HELPED {7, 3, 9.5}
// clang-format on

// The number of n windows that run on one thread.
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

static const struct {
    machine m;
    size_t least[2], most[2]; // windows on one thread, of the first 100 and of 5000 more
} EACH[] = {{QUIET, {0, 0}, {0, 0}}, {BUSY, {80, 4900}, {100, 5000}}, {HELPED, {0, 0}, {12, 100}}};

START_TEST(the_faster_way_is_used)
{
    pace p;
    pace_begin(&p);
    const size_t windows[2] = {100, 5000};
    for (size_t k = 0; k < 2; k++) {
        const size_t alone = alone_of(&p, &EACH[_i].m, windows[k]);
        ck_assert_uint_ge(alone, EACH[_i].least[k]);
        ck_assert_uint_le(alone, EACH[_i].most[k]);
    }
}
END_TEST

START_TEST(a_core_that_is_free_again_is_used_again)
{
    static const machine busy = BUSY, quiet = QUIET;
    pace p;
    pace_begin(&p);
    (void)alone_of(&p, &busy, 5000);
    ck_assert_uint_le(alone_of(&p, &quiet, 5000), 600);
    ck_assert(!pace_alone(&p));
}
END_TEST

static void run_thread(void *work, size_t i, unsigned thread)
{
    unsigned *const by = work;
    for (volatile int k = 0; k < 20000; k++) { // so that others come in time
    }
    by[i] = thread;
}

START_TEST(a_pool_that_is_to_work_alone_does)
{
    enum { TASKS = 500 };
    unsigned by[TASKS];
    pool *const p = pool_open(3);
    ck_assert_ptr_nonnull(p);
    for (int alone = 0; alone < 2; alone++) {
        memset(by, 0xff, sizeof by);
        pool_alone(p, alone);
        pool_run(p, TASKS, run_thread, by);
        for (size_t i = 0; i < TASKS; i++) ck_assert_uint_lt(by[i], alone ? 1 : 3);
    }
    pool_close(p);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, the_faster_way_is_used, 0, sizeof EACH / sizeof EACH[0]);
    tcase_add_test(c, a_core_that_is_free_again_is_used_again);
    tcase_add_test(c, a_pool_that_is_to_work_alone_does);
}

int main(void) { return run_suite("pace", add, 30); }
