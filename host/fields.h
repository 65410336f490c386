// One row for each field of a configuration: its range, default, dependencies, storage and command-line option.
// Range checks, model files, the training log, options, help and man page are generated from these rows.
// To add a hyperparameter, add a member in bptt.h, a row here, and its use.
//
//   F(NAME, member, KIND, values, standard, needs, kept, option)      P(...): the same without an option
//
//   NAME      FIELD_NAME, and OPT_NAME on the command line
//   member    name of the struct's member; errors, files and logs use it
//   KIND      COUNT (a whole number), SEED (any 64 bits), REAL, WORD (an enumeration), FLAG, TEXT
//   values    FROM(least, most); OR_0_FROM(..): 0 too, "not set"; BELOW(least, limit); POSITIVE(limit); ANY;
//             WORDS("a|b"), in the order of the enumeration; NAMED("N"): name of a text's value in the help
//   standard  default value as text; NULL for a text field
//   needs     condition under which the field has an effect: ALWAYS; WITH(OTHER, "a|b", why): field OTHER has one of
//             these words; ABOVE_0(OTHER, why): field OTHER is above 0
//   kept      SAVED in model files, LOGGED in the training log; WAS_NUMBER: a word that older files store as a number;
//             ZERO_IS_OFF: 0, or the first word, disables the feature and is accepted even if the field has no effect;
//             UNLESS_0: SAVED only if it is not 0 or the first word, which is the default and that of files without it
//   option    OPTION(name, commands, allowed with --resume, "(source of a computed default)" or NULL, help)
//
// The help and the log list the fields in this order.
#ifndef FIELDS_H
#define FIELDS_H

#include "bptt.h"

#include <math.h>
#include <stdbool.h>

extern const char cell_words[]; // "tanh|relu|..."
#define CELL_WORDS cell_words
extern const char loss_words[]; // "softmax|squared|..."
#define LOSS_WORDS loss_words

#define MODEL_FIELDS(F, P) \
    F(CELL, cell, WORD, WORDS(CELL_WORDS), "tanh", ALWAYS, SAVED | LOGGED, \
      OPTION("cell", BUILD, false, NULL, \
             "cell of the layers: Elman with tanh or relu; GRU; LSTM; multiplicative LSTM; minimal GRU; GRU with the " \
             "reset before the product")) \
    F(VOCAB, vocab, COUNT, OR_0_FROM(2, 65536), "0", ALWAYS, SAVED | LOGGED, \
      OPTION("vocab", ON(BENCH), false, "65", "vocabulary size")) \
    F(INPUT, input, COUNT, OR_0_FROM(1, 65536), "0", ALWAYS, SAVED | LOGGED, \
      OPTION("inputs", ON(TRAIN), false, "(with --wav: its channels)", \
             "numbers of a row of --data FILE that are inputs")) \
    F(TARGETS, output, COUNT, OR_0_FROM(1, 65536), "0", ALWAYS, SAVED | LOGGED | UNLESS_0, \
      OPTION("targets", ON(TRAIN) | ON(PREDICT), false, "(with --wav: its channels; predict: none)", \
             "numbers of a row of --data FILE that are targets, after the inputs; predict ignores them")) \
    F(LOSS, loss, WORD, WORDS(LOSS_WORDS), "softmax", ALWAYS, SAVED | LOGGED | UNLESS_0, \
      OPTION("loss", ON(TRAIN), false, "(softmax for text, squared with --data, --wav)", \
             "loss: squared or absolute error, or cross-entropy of logits and targets from 0 to 1 (binary)")) \
    F(SKIP, skip, FLAG, FROM(0, 1), "0", ALWAYS, SAVED | LOGGED | UNLESS_0, \
      OPTION("skip", ON(TRAIN), false, NULL, \
             "add the inputs to the outputs, so that the model learns the difference")) \
    F(HIDDEN, hidden, COUNT, FROM(1, 65536), "128", ALWAYS, SAVED | LOGGED, \
      OPTION("hidden", BUILD, false, "(chosen from the text; bench: 128)", "hidden units in a layer")) \
    F(LAYERS, layers, COUNT, FROM(1, 64), "1", ALWAYS, SAVED | LOGGED, \
      OPTION("layers", BUILD, false, "(chosen from the text; bench: 1)", "layers")) \
    F(BIASES, biases, COUNT, FROM(1, 2), "1", ALWAYS, SAVED | LOGGED, \
      OPTION("biases", BUILD, false, NULL, "trained biases in a layer; 2 as in PyTorch and char-rnn")) \
    F(INIT, init, WORD, WORDS("reference|uniform"), "reference", ALWAYS, SAVED | LOGGED | WAS_NUMBER, \
      OPTION("init", BUILD, false, NULL, \
             "initial weights: uniform in +-1/sqrt(hidden); biases zero (reference) or drawn too (uniform)")) \
    F(OPTIMIZER, optimizer, WORD, WORDS("sgd|rmsprop|adam"), "adam", ALWAYS, SAVED | LOGGED | WAS_NUMBER, \
      OPTION("optimizer", BUILD, false, NULL, "optimizer")) \
    F(MOMENTUM, momentum, REAL, BELOW(0, 1), "0", WITH(OPTIMIZER, "sgd", NULL), SAVED | LOGGED | ZERO_IS_OFF, \
      OPTION("momentum", BUILD, false, NULL, "momentum of sgd")) \
    P(DECAY, decay, REAL, BELOW(0, 1), "0.95", WITH(OPTIMIZER, "rmsprop", NULL), SAVED) \
    P(BETA1, beta1, REAL, BELOW(0, 1), "0.9", WITH(OPTIMIZER, "adam", NULL), SAVED) \
    P(BETA2, beta2, REAL, BELOW(0, 1), "0.999", WITH(OPTIMIZER, "adam", NULL), SAVED) \
    P(EPSILON, epsilon, REAL, BELOW(0, INFINITY), "1e-8", WITH(OPTIMIZER, "rmsprop|adam", NULL), SAVED) \
    F(CLIP, clip, REAL, BELOW(0, INFINITY), "5", ALWAYS, SAVED | LOGGED, \
      OPTION("clip", BUILD, false, NULL, "clip the gradient norm at X; 0 disables")) \
    F(CLIP_MODE, clip_mode, WORD, WORDS("norm|value"), "norm", ABOVE_0(CLIP, "nothing is clipped"), \
      SAVED | LOGGED | WAS_NUMBER, \
      OPTION("clip-mode", BUILD, false, NULL, "clip by the norm of the whole gradient, or each element by value")) \
    F(SEED, seed, SEED, ANY, "1", ALWAYS, SAVED | LOGGED, \
      OPTION("seed", BUILD | ON(SAMPLE), false, NULL, "seed of all random numbers")) \
    F(DOCUMENTS, documents, WORD, WORDS("none|line|blank"), "none", ALWAYS, SAVED | LOGGED | UNLESS_0, \
      OPTION( \
          "documents", ON(TRAIN), false, NULL, \
          "TEXT holds many documents, one a line or separated by empty lines (blank): the hidden state starts anew " \
          "at each, and samples and scores of the model do so too")) \
    F(LEARNED_STATE, learned_state, COUNT, FROM(0, 1), "0", ALWAYS, SAVED | LOGGED | UNLESS_0, \
      OPTION("learned-state", ON(TRAIN), false, NULL, \
             "1: train the initial state of the text and of each document; 0: it is zero"))

