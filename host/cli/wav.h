// WAV files, through libsndfile if the program was built with it (wav_sndfile.c; else wav_none.c).
#ifndef WAV_H
#define WAV_H

#include "cli.h"

enum { WAV_WORDS = 400 }; // room for a message

// Reads a file into *x [frames][channels], which the caller frees, also after a failure (it may be NULL). Samples of
// whole numbers are scaled to -1..1.
exit_code wav_read(const char *path, float **x, size_t *frames, size_t *channels, unsigned *rate,
                   char words[WAV_WORDS]);
// Writes x [frames][channels] as a WAV file of 32-bit floats, which replaces path as a whole.
exit_code wav_write(const char *path, const float *x, size_t frames, size_t channels, unsigned rate,
                    char words[WAV_WORDS]);

#endif
