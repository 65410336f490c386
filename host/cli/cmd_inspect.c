// bptt inspect: the contents of a safetensors file.
#include "cli.h"
#include "jsonl.h"
#include "number.h"
#include "safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_checksum(const char *key) { return strncmp(key, "crc32c", 6) == 0; }

// Prints text of an untrusted file without control characters.
static void put_safely(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        const bool c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0; // such as CSI, in UTF-8
        if (*c >= 0x20 && *c != 0x7F && !c1) {
            putchar(*c);
            continue;
        }
        printf("\\x%02X", *c);
        if (c1) printf("\\x%02X", *++c);
    }
}

static void put_shape(const st_tensor *t)
{
    char shape[200] = "";
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%" PRIu64, i ? " x " : "", t->shape[i]);
    printf("%-16s", t->rank ? shape : "scalar");
}

// The word for a number of an older file, or the value itself.
static const char *in_words(st_pair p, char word[32])
{
    uint64_t place = 0;
    for (const field *f = field_table; f < field_table + FIELDS; f++)
        if (f->kept & FIELD_WAS_NUMBER && strcmp(p.key, f->key) == 0 && parse_count(p.value, &place) &&
            place < word_count(f->words))
            return word_at(f->words, (size_t)place, word);
    return p.value;
}

static bool get_number(const st_reader *r, const char *key, uint64_t *n)
{
    const char *const value = st_metadata(r, key);
    return value && parse_count(value, n);
}

// Number of trained parameters. With one bias, bias_hh is zero and only there for PyTorch, except bias_hn, the last H
// rows of a GRU's.
static uint64_t parameters_of(const st_reader *r, const char *cell, uint64_t hidden, uint64_t biases)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < st_count(r); i++) {
        const st_tensor *t = st_at(r, i);
        uint64_t n = 1;
        if (strncmp(t->name, "train.", 6) == 0) continue;
        for (int k = 0; k < t->rank; k++) n *= t->shape[k];
        if (biases == 1 && strncmp(t->name, "rnn.bias_hh", 11) == 0) n = strcmp(cell, "gru") == 0 ? hidden : 0;
        sum += n;
    }
    return sum;
}

// "vocabulary 65", or "2 inputs, 1 target, squared loss, skip".
static void put_data(const st_reader *r, uint64_t vocab)
{
    const char *const loss = st_metadata(r, "loss"), *const skip = st_metadata(r, "skip");
    uint64_t inputs = 0, targets = 0;
    char number[32];
    if (get_number(r, "input", &inputs) && inputs > 0) printf("%s input%s", grouped(inputs, number), plural(inputs));
    if (inputs == 0) printf("vocabulary %s", grouped(vocab, number));
    if (get_number(r, "output", &targets) && targets > 0)
        printf(", %s target%s", grouped(targets, number), plural(targets));
    if (targets > 0 && loss) {
        fputs(", ", stdout);
        put_safely(loss);
        fputs(" loss", stdout);
    }
    if (targets > 0 && skip && strcmp(skip, "1") == 0) fputs(", skip", stdout);
}

// "tanh, 2 layers of 256, 65 characters, 230,000 parameters; 343 of 5,170 updates; best validation loss 1.6486 after
// 300"; nothing for a file not written by bptt.
static void put_summary(const st_reader *r)
{
    const char *const cell = st_metadata(r, "cell"), *const loss = st_metadata(r, "train.best_loss");
    uint64_t hidden, layers, biases, updates, all, best, vocab;
    char number[32];
    double x = 0;
    if (!cell || !get_number(r, "hidden", &hidden) || !get_number(r, "layers", &layers) ||
        !get_number(r, "biases", &biases) || !get_number(r, "vocab", &vocab))
        return;
    put_safely(cell);
    printf(", %" PRIu64 " layer%s of %" PRIu64 ", ", layers, plural(layers), hidden);
    put_data(r, vocab);
    printf(", %s parameters", grouped(parameters_of(r, cell, hidden, biases), number));
    if (get_number(r, "updates", &updates)) printf("; %s", grouped(updates, number));
    if (get_number(r, "updates", &updates) && get_number(r, "train.iterations", &all))
        printf(" of %s", grouped(all, number));
    if (get_number(r, "updates", &updates)) printf(" updates");
    if (loss && parse_real(loss, &x) && get_number(r, "train.best_iteration", &best) && best > 0)
        printf("; best validation loss %.4f after %s", x, grouped(best, number));
    putchar('\n');
}

static void print_file_table(const st_reader *r, const char *path)
{
    char number[32];
    uint64_t bytes = 0;
    size_t checksums = 0;
    for (size_t i = 0; i < st_count(r); i++) bytes += st_at(r, i)->end - st_at(r, i)->begin;
    put_safely(path);
    printf(": %zu tensor%s, %s bytes of data\n", st_count(r), plural(st_count(r)), grouped(bytes, number));
    put_summary(r);
    putchar('\n');
    for (size_t i = 0; i < st_count(r); i++) {
        const st_tensor *t = st_at(r, i);
        printf("%-5s ", st_dtype_name(t->dtype));
        put_shape(t);
        putchar(' ');
        put_safely(t->name);
        putchar('\n');
    }
    putchar('\n');
    for (size_t i = 0; i < st_metadata_count(r); i++) {
        const st_pair p = st_metadata_at(r, i);
        char word[32];
        checksums += is_checksum(p.key);
        if (is_checksum(p.key)) continue;
        put_safely(p.key);
        fputs(": ", stdout);
        put_safely(in_words(p, word));
        putchar('\n');
    }
    printf("checksums: %zu\n", checksums);
}

static exit_code print_file_json(const st_reader *r)
{
    jsonl j = {0};
    jsonl_start(&j);
    jsonl_open(&j, "tensors", '[');
    for (size_t i = 0; i < st_count(r); i++) {
        const st_tensor *t = st_at(r, i);
        jsonl_open(&j, NULL, '{');
        jsonl_text(&j, "name", t->name);
        jsonl_text(&j, "dtype", st_dtype_name(t->dtype));
        jsonl_open(&j, "shape", '[');
        for (int k = 0; k < t->rank; k++) jsonl_count(&j, NULL, t->shape[k]);
        jsonl_close(&j, ']');
        jsonl_count(&j, "bytes", t->end - t->begin);
        jsonl_close(&j, '}');
    }
    jsonl_close(&j, ']');
    jsonl_open(&j, "metadata", '{');
    for (size_t i = 0; i < st_metadata_count(r); i++)
        jsonl_text(&j, st_metadata_at(r, i).key, st_metadata_at(r, i).value);
    jsonl_close(&j, '}');
    return jsonl_print(&j) ? CODE_OK : CODE_MEMORY;
}

exit_code run_inspect(const options *o)
{
    st_reader *r = NULL;
    bptt_error e = {0};
    if (st_read_open(o->argument[0], 0, &r, &e) != BPTT_OK) return complain_of(&e);
    exit_code code = CODE_OK;
    if (o->value[OPT_JSON].given)
        code = print_file_json(r);
    else
        print_file_table(r, o->argument[0]);
    st_read_close(r);
    return code;
}
