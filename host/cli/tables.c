// The table of subcommands and the table of options.
#include "options.h"

#define ON(c) (1u << CMD_##c)
#define BUILD (ON(TRAIN) | ON(BENCH))
#define PLACED (BUILD | ON(SAMPLE) | ON(SCORE) | ON(PREDICT))
#define CHOSEN (PLACED | ON(VERIFY))
#define DENSE (ON(TRAIN) | ON(SCORE) | ON(PREDICT))

const command_row command_table[COMMANDS] = {
    [CMD_TRAIN] =
        {"train",
         "[TEXT]",
         0,
         1,
         "train a model on a text, or on sequences of numbers",
         "Trains a character-level model on the bytes of TEXT (\"-\": standard input). Without TEXT: standard "
         "input, if it is a pipe or a file, else the built-in text. "
         "Missing sizes follow from the length of the text. The output is a checkpoint with the complete state: the "
         "model, "
         "and everything needed to resume. The model with the lowest validation loss is written beside it: "
         "model.safetensors, "
         "model.best.safetensors. SIGINT (Ctrl-C), SIGTERM and SIGHUP save and exit, a second one exits at once; "
         "SIGUSR1 saves and continues. With --data or --wav the model reads and predicts numbers instead of "
         "characters.",
         {"bptt train shakespeare.txt", "bptt train shakespeare.txt --hidden 256 --layers 2 -o big.safetensors",
          "bptt train shakespeare.txt --resume big.safetensors --epochs 50",
          "bptt train --wav clean.wav amp.wav --cell lstm --skip --burn-in 256"}},
    [CMD_SAMPLE] = {"sample",
                    "MODEL",
                    1,
                    1,
                    "generate text with a model",
                    "Writes the prompt and characters sampled from MODEL to standard output. The same seed gives "
                    "the same text. Without a prompt the text starts as after a newline. A model of train --documents "
                    "starts anew at each document that it completes.",
                    {"bptt sample model.safetensors",
                     "bptt sample model.safetensors --prime 'ROMEO:' --temperature 0.7 --seed 3",
                     "bptt sample names.safetensors --count 20"}},
    [CMD_SCORE] =
        {"score",
         "MODEL TEXT",
         2,
         2,
         "compute the loss of a model on a text or a sequence",
         "Prints the mean loss per byte of TEXT (\"-\": standard input) under MODEL in nats and bits (bpc), "
         "and the number of predicted bytes (all except the first). With --data or --wav instead of TEXT: the "
         "mean loss per step, for the squared loss the error-to-signal ratio (esr: sum of squared errors / sum "
         "of squared targets), and the number of steps.",
         {"bptt score model.safetensors other.txt", "bptt score model.safetensors shakespeare.txt --valid 0.05",
          "bptt score amp.safetensors --wav clean.wav amp.wav"}},
    [CMD_PREDICT] =
        {"predict",
         "MODEL",
         1,
         1,
         "compute the outputs of a model for a sequence",
         "Writes the outputs of MODEL, a model of train --data or --wav, for a sequence of inputs: a row of "
         "floats for each step, or a WAV file of 32-bit floats. The state starts from zero. Outputs of a model "
         "of loss binary are logits.",
         {"bptt predict model.safetensors --data inputs.f32 -o outputs.f32",
          "bptt predict amp.safetensors --wav clean.wav -o through_amp.wav"}},
    [CMD_INSPECT] = {"inspect",
                     "MODEL",
                     1,
                     1,
                     "list the contents of a model file",
                     "Lists the tensors and the metadata of a safetensors file, without reading the tensors.",
                     {"bptt inspect model.safetensors", "bptt inspect model.safetensors --json"}},
    [CMD_DEVICES] = {"devices",
                     "",
                     0,
                     0,
                     "list backends and devices",
                     "Lists every backend and its devices: number for --device, name, memory, and whether results are "
                     "bit-identical "
                     "to the host's; or why a backend or device cannot be used.",
                     {"bptt devices"}},
    [CMD_BENCH] =
        {"bench",
         "",
         0,
         0,
         "measure the speed of training",
         "Trains on random characters and prints the time of one update, the rate in GFLOP/s, and its fraction "
         "of the GEMM rate "
         "measured in the same run.",
         {"bptt bench", "bptt bench --hidden 512 --layers 2 --batch 64 --seconds 10 --json",
          "bptt bench --backend opencl --device 0 --profile"}},
    [CMD_VERIFY] =
        {"verify",
         "[PART [FOLDER]]",
         0,
         2,
         "verify the gradients on this machine",
         "Checks claims about the gradients and prints a line for each: result, strength of the evidence, claim, "
         "figures. Parts: cell (one step of a network), unroll (a network over a window), builders (windows split, "
         "joined, reset), activation (tanh for every float), device (backends against ref in whole numbers), trace "
         "FOLDER "
         "(the output of bptt train --trace). builders and device check every available backend, or the one of "
         "--backend. "
         "Default: all parts except trace. Exit code 1 if a claim does not "
         "hold.",
         {"bptt verify", "bptt verify activation --exhaustive", "bptt verify trace FOLDER --json"}},
    [CMD_HELP] = {"help",
                  "[COMMAND]",
                  0,
                  1,
                  "show the help of a command",
                  "Shows the help of COMMAND, or lists the commands.",
                  {"bptt help train", "bptt help --man > bptt.1"}},
};