#define TRAINER_FIELDS(F, P) \
    F(BATCH, batch, COUNT, FROM(1, INT32_MAX), "32", ALWAYS, SAVED | LOGGED, \
      OPTION("batch", BUILD, false, "(chosen from the text; bench: 32)", \
             "batch size: streams of the text trained in parallel")) \
    F(STEPS, steps, COUNT, FROM(1, INT32_MAX), "64", ALWAYS, SAVED | LOGGED, \
      OPTION("steps", BUILD, false, "(chosen from the text; bench: 64)", \
             "sequence length: steps of time in a training window (number of updates: --iterations)")) \
    F(RATE, rate, REAL, POSITIVE(INFINITY), "0.002", ALWAYS, SAVED | LOGGED, \
      OPTION("lr", BUILD, false, NULL, "learning rate")) \
    F(ITERATIONS, iterations, COUNT, OR_0_FROM(1, MANY), "0", ALWAYS, SAVED | LOGGED, \
      OPTION("iterations", ON(TRAIN), true, "(from --epochs)", "total number of updates")) \
    F(EPOCHS, epochs, REAL, POSITIVE(1e15), "10", ALWAYS, 0, \
      OPTION("epochs", ON(TRAIN), true, "(chosen from the text)", "passes over the training text")) \
    F(VALID, valid, REAL, BELOW(0, 1), "0.05", ALWAYS, SAVED | LOGGED, \
      OPTION("valid", ON(TRAIN), false, NULL, "fraction of the text, at its end, held out for validation")) \
    F(VALID_EVERY, valid_every, COUNT, FROM(0, MANY), "500", ABOVE_0(VALID, "no text is held out"), \
      SAVED | LOGGED | ZERO_IS_OFF, \
      OPTION("valid-every", ON(TRAIN), false, "(chosen from the text)", \
             "updates between validations; 0: only at the end")) \
    F(BURN_IN, burn_in, COUNT, FROM(0, INT32_MAX), "0", ALWAYS, SAVED | LOGGED | UNLESS_0, \
      OPTION( \
          "burn-in", ON(TRAIN) | ON(SCORE), false, NULL, \
          "with --data, --wav: steps without loss at the start of each stream, below --steps (score: of the file)"))

