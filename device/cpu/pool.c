// A thread pool: threads take tasks from one atomic counter.
#define _GNU_SOURCE // sched_getaffinity: the cores this process may use, not those the machine has
#include "pool.h"
#include "error.h"
#include "flush.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 40000 }; // polls of the job number before sleeping: some dozens of microseconds, longer than most gaps

struct pool {
    unsigned started;   // worker threads: one less than threads
    atomic_uint joined; // of which have taken their number
    pthread_t *thread;  // [threads - 1]
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint job;    // grows by one with each job
    atomic_size_t next; // next task
    atomic_uint busy;   // workers that have not finished the job
    size_t tasks;
    pool_task *task;
    void *work;
    bool leave, alone;
    double waited; // see pool_waited
};

static void deal(pool *p, unsigned thread)
{
    for (size_t i; (i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->tasks;)
        p->task(p->work, i, thread);
}

// Waits for a job other than `seen`: spinning first, then asleep.
static unsigned next_job(pool *p, unsigned seen)
{
    for (int i = 0; i < SPINS; i++)
        if (atomic_load_explicit(&p->job, memory_order_acquire) != seen)
            return atomic_load_explicit(&p->job, memory_order_acquire);
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->job) == seen) pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return atomic_load(&p->job);
}

static void *worker(void *arg)
{
    pool *p = arg;
    const unsigned thread = 1 + atomic_fetch_add(&p->joined, 1);
    (void)flush_on();
    for (unsigned seen = 0;;) {
        seen = next_job(p, seen);
        if (p->leave) return NULL;
        deal(p, thread);
        if (atomic_fetch_sub_explicit(&p->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void start_job(pool *p)
{
    atomic_store(&p->next, 0);
    atomic_store(&p->busy, p->started);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->job, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static void wait_for_others(pool *p)
{
    for (int i = 0; i < SPINS; i++)
        if (!atomic_load_explicit(&p->busy, memory_order_acquire)) return;
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->busy, memory_order_acquire)) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(pool *p, size_t n, pool_task *task, void *work)
{
    const unsigned before = flush_on();
    if (p->started == 0 || n < 2 || p->alone)
        for (size_t i = 0; i < n; i++) task(work, i, 0);
    else {
        p->tasks = n, p->task = task, p->work = work;
        start_job(p);
        deal(p, 0);
        const double start = bptt_seconds();
        wait_for_others(p);
        p->waited += bptt_seconds() - start;
    }
    flush_restore(before);
}

void pool_alone(pool *p, bool alone) { p->alone = alone; }

double pool_waited(pool *p)
{
    const double waited = p->waited;
    p->waited = 0;
    return waited;
}

pool *pool_open(unsigned threads)
{
    pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->thread = calloc(threads, sizeof *p->thread);
    if (!p->thread) {
        free(p);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    sigset_t all, before; // workers block all signals: the program's threads handle them
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->started + 1 < threads && pthread_create(&p->thread[p->started], NULL, worker, p) == 0) p->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (p->started + 1 == threads) return p;
    pool_close(p);
    return NULL;
}

void pool_close(pool *p)
{
    if (!p) return;
    p->leave = true;
    start_job(p);
    for (unsigned i = 0; i < p->started; i++) pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}

unsigned pool_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}
