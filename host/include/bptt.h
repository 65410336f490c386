// bptt: train recurrent sequence models from C, on a GPU or a plain CPU.
//
//   bptt_model_config c;  bptt_run_config rc;
//   bptt_model_defaults(&c), bptt_run_defaults(&rc);
//   c.vocab = 65, rc.batch = 32, rc.steps = 64, rc.gradient = 1;
//   bptt_model *m = NULL;  bptt_run *r = NULL;
//   if (bptt_model_open(&c, &m, NULL) == BPTT_OK && bptt_run_open(m, &rc, &r, NULL) == BPTT_OK)
//       while (next(&window) && bptt_run_train(r, &window, 2e-3, &report, NULL) == BPTT_OK) print(report.loss);
//   bptt_run_close(r);
//   bptt_model_close(m);                       // runs first, then their model
//
// Letters: V vocabulary, I input width, M width of dense targets, H hidden units, L layers, B batch, T steps, S states
// of a cell (2 with LSTM and MLSTM: h, c; else 1: h).
// Arrays are row-major and packed; time-major where there is time: token (t, b) of a [T][B] array is x[t*B + b].
// Loss is in nats per position (of dense targets: bptt_loss). Counts count elements, never bytes.
// Pointers given to a call belong to the caller and are not kept after it returns, unless its comment says so.
// Every function that can fail returns bptt_status, writes its results only on success, and describes the failure in
// its bptt_error if that is not NULL. The library never prints or exits. There is no global state. Backend modules stay
// loaded after first use.
// One object serves one thread at a time; a model and its runs count as one object. Different models share nothing.
// fork() does not copy threads: a model opened with threads > 1 before a fork hangs in the child. Open it after fork().
//
// ABI: bptt_model_config, bptt_run_config, bptt_trainer_config and bptt_window begin with their size in the caller's
// header, set by the _defaults function or as .size = sizeof(the type). Later versions add members at the end only. A
// program built with an older header keeps working: missing members have their defaults, and nothing is written past
// its struct. Unknown members must be 0. A size of 0, or a member of a newer version that is not 0, is BAD_CONFIG
// (BAD_INPUT in a window). Functions that fill a struct are macros that pass the caller's sizeof to the function
// NAME_sized. The layouts of bptt_report, bptt_error, bptt_tensor and bptt_compute are frozen.
#ifndef BPTT_H
#define BPTT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#define BPTT_API __attribute__((visibility("default")))
#else
#define BPTT_API
#endif

#define BPTT_VERSION_MAJOR 0
#define BPTT_VERSION_MINOR 1
#define BPTT_VERSION_PATCH 0
#define BPTT_VERSION "0.1.0"
BPTT_API const char *bptt_version(void); // version of the loaded library: BPTT_VERSION of its header

// ---- status ---------------------------------------------------------------------------------------------------------
#define BPTT_STATUS_LIST(X) \
    X(OK, 0, "ok") \
    X(BAD_CONFIG, 1, "an option or a size is out of range") \
    X(BAD_INPUT, 2, "the input does not fit the model") \
    X(BAD_FILE, 3, "not a bptt or safetensors file, or a damaged one") \
    X(IO, 4, "a file could not be read or written") \
    X(NO_INPUT, 5, "a file does not exist or cannot be opened") \
    X(NO_MEMORY, 6, "not enough memory") \
    X(NO_BACKEND, 7, "no such backend, or no device for it") \
    X(DEVICE, 8, "the device reported an error") \
    X(NOT_FINITE, 9, "the loss or the gradient is NaN or infinite") \
    X(CANCELLED, 10, "stopped on request")

typedef enum bptt_status {
#define BPTT_STATUS_ENUM(name, number, text) BPTT_##name = number,
    BPTT_STATUS_LIST(BPTT_STATUS_ENUM)
#undef BPTT_STATUS_ENUM
} bptt_status;

typedef struct bptt_error {
    bptt_status code;
    char words[504]; // error message: one sentence, NUL-terminated, with a remedy if there is one
} bptt_error;
BPTT_API const char *bptt_status_text(bptt_status s); // static string, never NULL

// ---- model ----------------------------------------------------------------------------------------------------------
// Element types of arrays passed to the library, and of the numbers of a model: float, double.
typedef enum bptt_type { BPTT_F32 = 0, BPTT_F64 = 1 } bptt_type;

