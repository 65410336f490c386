// A libFuzzer target, run by hand: any bytes are a file that is refused, or one whose tensors tile its data.
//   clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -Ihost/include -Ihost/file -Idevice
//         tests/fuzz_safetensors.c host/file/*.c, the file with bptt_fail, -lm -o fuzz
//   ./fuzz -max_len=4096 -max_total_time=600 FOLDER      FOLDER: a few small model files to start from
// The checksums of a header would stop most mutations; start from files without them as well.
#define _POSIX_C_SOURCE 200809L

#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(int holds)
{
    if (!holds) abort();
}

static void look(st_reader *r, size_t file_bytes)
{
    uint64_t at = 0;
    for (size_t i = 0; i < st_count(r); i++) {
        const st_tensor *t = st_at(r, i);
        must(t->begin == at && t->end >= t->begin && t->end <= file_bytes);
        must(t->rank >= 0 && t->rank <= 8);
        must(st_find(r, t->name) == t);
        uint64_t n = st_dtype_size(t->dtype);
        for (int d = 0; d < t->rank; d++) n *= t->shape[d];
        must(t->dtype == ST_OTHER || n == t->end - t->begin);
        char *out = malloc((size_t)(t->end - t->begin) + 1);
        must(out != NULL);
        const bptt_status s = st_read(r, t, out, NULL);
        must(s == BPTT_OK || s == BPTT_BAD_FILE);
        free(out);
        at = t->end;
    }
    must(at <= file_bytes);
    for (size_t i = 0; i < st_metadata_count(r); i++) {
        const st_pair p = st_metadata_at(r, i);
        must(strlen(p.value) <= file_bytes && st_metadata(r, p.key) == p.value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char path[] = "/tmp/bptt_fuzz_XXXXXX";
    st_reader *r = NULL;
    bptt_error e;
    const int fd = mkstemp(path);
    must(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
    const bptt_status s = st_read_open(path, 0, &r, &e);
    must(s == BPTT_OK || (s == BPTT_BAD_FILE && e.code == s && strlen(e.words) > 0));
    if (s == BPTT_OK) look(r, bytes);
    st_read_close(r);
    close(fd);
    unlink(path);
    return 0;
}
