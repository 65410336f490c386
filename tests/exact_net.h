// A recurrent net in whole numbers: every product and every sum of its forward and reverse pass is one, small enough to
// be exact in every precision (operands to 256: 8 bits, bf16's; sums to 2^24, float's, in any order). So every backend
// in every precision must give exactly the results of the plain loops here.
// relu; W_hh and W_ih are signed permutations with a few entries more; x, dy, h0 and biases are small.
#ifndef EXACT_NET_H
#define EXACT_NET_H

#include "near.h"

enum { EXACT_LAYERS = 4, EXACT_OPERAND = 256, EXACT_SUM = 1 << 24, EXACT_TRIES = 24 };

// Arrays as in bptt.h: weights in PyTorch's layout, time-major. Of each layer W_ih [H][I or H], W_hh [H][H], b_ih [H],
// b_hh [H].
typedef struct exact_net {
    size_t I, H, L, B, T;
    double *x, *h0, *dy;                         // [T][B][I], [L][B][H], [T][B][H]
    double *w[4 * EXACT_LAYERS];                 // given
    double *h, *dh0, *dx, *dw[4 * EXACT_LAYERS]; // [L][T+1][B][H], [L][B][H], [T][B][I]: what must come out
    double operand, back, sum; // largest operand of a product, and of those that are gradients; largest sum of |terms|
} exact_net;

static inline size_t exact_width(const exact_net *n, size_t l) { return l ? n->H : n->I; }
static inline size_t exact_size(const exact_net *n, size_t i)
{
    return n->H * (i % 4 == 0 ? exact_width(n, i / 4) : i % 4 == 1 ? n->H : 1);
}

// A whole number in -most..most, 0 unless one in `rarely`.
static inline double exact_draw(uint64_t *random, size_t rarely, size_t most)
{
    if (random_below(random, rarely)) return 0;
    return (double)random_below(random, 2 * most + 1) - (double)most;
}

// w [H][width]: one +-1 a row, in columns that are all different as far as they go round; then `more` anywhere.
static inline void exact_permutation(uint64_t *random, double *w, size_t H, size_t width, size_t more)
{
    size_t *column = must_alloc(width, sizeof *column);
    for (size_t k = 0; k < width; k++) column[k] = k;
    for (size_t k = width; k-- > 1;) {
        const size_t other = random_below(random, k + 1), kept = column[k];
        column[k] = column[other], column[other] = kept;
    }
    memset(w, 0, H * width * sizeof *w);
    for (size_t j = 0; j < H; j++) w[j * width + column[j % width]] = random_below(random, 2) ? 1 : -1;
    for (size_t i = 0; i < more; i++) w[random_below(random, H * width)] = random_below(random, 2) ? 1 : -1;
    free(column);
}

// The k-th try: later ones are sparser, so that less adds up.
static inline void exact_fill(exact_net *n, uint64_t *random, size_t k)
{
    const size_t more = (n->H / 8 + 1) >> (k / 3), N = n->T * n->B, rarely = 2 + k;
    for (size_t l = 0; l < n->L; l++) {
        exact_permutation(random, n->w[4 * l], n->H, exact_width(n, l), more);
        exact_permutation(random, n->w[4 * l + 1], n->H, n->H, more);
        for (size_t j = 0; j < n->H; j++) {
            n->w[4 * l + 2][j] = exact_draw(random, rarely, 2);
            n->w[4 * l + 3][j] = exact_draw(random, rarely, 1);
        }
    }
    for (size_t i = 0; i < N * n->I; i++) n->x[i] = exact_draw(random, rarely, 3);
    for (size_t i = 0; i < N * n->H; i++) n->dy[i] = exact_draw(random, 2 * rarely, 2);
    for (size_t i = 0; i < n->L * n->B * n->H; i++) n->h0[i] = exact_draw(random, rarely, 2);
}

static inline double *exact_state(const exact_net *n, size_t l, size_t t)
{
    return n->h + (l * (n->T + 1) + t) * n->B * n->H;
}

static inline const double *exact_below(const exact_net *n, size_t l, size_t t)
{
    return l ? exact_state(n, l - 1, t + 1) : n->x + t * n->B * n->I;
}

// *to += a b, and its size.
static inline void exact_add(double *to, double a, double b, double *size) { *to += a * b, *size += fabs(a * b); }

static inline void exact_note(exact_net *n, double size) { n->sum = fmax(n->sum, size); }

static inline void exact_forward(exact_net *n)
{
    const size_t H = n->H;
    for (size_t l = 0; l < n->L; l++) {
        const size_t width = exact_width(n, l);
        memcpy(exact_state(n, l, 0), n->h0 + l * n->B * H, n->B * H * sizeof(double));
        for (size_t t = 0; t < n->T; t++)
            for (size_t i = 0; i < n->B * H; i++) {
                const size_t b = i / H, j = i % H;
                double z = 0, size = 0;
                exact_add(&z, n->w[4 * l + 2][j], 1, &size), exact_add(&z, n->w[4 * l + 3][j], 1, &size);
                for (size_t k = 0; k < width; k++)
                    exact_add(&z, n->w[4 * l][j * width + k], exact_below(n, l, t)[b * width + k], &size);
                for (size_t k = 0; k < H; k++)
                    exact_add(&z, n->w[4 * l + 1][j * H + k], exact_state(n, l, t)[b * H + k], &size);
                exact_state(n, l, t + 1)[i] = z > 0 ? z : 0;
                exact_note(n, size);
            }
    }
}

