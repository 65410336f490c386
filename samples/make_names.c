// A model of many short documents: names, one a line. The hidden state starts anew at each name, in training, in
// validation, and here in sampling. The names are made up by rules with a memory: all vowels of a name are of one kind
// (a, o, u or e, i), and its last letter is its first one. The model is compared with a table of pairs of letters, and
// new names are checked against the rules.
#include <bptt.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAMES = 4000, LONGEST = 16, UPDATES = 500, SAMPLES = 200 };

static char text[NAMES * LONGEST];

static int fail(const bptt_error *e) { return fprintf(stderr, "make_names: %s\n", e->words), 1; }

// A whole number below n, from a linear congruential generator (Knuth's MMIX).
static unsigned below(unsigned n, uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*random >> 33) % n;
}

// Writes a name of two to four syllables and a newline; returns its length.
static size_t make_name(char *to, uint64_t *random)
{
    static const char *const consonants = "bdgklmnrstv";
    const char *vowels = below(2, random) ? "aou" : "eii";
    const unsigned syllables = 2 + below(3, random);
    size_t n = 0;
    for (unsigned i = 0; i < syllables; i++) {
        to[n++] = consonants[below(11, random)];
        to[n++] = vowels[below(3, random)];
        if (below(4, random) == 0 && i + 1 < syllables) to[n++] = "lnr"[below(3, random)];
    }
    to[n++] = to[0];
    to[n++] = '\n';
    return n;
}

static int follows_rules(const char *name)
{
    const size_t n = strlen(name);
    return n > 2 && name[n - 1] == name[0] && (!strpbrk(name, "aou") || !strpbrk(name, "ei"));
}

// Nats a letter of a table of pairs, counted in the first `known` bytes plus one of each pair, on the others.
static double pair_loss(size_t known, size_t n)
{
    static double pair[256][256], of[256];
    size_t letters = 0;
    for (int c = 0; c < 128; c++) letters += memchr(text, c, n) != NULL;
    for (size_t i = 1; i < known; i++) pair[(int)text[i - 1]][(int)text[i]]++, of[(int)text[i - 1]]++;
    double loss = 0;
    for (size_t i = known + 1; i < n; i++)
        loss -= log((pair[(int)text[i - 1]][(int)text[i]] + 1) / (of[(int)text[i - 1]] + (double)letters));
    return loss / (double)(n - known - 1);
}

// Draws names from the model, each from the zero state and a newline, and counts those that follow the rules.
static bptt_status write_names(bptt_model *m, int *right, bptt_error *e)
{
    bptt_run *r = NULL;
    bptt_run_config one;
    bptt_run_defaults(&one); // one stream, one step at a time
    if (bptt_run_open(m, &one, &r, e)) return e->code;
    const unsigned char *byte;
    size_t V;
    bptt_model_vocabulary(m, &byte, &V);
    const int32_t newline = (int32_t)((const unsigned char *)memchr(byte, '\n', V) - byte);
    float logp[256];
    uint64_t random = 1;
    bptt_status status = BPTT_OK;
    for (int i = 0; status == BPTT_OK && i < SAMPLES; i++) {
        char name[2 * LONGEST] = "";
        int32_t token = newline;
        status = bptt_run_reset(r, e);
        for (size_t k = 0; status == BPTT_OK && k < sizeof name - 1; k++) {
            if ((status = bptt_run_next(r, &token, logp, e))) break;
            token = bptt_pick(logp, V, 0.8, &random);
            if (token == newline) break;
            name[k] = (char)byte[token];
        }
        if (i < 8) printf("%s%s", name, i < 7 ? ", " : "\n");
        *right += follows_rules(name);
    }
    bptt_run_close(r);
    return status;
}

int main(void)
{
    size_t n = 0;
    uint64_t random = 1;
    for (int i = 0; i < NAMES; i++) n += make_name(text + n, &random);

    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.documents = BPTT_DOCUMENTS_LINE; // one name a line, each from the zero state
    c.model.cell = BPTT_GRU, c.model.hidden = 48, c.batch = 32, c.steps = 32, c.rate = 1e-2, c.valid = 0.1;
    c.iterations = UPDATES, c.model.compute.backend = "cpu", c.model.compute.threads = 1;
    bptt_trainer *t = NULL;
    bptt_error e;
    if (bptt_trainer_open(&c, text, n, &t, &e)) return fail(&e);
    for (int i = 0; i < UPDATES; i++)
        if (bptt_trainer_step(t, NULL, &e)) return fail(&e);

    bptt_report r;
    int right = 0;
    if (bptt_trainer_validate(t, NULL, NULL, &r, &e) || write_names(bptt_trainer_model(t), &right, &e)) return fail(&e);
    bptt_trainer_close(t);
    const double pairs = pair_loss(bptt_split(n, c.valid), n);
    const int reached = r.loss < 0.9 * pairs && right > SAMPLES * 8 / 10;
    printf(
        "make_names: validation loss %.3f nats a letter, pairs of letters %.3f; %d of %d names follow the rules: %s\n",
        r.loss, pairs, right, SAMPLES, reached ? "reached" : "missed");
    return !reached;
}
