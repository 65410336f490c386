// What the hardware's steps cost: barriers of the grid and of a cluster, messages and bytes between the SMs of a
// cluster, reads from L2, graph nodes, launches, the clock. One JSON row each; a row with "error" where something is
// not possible here, gave up waiting, or told another value than it must.
//
//   gpu_micro [--identify]     --identify: the device, versions, clocks
//
// Every benchmark runs in a process of its own, with an alarm: none can take the others with it. Exit code 69: no GPU.
#include "gpu_micro_kernels.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

enum { NO_GPU = 69, ALARM_SECONDS = 6, THREADS = 256, ROUNDS = 7, CHAIN = 1000, MOST_BLOCKS = 1024 };

// What a benchmark has: words, counter, flag, times and sums on the device.
struct bench {
    cudaDeviceProp p;
    unsigned *word, *count, *sum;
    int *wrong;
    uint64_t *told;
    cudaEvent_t begin, end;
};

static void number_row(const char *name, double value, const char *unit)
{
    printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"part\":\"micro\"}\n", name, value, unit);
    fflush(stdout);
}

static void error_row(const char *name, const char *why)
{
    printf("{\"name\":\"%s\",\"error\":\"%s\",\"part\":\"micro\"}\n", name, why);
    fflush(stdout);
}

static void fact_row(const char *name, const char *value)
{
    printf("{\"name\":\"%s\",\"value\":\"%s\",\"part\":\"identify\"}\n", name, value);
    fflush(stdout);
}

// Ends the process of this benchmark with a row: after most failures the context is of no use.
static void must(const char *name, cudaError_t e)
{
    if (e == cudaSuccess) return;
    error_row(name, cudaGetErrorString(e));
    _exit(0);
}

static void must_be(const char *name, bool holds, const char *why)
{
    if (holds) return;
    error_row(name, why);
    _exit(0);
}

static bench bench_open(const char *name)
{
    bench b = {};
    must(name, cudaGetDeviceProperties(&b.p, 0));
    must(name, cudaMalloc(&b.word, 2 * MOST_BLOCKS * sizeof *b.word));
    must(name, cudaMalloc(&b.count, sizeof *b.count));
    must(name, cudaMalloc(&b.sum, MOST_BLOCKS * sizeof *b.sum));
    must(name, cudaMalloc(&b.wrong, sizeof *b.wrong));
    must(name, cudaMalloc(&b.told, MOST_BLOCKS * sizeof *b.told));
    must(name, cudaEventCreate(&b.begin));
    must(name, cudaEventCreate(&b.end));
    must(name, cudaMemset(b.wrong, 0, sizeof *b.wrong));
    must_be(name, b.p.multiProcessorCount <= MOST_BLOCKS, "more multiprocessors than this program counts");
    return b;
}

static double median(std::vector<double> x)
{
    std::sort(x.begin(), x.end());
    return x[x.size() / 2];
}

// After bench_open: brings the clock up.
static double burn_mhz(const char *name, const bench &b, unsigned blocks, double seconds)
{
    uint64_t told[2] = {0, 0};
    burn<<<blocks, THREADS>>>((uint64_t)(seconds * 1e9), b.told, (float *)b.sum);
    must(name, cudaGetLastError());
    must(name, cudaMemcpy(told, b.told, sizeof told, cudaMemcpyDeviceToHost));
    const double mhz = told[1] ? 1e3 * (double)told[0] / (double)told[1] : 0;
    must_be(name, mhz > 50 && mhz < 5000, "clocks and nanoseconds that cannot both be true");
    return mhz;
}

// ---- what iterates in one launch ------------------------------------------------------------------

typedef void stepper(unsigned, volatile unsigned *, unsigned *, int *);

struct shape {
    unsigned blocks, cluster; // cluster 0: a cooperative launch of the whole grid
};

