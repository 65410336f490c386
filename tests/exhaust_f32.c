// Checks device/f32.h on all 2^32 floats against double precision. Not run by default: minutes.
//
//   exhaust_f32 [NAME...]           of exp, log, tanh, sigmoid, sqrt, divide; all without a name
//   exhaust_f32 speed [NAME...]     instead: time per element of a loop over each, and of libm's
//
// Two threads. The sweep and the checks are those of `bptt verify activation` (verify/sweep.h), here over loops
// of this compiler. Prints, for each function, the worst error in ulp and where, and counts what must not be: values
// that decrease, values outside the range, NaN for a number or a number for NaN, f(-x) unlike -f(x), a zero of the
// wrong sign, a non-zero value where the exact one is below the smallest normal number; and a sum over all result bits,
// which is the same for every vector width. Of sqrt all floats, and of divide all reciprocals of mantissas and 2^30
// pairs, must have the bits of C's, where subnormal numbers are zero before and after. Exit status 1 if anything is
// counted or an error exceeds what f32.h says.
#include "every_float.h"
#include "f32.h"
#include "reference.h"
#include "sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS 2

typedef void loop(size_t n, const float *restrict x, float *restrict y);

#define LOOP(name, function) \
    static void name(size_t n, const float *restrict x, float *restrict y) \
    { \
        for (size_t i = 0; i < n; i++) y[i] = function(x[i]); \
    }
LOOP(exp_all, f32_exp)
LOOP(log_all, f32_log)
LOOP(tanh_all, f32_tanh)
LOOP(sigmoid_all, f32_sigmoid)
LOOP(sqrt_all, f32_sqrt)
#define THIRD(x) f32_divide(x, 3.0f + (x))
LOOP(divide_all, THIRD)
LOOP(libm_exp, expf)
LOOP(libm_sqrt, sqrtf)
#define C_THIRD(x) ((x) / (3.0f + (x)))
LOOP(c_divide, C_THIRD)
LOOP(libm_log, logf)
LOOP(libm_tanh, tanhf)

typedef struct function {
    const char *name;
    loop *all;
    loop *libm; // NULL: it has none
    double (*exact)(double x);
    double lowest, highest, limit; // range of the values; limit of the error, ulp
    bool odd, flushes;             // see sweep.h
} function;

static const function functions[] = {
    {"exp", exp_all, libm_exp, exp, 0, INFINITY, 0.982, false, true},
    {"log", log_all, libm_log, log, -INFINITY, INFINITY, 0.825, false, false},
    {"tanh", tanh_all, libm_tanh, reference_tanh, -1, 1, 0.730, true, false},
    {"sigmoid", sigmoid_all, NULL, reference_sigmoid, 0, 1, 0.970, false, true},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

// own: the function.
static bptt_status values(void *own, size_t n, const float *x, float *y, bptt_error *e)
{
    const function *f = own;
    (void)e;
    f->all(n, x, y);
    return BPTT_OK;
}

static bool check(const function *f)
{
    function copy = *f;
    void *own[THREADS];
    for (size_t i = 0; i < THREADS; i++) own[i] = &copy;
    const sweep_way way = {.name = f->name, .values = values, .own = own};
    const sweep s = {.way = &way,
                     .ways = 1,
                     .exact = f->exact,
                     .lowest = f->lowest,
                     .highest = f->highest,
                     .odd = f->odd,
                     .flushes = f->flushes,
                     .threads = THREADS};
    sweep_verdict v;
    bptt_error e = {0};
    if (sweep_floats(&s, &v, &e)) {
        fprintf(stderr, "exhaust_f32: %s\n", e.words);
        exit(EXIT_FAILURE);
    }
    printf("%-8s worst %.4f ulp at %.9g (%08" PRIx32 "); decreasing %" PRIu64 ", outside %" PRIu64 ", nan %" PRIu64
           ", not odd %" PRIu64 ", sign %" PRIu64 ", not flushed %" PRIu64 "; sum %016" PRIx64 "\n",
           f->name, v.worst, (double)v.where, bits_of_float(v.where), v.decreasing, v.outside, v.nan, v.odd, v.sign,
           v.flush, v.sum);
    fflush(stdout);
    return v.worst <= f->limit && sweep_wrong(&v) == 0;
}

static f32_bits no_subnormal(f32_bits u) { return (u & 0x7f800000u) == 0 ? u & 0x80000000u : u; }
static f32_bits bits_of(float x) { return isnan(x) ? 0x7fc00000u : F32_TO_BITS(x); }

static bool check_sqrt(void)
{
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < UINT64_C(1) << 32; i++) {
        const f32_bits u = (f32_bits)i;
        wrong += F32_TO_BITS(f32_sqrt(F32_FROM_BITS(u))) != bits_of(sqrtf(F32_FROM_BITS(no_subnormal(u))));
    }
    printf("sqrt     unlike C's %" PRIu64 "\n", wrong);
    return wrong == 0;
}