// Cells. The k-th block of H rows of W_ih, W_hh and the biases gives X_k = W_ih,k x + b_ih,k, Y_k = W_hh,k h + b_hh,k;
// s is the logistic function, . the product of elements.
//   TANH, RELU   h' = f(X + Y), f = tanh or max(0, .)                          (Elman 1990; TorchLean's ElmanCell)
//   GRU          r = s(X_1 + Y_1), u = s(X_2 + Y_2), n = tanh(X_3 + r . Y_3), h' = (1 - u) . n + u . h  (PyTorch)
//   LSTM         i, f, o = s(X_k + Y_k), k = 1, 2, 4, g = tanh(X_3 + Y_3), c' = f . c + i . g, h' = o . tanh(c')
//   MLSTM        u = X_1 . Y, then LSTM with X_2 .. X_5 and W_mixed u instead of W_hh h          (Krause et al. 2016)
//   MINGRU       u = s(X_1), h' = (1 - u) . h + u . X_2                                            (Feng et al. 2024)
//   GRU_BEFORE   GRU with n = tanh(X_3 + W_mixed (r . h) + b_hh,3): the reset before the product      (char-rnn)
typedef enum bptt_cell {
    BPTT_TANH = 0,
    BPTT_RELU = 1,
    BPTT_GRU = 2,
    BPTT_LSTM = 3,
    BPTT_MLSTM = 4,
    BPTT_MINGRU = 5,
    BPTT_GRU_BEFORE = 6
} bptt_cell;

// Updates (g: gradient, after clipping; w: parameter; eta: rate; n: updates so far, this one included):
//   SGD      m = momentum m + g;                                   w -= eta m
//   RMSPROP  v = decay v + (1 - decay) g^2;                        w -= eta g / (sqrt(v) + epsilon)     (Torch7's form)
//   ADAM     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
//            w -= eta / (1 - beta1^n) m / (sqrt(v / (1 - beta2^n)) + epsilon)                   (Kingma & Ba 2015)
typedef enum bptt_optimizer { BPTT_SGD = 0, BPTT_RMSPROP = 1, BPTT_ADAM = 2 } bptt_optimizer;

// Clipping: NORM scales the whole gradient by clip / (|g| + 1e-6) when its L2 norm |g| > clip (Pascanu et al. 2013);
// VALUE clamps every element to [-clip, clip] (char-rnn).
typedef enum bptt_clip { BPTT_CLIP_NORM = 0, BPTT_CLIP_VALUE = 1 } bptt_clip;

// Losses of a position. SOFTMAX: cross-entropy of the softmax over V outputs and a token, in nats. The others: the mean
// over M outputs x with targets y of l(x, y), as PyTorch's MSELoss, L1Loss and BCEWithLogitsLoss with reduction "mean":
//   SQUARED   (x - y)^2                               gradient 2 (x - y) / M
//   ABSOLUTE  |x - y|                                 gradient sign(x - y) / M, 0 where x = y
//   BINARY    max(x, 0) - x y + log(1 + e^-|x|)       gradient (sigmoid(x) - y) / M;  x is a logit, 0 <= y <= 1
// The loss of a window is the mean over positions, weighted by bptt_window.weight.
typedef enum bptt_loss { BPTT_SOFTMAX = 0, BPTT_SQUARED = 1, BPTT_ABSOLUTE = 2, BPTT_BINARY = 3 } bptt_loss;

// Initial weights, from one SplitMix64 stream seeded with `seed`, drawn row-major in the order of the tensors below:
//   REFERENCE  weights uniform in +-1/sqrt(H) with 24 random bits, biases zero (b_ih of a forget gate: 1) and not drawn
//   UNIFORM    weights and biases uniform in +-1/sqrt(H)                                     (PyTorch's default law)
typedef enum bptt_init { BPTT_INIT_REFERENCE = 0, BPTT_INIT_UNIFORM = 1 } bptt_init;

