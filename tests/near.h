// The only comparison of floating-point numbers in these tests, and the numbers they are fed with.
// It asks "is it close?" and never "is it far?", so a NaN fails. Bounds come from counting roundings.
#ifndef NEAR_H
#define NEAR_H

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define U32 0x1p-24 // unit roundoff of float
#define U64 0x1p-53 // of double

// Relative error of k roundings in a row (Higham, Accuracy and Stability, 3.1). A sum of k products in any order is off
// by at most gamma(k) times the sum of the products' sizes.
static inline double gamma_of(double k, double u) { return k * u / (1 - k * u); }

typedef struct nearness {
    bool close;       // every element is within its bound
    double worst;     // largest |got - want| / bound; infinite where a NaN is
    size_t at;        // its index
    double got, want; // values at that index
} nearness;

static inline void near_note(nearness *n, size_t i, double got, double want, double bound)
{
    const double d = got == want ? 0 : fabs(got - want); // equal infinities are close
    const bool ok = d <= bound;
    double ratio = ok ? (bound > 0 ? d / bound : 0) : INFINITY;
    if (!ok && bound > 0 && d / bound > 1) ratio = d / bound;
    if (!ok) n->close = false;
    if (ratio > n->worst || i == 0) *n = (nearness){n->close, ratio, i, got, want};
}

// |got[i] - want[i]| <= bound[i] for every i. bound NULL: equal.
static inline nearness near_all(const double *got, const double *want, const double *bound, size_t n)
{
    nearness w = {.close = true};
    for (size_t i = 0; i < n; i++) near_note(&w, i, got[i], want[i], bound ? bound[i] : 0);
    return w;
}

// The same where want may be NaN: there got must be NaN too, and nowhere else.
static inline nearness near_or_both_nan(const double *got, const double *want, const double *bound, size_t n)
{
    nearness w = {.close = true};
    for (size_t i = 0; i < n; i++)
        if (!isnan(want[i]) || !isnan(got[i])) near_note(&w, i, got[i], want[i], bound ? bound[i] : 0);
    return w;
}

// max|got - want| <= tolerance * max|want|: for external references, which give no bound of each element.
static inline nearness near_scaled(const double *got, const double *want, size_t n, double tolerance)
{
    nearness w = {.close = true};
    double scale = 0;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
    for (size_t i = 0; i < n; i++) near_note(&w, i, got[i], want[i], tolerance * scale);
    return w;
}

// One assertion an array. (check's own assertions cost a message each: in a loop they take longer than the work.)
#define CK_NEAR(result, ...) \
    do { \
        const nearness near_ = (result); \
        if (!near_.close) near_fail(__FILE__, __LINE__, near_, __VA_ARGS__); \
    } while (0)

static inline void near_fail(const char *file, int line, nearness n, const char *what)
{
    ck_abort_msg("%s:%d: %s: element %zu is %.17g and should be %.17g, %.3g times the bound", file, line, what, n.at,
                 n.got, n.want, n.worst);
}

// Asserts without cost where there is nothing to say.
#define CK_TRUE(condition, ...) \
    do { \
        if (!(condition)) ck_abort_msg(__VA_ARGS__); \
    } while (0)

// SplitMix64 (Steele, Lea, Flood 2014), a second implementation as the reference of the library's.
static inline uint64_t random_word(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

// In [-1, 1), 24 bits, so that float holds it exactly; never 0.
static inline double random_real(uint64_t *state)
{
    return 2 * ((double)(random_word(state) >> 41) + 0.5) * 0x1p-23 - 1;
}

static inline size_t random_below(uint64_t *state, size_t n) { return (size_t)(random_word(state) % n); }

static inline void random_reals(uint64_t *state, double scale, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = scale * random_real(state);
}

static inline void random_tokens(uint64_t *state, size_t V, int32_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (int32_t)random_below(state, V);
}

static inline void *must_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

static inline double *reals(size_t n) { return must_alloc(n, sizeof(double)); }

#endif
