// One thread for the BLAS while bptt computes, and the caller's number otherwise.
#include "blas.h"

#include <pthread.h>

// A global, against the rule: the number of threads of a BLAS is one for the whole process.
static struct {
    pthread_mutex_t lock;
    size_t users;
    int before;
} running = {.lock = PTHREAD_MUTEX_INITIALIZER};

void blas_begin(const blas *b)
{
    if (!b->set_threads) return;
    (void)pthread_mutex_lock(&running.lock);
    if (running.users++ == 0 && (running.before = b->threads()) != 1) b->set_threads(1);
    (void)pthread_mutex_unlock(&running.lock);
}

void blas_end(const blas *b)
{
    if (!b->set_threads) return;
    (void)pthread_mutex_lock(&running.lock);
    if (--running.users == 0 && running.before != 1) b->set_threads(running.before);
    (void)pthread_mutex_unlock(&running.lock);
}
