// WAV files through libsndfile.
#define _POSIX_C_SOURCE 200809L

#include "wav.h"
#include "atomic.h"

#include <errno.h>
#include <limits.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static exit_code fail(exit_code code, const char *path, const char *what, char words[WAV_WORDS])
{
    snprintf(words, WAV_WORDS, "%.200s: %.150s", path, what);
    return code;
}

static exit_code open_wav(const char *path, SNDFILE **f, SF_INFO *info, char words[WAV_WORDS])
{
    struct stat st;
    if (stat(path, &st) != 0) {
        snprintf(words, WAV_WORDS, "cannot open %.200s: %s", path, strerror(errno));
        return CODE_NO_INPUT;
    }
    if (!S_ISREG(st.st_mode)) return fail(CODE_NO_INPUT, path, "is not a file, but a WAV file must be one", words);
    *info = (SF_INFO){0};
    *f = sf_open(path, SFM_READ, info);
    if (!*f) return fail(CODE_DATA, path, sf_strerror(NULL), words);
    const int kind = info->format & SF_FORMAT_TYPEMASK;
    if ((kind != SF_FORMAT_WAV && kind != SF_FORMAT_WAVEX) || info->channels < 1 || info->samplerate < 1)
        return fail(CODE_DATA, path, "is not a WAV file", words);
    if (info->frames >= 0 && (uint64_t)info->frames <= SIZE_MAX / sizeof(float) / (size_t)info->channels)
        return CODE_OK;
    return fail(CODE_MEMORY, path, "has more samples than this machine can address", words);
}

exit_code wav_read(const char *path, float **x, size_t *frames, size_t *channels, unsigned *rate, char words[WAV_WORDS])
{
    SNDFILE *f = NULL;
    SF_INFO info;
    *x = NULL;
    exit_code code = open_wav(path, &f, &info, words);
    if (code == CODE_OK) {
        *frames = (size_t)info.frames, *channels = (size_t)info.channels, *rate = (unsigned)info.samplerate;
        *x = malloc((*frames > 0 ? *frames : 1) * *channels * sizeof **x);
        if (!*x) code = fail(CODE_MEMORY, path, "no memory for its samples", words);
    }
    if (code == CODE_OK && sf_readf_float(f, *x, info.frames) != info.frames)
        code = fail(CODE_DATA, path, "ends before the number of samples in its header", words);
    if (f) (void)sf_close(f);
    return code;
}

exit_code wav_write(const char *path, const float *x, size_t frames, size_t channels, unsigned rate,
                    char words[WAV_WORDS])
{
    SF_INFO info = {.samplerate = (int)rate, .channels = (int)channels, .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    atomic_file *a = NULL;
    bptt_error e = {0};
    int fd = -1;
    if (frames > UINT32_MAX / 4 / channels - 64)
        return fail(CODE_DATA, path, "too many samples for a WAV file, which is below 4 GiB; use --data", words);
    if (atomic_open(path, &a, &fd, &e) != BPTT_OK) {
        snprintf(words, WAV_WORDS, "%.390s", e.words);
        return CODE_CREATE;
    }
    SNDFILE *f = sf_open_fd(fd, SFM_WRITE, &info, SF_FALSE);
    if (!f) {
        atomic_abort(a);
        return fail(CODE_IO, path, sf_strerror(NULL), words);
    }
    (void)sf_command(f, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE); // that chunk holds the time of day
    const bool whole = sf_writef_float(f, x, (sf_count_t)frames) == (sf_count_t)frames;
    const bool closed = sf_close(f) == 0;
    if (!whole || !closed) {
        atomic_abort(a);
        return fail(CODE_IO, path, "could not be written", words);
    }
    if (atomic_commit(a, &e) == BPTT_OK) return CODE_OK;
    snprintf(words, WAV_WORDS, "%.390s", e.words);
    return CODE_IO;
}