// Macros that turn the columns of fields.h into members of option_row.
#define FROM(a, b) .min = (a), .max = (b)
#define OR_0_FROM FROM // 0 is the value of an option that is not given
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

// An option that sets no field of a configuration.
#define OWN(name, letter, kind, value, standard, min, max, commands, resumable, help) \
    { \
        name, letter, kind, value, standard, min, max, false, commands, resumable, help, NULL \
    }

const option_row option_table[OPTIONS] = {
    [OPT_FILE_CELL] = {"cell", 0, KIND_WORD, "tanh|relu", NULL, 0, 0, false, ON(SAMPLE) | ON(SCORE) | ON(PREDICT),
                       false,
                       "cell of a file that has the tensors of an Elman network and does not name its cell (PyTorch)",
                       &field_table[FIELD_CELL]},
    [OPT_GRU_RESET] =
        OWN("gru-reset", 0, KIND_WORD, "after|before", "after", 0, 0, BUILD, false,
            "reset gate of --cell gru: after the product with W_hh, as in PyTorch and cuDNN, or before it "
            "(the same as --cell gru-before)"),
    [OPT_DATA] =
        OWN("data", 0, KIND_PATH, "FILE", NULL, 0, 0, DENSE, true,
            "rows of numbers instead of TEXT (\"-\": standard input): a row for each step, its inputs, then its "
            "targets (predict: inputs only, see --targets), as little-endian 32-bit floats without a header"),
    [OPT_WAV] =
        OWN("wav", 0, KIND_PATH, "FILE", NULL, 0, 0, DENSE, true,
            "audio instead of TEXT: FILE is the input; the argument TEXT is the WAV file of the targets, of the "
            "same length and sample rate (predict: none)"),
    [OPT_PREDICTIONS] = OWN("output", 'o', KIND_PATH, "FILE", "-", 0, 0, ON(PREDICT), false,
                            "file of the outputs; \"-\": standard output"),
    [OPT_OUTPUT] = OWN("output", 'o', KIND_PATH, "FILE", "model.safetensors", 0, 0, ON(TRAIN), true,
                       "checkpoint file to write; default with --resume: the resumed file"),
    [OPT_RESUME] = OWN("resume", 0, KIND_PATH, "FILE", NULL, 0, 0, ON(TRAIN), true,
                       "resume from a checkpoint, bit for bit, with its options and the same TEXT; --backend, "
                       "--device, --threads and --log are not stored: pass them again"),
    [OPT_SAVE_EVERY] = OWN("save-every", 0, KIND_COUNT, "N", "(each validation, every 500 updates)", 1, MANY, ON(TRAIN),
                           true, "updates between checkpoints; each validation also writes one"),
    [OPT_SAMPLE_EVERY] = OWN("sample-every", 0, KIND_COUNT, "N", "(never)", 1, MANY, ON(TRAIN), true,
                             "updates between samples of 200 characters, at the default temperature of bptt sample"),
    [OPT_LOG] = OWN("log", 0, KIND_PATH, "FILE", NULL, 0, 0, ON(TRAIN), true,
                    "log of updates and validations, one JSON object a line; a resumed run appends to it"),
    [OPT_TRACE] =
        OWN("trace", 0, KIND_PATH, "DIR", NULL, 0, 0, ON(TRAIN), true,
            "write the tensors of one update (inputs, states, gradients, weights before it) to a file in DIR; "
            "does not change the training"),
    [OPT_TRACE_AT] = OWN("trace-at", 0, KIND_COUNT, "N", "(the last)", 1, MANY, ON(TRAIN), true,
                         "number of the update that --trace writes, from 1"),
    [OPT_PRIME] =
        OWN("prime", 0, KIND_TEXT, "TEXT", NULL, 0, 0, ON(SAMPLE), false, "prompt: the sample continues this text"),
    [OPT_LENGTH] = OWN("length", 'n', KIND_COUNT, "N", "500", 0, MANY, ON(SAMPLE), false,
                       "number of characters to sample; with --count: the most in one document"),
    [OPT_SAMPLE_COUNT] = OWN("count", 0, KIND_COUNT, "N", NULL, 1, MANY, ON(SAMPLE), false,
                             "number of documents to sample, each with the prompt, from a model of train --documents"),
    [OPT_TEMPERATURE] = OWN("temperature", 0, KIND_REAL, "X", "0.8", 0, 1000, ON(SAMPLE), false,
                            "sampling temperature; below 1 favours likely characters; 0: argmax"),
    [OPT_PART] = OWN("valid", 0, KIND_REAL, "F", "(the whole text)", 1e-9, 0.999999999, ON(SCORE), false,
                     "score only the validation part of train --valid F"),
    [OPT_SECONDS] = OWN("seconds", 0, KIND_REAL, "X", "5", 0.01, 3600, ON(BENCH), false, "duration of the measurement"),
    [OPT_PLAN] = OWN("plan", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(BENCH), false,
                     "print the plan of a training window, one op a line, without measuring"),
    [OPT_EXHAUSTIVE] = OWN("exhaustive", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(VERIFY), false,
                           "check all inputs instead of a sample (minutes)"),
    [OPT_JSON] = OWN("json", 0, KIND_FLAG, NULL, NULL, 0, 0,
                     ON(SCORE) | ON(INSPECT) | ON(DEVICES) | ON(BENCH) | ON(VERIFY), false, "print JSON"),
    [OPT_QUIET] =
        OWN("quiet", 'q', KIND_FLAG, NULL, NULL, 0, 0, ON(TRAIN) | ON(SAMPLE) | ON(SCORE) | ON(PREDICT) | ON(VERIFY),
            true, "no progress output, only results and errors"),
    [OPT_MAN] = OWN("man", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(HELP), false, "print the manual page (mdoc)"),
    [OPT_HELP] = OWN("help", 'h', KIND_FLAG, NULL, NULL, 0, 0, ~0u, true, "show this help"),
    // clang-format off
    MODEL_FIELDS(OPTION_ROW, NO_OPTION_ROW)
    TRAINER_FIELDS(OPTION_ROW, NO_OPTION_ROW)
    COMPUTE_FIELDS(OPTION_ROW, NO_OPTION_ROW)
    // clang-format on
};
