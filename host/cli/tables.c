// The two tables of the command line.
#include "options.h"

#define ON(c) (1u << CMD_##c)
#define MODEL (ON(TRAIN) | ON(BENCH))
#define PLACED (MODEL | ON(SAMPLE) | ON(SCORE))
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

// 2^53, the largest whole number up to which a double counts exactly.
#define MANY 9007199254740992.0

const option_row option_table[OPTIONS] = {
    [OPT_CELL] = {"cell", 0, KIND_WORD, "tanh|relu", "tanh", 0, 0, MODEL, false, "activation of the hidden units"},
    [OPT_FILE_CELL] = {"cell", 0, KIND_WORD, "tanh|relu", "tanh", 0, 0, ON(SAMPLE) | ON(SCORE), false,
                       "cell of a file that does not name one (PyTorch)"},
    [OPT_HIDDEN] = {"hidden", 0, KIND_COUNT, "N", "(chosen from the text; bench: 128)", 1, 65536, MODEL, false,
                    "hidden units in a layer"},
    [OPT_LAYERS] = {"layers", 0, KIND_COUNT, "N", "(chosen from the text; bench: 1)", 1, 64, MODEL, false, "layers"},
    [OPT_BATCH] = {"batch", 0, KIND_COUNT, "N", "(chosen from the text; bench: 32)", 1, 1048576, MODEL, false,
                   "parts of the text that are trained side by side"},
    [OPT_STEPS] = {"steps", 0, KIND_COUNT, "N", "(chosen from the text; bench: 64)", 1, 1048576, MODEL, false,
                   "length of a training window in characters (not the number of updates: --iterations)"},
    [OPT_BIASES] = {"biases", 0, KIND_COUNT, "N", "1", 1, 2, MODEL, false,
                    "trained biases in a layer; 2 as PyTorch and char-rnn have it"},
    [OPT_INIT] = {"init", 0, KIND_WORD, "reference|uniform", "reference", 0, 0, MODEL, false,
                  "first weights: uniform in 1/sqrt(hidden), biases zero (reference) or drawn as well (uniform)"},
    [OPT_OPTIMIZER] = {"optimizer", 0, KIND_WORD, "sgd|rmsprop|adam", "adam", 0, 0, MODEL, false, "the update rule"},
    [OPT_RATE] = {"lr", 0, KIND_REAL, "X", "0.002", 1e-12, 1000, MODEL, false, "learning rate"},
    [OPT_MOMENTUM] = {"momentum", 0, KIND_REAL, "X", "0", 0, 0.999999, MODEL, false, "momentum of sgd"},
    [OPT_CLIP] = {"clip", 0, KIND_REAL, "X", "5", 0, 1e9, MODEL, false, "clip the gradient norm at X; 0 disables"},
    [OPT_CLIP_MODE] = {"clip-mode", 0, KIND_WORD, "norm|value", "norm", 0, 0, MODEL, false,
                       "clip the norm of the whole gradient, or each element"},
    [OPT_ITERATIONS] = {"iterations", 0, KIND_COUNT, "N", "(as --epochs says)", 1, MANY, ON(TRAIN), true,
                        "updates in all"},
    [OPT_EPOCHS] = {"epochs", 0, KIND_REAL, "X", "(chosen from the text)", 1e-6, 1e9, ON(TRAIN), true,
                    "passes over the training text"},
    [OPT_VALID] = {"valid", 0, KIND_REAL, "F", "0.05", 0, 0.99, ON(TRAIN), false,
                   "part of the text, at its end, that is kept for validation"},
    [OPT_VALID_EVERY] = {"valid-every", 0, KIND_COUNT, "N", "(chosen from the text)", 0, MANY, ON(TRAIN), false,
                         "updates between validations; 0: only at the end"},
    [OPT_SEED] = {"seed", 0, KIND_SEED, "N", "1", 0, 0, MODEL | ON(SAMPLE), false, "seed of all random numbers"},
    [OPT_OUTPUT] = {"output", 'o', KIND_PATH, "FILE", "model.safetensors", 0, 0, ON(TRAIN), true,
                    "where the model and the state go; with --resume the resumed file if not given"},
    [OPT_RESUME] = {"resume", 0, KIND_PATH, "FILE", NULL, 0, 0, ON(TRAIN), true,
                    "go on from an earlier output as if never stopped, with its options and the same TEXT; --backend, "
                    "--device, --threads and --log are not stored, pass them again"},
    [OPT_SAVE_EVERY] = {"save-every", 0, KIND_COUNT, "N", "(each validation, every 500 updates)", 1, MANY, ON(TRAIN),
                        true, "save after every so many updates, and after each validation"},
    [OPT_SAMPLE_EVERY] =
        {"sample-every", 0, KIND_COUNT, "N", "(never)", 1, MANY, ON(TRAIN), true,
         "write a sample of 200 characters, at the temperature of bptt sample, after every so many updates"},
    [OPT_LOG] =
        {"log", 0, KIND_PATH, "FILE", NULL, 0, 0, ON(TRAIN), true,
         "write every update and validation there, one JSON object a line; a resumed run goes on in the same file"},
    [OPT_TRACE] = {"trace", 0, KIND_PATH, "DIR", NULL, 0, 0, ON(TRAIN), true,
                   "write the tensors of one update (inputs, states, gradients, weights before it) to a file in DIR; "
                   "the result is the same"},
    [OPT_TRACE_AT] = {"trace-at", 0, KIND_COUNT, "N", "(the last)", 1, MANY, ON(TRAIN), true,
                      "update that --trace writes, counted from 1"},
    [OPT_PRIME] = {"prime", 0, KIND_TEXT, "TEXT", NULL, 0, 0, ON(SAMPLE), false, "text that the sample goes on from"},
    [OPT_LENGTH] = {"length", 'n', KIND_COUNT, "N", "500", 0, MANY, ON(SAMPLE), false, "characters to draw"},
    [OPT_TEMPERATURE] = {"temperature", 0, KIND_REAL, "X", "0.8", 0, 1000, ON(SAMPLE), false,
                         "below 1: likelier characters more often; 0: always the likeliest"},
    [OPT_PART] = {"valid", 0, KIND_REAL, "F", "(the whole text)", 1e-9, 0.999999999, ON(SCORE), false,
                  "score only the part that train --valid F keeps for validation"},
    [OPT_VOCAB] = {"vocab", 0, KIND_COUNT, "N", "65", 2, 65536, ON(BENCH), false, "different characters"},
    [OPT_SECONDS] = {"seconds", 0, KIND_REAL, "X", "5", 0.01, 3600, ON(BENCH), false, "how long to measure"},
    [OPT_BACKEND] = {"backend", 0, KIND_TEXT, "NAME", "auto", 0, 0, CHOSEN, true,
                     "cpu, cuda, opencl or ref; auto: a GPU through cuda, else one through opencl, else cpu"},
    [OPT_DEVICE] = {"device", 0, KIND_TEXT, "N|NAME", "(the first that is usable, GPUs before others)", 0, 0, CHOSEN,
                    true, "device of the backend, by its number or a part of its name; see bptt devices"},
    [OPT_THREADS] = {"threads", 0, KIND_COUNT, "N", "(as many as the machine has cores)", 0, 1024, PLACED, true,
                     "threads; results do not depend on it"},
    [OPT_LOWERING] =
        {"lowering", 0, KIND_WORD, "auto|never|always", "auto", 0, 0, PLACED, true,
         "one kernel for all steps of a layer on opencl, one CUDA graph for a window on cuda: where that is "
         "faster, never, or wherever possible; the results are the same"},
    [OPT_PRODUCT] = {"product", 0, KIND_WORD, "own|library", "own", 0, 0, PLACED, true,
                     "matrix-product kernels on opencl: bptt's own, or CLBlast's (tested before use)"},
    [OPT_PRECISION] =
        {"precision", 0, KIND_WORD, "fp32|tf32|bf16|fp16", "fp32", 0, 0, MODEL, true,
         "number format of the operands of matrix products; all but fp32 need cuda. A resumed run keeps its own "
         "unless this is given"},
    [OPT_PROFILE] = {"profile", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(BENCH), false,
                     "print the time of each kind of operation as well; slower"},
    [OPT_EXHAUSTIVE] = {"exhaustive", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(VERIFY), false,
                        "test every case instead of a sample (minutes)"},
    [OPT_JSON] = {"json", 0, KIND_FLAG, NULL, NULL, 0, 0,
                  ON(SCORE) | ON(INSPECT) | ON(DEVICES) | ON(BENCH) | ON(VERIFY), false, "print JSON"},
    [OPT_QUIET] = {"quiet", 'q', KIND_FLAG, NULL, NULL, 0, 0, ON(TRAIN) | ON(SAMPLE) | ON(SCORE) | ON(VERIFY), true,
                   "no progress, only the result and failures"},
    [OPT_MAN] = {"man", 0, KIND_FLAG, NULL, NULL, 0, 0, ON(HELP), false, "print the manual page (mdoc)"},
    [OPT_HELP] = {"help", 'h', KIND_FLAG, NULL, NULL, 0, 0, ~0u, true, "show this help"},
};