// Documents of a text, for trainers and bptt_score. A document ends with its separator, whose last byte starts the next
// one: the state is zero before the step that reads this byte, and the step predicts the first byte of the next
// document. See bptt_ends_document. LINE: a newline; BLANK: an empty line, "\n\n" or "\n\r\n".
typedef enum bptt_documents {
    BPTT_DOCUMENTS_NONE = 0,
    BPTT_DOCUMENTS_LINE = 1,
    BPTT_DOCUMENTS_BLANK = 2
} bptt_documents;

// Settings of the machine: backend, device, kernels, precision. The default is all zeros. The layout is frozen; the
// reserved members must be 0.
typedef enum bptt_lowering { BPTT_LOWER_AUTO = 0, BPTT_LOWER_NEVER = 1, BPTT_LOWER_ALWAYS = 2 } bptt_lowering;
typedef enum bptt_product { BPTT_PRODUCT_OWN = 0, BPTT_PRODUCT_LIBRARY = 1 } bptt_product;
typedef enum bptt_isa { BPTT_ISA_AUTO = 0, BPTT_ISA_PLAIN = 1, BPTT_ISA_AVX2 = 2, BPTT_ISA_AVX512 = 3 } bptt_isa;
typedef enum bptt_precision {
    BPTT_PRECISION_FP32 = 0, // float operands
    BPTT_PRECISION_TF32 = 1, // 11 significant bits, float's range (tensor cores)
    BPTT_PRECISION_BF16 = 2, // 8 significant bits, float's range
    BPTT_PRECISION_FP16 = 3  // 11 significant bits, 6e-8 .. 65504: gradients are scaled (loss scale)
} bptt_precision;
typedef struct bptt_compute {
    // "cpu", "ref", "cuda", "opencl"; NULL or "auto": a GPU with cuda, else a GPU with opencl, else cpu; ref for type
    // F64. "auto" with a precision that cpu lacks: a GPU that has it, else NO_BACKEND
    const char *backend;
    // NULL: the first usable device of the backend, GPUs first; "0", "1": by number; else by a part of the name of the
    // device or its platform, ignoring case. With backend "auto": a device of cuda, else of opencl. cpu, ref: "0"
    const char *device;
    unsigned threads; // 0..1024; CPU threads; 0: number of cores. Results do not depend on it
    // Whole-window kernels (one layer through all T steps), if the backend has them: used where expected to be faster,
    // never, or wherever they fit the device. Results are bit-identical on opencl
    bptt_lowering lowering;
    // GEMM implementation on opencl: its own or CLBlast, which is tested when the model is opened. CLBlast gives other
    // bits, reproducible only with the same version on the same device
    bptt_product product;
    // Number format of GEMM operands; everything else is float. Changes the results. All except FP32 need backend cuda;
    // other backends return NO_BACKEND
    bptt_precision precision;
    int profile; // 1: measure the time of each kind of op (bptt_model_profile); slows training
    // Instructions of the cpu backend: the widest that the processor has, or those named (NO_BACKEND if it lacks them).
    // AVX2 and AVX512 give the same results, PLAIN others within rounding
    bptt_isa isa;
    unsigned reserved[2]; // 0
} bptt_compute;

