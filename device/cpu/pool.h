// Our own threads: they sleep between jobs, flush subnormals while they work, and deal out numbered tasks.
#ifndef POOL_H
#define POOL_H

#include <stddef.h>

typedef struct pool pool;
typedef void pool_task(void *work, size_t i);

pool *pool_open(unsigned threads); // threads >= 1, the caller's included; NULL: no memory or no threads
void pool_close(pool *p);          // NULL is fine
// task(work, 0) .. task(work, n - 1), in any order on any thread; returns when all are done. The calling thread works
// too; its floating-point state is as it was afterwards.
void pool_run(pool *p, size_t n, pool_task *task, void *work);
unsigned pool_cores(void); // how many this process may use

#endif
