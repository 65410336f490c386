// WAV files for a program without libsndfile: an error.
#include "wav.h"

static exit_code without(const char *path, char words[WAV_WORDS])
{
    snprintf(words, WAV_WORDS,
             "%.200s: this bptt was built without libsndfile, so it reads no WAV files: install it (Debian: "
             "libsndfile1-dev) and build again, or convert the audio to floats for --data",
             path);
    return CODE_UNAVAILABLE;
}

exit_code wav_read(const char *path, float **x, size_t *frames, size_t *channels, unsigned *rate, char words[WAV_WORDS])
{
    *x = NULL;
    *frames = *channels = 0;
    *rate = 0;
    return without(path, words);
}

exit_code wav_write(const char *path, const float *x, size_t frames, size_t channels, unsigned rate,
                    char words[WAV_WORDS])
{
    (void)x, (void)frames, (void)channels, (void)rate;
    return without(path, words);
}
