// The kernels of gpu_micro.cu. All that waits for another block gives up after a while (*wrong = GAVE_UP) or is bound
// to end because its blocks run together; with CHECK, what was told is compared with what must have been (*wrong =
// OTHER).
#ifndef GPU_MICRO_KERNELS_CUH
#define GPU_MICRO_KERNELS_CUH

#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <stdint.h>

enum { GAVE_UP = 1, OTHER = 2, MOST_POLLS = 1 << 22, MOST_WAITS = 1 << 16, MOST_CLUSTER = 16 };

static __device__ __forceinline__ uint64_t nanoseconds()
{
    uint64_t t;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
    return t;
}

static __device__ __forceinline__ uint32_t cluster_rank()
{
    uint32_t r;
    asm volatile("mov.u32 %0, %cluster_ctarank;" : "=r"(r));
    return r;
}

static __device__ __forceinline__ uint32_t cluster_size()
{
    uint32_t n;
    asm volatile("mov.u32 %0, %cluster_nctarank;" : "=r"(n));
    return n;
}

// Addresses in shared memory: ours, and the same place in another block of the cluster.
static __device__ __forceinline__ uint32_t own(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }
static __device__ __forceinline__ uint32_t of_rank(uint32_t address, uint32_t rank)
{
    uint32_t a;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(a) : "r"(address), "r"(rank));
    return a;
}

static __device__ __forceinline__ void cluster_release()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

static __device__ __forceinline__ void cluster_relaxed()
{
    asm volatile("barrier.cluster.arrive.relaxed.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

// ---- clocks -------------------------------------------------------------------------------------

// Works for so long on every SM that is given a block; told[0] clocks in told[1] ns, over the second half.
static __global__ void burn(uint64_t ns, uint64_t *told, float *sink)
{
    const uint64_t start = nanoseconds();
    uint64_t clocks = 0, since = 0, now = start;
    float x = (float)threadIdx.x, y = 1;
    for (int n = 0; n < MOST_POLLS && now - start < ns; n++) {
        for (int i = 0; i < 64; i++) x = fmaf(x, 0.999f, y), y = fmaf(y, 1.001f, -x);
        now = nanoseconds();
        if (!since && now - start >= ns / 2) since = now, clocks = (uint64_t)clock64();
    }
    if (x == 12345.0f) *sink = y;
    if (blockIdx.x || threadIdx.x) return;
    told[0] = (uint64_t)clock64() - clocks;
    told[1] = now - since;
}

// ---- barriers of the whole grid -----------------------------------------------------------------

// Every block says i before barrier i; after it another block must be able to read that. Two sets of words: a block is
// at most one barrier ahead. The thread that says and the thread that reads are not those that wait.
template <bool CHECK> static __device__ __forceinline__ void say(volatile unsigned *word, unsigned i)
{
    if (CHECK && threadIdx.x == 37) word[(i & 1) * gridDim.x + blockIdx.x] = i;
}

template <bool CHECK> static __device__ __forceinline__ void hear(const volatile unsigned *word, unsigned i, int *wrong)
{
    const unsigned other = (blockIdx.x + 1 + i) % gridDim.x;
    if (CHECK && threadIdx.x == 61 && word[(i & 1) * gridDim.x + other] != i) *wrong = OTHER;
}

template <bool CHECK> static __global__ void grid_barrier(unsigned n, volatile unsigned *word, unsigned *, int *wrong)
{
    const cooperative_groups::grid_group all = cooperative_groups::this_grid();
    for (unsigned i = 1; i <= n; i++) {
        say<CHECK>(word, i);
        all.sync();
        hear<CHECK>(word, i, wrong);
    }
}

// One counter that only grows: blocks add 1 with release, and wait with acquire for `until`.
static __device__ __forceinline__ bool arrive_and_wait(unsigned *count, unsigned until)
{
    unsigned seen = 0;
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(count) : "memory");
    for (int polls = 0; polls < MOST_POLLS; polls++) {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(count) : "memory");
        if (seen >= until) return true;
    }
    return false;
}

template <bool CHECK>
static __global__ void flag_barrier(unsigned n, volatile unsigned *word, unsigned *count, int *wrong)
{
    __shared__ int lost;
    if (threadIdx.x == 0) lost = 0;
    for (unsigned i = 1; i <= n; i++) {
        say<CHECK>(word, i);
        __syncthreads();
        if (threadIdx.x == 0 && !arrive_and_wait(count, i * gridDim.x)) lost = 1;
        __syncthreads();
        if (lost) break;
        hear<CHECK>(word, i, wrong);
    }
    if (lost && threadIdx.x == 0) *wrong = GAVE_UP;
}

