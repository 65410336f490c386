// The two tables of the command line.
#include "options.h"

#define ON(c) (1u << CMD_##c)
#define BUILD (ON(TRAIN) | ON(BENCH))
#define PLACED (BUILD | ON(SAMPLE) | ON(SCORE))
#define CHOSEN (PLACED | ON(VERIFY))

const command_row command_table[COMMANDS] = {
    [CMD_TRAIN] =
        {"train",
         "[TEXT]",
         0,
         1,
         "train a model on a text",
         "Trains a character-level model on the bytes of TEXT (\"-\": standard input). Without TEXT: standard "
         "input, if that is a pipe or a file, else a text that is built in. "
         "Sizes that are not given are chosen from the length of the text. The output is the complete state: the "
         "model, "
         "and all that is needed to go on. The model with the lowest validation loss goes beside it: "
         "model.safetensors, "
         "model.best.safetensors. SIGINT (Ctrl-C), SIGTERM and SIGHUP save and leave, a second one leaves at once; "
         "SIGUSR1 saves and goes on.",
         {"bptt train shakespeare.txt", "bptt train shakespeare.txt --hidden 256 --layers 2 -o big.safetensors",
          "bptt train shakespeare.txt --resume big.safetensors --epochs 50"}},
    [CMD_SAMPLE] =
        {"sample",
         "MODEL",
         1,
         1,
         "write text with a model",
         "Writes the prime and then characters drawn from MODEL, one by one, to standard output. The same seed gives "
         "the same text. Without a prime the text starts as after a newline.",
         {"bptt sample model.safetensors",
          "bptt sample model.safetensors --prime 'ROMEO:' --temperature 0.7 --seed 3"}},
    [CMD_SCORE] =
        {"score",
         "MODEL TEXT",
         2,
         2,
         "measure how well a model predicts a text",
         "Prints the mean loss per byte of TEXT (\"-\": standard input) under MODEL: nats, bits (bpc), and the number "
         "of bytes predicted, which is all but the first.",
         {"bptt score model.safetensors other.txt", "bptt score model.safetensors shakespeare.txt --valid 0.05"}},
    [CMD_INSPECT] = {"inspect",
                     "MODEL",
                     1,
                     1,
                     "list what a model file holds",
                     "Lists the tensors and the metadata of a safetensors file, without reading the tensors.",
                     {"bptt inspect model.safetensors", "bptt inspect model.safetensors --json"}},
    [CMD_DEVICES] =
        {"devices",
         "",
         0,
         0,
         "list the backends and what they run on",
         "Lists every backend this program knows and each device of it: the number for --device, what it is, how much "
         "memory it has, whether it computes the same bits as this machine; or why it cannot be used.",
         {"bptt devices"}},
    [CMD_BENCH] = {"bench",
                   "",
                   0,
                   0,
                   "measure the speed of training",
                   "Trains on random characters and prints the time of one update, the rate in GFLOP/s, and what share "
                   "that is of "
                   "the matrix product alone, measured in the same run.",
                   {"bptt bench", "bptt bench --hidden 512 --layers 2 --batch 64 --seconds 10 --json",
                    "bptt bench --backend opencl --device 0 --profile"}},
    [CMD_VERIFY] =
        {"verify",
         "[PART [FOLDER]]",
         0,
         2,
         "check on this machine that the gradients are right",
         "Checks what this program says of its gradients, and prints a line for each claim: whether it holds, how "
         "strong the evidence is, the claim, the figures. Parts: cell (one step of a network), unroll (a network over "
         "a window of time), builders (windows cut in two, joined, reset), activation (tanh, float by float), device "
         "(backends against ref, in whole numbers), trace FOLDER (what bptt train --trace kept). builders and device "
         "try every backend that there is, or --backend's. Without PART all but trace. Exit code 1 if a claim does not "
         "hold.",
         {"bptt verify", "bptt verify activation --exhaustive", "bptt verify trace FOLDER --json"}},
    [CMD_HELP] = {"help",
                  "[COMMAND]",
                  0,
                  1,
                  "explain a command",
                  "Explains COMMAND, or lists the commands.",
                  {"bptt help train", "bptt help --man > bptt.1"}},
};

// Columns of a row of fields.h.
#define FROM(a, b) .min = (a), .max = (b)
#define OR_0_FROM FROM // 0 is what an option that is not given leaves
#define BELOW(a, b) .min = (a), .max = (b), .below = true
#define POSITIVE(b) BELOW(TINY, b)
#define ANY .min = 0
#define WORDS(w) .value = (w)
#define NAMED(n) .value = (n)
#define VALUE_COUNT .value = "N",
#define VALUE_SEED .value = "N",
#define VALUE_REAL .value = "X",
#define VALUE_WORD
#define VALUE_TEXT
#define VALUE_FLAG
#define OPTION(n, in, with_resume, by, says) \
    .name = (n), .commands = (in), .resumable = (with_resume), .standard = (by), .help = (says)