static double launch_ms(const char *name, bench *b, stepper *f, shape s, unsigned n)
{
    cudaLaunchAttribute a[1] = {};
    a[0].id = s.cluster ? cudaLaunchAttributeClusterDimension : cudaLaunchAttributeCooperative;
    if (s.cluster) a[0].val.clusterDim = {s.cluster, 1, 1};
    else a[0].val.cooperative = 1;
    cudaLaunchConfig_t c = {};
    c.gridDim = dim3(s.blocks);
    c.blockDim = dim3(THREADS);
    c.attrs = a;
    c.numAttrs = 1;
    float ms = 0;
    must(name, cudaMemset(b->count, 0, sizeof *b->count));
    must(name, cudaEventRecord(b->begin));
    must(name, cudaLaunchKernelEx(&c, f, n, (volatile unsigned *)b->word, b->count, b->wrong));
    must(name, cudaEventRecord(b->end));
    must(name, cudaDeviceSynchronize());
    must(name, cudaEventElapsedTime(&ms, b->begin, b->end));
    int wrong = 0;
    must(name, cudaMemcpy(&wrong, b->wrong, sizeof wrong, cudaMemcpyDeviceToHost));
    must_be(name, wrong != GAVE_UP, "gave up waiting for another block");
    must_be(name, wrong == 0, "a block read another value than was sent before the barrier");
    return ms;
}

// ns of one iteration: between n and 3n of them, so that the launch falls out.
static void steps_row(const char *name, bench *b, stepper *checked, stepper *timed, shape s, unsigned n)
{
    std::vector<double> x;
    must(name, cudaMemset(b->word, 0, 2 * MOST_BLOCKS * sizeof *b->word));
    launch_ms(name, b, checked, s, 999);
    burn_mhz(name, *b, (unsigned)b->p.multiProcessorCount, 0.05);
    for (int i = 0; i < ROUNDS; i++) {
        const double one = launch_ms(name, b, timed, s, n), three = launch_ms(name, b, timed, s, 3 * n);
        x.push_back((three - one) * 1e6 / (2.0 * n));
    }
    must_be(name, median(x) > 1, "no time passed");
    number_row(name, median(x), "ns");
}

static void grid_sync(const char *name)
{
    bench b = bench_open(name);
    const shape s = {(unsigned)b.p.multiProcessorCount, 0};
    steps_row(name, &b, grid_barrier<true>, grid_barrier<false>, s, 2000);
}

static void flags(const char *name)
{
    bench b = bench_open(name);
    const shape s = {(unsigned)b.p.multiProcessorCount, 0};
    steps_row(name, &b, flag_barrier<true>, flag_barrier<false>, s, 2000);
}

