// The functions of the cells in binary64, with a bound on their own error that is counted by hand and so trusts no
// library: what judges the floats.
#ifndef REFERENCE_H
#define REFERENCE_H

// Each value is within this much of the exact one, relative to it, for any double x.
#define REFERENCE_ERROR 0x1p-48

double reference_exp(double x); // of x <= 0; below -700 that of -700
double reference_tanh(double x);
double reference_sigmoid(double x);    // below e^-700 that of -700
double reference_tanh_slope(double x); // 1 - tanh^2, within REFERENCE_ERROR absolutely

#endif