// Members: default; range; meaning.
typedef struct bptt_model_config {
    size_t size;              // sizeof(bptt_model_config), set by bptt_model_defaults
    bptt_cell cell;           // BPTT_TANH
    size_t vocab;             // none; 2..65536; V; 0 is allowed if input and output are above 0: no tokens
    size_t input;             // 0; 0..65536; I: width of dense vectors; 0: tokens, one-hot, I = V
    size_t hidden;            // 128; 1..65536; H
    size_t layers;            // 1; 1..64; L
    int biases;               // 1; 1: one trained bias a layer (b_ih; GRU and MLSTM also b_hn), 2: both, as in PyTorch
    bptt_type type;           // BPTT_F32; or BPTT_F64 if the backend has it
    bptt_init init;           // BPTT_INIT_REFERENCE
    uint64_t seed;            // 1
    bptt_optimizer optimizer; // BPTT_ADAM
    double momentum;          // 0; 0 <= momentum < 1; SGD
    double decay;             // 0.95; 0 <= decay < 1; RMSProp
    double beta1, beta2;      // 0.9, 0.999; 0 <= beta < 1; Adam
    double epsilon;           // 1e-8; at least 1.18e-38; RMSProp, Adam
    bptt_clip clip_mode;      // BPTT_CLIP_NORM
    double clip;              // 5; at least 0; 0: no clipping
    bptt_compute compute;     // zeros; settings of the machine
    size_t output;            // 0; 0..65536; M: width of dense targets; 0: token targets, V outputs
    bptt_loss loss; // BPTT_SOFTMAX; SOFTMAX for token targets (output = 0), one of the others for dense targets
    int skip;       // 0; 0..1; 1: output = decoder + the first M inputs; needs input >= output > 0
    bptt_documents documents; // BPTT_DOCUMENTS_NONE: one text; tokens only. bptt_run_... ignore it: set keep there
    int learned_state;        // 0; 0..1; 1: the initial state is trained; needs runs with keep = 1 (or lengths)
} bptt_model_config;
#define bptt_model_defaults(c) bptt_model_defaults_sized((c), sizeof *(c))
BPTT_API void bptt_model_defaults_sized(bptt_model_config *c, size_t size);
typedef struct bptt_model bptt_model;
// Creates a model: initial weights, gradient and optimizer moments.
// Errors: BAD_CONFIG, NO_BACKEND, NO_MEMORY, DEVICE. The caller closes *m.
BPTT_API bptt_status bptt_model_open(const bptt_model_config *c, bptt_model **m, bptt_error *e);
BPTT_API void bptt_model_close(bptt_model *m); // NULL is allowed. Close its runs first.
// compute.backend and device are resolved and belong to m. device: its number as text; NULL: the backend has only one.
#define bptt_model_get_config(m, c) bptt_model_get_config_sized((m), (c), sizeof *(c))
BPTT_API void bptt_model_get_config_sized(const bptt_model *m, bptt_model_config *c, size_t size);

// Tensors have PyTorch's names and shapes, in this order, for each layer l: rnn.weight_ih_l<l> [G*H][I or H],
// rnn.weight_hh_l<l> [G*H][H], rnn.bias_ih_l<l> [G*H], with biases = 2 rnn.bias_hh_l<l> [G*H]; G: gates of the cell, 1
// for TANH and RELU, 3 for GRU, 4 for LSTM. Then decoder.weight [V or M][H], decoder.bias [V or M]. With biases = 1 GRU
// has rnn.bias_hn_l<l> [H], the bias of Y_3. MLSTM, MINGRU, GRU_BEFORE, unknown to PyTorch: host/README.md.
// With learned_state each layer also has rnn.h0_l<l> [S*H], the initial state, which starts as zeros; PyTorch's strict
// loading refuses it. A step with keep(t, b) = k starts from k times the state before it plus 1 - k times h0.
typedef struct bptt_tensor {
    char name[48];
    size_t rows, cols; // a bias has rank 1: rows elements, cols = 1
    int rank;
} bptt_tensor;

// Arrays of a tensor: weights, last gradient (before clipping), the optimizer's moments m and v.
typedef enum bptt_part { BPTT_WEIGHTS = 0, BPTT_GRADIENT = 1, BPTT_MOMENT1 = 2, BPTT_MOMENT2 = 3 } bptt_part;
BPTT_API size_t bptt_model_tensors(const bptt_model *m);    // number of tensors
BPTT_API size_t bptt_model_parameters(const bptt_model *m); // number of elements of all tensors
BPTT_API bptt_status bptt_model_tensor(const bptt_model *m, size_t i, bptt_tensor *t, bptt_error *e);
// x holds rows*cols elements of type `as` (BPTT_F32 or BPTT_F64), PyTorch's layout.  Errors: BAD_INPUT, DEVICE.
BPTT_API bptt_status bptt_model_read(bptt_model *m, bptt_part part, size_t i, void *x, bptt_type as, bptt_error *e);
BPTT_API bptt_status bptt_model_write(bptt_model *m, bptt_part part, size_t i, const void *x, bptt_type as,
                                      bptt_error *e);
// Optimizer updates so far; Adam's bias corrections depend on it. Training resumes exactly if weights, moments,
// carried state and this count are restored (FP16: not the loss scale).  Errors: BAD_INPUT (in flight; n >= 2^53).
BPTT_API uint64_t bptt_model_updates(const bptt_model *m);
BPTT_API bptt_status bptt_model_set_updates(bptt_model *m, uint64_t n, bptt_error *e);

