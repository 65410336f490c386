// The BLAS of backend cpu and the process around it: it has one thread while bptt computes, and the caller's number
// before and after. Skipped where OpenBLAS is not installed.
#include "nets.h"
#include "suite.h"

#include "blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

static struct {
    int threads, changes;
} fake;

static void fake_set(int n) { fake.threads = n, fake.changes++; }
static int fake_get(void) { return fake.threads; }

START_TEST(the_first_begin_sets_one_thread_and_the_last_end_restores)
{
    const blas b = {.set_threads = fake_set, .threads = fake_get}, without = {0};
    for (int before = 1; before <= 5; before += 2) {
        fake.threads = before, fake.changes = 0;
        blas_begin(&without);
        ck_assert_int_eq(fake.threads, before);
        blas_begin(&b);
        ck_assert_int_eq(fake.threads, 1);
        blas_begin(&b);
        blas_end(&b);
        ck_assert_int_eq(fake.threads, 1);
        blas_end(&b);
        blas_end(&without);
        ck_assert_int_eq(fake.threads, before);
        ck_assert_int_eq(fake.changes, before == 1 ? 0 : 2);
    }
}
END_TEST

// Functions of the OpenBLAS that bptt loaded.
static struct {
    void (*set)(int n);
    int (*get)(void);
} openblas;

static bptt_status look_for_openblas(bptt_error *e)
{
    void *file = dlopen("libopenblas.so.0", RTLD_NOW);
    void *const found[] = {file ? dlsym(file, "openblas_set_num_threads") : NULL,
                           file ? dlsym(file, "openblas_get_num_threads") : NULL};
    _Static_assert(sizeof found == sizeof openblas, "a function for each member");
    memcpy(&openblas, found, sizeof openblas);
    if (openblas.set && openblas.get) openblas.set(2);
    if (openblas.set && openblas.get && openblas.get() == 2) return BPTT_OK;
    return bptt_fail(e, BPTT_NO_BACKEND, "no libopenblas.so.0 with threads (install libopenblas0-pthread)");
}

// A net on cpu, in a process that wants that many threads from OpenBLAS.
static net net_beside(int threads)
{
    net n;
    const bptt_model_config c = net_config("cpu", BPTT_F32, 65, 256, 1);
    net_open(&n, &c, &(bptt_run_config){.batch = 32, .steps = 8, .gradient = 1});
    net_random_window(&n, 1);
    CK_OK(look_for_openblas(NULL));
    openblas.set(threads);
    return n;
}

START_TEST(calls_leave_the_number_of_threads_alone)
{
    net n = net_beside(3), other = net_beside(3);
    float logp[32 * 65];
    CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
    ck_assert_int_eq(openblas.get(), 3);
    CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
    ck_assert_int_eq(openblas.get(), 3);
    CK_OK(bptt_run_next(n.r, n.token, logp, NULL));
    ck_assert_int_eq(openblas.get(), 3);
    CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
    CK_OK(bptt_run_collect(n.r, NULL, NULL));
    ck_assert_int_eq(openblas.get(), 3);
    net_close(&other);
    net_close(&n);
    ck_assert_int_eq(openblas.get(), 3);
}
END_TEST

static atomic_bool seen, over;

static void *watch(void *nothing)
{
    while (!seen && !over) seen = openblas.get() == 1;
    return nothing;
}

// Sums that OpenBLAS splits over its threads could have other bits.
START_TEST(it_has_one_thread_while_a_window_is_computed)
{
    net n = net_beside(3);
    pthread_t watcher;
    seen = over = false;
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, NULL), 0);
    for (int i = 0; i < 2000 && !seen; i++) CK_OK(bptt_run_train(n.r, &n.w, 0.01, NULL, NULL));
    over = true;
    ck_assert_int_eq(pthread_join(watcher, NULL), 0);
    ck_assert(seen);
    net_close(&n);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, the_first_begin_sets_one_thread_and_the_last_end_restores);
    tcase_add_test(c, calls_leave_the_number_of_threads_alone);
    tcase_add_test(c, it_has_one_thread_while_a_window_is_computed);
}

int main(void)
{
    const int missing = device_missing("OpenBLAS", "BPTT_NEED_OPENBLAS", look_for_openblas);
    return missing ? missing : run_suite("blas", add, 120);
}