// ---- inside a cluster ---------------------------------------------------------------------------

// Blocks tell their neighbour i through its shared memory. The relaxed barrier orders no memory: its check has fences.
template <bool CHECK, bool RELEASE>
static __global__ void cluster_barrier(unsigned n, volatile unsigned *, unsigned *, int *wrong)
{
    __shared__ volatile unsigned slot[2];
    const uint32_t next = (cluster_rank() + 1) % cluster_size();
    const uint32_t there = of_rank(own((const void *)slot), next);
    cluster_release();
    for (unsigned i = 1; i <= n; i++) {
        if (CHECK && threadIdx.x == 37)
            asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(there + 4 * (i & 1)), "r"(i) : "memory");
        if (CHECK) __syncwarp(); // .aligned: whole warps arrive
        if (CHECK && !RELEASE) asm volatile("fence.acq_rel.cluster;" ::: "memory");
        if (RELEASE)
            cluster_release();
        else
            cluster_relaxed();
        if (CHECK && !RELEASE) asm volatile("fence.acq_rel.cluster;" ::: "memory");
        if (CHECK && threadIdx.x == 61 && slot[i & 1] != i) *wrong = OTHER;
    }
    cluster_release();
}

static __device__ __forceinline__ void barrier_init(uint64_t *b)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(own(b)) : "memory");
}

static __device__ __forceinline__ void barrier_expect(uint64_t *b, unsigned bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(own(b)), "r"(bytes) : "memory");
}

static __device__ __forceinline__ void send(uint32_t to, uint64_t value, uint32_t barrier)
{
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(to), "l"(value),
                 "r"(barrier)
                 : "memory");
}

static __device__ __forceinline__ bool barrier_wait(uint64_t *b, unsigned parity)
{
    for (int waits = 0; waits < MOST_WAITS; waits++) {
        uint32_t done;
        asm volatile("{\n.reg .pred p;\n"
                     "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done)
                     : "r"(own(b)), "r"(parity)
                     : "memory");
        if (done) return true;
    }
    return false;
}

// Round i goes to slot and mbarrier i % 2, in phase i / 2, which is armed before anybody can send it.
struct mailbox {
    uint64_t barrier[2], slot[2][MOST_CLUSTER];
};

static __device__ __forceinline__ void mailbox_open(mailbox *m, unsigned bytes)
{
    if (threadIdx.x == 0) {
        for (int k = 0; k < 2; k++) barrier_init(&m->barrier[k]);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        for (int k = 0; k < 2; k++) barrier_expect(&m->barrier[k], bytes);
    }
    cluster_release();
}

// Two neighbours: the even one sends i, the odd one answers once it has it.
template <bool CHECK> static __global__ void round_trip(unsigned n, volatile unsigned *, unsigned *, int *wrong)
{
    __shared__ mailbox m;
    const uint32_t me = cluster_rank(), other = me ^ 1;
    mailbox_open(&m, 8);
    for (unsigned i = 0; threadIdx.x == 0 && i < n; i++) {
        const int k = i & 1;
        const uint32_t to = of_rank(own(&m.slot[k][0]), other), at = of_rank(own(&m.barrier[k]), other);
        if ((me & 1) == 0) send(to, (uint64_t)other << 32 | i, at);
        if (!barrier_wait(&m.barrier[k], i >> 1 & 1)) {
            *wrong = GAVE_UP;
            break;
        }
        if (CHECK && m.slot[k][0] != ((uint64_t)me << 32 | i)) *wrong = OTHER;
        barrier_expect(&m.barrier[k], 8);
        if (me & 1) send(to, (uint64_t)other << 32 | i, at);
    }
    __syncthreads();
    cluster_release();
}

// Every block sends 8 bytes to every block of its cluster, itself too, and waits for all: a lane for each.
template <bool CHECK> static __global__ void exchange(unsigned n, volatile unsigned *, unsigned *, int *wrong)
{
    __shared__ mailbox m;
    const uint32_t me = cluster_rank(), C = cluster_size(), lane = threadIdx.x;
    mailbox_open(&m, 8 * C);
    for (unsigned i = 0; lane < 32 && i < n; i++) {
        const int k = i & 1;
        const uint32_t to = of_rank(own(&m.slot[k][me]), lane % C), at = of_rank(own(&m.barrier[k]), lane % C);
        if (lane < C) send(to, (uint64_t)(me * 64 + lane) << 32 | i, at);
        const bool got = barrier_wait(&m.barrier[k], i >> 1 & 1);
        if (!__all_sync(~0u, got)) {
            *wrong = GAVE_UP;
            break;
        }
        if (CHECK && lane < C && m.slot[k][lane] != ((uint64_t)(lane * 64 + me) << 32 | i)) *wrong = OTHER;
        __syncwarp();
        if (lane == 0) barrier_expect(&m.barrier[k], 8 * C);
        __syncwarp();
    }
    __syncthreads();
    cluster_release();
}