// How many clusters run at once, each block alone on its SM; 0 and a row if none does.
template <typename F> static unsigned clusters(const char *name, F *f, unsigned cluster, size_t shared)
{
    cudaLaunchAttribute a[1] = {};
    a[0].id = cudaLaunchAttributeClusterDimension;
    a[0].val.clusterDim = {cluster, 1, 1};
    cudaLaunchConfig_t c = {};
    c.gridDim = dim3(cluster);
    c.blockDim = dim3(THREADS);
    c.dynamicSmemBytes = shared;
    c.attrs = a;
    c.numAttrs = 1;
    int n = 0;
    if (cluster > 8) must(name, cudaFuncSetAttribute(f, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    if (shared) must(name, cudaFuncSetAttribute(f, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared));
    must(name, cudaOccupancyMaxActiveClusters(&n, f, &c));
    must_be(name, n > 0, "no cluster of this size fits");
    return (unsigned)n;
}

static void cluster_steps(const char *name, stepper *checked, stepper *timed, unsigned cluster)
{
    bench b = bench_open(name);
    clusters(name, checked, cluster, 0);
    const unsigned n = std::min(clusters(name, timed, cluster, 0), (unsigned)b.p.multiProcessorCount / cluster);
    steps_row(name, &b, checked, timed, {n * cluster, cluster}, 5000);
}

static void relaxed_8(const char *name)
{
    cluster_steps(name, cluster_barrier<true, false>, cluster_barrier<false, false>, 8);
}

static void release_8(const char *name)
{
    cluster_steps(name, cluster_barrier<true, true>, cluster_barrier<false, true>, 8);
}

static void relaxed_16(const char *name)
{
    cluster_steps(name, cluster_barrier<true, false>, cluster_barrier<false, false>, 16);
}

static void release_16(const char *name)
{
    cluster_steps(name, cluster_barrier<true, true>, cluster_barrier<false, true>, 16);
}

static void trip_8(const char *name)
{
    cluster_steps(name, round_trip<true>, round_trip<false>, 8);
}

static void exchange_8(const char *name)
{
    cluster_steps(name, exchange<true>, exchange<false>, 8);
}

static void exchange_16(const char *name)
{
    cluster_steps(name, exchange<true>, exchange<false>, 16);
}

// ---- bytes a clock ------------------------------------------------------------------------------

// The mean over blocks of bytes / clocks, once the sums are right; want[block % period] is one pass's sum.
static double bytes_a_clock(const char *name, const bench &b, unsigned blocks, double bytes,
                            const std::vector<uint32_t> &want)
{
    std::vector<uint64_t> told(blocks);
    std::vector<uint32_t> sum(blocks);
    double rate = 0;
    must(name, cudaDeviceSynchronize());
    must(name, cudaMemcpy(told.data(), b.told, blocks * sizeof told[0], cudaMemcpyDeviceToHost));
    must(name, cudaMemcpy(sum.data(), b.sum, blocks * sizeof sum[0], cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < blocks; i++) {
        must_be(name, sum[i] == want[i % want.size()], "the bytes that arrived are not those that were sent");
        must_be(name, told[i] > 0, "no clock passed");
        rate += bytes / (double)told[i] / blocks;
    }
    return rate;
}

typedef void mover(unsigned, unsigned, uint64_t *, uint32_t *);

// reads: from the next rank; else words arrive that are ours.
static void between(const char *name, mover *f, bool reads, unsigned cluster)
{
    enum { BYTES = 64 << 10, ALONE = 120 << 10, PASSES = 64 }; // ALONE: no second block fits on the SM
    bench b = bench_open(name);
    const unsigned n = clusters(name, f, cluster, ALONE), blocks = n * cluster;
    std::vector<uint32_t> want(cluster);
    for (unsigned r = 0; r < cluster; r++)
        for (unsigned i = 0; i < BYTES / 4; i++) want[r] += PASSES * pattern(reads ? (r + 1) % cluster : r, i);
    cudaLaunchAttribute a[1] = {};
    a[0].id = cudaLaunchAttributeClusterDimension;
    a[0].val.clusterDim = {cluster, 1, 1};
    cudaLaunchConfig_t c = {};
    c.gridDim = dim3(blocks);
    c.blockDim = dim3(1024);
    c.dynamicSmemBytes = ALONE;
    c.attrs = a;
    c.numAttrs = 1;
    std::vector<double> x;
    must_be(name, blocks <= MOST_BLOCKS, "more blocks than this program counts");
    burn_mhz(name, b, (unsigned)b.p.multiProcessorCount, 0.02);
    for (int i = 0; i < ROUNDS; i++) {
        must(name, cudaMemset(b.sum, 0, MOST_BLOCKS * sizeof *b.sum));
        must(name, cudaLaunchKernelEx(&c, f, (unsigned)PASSES, (unsigned)BYTES, b.told, b.sum));
        x.push_back(bytes_a_clock(name, b, blocks, (double)BYTES * PASSES, want));
    }
    number_row(name, median(x), "B/clk/SM");
}

static void read_2(const char *name) { between(name, read_neighbour, true, 2); }
static void read_4(const char *name) { between(name, read_neighbour, true, 4); }
static void read_8(const char *name) { between(name, read_neighbour, true, 8); }
static void read_16(const char *name) { between(name, read_neighbour, true, 16); }
static void write_2(const char *name) { between(name, write_neighbour, false, 2); }
static void write_4(const char *name) { between(name, write_neighbour, false, 4); }
static void write_8(const char *name) { between(name, write_neighbour, false, 8); }
static void write_16(const char *name) { between(name, write_neighbour, false, 16); }

static void l2(const char *name)
{
    enum { BYTES = 16 << 20, PASSES = 2 }; // fits in L2, not in L1
    bench b = bench_open(name);
    const unsigned blocks = (unsigned)b.p.multiProcessorCount;
    std::vector<uint32_t> want(1);
    for (unsigned i = 0; i < BYTES / 4; i++) want[0] += PASSES * pattern(0, i);
    uint32_t *x = NULL;
    must(name, cudaMalloc(&x, BYTES));
    fill<<<blocks, THREADS>>>(x, BYTES / 4);
    must(name, cudaGetLastError());
    std::vector<double> rate;
    for (int i = 0; i < ROUNDS + 1; i++) {
        must(name, cudaMemset(b.sum, 0, MOST_BLOCKS * sizeof *b.sum));
        read_l2<<<blocks, 1024>>>(PASSES, (const uint4 *)x, BYTES / 16, b.told, b.sum);
        must(name, cudaGetLastError());
        const double r = bytes_a_clock(name, b, blocks, (double)BYTES * PASSES, want);
        if (i) rate.push_back(r * blocks); // the first one fetches
    }
    number_row(name, median(rate), "B/clk");
}

// ---- launches -----------------------------------------------------------------------------------

static cudaGraphExec_t chain(const char *name, cudaStream_t s, unsigned blocks, unsigned *counter)
{
    cudaGraph_t g;
    cudaGraphExec_t e;
    must(name, cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    for (int i = 0; i < CHAIN; i++) tick<<<blocks, THREADS, 0, s>>>(counter);
    must(name, cudaStreamEndCapture(s, &g));
    must(name, cudaGraphInstantiate(&e, g, 0));
    return e;
}

static void must_count(const char *name, const bench &b)
{
    unsigned counted = 0;
    must(name, cudaMemcpy(&counted, b.count, sizeof counted, cudaMemcpyDeviceToHost));
    must_be(name, counted == CHAIN, "not every launch counted once");
}

// ns of a launch: a graph's node, or a call.
static void launches(const char *name, bool graph)
{
    bench b = bench_open(name);
    const unsigned blocks = (unsigned)b.p.multiProcessorCount;
    cudaStream_t s;
    std::vector<double> x;
    must(name, cudaStreamCreate(&s));
    must(name, cudaMemset(b.count, 0, sizeof *b.count));
    must(name, cudaDeviceSynchronize());
    const cudaGraphExec_t counts = graph ? chain(name, s, blocks, b.count) : NULL;
    const cudaGraphExec_t empty = graph ? chain(name, s, blocks, NULL) : NULL;
    for (int i = 0; i < ROUNDS + 1; i++) { // the first one counts
        float ms = 0;
        must(name, cudaEventRecord(b.begin, s));
        if (graph) must(name, cudaGraphLaunch(i ? empty : counts, s));
        for (int k = 0; k < CHAIN && !graph; k++) tick<<<blocks, THREADS, 0, s>>>(i ? NULL : b.count);
        must(name, cudaGetLastError());
        must(name, cudaEventRecord(b.end, s));
        must(name, cudaStreamSynchronize(s));
        must(name, cudaEventElapsedTime(&ms, b.begin, b.end));
        if (i) x.push_back(ms * 1e6 / CHAIN);
        else must_count(name, b);
    }
    number_row(name, median(x), "ns");
}

static void graph_node(const char *name) { launches(name, true); }
static void stream_launch(const char *name) { launches(name, false); }

static void clock_load(const char *name)
{
    const bench b = bench_open(name);
    number_row(name, burn_mhz(name, b, 8 * (unsigned)b.p.multiProcessorCount, 0.5), "MHz");
}

// ---- what is here -------------------------------------------------------------------------------

static void version_fact(const char *name, int v, int thousand, int hundred)
{
    char said[32];
    snprintf(said, sizeof said, "%d.%d.%d", v / thousand, v % thousand / hundred, v % hundred);
    fact_row(name, said);
}

// Versions of libraries that are found at run time, or that they are not.
static void library_facts()
{
    typedef int property(int, int *);
    typedef size_t version();
    void *blas = dlopen("libcublas.so.13", RTLD_NOW), *dnn = dlopen("libcudnn.so.9", RTLD_NOW);
    if (!blas) blas = dlopen("libcublas.so.12", RTLD_NOW);
    property *get = blas ? (property *)dlsym(blas, "cublasGetProperty") : NULL;
    version *of_dnn = dnn ? (version *)dlsym(dnn, "cudnnGetVersion") : NULL;
    char said[48] = "libcublas.so.13 and .12 not found";
    int v[3] = {0, 0, 0};
    for (int i = 0; get && i < 3; i++) get(i, &v[i]);
    if (get) snprintf(said, sizeof said, "%d.%d.%d", v[0], v[1], v[2]);
    fact_row("cuBLAS", said);
    if (of_dnn) version_fact("cuDNN", (int)of_dnn(), 10000, 100);
    else fact_row("cuDNN", "libcudnn.so.9 not found");
}

static void identify(const char *name)
{
    char said[96];
    int driver = 0, runtime = 0;
    const bench b = bench_open(name);
    fact_row("device", b.p.name);
    must(name, cudaDriverGetVersion(&driver));
    must(name, cudaRuntimeGetVersion(&runtime));
    snprintf(said, sizeof said, "%d.%d", b.p.major, b.p.minor);
    fact_row("compute capability", said);
    snprintf(said, sizeof said, "%d", b.p.multiProcessorCount);
    fact_row("multiprocessors", said);
    snprintf(said, sizeof said, "%d KiB of L2, %zu KiB of shared memory a block", b.p.l2CacheSize >> 10,
             b.p.sharedMemPerBlockOptin >> 10);
    fact_row("memory on chip", said);
    snprintf(said, sizeof said, "driver %d.%d, runtime %d.%d", driver / 1000, driver % 1000 / 10, runtime / 1000,
             runtime % 1000 / 10);
    fact_row("CUDA", said);
    library_facts();
    snprintf(said, sizeof said, "%.0f MHz", burn_mhz(name, b, 1, 0.02));
    fact_row("clock, idle until then", said);
    snprintf(said, sizeof said, "%.0f MHz", burn_mhz(name, b, 8 * (unsigned)b.p.multiProcessorCount, 0.5));
    fact_row("clock under load", said);
    snprintf(said, sizeof said, "%u", clusters(name, cluster_barrier<false, true>, 8, 120 << 10));
    fact_row("clusters of 8 at once, a block an SM", said);
    snprintf(said, sizeof said, "%u", clusters(name, cluster_barrier<false, true>, 16, 120 << 10));
    fact_row("clusters of 16 at once, a block an SM", said);
}

// ---- all of them --------------------------------------------------------------------------------

struct row {
    const char *name;
    void (*run)(const char *name);
};

// The most telling come first: the time may not do for all.
static const row ROWS[] = {
    {"clock under load", clock_load},
    {"grid.sync, a block an SM", grid_sync},
    {"flag barrier, release and acquire, a block an SM", flags},
    {"cluster barrier, relaxed, cluster of 8", relaxed_8},
    {"cluster barrier, release and acquire, cluster of 8", release_8},
    {"st.async to a neighbour and back", trip_8},
    {"st.async to all, cluster of 8", exchange_8},
    {"read of a neighbour's shared memory, cluster of 2", read_2},
    {"read of a neighbour's shared memory, cluster of 4", read_4},
    {"read of a neighbour's shared memory, cluster of 8", read_8},
    {"read of a neighbour's shared memory, cluster of 16", read_16},
    {"read from L2, all SMs", l2},
    {"graph node, empty kernel", graph_node},
    {"launch into a stream, empty kernel", stream_launch},
    {"write to a neighbour's shared memory, cluster of 8", write_8},
    {"write to a neighbour's shared memory, cluster of 16", write_16},
    {"write to a neighbour's shared memory, cluster of 2", write_2},
    {"write to a neighbour's shared memory, cluster of 4", write_4},
    {"st.async to all, cluster of 16", exchange_16},
    {"cluster barrier, relaxed, cluster of 16", relaxed_16},
    {"cluster barrier, release and acquire, cluster of 16", release_16},
};

static void has_gpu(const char *)
{
    int n = 0;
    const cudaError_t e = cudaGetDeviceCount(&n);
    if (e == cudaSuccess && n > 0) return;
    fprintf(stderr, "gpu_micro: no NVIDIA GPU here: %s\n", e ? cudaGetErrorString(e) : "the driver lists none");
    _exit(NO_GPU);
}

// In a child: this process never touches CUDA. Its exit code; a row if it did not end by itself.
static int apart(const char *name, void (*run)(const char *))
{
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(ALARM_SECONDS);
        run(name);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        error_row(name, "no process");
        return EXIT_FAILURE;
    }
    if (WIFSIGNALED(status)) error_row(name, WTERMSIG(status) == SIGALRM ? "took too long" : "ended by a signal");
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const bool identifies = argc == 2 && strcmp(argv[1], "--identify") == 0;
    if (argc > 1 && !identifies) {
        fprintf(stderr, "usage: gpu_micro [--identify]\n");
        return 64;
    }
    const int none = apart("device", has_gpu);
    if (none) return none;
    if (identifies) return apart("identify", identify);
    for (const row &r : ROWS) apart(r.name, r.run);
    return 0;
}
