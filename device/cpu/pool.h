// A thread pool for numbered tasks. Its threads sleep between jobs and flush subnormals while they work.
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pool pool;
typedef void pool_task(void *work, size_t i, unsigned thread); // thread: 0 .. threads - 1, the one it runs on

pool *pool_open(unsigned threads); // threads >= 1, with the calling thread; NULL: no memory or no threads
void pool_close(pool *p);          // NULL is fine
// Calls task(work, 0) .. task(work, n - 1), in any order on any thread; returns when all are done. The calling thread
// takes tasks too; its floating-point state is restored.
void pool_run(pool *p, size_t n, pool_task *task, void *work);
void pool_alone(pool *p, bool alone); // from now on tasks run on the calling thread only, or on all
double pool_waited(pool *p);          // seconds that the calling thread has waited for others since the last call
unsigned pool_cores(void);            // number of cores that this process may use

#endif