// ---- bytes a clock ------------------------------------------------------------------------------

// What word i of a buffer holds.
static __host__ __device__ inline uint32_t pattern(uint32_t owner, uint32_t i)
{
    return (owner + 1) * 2654435761u + i * 40503u;
}

// told[block]: clocks in which a block read `passes` times the `bytes` of its neighbour's shared memory; sum[block]:
// all words.
static __global__ void read_neighbour(unsigned passes, unsigned bytes, uint64_t *told, uint32_t *sum)
{
    extern __shared__ uint32_t mine[];
    const uint32_t there = of_rank(own(mine), (cluster_rank() + 1) % cluster_size());
    uint32_t s = 0;
    for (unsigned i = threadIdx.x; i < bytes / 4; i += blockDim.x) mine[i] = pattern(cluster_rank(), i);
    cluster_release();
    const long long start = clock64();
    for (unsigned p = 0; p < passes; p++)
#pragma unroll 4
        for (unsigned i = threadIdx.x * 16; i < bytes; i += blockDim.x * 16) {
            uint32_t a, b, c, d;
            asm volatile("ld.shared::cluster.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
                         : "r"(there + i)
                         : "memory");
            s += a + b + c + d;
        }
    __syncthreads();
    if (threadIdx.x == 0) told[blockIdx.x] = (uint64_t)(clock64() - start);
    atomicAdd(&sum[blockIdx.x], s);
    cluster_release();
}

// The same for writing it; the clocks end when the whole cluster has what was written.
static __global__ void write_neighbour(unsigned passes, unsigned bytes, uint64_t *told, uint32_t *sum)
{
    extern __shared__ uint32_t mine[];
    const uint32_t next = (cluster_rank() + 1) % cluster_size(), there = of_rank(own(mine), next);
    uint32_t s = 0;
    for (unsigned i = threadIdx.x; i < bytes / 4; i += blockDim.x) mine[i] = 0;
    cluster_release();
    const long long start = clock64();
    for (unsigned p = 0; p < passes; p++)
#pragma unroll 4
        for (unsigned i = threadIdx.x * 16; i < bytes; i += blockDim.x * 16)
            asm volatile("st.shared::cluster.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(there + i),
                         "r"(pattern(next, i / 4)), "r"(pattern(next, i / 4 + 1)), "r"(pattern(next, i / 4 + 2)),
                         "r"(pattern(next, i / 4 + 3))
                         : "memory");
    cluster_release();
    if (threadIdx.x == 0) told[blockIdx.x] = (uint64_t)(clock64() - start);
    for (unsigned i = threadIdx.x; i < bytes / 4; i += blockDim.x) s += mine[i];
    atomicAdd(&sum[blockIdx.x], s * passes);
    cluster_release();
}

// Every block reads all words, past L1, each from another place on.
static __global__ void read_l2(unsigned passes, const uint4 *x, unsigned vectors, uint64_t *told, uint32_t *sum)
{
    uint32_t s = 0;
    const unsigned from = (unsigned)((uint64_t)vectors * blockIdx.x / gridDim.x / blockDim.x * blockDim.x);
    const long long start = clock64();
    for (unsigned p = 0; p < passes; p++)
#pragma unroll 8
        for (unsigned i = threadIdx.x; i < vectors; i += blockDim.x) {
            const unsigned j = from + i < vectors ? from + i : from + i - vectors;
            uint32_t a, b, c, d;
            asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
                         : "l"(x + j)
                         : "memory");
            s += a + b + c + d;
        }
    __syncthreads();
    if (threadIdx.x == 0) told[blockIdx.x] = (uint64_t)(clock64() - start);
    atomicAdd(&sum[blockIdx.x], s);
}

static __global__ void fill(uint32_t *x, unsigned n)
{
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) x[i] = pattern(0, i);
}

// ---- launches -----------------------------------------------------------------------------------

// Without a counter: nothing. With one, a plain addition: it counts only if the launches are in order.
static __global__ void tick(unsigned *counter)
{
    if (counter && blockIdx.x == 0 && threadIdx.x == 0) *counter += 1;
}

#endif
