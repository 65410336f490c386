// A complete character language model: training on a text file with validation and checkpoints, and sampling.
//
//   char_lm train TEXT MODEL [UPDATES]      train, or resume if MODEL exists
//   char_lm write MODEL [COUNT [TEMPERATURE]]   sample COUNT characters
#include <bptt.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const bptt_error *e)
{
    fprintf(stderr, "char_lm: %s: %s\n", what, e->words);
    exit(1);
}

static void die_of(const char *what)
{
    perror(what);
    exit(1);
}

// Reads the whole file; the caller frees it.
static unsigned char *read_file_or_die(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) die_of(path);
    size_t room = 1 << 16, got;
    unsigned char *text = malloc(room);
    *n = 0;
    while (text && (got = fread(text + *n, 1, room - *n, f)) > 0)
        if ((*n += got) == room) text = realloc(text, room *= 2);
    if (!text || ferror(f)) die_of(path);
    fclose(f);
    return text;
}

static void validate(bptt_trainer *t, const char *model)
{
    bptt_report r;
    bptt_error e;
    int best = 0;
    if (bptt_trainer_validate(t, NULL, NULL, &r, &e)) die("validation", &e);
    bptt_trainer_record_validation(t, r.loss, &best);
    printf("  validation: %.4f nats, %.4f bits a character%s\n", r.loss, r.loss / log(2), best ? ", the best yet" : "");
    if (bptt_trainer_save(t, model, &e)) die(model, &e);
}

static void train(const char *path, const char *model, uint64_t updates)
{
    size_t n;
    unsigned char *text = read_file_or_die(path, &n);
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    bptt_trainer_sizes_for_text(&c, n);
    c.iterations = updates;
    c.epochs = updates ? 0 : c.epochs;

    bptt_trainer *t = NULL;
    bptt_error e;
    bptt_status s = bptt_trainer_resume(model, &c, text, n, &t, &e);
    if (s == BPTT_NO_INPUT) s = bptt_trainer_open(&c, text, n, &t, &e);
    if (s) die(path, &e);
    free(text); // the trainer has its own copy

    bptt_trainer_info info;
    for (bptt_trainer_get_info(t, &info); info.iteration < info.iterations; bptt_trainer_get_info(t, &info)) {
        bptt_report r;
        if (bptt_trainer_step(t, &r, &e)) die("training", &e);
        if ((info.iteration + 1) % 100 == 0)
            printf("%llu/%llu: loss %.4f, gradient %.3f\n", (unsigned long long)info.iteration + 1,
                   (unsigned long long)info.iterations, r.loss, r.grad_norm);
        if (bptt_trainer_validation_due(t)) validate(t, model);
    }
    if (bptt_trainer_save(t, model, &e)) die(model, &e);
    bptt_trainer_close(t);
}

static void write_text(const char *path, long count, double temperature)
{
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_error e;
    bptt_run_config one;
    bptt_run_defaults(&one); // one stream, one step at a time
    if (bptt_model_load(path, NULL, &m, &e)) die(path, &e);
    if (bptt_run_open(m, &one, &r, &e)) die(path, &e);
    const unsigned char *byte;
    size_t V;
    bptt_model_vocabulary(m, &byte, &V);
    if (!byte) die(path, &(bptt_error){.words = "the model has no vocabulary"});
    const unsigned char *newline = memchr(byte, '\n', V);
    int32_t token = newline ? (int32_t)(newline - byte) : 0;
    float logp[256];
    uint64_t random = 1;
    for (long i = 0; i < count; i++) {
        if (bptt_run_next(r, &token, logp, &e)) die(path, &e);
        token = bptt_pick(logp, V, temperature, &random);
        putchar(byte[token]);
    }
    putchar('\n');
    bptt_run_close(r);
    bptt_model_close(m);
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "train") == 0)
        train(argv[2], argv[3], argc > 4 ? strtoull(argv[4], NULL, 10) : 0);
    else if (argc >= 3 && strcmp(argv[1], "write") == 0)
        write_text(argv[2], argc > 3 ? atol(argv[3]) : 500, argc > 4 ? atof(argv[4]) : 0.7);
    else
        return fprintf(stderr, "usage: char_lm train TEXT MODEL [UPDATES]\n"
                               "       char_lm write MODEL [COUNT [TEMPERATURE]]\n"),
               64;
    return 0;
}