// Vocabulary: the byte of each token 0..V-1; n = 0 and *bytes = NULL if none was set. *bytes belongs to the model.
BPTT_API bptt_status bptt_model_set_vocabulary(bptt_model *m, const unsigned char *bytes, size_t n, bptt_error *e);
BPTT_API void bptt_model_vocabulary(const bptt_model *m, const unsigned char **bytes, size_t *n);

// Writes a safetensors file: weights under the names above (with one bias, bias_hh as zeros, so that PyTorch computes
// the same), vocabulary and configuration as metadata. The file is replaced atomically.  Errors: IO, NO_MEMORY.
BPTT_API bptt_status bptt_model_save(bptt_model *m, const char *path, bptt_error *e);
// Reads such a file, the weights of a trainer's checkpoint, or a file with only PyTorch's tensors. The optimizer is
// reset: moments zero, no updates. Only compute and type of c (may be NULL: defaults) are used, and cell if the file
// has the tensors of TANH and RELU and does not name its cell (files of bptt do): then bptt_model_cell_assumed is 1.
// Metadata read from other files: host/README.md. Errors: NO_INPUT, BAD_FILE, those of open.
BPTT_API bptt_status bptt_model_load(const char *path, const bptt_model_config *c, bptt_model **m, bptt_error *e);
BPTT_API int bptt_model_cell_assumed(const bptt_model *m);

// ---- run ------------------------------------------------------------------------------------------------------------
// A run holds everything that depends on B and T: hidden states of a window, carried state, workspace. A model may have
// many runs (training, validation, sampling), which share weights and gradient but not states.
typedef struct bptt_run bptt_run;
typedef struct bptt_run_config {
    size_t size;        // sizeof(bptt_run_config), set by bptt_run_defaults
    size_t batch;       // B >= 1
    size_t steps;       // T >= 1
    int gradient;       // 1: compute gradients; 0: forward only, memory independent of T
    int keep;           // 1: windows may set keep
    int input_gradient; // 1: keep the gradient of dense inputs (needs gradient)
    int last_gradient;  // 1: bptt_run_write_last_gradient may be called (needs gradient)
    size_t burn_in;     // below steps: the first burn_in steps of every window (lengths: sequence) have weight 0
    // 1: every window holds B sequences of their own, each of 0..T steps from the zero state: windows may set length
    // and keep. Padding takes no time: sequences are packed one after the other into B/8, 2B/8, ... or B streams. No
    // state is carried: read_state, write_state, next, next_dense and results STATES and GRAD_STATE are BAD_INPUT; not
    // with last_gradient
    int lengths;
    unsigned reserved; // 0
} bptt_run_config;     // defaults: batch and steps 1, others 0
#define bptt_run_defaults(c) bptt_run_defaults_sized((c), sizeof *(c))
BPTT_API void bptt_run_defaults_sized(bptt_run_config *c, size_t size);
// Input of one call: T steps of B streams. In a language model target (t, b) is the token after token (t, b).
typedef struct bptt_window {
    size_t size;           // sizeof(bptt_window)
    const int32_t *token;  // [T][B] in 0..V-1; NULL for a dense model
    const void *dense;     // [T][B][I] for a dense model, else NULL
    bptt_type dense_type;  // BPTT_F32 or BPTT_F64
    const int32_t *target; // [T][B] in 0..V-1; NULL for a model with dense targets
    const float *weight;   // [T][B] >= 0, finite: weight of a position in the loss and its gradient; NULL: ones
    const float *keep;     // [T][B]: multiplies the state before step t; 0 starts a new document; NULL: ones. With
                           // learned_state the rest, 1 - keep, is h0: only starts marked by keep train it
    // [T][B][M] for a model with dense targets, else NULL; finite, and 0..1 for BINARY, also where the weight is 0
    const void *dense_target;
    bptt_type dense_target_type; // BPTT_F32 or BPTT_F64
    unsigned reserved;           // 0
    // [B] in 0..T, for a run with lengths: steps of each sequence; NULL: T. Later steps of the arrays are padding: not
    // read, without loss
    const int32_t *length;
} bptt_window;
typedef struct bptt_report {
    double loss;      // nats: sum of weight * loss over positions / sum of weights (0 if that is 0)
    double weight;    // the sum of weights: B*(T - burn_in) by default; of positions that are not padding
    double grad_norm; // L2 norm over all tensors before clipping; 0 from evaluate
    // 1: the gradient overflowed in fp16 and the update was skipped: weights and moments unchanged, loss scale halved,
    // grad_norm infinite. It counts as an update. Only from train and collect, with FP16
    int skipped;
} bptt_report;
// Errors: BAD_CONFIG, NO_MEMORY, DEVICE. The state starts as after bptt_run_reset.
BPTT_API bptt_status bptt_run_open(bptt_model *m, const bptt_run_config *c, bptt_run **r, bptt_error *e);
BPTT_API void bptt_run_close(bptt_run *r); // NULL is allowed
// Sets the carried state of all streams, or of stream b, to 0; with learned_state to h0 as it is now.
// Errors: BAD_INPUT (b >= B), DEVICE.
BPTT_API bptt_status bptt_run_reset(bptt_run *r, bptt_error *e);
BPTT_API bptt_status bptt_run_reset_stream(bptt_run *r, size_t b, bptt_error *e);
// Carried state, the state before the next window: h [L][B][S*H] of type `as`; an LSTM's row is h, then c.
BPTT_API bptt_status bptt_run_read_state(bptt_run *r, void *h, bptt_type as, bptt_error *e);
BPTT_API bptt_status bptt_run_write_state(bptt_run *r, const void *h, bptt_type as, bptt_error *e);

