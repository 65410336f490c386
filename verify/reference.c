// tanh and sigmoid from one exponential, a Taylor polynomial, so that all errors can be bounded by hand.
//
// Let u = 2^-53, and s <= 0 the argument. k = s / ln 2 rounded to an integer, r = s - k ln 2, |r| < 0.3467.
//   r     k LN2_HIGH is exact (33 bits by at most 11). s less that is exact where s is twice a float, else off by at
//         most 2^-54, half an ulp of a number below 1/2; then k LN2_LOW comes off, another 2^-54; what LN2_HIGH +
//         LN2_LOW lacks of ln 2 is below 2^-85, times k. So r is off by at most 1.1 u; where k = 0 by nothing.
//   p     e^r - 1 = r + r^2 q, q of 14 terms; the rest of the series is below 0.3467^16 / 16! < 2^-68. If k = 0, q is
//         good to 5 u and r^2 q is at most 0.2 |r|: p is good to (1 + 0.2 * 7) u < 3 u of itself, else to 3 u |p| + 1.1
//         u e^r, and e^r = 1 + p to 4 u of itself: |p| <= 0.42.
//   tanh  k = 0: -p / (2 + p): 3 u twice, of p and, a fifth as large, in 2 + p, and two roundings: below 6 u.
//         k < 0: E = 2^k (1 + p) <= 0.708, (1 - E) / (1 + E): the error of E, 4 u of it, is magnified by at most
//         E / (1 - E) < 2.43 in the one and 0.42 in the other, and there are three roundings: below 15 u.
//   sigmoid   1 / (1 + E), E / (1 + E): 4 u of E twice at most, and two roundings: below 10 u.
// All stay below 32 u = REFERENCE_ERROR.
#include "reference.h"

#include "every_float.h"

#define LN2_HIGH 0x1.62e42feep-1 // 33 bits
#define LN2_LOW 0x1.a39ef35793c76p-33

typedef struct power {
    int k;
    double p;
} power;

// e^s = 2^k (1 + p) for -700 <= s <= 0.
static power power_of(double s)
{
    static const double inverse[] = {
        1 / 2.0,         1 / 6.0,          1 / 24.0,          1 / 120.0,          1 / 720.0,
        1 / 5040.0,      1 / 40320.0,      1 / 362880.0,      1 / 3628800.0,      1 / 39916800.0,
        1 / 479001600.0, 1 / 6227020800.0, 1 / 87178291200.0, 1 / 1307674368000.0};
    const int k = (int)(s * 0x1.71547652b82fep+0 - 0.5);
    const double r = (s - k * LN2_HIGH) - k * LN2_LOW;
    double q = inverse[13];
    for (int i = 12; i >= 0; i--) q = q * r + inverse[i];
    return (power){k, r + r * r * q};
}

double reference_exp(double x)
{
    if (isnan(x)) return x;
    const power e = power_of(x < -700 ? -700 : x);
    return power_of_two(e.k) * (1 + e.p);
}

double reference_tanh(double x)
{
    if (isnan(x)) return x;
    const double a = fabs(x) < 22 ? fabs(x) : 22; // 1 - tanh 22 < 2^-62
    const power e = power_of(-2 * a);
    const double E = power_of_two(e.k) * (1 + e.p);
    const double y = e.k == 0 ? -e.p / (2 + e.p) : (1 - E) / (1 + E);
    return copysign(y, x);
}

double reference_tanh_slope(double y) { return (1 - y) * (1 + y); }

double reference_sigmoid(double x)
{
    if (isnan(x)) return x;
    const double a = fabs(x) < 700 ? fabs(x) : 700;
    const power e = power_of(-a);
    const double E = power_of_two(e.k) * (1 + e.p);
    return (x < 0 ? E : 1) / (1 + E);
}

double reference_sigmoid_slope(double y) { return y * (1 - y); }