// Half of the pairs have exponent 0, where every pair has a normal quotient.
static bool check_divide(void)
{
    uint64_t wrong = 0, random = 1;
    for (f32_bits m = 0x3f800000u; m < 0x40000000u; m++)
        wrong += f32_reciprocal(F32_FROM_BITS(m)) != 1 / F32_FROM_BITS(m);
    for (uint64_t i = 0; i < UINT64_C(1) << 30; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); // Knuth's MMIX
        const uint64_t w = random ^ random >> 29;
        const f32_bits mask = i % 2 ? 0x807fffffu : 0xffffffffu, one = i % 2 ? 0x3f800000u : 0;
        const f32_bits a = ((f32_bits)w & mask) | one, b = ((f32_bits)(w >> 32) & mask) | one;
        const float q = F32_FROM_BITS(no_subnormal(a)) / F32_FROM_BITS(no_subnormal(b));
        wrong += F32_TO_BITS(f32_divide(F32_FROM_BITS(a), F32_FROM_BITS(b))) != no_subnormal(bits_of(q));
    }
    printf("divide   unlike C's %" PRIu64 "\n", wrong);
    return wrong == 0;
}

// Nanoseconds per element, the best of 50 passes over 4096 elements in [-4, 4], which stay in the first cache.
static double nanoseconds(loop *all, bool positive)
{
    enum { N = 4096, PASSES = 50, REPEAT = 100 };
    static float x[N], y[N];
    for (size_t i = 0; i < N; i++) x[i] = (positive ? 4.001f : 0.0f) + 4.0f * sinf((float)(i * i % 997));
    double best = INFINITY;
    for (int p = 0; p < PASSES; p++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int r = 0; r < REPEAT; r++) all(N, x, y);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (N * REPEAT);
        if (ns < best) best = ns;
    }
    return best;
}

static void print_speed(const char *name, loop *all, loop *libm, bool positive)
{
    printf("%-8s %.3f ns", name, nanoseconds(all, positive));
    if (libm != NULL) printf(", C's %.3f ns", nanoseconds(libm, positive));
    printf("\n");
}

static bool speed(const function *f)
{
    print_speed(f->name, f->all, f->libm, f->exact == log);
    return true;
}

static bool wanted(const char *name, int argc, char **argv, int first)
{
    bool found = argc <= first;
    for (int a = first; a < argc; a++) found |= strcmp(argv[a], name) == 0;
    return found;
}

int main(int argc, char **argv)
{
    const bool timing = argc > 1 && strcmp(argv[1], "speed") == 0;
    const int first = timing ? 2 : 1;
    bool good = true;
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (wanted(functions[i].name, argc, argv, first)) good &= timing ? speed(&functions[i]) : check(&functions[i]);
    if (!timing && wanted("sqrt", argc, argv, first)) good &= check_sqrt();
    if (!timing && wanted("divide", argc, argv, first)) good &= check_divide();
    if (timing && wanted("sqrt", argc, argv, first)) print_speed("sqrt", sqrt_all, libm_sqrt, true);
    if (timing && wanted("divide", argc, argv, first)) print_speed("divide", divide_all, c_divide, true);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
