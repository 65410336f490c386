// Multithreaded matrix product in double; see product_f64.h. Each call creates threads and splits the rows among them;
// a call takes milliseconds.
#include "product_f64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// One text for several processors, chosen when the program starts.
#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

enum { ROWS = 4, COLUMNS = 64, THREADS = 64, WORTH_A_THREAD = 1 << 20 }; // multiplications

typedef struct product {
    size_t K, M, first, end; // rows first .. end - 1
    matrix_f64 a, b, c;      // b.col is 1
    bool minus, add;
} product;

FOR_EACH_PROCESSOR static void tile(const product *p, size_t i, size_t rows, size_t j, size_t columns)
{
    double sum[ROWS][COLUMNS] = {{0}};
    for (size_t k = 0; k < p->K; k++) {
        const double *b = p->b.at + k * p->b.row + j;
        for (size_t r = 0; r < rows; r++) {
            const double a = p->a.at[(i + r) * p->a.row + k * p->a.col];
            if (columns == COLUMNS)
                for (size_t x = 0; x < COLUMNS; x++) sum[r][x] += a * b[x];
            else
                for (size_t x = 0; x < columns; x++) sum[r][x] += a * b[x];
        }
    }
    for (size_t r = 0; r < rows; r++) {
        double *c = p->c.at + (i + r) * p->c.row + j;
        for (size_t x = 0; x < columns; x++) c[x] = (p->add ? c[x] : 0) + (p->minus ? -sum[r][x] : sum[r][x]);
    }
}

static void *rows_of(void *own)
{
    const product *p = own;
    for (size_t j = 0; j < p->M; j += COLUMNS)
        for (size_t i = p->first; i < p->end; i += ROWS)
            tile(p, i, p->end - i < ROWS ? p->end - i : ROWS, j, p->M - j < COLUMNS ? p->M - j : COLUMNS);
    return NULL;
}

static size_t threads_for(size_t N, size_t work)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores > 1 ? (size_t)cores : 1;
    if (n > work / WORTH_A_THREAD + 1) n = work / WORTH_A_THREAD + 1;
    if (n > (N + ROWS - 1) / ROWS) n = (N + ROWS - 1) / ROWS;
    return n > THREADS ? THREADS : n;
}

static double *packed_f64(matrix_f64 b, size_t K, size_t M)
{
    double *to = malloc((K * M > 0 ? K * M : 1) * sizeof *to);
    if (!to) abort();
    for (size_t k = 0; k < K; k++)
        for (size_t j = 0; j < M; j++) to[k * M + j] = b.at[k * b.row + j * b.col];
    return to;
}

void product_f64(size_t N, size_t K, size_t M, matrix_f64 a, matrix_f64 b, bool minus, bool add, matrix_f64 c)
{
    double *packed = b.col == 1 ? NULL : packed_f64(b, K, M);
    const size_t threads = threads_for(N, N * K * M), each = (N / threads + ROWS) / ROWS * ROWS;
    const matrix_f64 straight = packed ? (matrix_f64){packed, M, 1} : b;
    product part[THREADS];
    pthread_t thread[THREADS];
    bool started[THREADS] = {false};
    for (size_t i = 0; i < threads; i++) {
        const size_t first = i * each < N ? i * each : N, end = first + each < N ? first + each : N;
        part[i] = (product){K, M, first, i + 1 == threads ? N : end, a, straight, c, minus, add};
        if (i + 1 < threads) started[i] = pthread_create(&thread[i], NULL, rows_of, &part[i]) == 0;
        if (!started[i]) (void)rows_of(&part[i]);
    }
    for (size_t i = 0; i < threads; i++)
        if (started[i]) (void)pthread_join(thread[i], NULL);
    free(packed);
}
