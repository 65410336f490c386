// Sequences of numbers: files of floats, and WAV files.
#ifndef DENSE_DATA_H
#define DENSE_DATA_H

#include "cli.h"

typedef struct dense_data {
    size_t n, inputs, targets;
    float *x, *y;  // [n][inputs], [n][targets]; y is NULL if there are no targets
    unsigned rate; // samples per second; 0: a file of floats
} dense_data;

// True with --data or --wav: the model reads numbers, no text.
bool is_dense(const options *o);
// Reads the file of --data, rows of `inputs` and `targets` floats, or the WAV files of --wav and of the argument
// `target` (NULL: none), whose channels give the widths. Finite numbers only. Prints a message on failure. The caller
// calls dense_data_free.
exit_code dense_data_read(const options *o, size_t inputs, size_t targets, const char *target, dense_data *d);
void dense_data_free(dense_data *d);
// Checks the widths of d against those of a model. Prints a message on failure; path: of the model.
exit_code dense_data_suits(const dense_data *d, size_t inputs, size_t targets, const char *path);
// Mean of the squares of y [n]; loss / it is the error-to-signal ratio of a squared loss.
double mean_square(const float *y, size_t n);

#endif