// All three start from the carried state, compute T steps forward and carry the last state on; report may be NULL.
//   evaluate   the loss
//   gradient   the loss, and its gradient through the T steps of the window (truncated BPTT), which overwrites the
//              model's gradient; weights unchanged
//   train      gradient, then clipping and one update with learning rate `rate`; FP16: see report->skipped
// Errors: BAD_INPUT (token out of range, NULL where an array is needed; no effect), DEVICE, NOT_FINITE (weights and
// moments are unchanged, the carried state is undefined).
BPTT_API bptt_status bptt_run_evaluate(bptt_run *r, const bptt_window *w, bptt_report *report, bptt_error *e);
BPTT_API bptt_status bptt_run_gradient(bptt_run *r, const bptt_window *w, bptt_report *report, bptt_error *e);
BPTT_API bptt_status bptt_run_train(bptt_run *r, const bptt_window *w, double rate, bptt_report *report, bptt_error *e);
// For a run with last_gradient = 1. dh [L][B][S*H] of type `as`: a gradient with respect to the states after the
// window, which gradient and train add to that of the window's own loss; initially zero, used until written again. It
// allows BPTT through a long sequence in pieces, the last one first: BPTT_GRAD_STATE of a piece is dh of the piece
// before it. Losses are means: scale dh by v / w between pieces of weights w and v, and weight the gradients by their
// share. Errors: BAD_INPUT, DEVICE.
BPTT_API bptt_status bptt_run_write_last_gradient(bptt_run *r, const void *dh, bptt_type as, bptt_error *e);
// Asynchronous train: submit queues the work and returns (the window may be changed then); collect waits for the oldest
// window in flight and returns its report. At most BPTT_SUBMITTED windows are in flight (BAD_INPUT beyond that).
// While a window is in flight, evaluate, gradient, train and predictions of this run, and submit and train of other
// runs of the model, are BAD_INPUT. All other calls see the state after all submitted windows.
// Errors of submit: BAD_INPUT, DEVICE; of collect: NOT_FINITE, DEVICE, BAD_INPUT if there is nothing to collect. After
// NOT_FINITE the windows behind it in flight change no weights or moments, and collect returns NOT_FINITE for each of
// them; after all are collected training can continue. bptt_model_updates counts a window from submit on, unless its
// collect fails.
#define BPTT_SUBMITTED 2
BPTT_API bptt_status bptt_run_submit(bptt_run *r, const bptt_window *w, double rate, bptt_error *e);
BPTT_API bptt_status bptt_run_collect(bptt_run *r, bptt_report *report, bptt_error *e);
// Predictions, from the carried state, which advances; for any run: natural log-probabilities of the V tokens, or the M
// outputs of a model with dense targets as they are (BINARY: logits; their sigmoid is the probability).
//   next        one step: token [B] -> logp [B][V], or outputs [B][M]
//   next_dense  one step of a dense model: x [B][I] of type `as` -> logp [B][V], or outputs [B][M]
//   predict     the T steps of a window, as in evaluate -> logp [T][B][V], or outputs [T][B][M]; targets and weight may
//               be NULL; 0 at padding. Synchronizes with the device at every step; needs no additional device memory
// Errors: those of evaluate. After DEVICE and NOT_FINITE (a prediction is NaN; from predict) logp is undefined.
BPTT_API bptt_status bptt_run_next(bptt_run *r, const int32_t *token, float *logp, bptt_error *e);
BPTT_API bptt_status bptt_run_next_dense(bptt_run *r, const void *x, bptt_type as, float *logp, bptt_error *e);
BPTT_API bptt_status bptt_run_predict(bptt_run *r, const bptt_window *w, float *logp, bptt_error *e);

