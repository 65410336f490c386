// Reference functions of the cells in binary64, with an error bound derived by hand, independent of any library.
#ifndef REFERENCE_H
#define REFERENCE_H

// Relative error bound of each function for any double x.
#define REFERENCE_ERROR 0x1p-48

double reference_exp(double x); // of x <= 0; below -700 that of -700
double reference_tanh(double x);
double reference_sigmoid(double x); // below e^-700 that of -700
// Derivatives from the value y: 1 - y y, y (1 - y). Within REFERENCE_ERROR absolutely.
double reference_tanh_slope(double y);
double reference_sigmoid_slope(double y);

#endif