#define OPTION_ROW(NAME, m, KIND, values, s, needs, kept, option) \
    [OPT_##NAME] = {.kind = KIND_##KIND, .of = &field_table[FIELD_##NAME], VALUE_##KIND values, option},
#define NO_OPTION_ROW(...)

// An option of the command line alone.
#define OWN(name, letter, kind, value, standard, min, max, commands, resumable, help) \
    { \
        name, letter, kind, value, standard, min, max, false, commands, resumable, help, NULL \
    }

const option_row option_table[OPTIONS] = {
    [OPT_FILE_CELL] = {"cell", 0, KIND_WORD, CELL_WORDS, NULL, 0, 0, false, ON(SAMPLE) | ON(SCORE), false,
                       "cell of a file that does not name one (PyTorch)", &field_table[FIELD_CELL]},
    [OPT_OUTPUT] = OWN("output", 'o', KIND_PATH, "FILE", "model.safetensors", 0, 0, ON(TRAIN), true,
                       "where the model and the state go; with --resume the resumed file if not given"),
    [OPT_RESUME] =
        OWN("resume", 0, KIND_PATH, "FILE", NULL, 0, 0, ON(TRAIN), true,
            "go on from an earlier output as if never stopped, with its options and the same TEXT; --backend, "
            "--device, --threads and --log are not stored, pass them again"),
    [OPT_SAVE_EVERY] = OWN("save-every", 0, KIND_COUNT, "N", "(each validation, every 500 updates)", 1, MANY, ON(TRAIN),
                           true, "save after every so many updates, and after each validation"),
    [OPT_SAMPLE_EVERY] =
        OWN("sample-every", 0, KIND_COUNT, "N", "(never)", 1, MANY, ON(TRAIN), true,
            "write a sample of 200 characters, at the temperature of bptt sample, after every so many updates"),
    [OPT_LOG] =
        OWN("log", 0, KIND_PATH, "FILE", NULL, 0, 0, ON(TRAIN), true,
            "write every update and validation there, one JSON object a line; a resumed run goes on in the same file"),
    [OPT_TRACE] =
        OWN("trace", 0, KIND_PATH, "DIR", NULL, 0, 0, ON(TRAIN), true,
            "write the tensors of one update (inputs, states, gradients, weights before it) to a file in DIR; "
            "the result is the same"),
    [OPT_TRACE_AT] = OWN("trace-at", 0, KIND_COUNT, "N", "(the last)", 1, MANY, ON(TRAIN), true,
                         "update that --trace writes, counted from 1"),
    [OPT_PRIME] =
        OWN("prime", 0, KIND_TEXT, "TEXT", NULL, 0, 0, ON(SAMPLE), false, "text that the sample goes on from"),
    [OPT_LENGTH] = OWN("length", 'n', KIND_COUNT, "N", "500", 0, MANY, ON(SAMPLE), false, "characters to draw"),
    [OPT_TEMPERATURE] = OWN("temperature", 0, KIND_REAL, "X", "0.8", 0, 1000, ON(SAMPLE), false,
                            "below 1: likelier characters more often; 0: always the likeliest"),
    [OPT_PART] = OWN("valid", 0, KIND_REAL, "F", "(the whole text)", 1e-9, 0.999999999, ON(SCORE), false,
                     "score only the part that train --valid F keeps for validation"),
    [OPT_SECONDS] = OWN("seconds", 0, KIND_REAL, "X", "5", 0.01, 3600, ON(BENCH), false, "how long to measure"),
    [OPT_PLAN] = OWN("plan", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(BENCH), false,
                     "print the plan of a training window, one line an operation, and measure nothing"),
    [OPT_EXHAUSTIVE] = OWN("exhaustive", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(VERIFY), false,
                           "test every case instead of a sample (minutes)"),
    [OPT_JSON] = OWN("json", 0, KIND_FLAG, NULL, NULL, 0, 0,
                     ON(SCORE) | ON(INSPECT) | ON(DEVICES) | ON(BENCH) | ON(VERIFY), false, "print JSON"),
    [OPT_QUIET] = OWN("quiet", 'q', KIND_FLAG, NULL, NULL, 0, 0, ON(TRAIN) | ON(SAMPLE) | ON(SCORE) | ON(VERIFY), true,
                      "no progress, only the result and failures"),
    [OPT_MAN] = OWN("man", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(HELP), false, "print the manual page (mdoc)"),
    [OPT_HELP] = OWN("help", 'h', KIND_FLAG, NULL, NULL, 0, 0, ~0u, true, "show this help"),
    // clang-format off
    MODEL_FIELDS(OPTION_ROW, NO_OPTION_ROW)
    TRAINER_FIELDS(OPTION_ROW, NO_OPTION_ROW)
    COMPUTE_FIELDS(OPTION_ROW, NO_OPTION_ROW)
    // clang-format on
};