// Tensors of the last window, readable after gradient or train until the next call that computes.
typedef enum bptt_result {
    BPTT_STATES = 0,     // [L][T+1][B][S*H]: block 0 is the state before the window, block t+1 the state after step t
    BPTT_GRAD_STATE = 1, // [L][B][S*H]: gradient of the loss with respect to the state before the window
    BPTT_GRAD_INPUT = 2  // [T][B][I]: with respect to dense inputs (input_gradient = 1); 0 at padding
} bptt_result;
BPTT_API bptt_status bptt_run_read(bptt_run *r, bptt_result what, void *x, bptt_type as, bptt_error *e);

// Samples a token from one row logp [V] at a temperature: softmax(logp / temperature); 0: argmax.
// *random is a SplitMix64 state, advanced by one draw (by none at temperature 0). The result is in 0..V-1.
BPTT_API int32_t bptt_pick(const float *logp, size_t V, double temperature, uint64_t *random);

// ---- devices --------------------------------------------------------------------------------------------------------
typedef enum bptt_kind { BPTT_CPU = 0, BPTT_GPU = 1, BPTT_ACCELERATOR = 2 } bptt_kind;
typedef struct bptt_device_info {
    char backend[16];  // the name for bptt_compute.backend
    unsigned number;   // number within its backend, from 0: bptt_compute.device
    char platform[64]; // cuda, opencl: implementation and version; else empty
    char device[128];  // name of the device
    bptt_kind kind;
    uint64_t memory;   // bytes
    char bits[128];    // agreement with the host's arithmetic: "same bits", "within 2 ulp ..."
    char why_not[256]; // empty if usable, else the reason
    char why[256];     // from bptt_model_device: reason for the choice
    int usable;
    unsigned threads; // number of threads for bptt_compute.threads = 0; 1 if not applicable
} bptt_device_info;
// Describes device i of all backends, usable or not, and opens it to test it. A backend without devices is one row with
// the reason.  Errors: BAD_INPUT past the last.
#define bptt_device_describe(i, info, e) bptt_device_describe_sized((i), (info), sizeof *(info), (e))
BPTT_API bptt_status bptt_device_describe_sized(size_t i, bptt_device_info *info, size_t size, bptt_error *e);
// The device of a model; info->why is the reason for the choice.
#define bptt_model_device(m, info) bptt_model_device_sized((m), (info), sizeof *(info))
BPTT_API void bptt_model_device_sized(const bptt_model *m, bptt_device_info *info, size_t size);
// Row i of the profile (compute.profile = 1) since its last reset: a static name ("gemm", "transfer_in", ...) and
// seconds; reset = 1 sets the row to 0. Waits for submitted work.  Errors: BAD_INPUT past the last row, DEVICE.
BPTT_API bptt_status bptt_model_profile(bptt_model *m, size_t i, int reset, const char **name, double *seconds,
                                        bptt_error *e);

// GEMM rate of a device at its best size in GFLOP/s (a multiply-add counts as 2), measured for about `seconds`.
// Errors: BAD_CONFIG, NO_BACKEND, NO_MEMORY, DEVICE.
BPTT_API bptt_status bptt_gemm_rate(const bptt_compute *c, double seconds, double *gflops, bptt_error *e);

#ifdef __cplusplus
}
#endif

#include "bptt_trainer.h" // trainers and scores
#endif