#define COMPUTE_FIELDS(F, P) \
    F(BACKEND, backend, TEXT, NAMED("NAME"), NULL, ALWAYS, LOGGED, \
      OPTION("backend", CHOSEN, true, "auto", \
             "cpu, cuda, opencl or ref; auto: a GPU with cuda, else a GPU with opencl, else cpu")) \
    F(DEVICE, device, TEXT, NAMED("N|NAME"), NULL, ALWAYS, 0, \
      OPTION("device", CHOSEN, true, "(the first that is usable, GPUs before others)", \
             "device of the backend: number, or part of its name (see bptt devices)")) \
    F(THREADS, threads, COUNT, FROM(0, 1024), "0", WITH(BACKEND, "cpu", NULL), LOGGED, \
      OPTION("threads", PLACED, true, "(as many as the machine has cores)", "CPU threads; do not change the results")) \
    F(ISA, isa, WORD, WORDS("auto|plain|avx2|avx512"), "auto", WITH(BACKEND, "cpu", NULL), ZERO_IS_OFF, \
      OPTION("isa", PLACED, true, NULL, \
             "instructions of backend cpu: the widest that the processor has, or these; all but plain have the same " \
             "results")) \
    F(LOWERING, lowering, WORD, WORDS("auto|never|always"), "auto", WITH(BACKEND, "opencl|cuda", NULL), ZERO_IS_OFF, \
      OPTION( \
          "lowering", PLACED, true, NULL, \
          "whole-window kernels (opencl) or one CUDA graph a window (cuda): where expected to be faster, never, or " \
          "wherever possible; does not change the results")) \
    F(PRODUCT, product, WORD, WORDS("own|library"), "own", WITH(BACKEND, "opencl", NULL), ZERO_IS_OFF, \
      OPTION("product", PLACED, true, NULL, "GEMM kernels on opencl: bptt's own, or CLBlast's (tested before use)")) \
    F(PRECISION, precision, WORD, WORDS("fp32|tf32|bf16|fp16"), "fp32", ALWAYS, LOGGED, \
      OPTION( \
          "precision", BUILD, true, NULL, \
          "number format of GEMM operands; all except fp32 need cuda. Default with --resume: that of the checkpoint")) \
    F(PROFILE, profile, FLAG, FROM(0, 1), "0", ALWAYS, 0, \
      OPTION("profile", ON(BENCH), false, NULL, "also print the time of each op; slower"))

#define MANY 9007199254740992.0      // 2^53: a double represents all smaller integers exactly
#define TINY 4.9406564584124654e-324 // the smallest number above 0

typedef enum field_id {
#define FIELD_ID(NAME, ...) FIELD_##NAME,
    MODEL_FIELDS(FIELD_ID, FIELD_ID) TRAINER_FIELDS(FIELD_ID, FIELD_ID) COMPUTE_FIELDS(FIELD_ID, FIELD_ID)
#undef FIELD_ID
        FIELDS
} field_id;

typedef enum field_owner { OF_MODEL, OF_TRAINER, OF_COMPUTE } field_owner;
typedef enum field_kind {
    FIELD_IS_COUNT,
    FIELD_IS_SEED,
    FIELD_IS_REAL,
    FIELD_IS_WORD,
    FIELD_IS_FLAG,
    FIELD_IS_TEXT
} field_kind;
enum { FIELD_SAVED = 1, FIELD_LOGGED = 2, FIELD_WAS_NUMBER = 4, FIELD_ZERO_IS_OFF = 8, FIELD_UNLESS_0 = 16 };

typedef struct field {
    const char *name, *key; // name of the member; key in the metadata of a file
    field_owner owner;
    size_t at, bytes; // offset and size of the member in the owner's struct
    field_kind kind;
    double least, most;   // of COUNT, REAL
    bool below, or_zero;  // below: `most` itself is out of range; or_zero: 0 is in range too
    const char *words;    // of WORD: "a|b"
    const char *standard; // NULL: none
    field_id needs;       // FIELDS: none
    const char *with;     // words of `needs` with which the field has an effect; NULL: above 0
    const char *why;      // reason why it has none otherwise; NULL: made from `with`
    unsigned kept;
    const char *option; // NULL: none
} field;

extern const field field_table[FIELDS];

// Reads the member from a struct of the field's owner: COUNT, SEED, WORD and FLAG as an integer, REAL as a double.
uint64_t field_count(const field *f, const void *config);
double field_real(const field *f, const void *config);
const char *field_text(const field *f, const void *config); // only for TEXT; "" if the member is NULL
void field_set(const field *f, void *config, uint64_t count, double real, const char *text);
// Parses a default or a value of a file. False: not a value of that kind, nothing is set.
bool field_parse(const field *f, void *config, const char *text);
// Returns the struct of the field's owner inside a trainer's configuration.
void *field_config(const field *f, bptt_trainer_config *c);

// Sets every field of an owner to its default; other members do not change.
void fields_default(field_owner owner, void *config);
// Checks the range of all fields of an owner. BAD_CONFIG names the parameter in `backquotes`.
bptt_status fields_check(field_owner owner, const void *config, bptt_error *e);
bool field_in_range(const field *f, uint64_t count, double real);
// Formats a range: "1 to 64", "0 or more", "above 0", "at least 0 and below 1". False if it has no upper bound.
bool range_words(double least, double most, bool below, char out[64]);

// Lists of words, "a|b": index of a word (-1 if absent), word at an index, number of words.
int word_place(const char *list, const char *word);
const char *word_at(const char *list, size_t place, char out[32]);
size_t word_count(const char *list);

#endif