// out [B][width] += dz [B][H] w [H][width].
static inline void exact_back(exact_net *n, const double *dz, const double *w, size_t width, double *out)
{
    for (size_t b = 0; b < n->B; b++)
        for (size_t k = 0; k < width; k++) {
            double size = fabs(out[b * width + k]);
            for (size_t j = 0; j < n->H; j++) exact_add(&out[b * width + k], dz[b * n->H + j], w[j * width + k], &size);
            exact_note(n, size);
        }
}

// dw [H][width] = sum over T*B rows of dz' in; row (t, b) of in is in + (t*B + b)*width.
static inline void exact_weights(exact_net *n, const double *dz, const double *in, size_t width, double *dw)
{
    for (size_t j = 0; j < n->H; j++)
        for (size_t k = 0; k < width; k++) {
            double size = 0;
            dw[j * width + k] = 0;
            for (size_t r = 0; r < n->T * n->B; r++)
                exact_add(&dw[j * width + k], dz[r * n->H + j], in ? in[r * width + k] : 1, &size);
            exact_note(n, size);
        }
}

static inline void exact_operands(exact_net *n, double *most, const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++) *most = fmax(*most, fabs(x[i]));
    n->operand = fmax(n->operand, *most);
}

static inline void exact_backward(exact_net *n)
{
    const size_t H = n->H, BH = n->B * H, N = n->T * n->B;
    double *dh = reals(N * H), *below = reals(N * (H > n->I ? H : n->I)), *first = reals(BH);
    memcpy(dh, n->dy, N * H * sizeof *dh);
    for (size_t l = n->L; l-- > 0;) {
        const size_t width = exact_width(n, l);
        memset(first, 0, BH * sizeof *first);
        for (size_t t = n->T; t-- > 0;) {
            for (size_t i = 0; i < BH; i++)
                if (!(exact_state(n, l, t + 1)[i] > 0)) dh[t * BH + i] = 0;
            exact_back(n, dh + t * BH, n->w[4 * l + 1], H, t ? dh + (t - 1) * BH : first);
        }
        memcpy(n->dh0 + l * BH, first, BH * sizeof *first);
        exact_operands(n, &n->back, dh, N * H);
        exact_weights(n, dh, exact_below(n, l, 0), width, n->dw[4 * l]);
        exact_weights(n, dh, exact_state(n, l, 0), H, n->dw[4 * l + 1]);
        exact_weights(n, dh, NULL, 1, n->dw[4 * l + 2]);
        memcpy(n->dw[4 * l + 3], n->dw[4 * l + 2], H * sizeof(double));
        memset(below, 0, N * width * sizeof *below);
        for (size_t t = 0; t < n->T; t++) exact_back(n, dh + t * BH, n->w[4 * l], width, below + t * n->B * width);
        memcpy(l ? dh : n->dx, below, N * width * sizeof *below);
    }
    free(dh), free(below), free(first);
}

// True if enough elements are not zero: an all-zero tensor would be exact, too.
static inline bool exact_lively(const double *x, size_t n, double part)
{
    size_t alive = 0;
    for (size_t i = 0; i < n; i++) alive += x[i] != 0;
    return (double)alive >= part * (double)n && alive > 0;
}

static inline bool exact_good(const exact_net *n)
{
    bool good = n->operand <= EXACT_OPERAND && n->sum <= EXACT_SUM;
    good = good && exact_lively(n->h, n->L * (n->T + 1) * n->B * n->H, 0.15) && n->operand >= 4;
    for (size_t i = 0; i < 4 * n->L; i++) good = good && exact_lively(n->dw[i], exact_size(n, i), 0.01);
    return good && exact_lively(n->dh0, n->L * n->B * n->H, 0) && exact_lively(n->dx, n->T * n->B * n->I, 0.01);
}

// Fails the test where no such net is found: a shape that lets too much add up. The caller frees it.
static inline exact_net exact_make(size_t I, size_t H, size_t L, size_t B, size_t T, uint64_t seed)
{
    exact_net n = {.I = I, .H = H, .L = L, .B = B, .T = T};
    CK_TRUE(L <= EXACT_LAYERS, "room for %d layers", EXACT_LAYERS);
    n.x = reals(T * B * I), n.dx = reals(T * B * I), n.dy = reals(T * B * H), n.h = reals(L * (T + 1) * B * H);
    n.h0 = reals(L * B * H), n.dh0 = reals(L * B * H);
    for (size_t i = 0; i < 4 * L; i++) n.w[i] = reals(exact_size(&n, i)), n.dw[i] = reals(exact_size(&n, i));
    bool good = false;
    for (size_t k = 0; !good && k < EXACT_TRIES; k++) {
        double most = 0;
        n.operand = n.back = n.sum = 0;
        exact_fill(&n, &seed, k);
        exact_forward(&n);
        exact_backward(&n);
        exact_operands(&n, &most, n.h, L * (T + 1) * B * H);
        exact_operands(&n, &most, n.x, T * B * I);
        good = exact_good(&n);
    }
    CK_TRUE(good, "no exact net of I %zu H %zu L %zu B %zu T %zu: operands to %g, sums to %g", I, H, L, B, T, n.operand,
            n.sum);
    return n;
}

static inline void exact_free(exact_net *n)
{
    for (size_t i = 0; i < 4 * n->L; i++) free(n->w[i]), free(n->dw[i]);
    free(n->x), free(n->dx), free(n->dy), free(n->h), free(n->h0), free(n->dh0);
}

#endif
