// The interface between host/, which decides the computation and its order, and device/, which computes.
//
// The host builds a PLAN once for each kind of work: an array of ops, each an opcode with matrix operands (args).
// A recurrence is one op LOOP and the ops of its body. prepare() takes a plan, run() executes it; everything that
// changes from run to run comes in SLOTS. By default a backend runs the ops in order, and the body of a loop T times.
// A backend is a table of functions, returned by value, that starts as another backend's table and is then overridden
// op by op. Host memory: start as `ref`. Device memory: start as a shim over `ref` (ref/shim.h).
#ifndef BPTT_BACKEND_H
#define BPTT_BACKEND_H

#include "error.h"
#include "statistics.h"

#include <stdbool.h>

#include "losses.h"
#include "optimizer_list.h"

#ifdef GATED_CELLS_FILE
#include GATED_CELLS_FILE
#else
#include "gated_cells.h"
#endif

typedef struct bptt_buf bptt_buf; // memory of one device; opaque outside the backend
typedef struct bptt_device bptt_device;

// A matrix view: element (i, j) is element at + i*ld + j of the buffer, or at + j*ld + i if t is set.
// rows and cols are as read, that is after the transpose. A vector is one row. Elements are of `type`; index matrices
// are BPTT_I32 with cols = 1.
typedef struct bptt_mat {
    bptt_buf *buf;
    size_t at, rows, cols, ld;
    bptt_type type;
    bool t;
    // In the body of a LOOP: the distance, in elements, to the view at the next step of the loop ([0]), and at the next
    // step of the enclosing loop ([1]). 0: the view stays. Ignored outside loops.
    ptrdiff_t move[2];
} bptt_mat;

bptt_mat bptt_rows(bptt_mat m, size_t first, size_t count); // a block of rows
bptt_mat bptt_cols(bptt_mat m, size_t first, size_t count); // a block of columns
bptt_mat bptt_flip(bptt_mat m);                             // the transpose, as a view
size_t bptt_type_size(bptt_type t);                         // bytes of one element
// Element types beyond those of bptt.h: indices, and 16-bit operands of GEMMs.
#define BPTT_I32 ((bptt_type)2)
#define BPTT_BF16 ((bptt_type)3)
#define BPTT_F16 ((bptt_type)4)
// For proofs (verify/): double complex; integers modulo 2^61 - 1, one uint64_t each; dual numbers over them, two each:
// value, derivative.
#define BPTT_C128 ((bptt_type)5)
#define BPTT_FP ((bptt_type)64)
#define BPTT_DUAL ((bptt_type)65)

// Opcodes. Each has a string of access roles, one letter an operand:
//   r  read by row: row i is used for row i of the output only (a tile of rows takes the same rows of it)
//   w  read whole
//   =  written by row        +  read and written by row
//   O  output of a reduction over rows: written or added to as a whole
// and a string of contents: i indices, x reals, s sums (a backend may store sums in its real type).
// beta is 0 (overwrite) or 1 (add); alpha is 1 or -1. N rows unless said otherwise.
//
//   COPY          x y              y = x, any transposes
//   FILL          y                y = value
//   GEMM          a b c            c = alpha a b + beta c           a [N][K], b [K][M], c [N][M], any transposes
//   GATHER        id w z           z[i] = w[id[i]] + beta z[i]
//   SCATTER       id dz dw         dw[v] = beta dw[v] + sum of dz[i] over i with id[i] = v, in ascending i
//   SCALE_ROWS    k x y            y[i] = k[i] x[i] + beta y[i]     k [N][1]
//   CELL_FORWARD  z b b2 h         h = f(z + b + b2), b, b2 [1][M] repeated and absent where buf is NULL; h may be z
//   CELL_BACKWARD y dy dz          dz = dy f'(y); dz may be dy
//   GATES_FORWARD z b b2 s s'      a gated cell: computes the states s' [N][S*H] from s and z, and overwrites z, [N]
//                                  [blocks*H], with the values that GATES_BACKWARD needs. First adds b to the first
//                                  columns of z and b2 to the last ones: b, b2 [1][blocks of the bias * H], absent
//                                  where buf is NULL. s' does not overlap s
//   GATES_BACKWARD z s s' d' d     its reverse pass, d' the gradient of s': overwrites z with dz, and adds to d the
//                                  gradient of s on all paths but products
//   MIX           z h u            u = mix(z, h), the operand of a mixed cell's second product; u [N][H]. May change z
//   MIX_BACKWARD  z h du dh        its reverse pass: overwrites the blocks of z that it owns with dz, and adds to dh
//                                  the gradient of h on the paths through u but products
//   COLSUM        dz db            db = beta db + sum_i dz[i]       db [1][M]
//   ADD_ROW       b x              x[i] += b
//   SOFTMAX_XENT  id k x loss      p = softmax(x[i]);  loss[i] = -k[i] log p[id[i]];
//                                  with `gradient`: x[i] = k[i] (p - onehot(id[i])) / scalar[WEIGHT]   (0 if that is 0)
//   DENSE_LOSS    y k x loss       loss[i] = k[i] mean over j of l(x[i][j], y[i][j]), l of losses.h;
//                                  with `gradient`: x[i][j] = k[i] l'(x[i][j], y[i][j]) / (M scalar[WEIGHT])   (0 if
//                                  that is 0), l' by x. y, x [N][M]
//   LOG_SOFTMAX   x                x[i] = log softmax(x[i])
//   SUM           x out            out[0][0] = beta out[0][0] + sum of all x
//   SUMSQ         x out            out[0][0] = sum of x^2
//   UPDATE        w g m v stat     the optimizer; see device/optimizers.h. Changes nothing unless in stat,
//                                  [1][STATS] (statistics.h), LOSS and SUMSQ are finite and BLOCKED is 0. Moments
//                                  that the optimizer does not keep are absent
//   GUARD         stat             sets BLOCKED = 1 unless LOSS and SUMSQ are finite: after a window that is not
//                                  finite all updates are skipped until the host writes BLOCKED = 0. In a plan with a
//                                  loss scale, if BLOCKED is 0: a finite loss with a gradient that is not finite and a
//                                  scale above 1 halves the scale, sets its count to 0 and SKIPPED = 1, and leaves
//                                  BLOCKED 0; if both are finite, SKIPPED = 0 and the count goes up; at 2000 it becomes
//                                  0 and the scale is doubled, up to 2^24
//   LOOP                           the `body` ops after it, T times: see struct bptt_loop
// clang-format off
#define BPTT_OPCODE_LIST(X)                       \
    X(COPY, copy, "r=", "xx")                    \
    X(FILL, fill, "=", "x")                      \
    X(GEMM, gemm, "rw+", "xxx")                  \
    X(GATHER, gather, "rw+", "ixx")              \
    X(SCATTER, scatter, "rrO", "ixx")            \
    X(SCALE_ROWS, scale_rows, "rr+", "xxx")      \
    X(CELL_FORWARD, cell_forward, "rww=", "xxxx")\
    X(CELL_BACKWARD, cell_backward, "rr=", "xxx")\
    X(GATES_FORWARD, gates_forward, "+wwr=", "xxxxx")\
    X(GATES_BACKWARD, gates_backward, "+rrr+", "xxxxx")\
    X(MIX, mix, "+r=", "xxx")                    \
    X(MIX_BACKWARD, mix_backward, "+rr+", "xxxx")\
    X(COLSUM, colsum, "rO", "xx")                \
    X(ADD_ROW, add_row, "w+", "xx")              \
    X(SOFTMAX_XENT, softmax_xent, "rr+=", "ixxs")\
    X(DENSE_LOSS, dense_loss, "rr+=", "xxxs")    \
    X(LOG_SOFTMAX, log_softmax, "+", "x")        \
    X(SUM, sum, "rO", "ss")                      \
    X(SUMSQ, sumsq, "rO", "xs")                  \
    X(UPDATE, update, "++++w", "xxxxs")          \
    X(GUARD, guard, "+", "s")
// clang-format on

typedef enum bptt_opcode {
#define BPTT_OPCODE_ENUM(name, function, roles, holds) BPTT_##name,
    BPTT_OPCODE_LIST(BPTT_OPCODE_ENUM)
#undef BPTT_OPCODE_ENUM
        BPTT_OPCODES,
    BPTT_LOOP = BPTT_OPCODES // not in a backend's table of functions: see bptt_walk_plan
} bptt_opcode;

extern const char *const bptt_opcode_name[BPTT_OPCODES + 1];  // "copy", ...
extern const char *const bptt_opcode_roles[BPTT_OPCODES + 1]; // as above, one letter an operand
extern const char *const bptt_opcode_holds[BPTT_OPCODES + 1]; // i indices, x reals, s sums

// Cells. Elementwise cells have one gate and one state, and save only h = f(z); their mathematics is in cells.h. Gated
// cells are rows and functions of gated_cells.h.
#define BPTT_PLAIN_CELL_LIST(X) X(TANH, tanh) X(RELU, relu)
enum {
#define BPTT_CELL_ENUM(name, word) BPTT_CELL_##word,
    BPTT_PLAIN_CELL_LIST(BPTT_CELL_ENUM)
#undef BPTT_CELL_ENUM
        BPTT_PLAIN_CELLS
};
typedef struct bptt_cell_row {
    const char *word;                   // on the command line and in files
    size_t blocks, states;              // of z, and S
    const char *input, *hidden, *mixed; // blocks of z that each product computes: see gated_cells.h
    int one;                            // block whose bias starts as 1; -1: none
} bptt_cell_row;
extern const bptt_cell_row bptt_cell_table[]; // [bptt_cells], by bptt_cell
extern const size_t bptt_cells;
// The row of a cell of the table, also of its cell of whole numbers.
const bptt_cell_row *bptt_cell_row_of(bptt_cell c);
bool bptt_cell_is_gated(bptt_cell c);
// Added to the number of a gated cell, or alone (an elementwise cell): a cell for verification plans only
// (verify/device_exact.h); models, files and the command line cannot use it. It maps small whole numbers to small whole
// numbers, so that no operation rounds.
#define BPTT_WHOLE ((bptt_cell)64)

#define BPTT_OPERANDS 5
#define BPTT_BODY 8 // most ops in the body of a loop with independent rows

// Kinds of loops. All but BLOCKS are fusible, since batch rows are independent: row i of each output of the body
// depends only on row i of its inputs and on operands that the loop does not write. A backend may take a tile of rows
// through all T steps, or run the loop as one kernel. Only a loop of BLOCKS may contain loops, of the other kinds.
typedef enum bptt_loop_kind {
    // A layer, T steps of time: [SCALE_ROWS keep h kept  [GEMM 1-keep h0 kept]]  GEMM h W z  CELL_FORWARD z b b2 h  or
    // [GEMM h W z]  [MIX z h u  GEMM u W z]  GATES_FORWARD
    BPTT_LOOP_FORWARD,
    // The same in reverse: CELL_BACKWARD h dz dz  GEMM dz W' dz  [SCALE_ROWS keep dkept dz]  or  [FILL dkept]
    // GATES_BACKWARD  [GEMM dz W' du  MIX_BACKWARD z h du dh]  [GEMM dz W' dh]  [SCALE_ROWS keep dkept dh].
    // With h0 in the forward loop, dkept has a block for each step, and moves
    BPTT_LOOP_BACKWARD,
    // The decoder's rows, T = 1: [COPY x logits]  GEMM  ADD_ROW  SOFTMAX_XENT  or  DENSE_LOSS;  [GEMM]
    BPTT_LOOP_OUTPUT,
    BPTT_LOOP_BLOCKS, // blocks of rows or of time, in order
    BPTT_LOOP_KINDS
} bptt_loop_kind;

typedef struct bptt_op {
    bptt_opcode opcode;
    int alpha, beta;
    bptt_cell cell;    // CELL_*, GATES_*
    bool gradient;     // SOFTMAX_XENT, DENSE_LOSS
    bptt_loss loss;    // DENSE_LOSS
    double value;      // FILL
    struct bptt_loop { // LOOP: the `body` ops after this one, T times in order; at step t each of their views has
        bptt_loop_kind kind;
        size_t T, body; // moved by t * move[0], plus u * move[1] at step u of an enclosing loop
    } loop;
    struct bptt_rule { // UPDATE: constants of the optimizer, the same in every run
        bptt_optimizer optimizer;
        bptt_clip clip_mode;
        double clip;
#define BPTT_RULE_MEMBER(name) double name;
        HYPERPARAMETER_LIST(BPTT_RULE_MEMBER)
#undef BPTT_RULE_MEMBER
    } rule;
    bptt_mat arg[BPTT_OPERANDS];
} bptt_op;

// Precisions: their words, on the command line and in files.
#define BPTT_PRECISION_LIST(X) X(FP32, fp32) X(TF32, tf32) X(BF16, bf16) X(FP16, fp16)
enum { BPTT_PRECISIONS = BPTT_PRECISION_FP16 + 1 };
extern const char *const bptt_precision_word[BPTT_PRECISIONS];

// Slots: values that change from run to run.
typedef enum bptt_scalar {
    BPTT_WEIGHT, // sum of the weights of the window
    BPTT_RATE,   // learning rate with the optimizer's correction: Adam eta / (1 - beta1^n), else eta
    BPTT_ROOT,   // Adam sqrt(1 - beta2^n), else 1
    BPTT_SCALARS
} bptt_scalar;

#define BPTT_INPUTS 5
#define BPTT_OUTPUTS STATS // most elements of plan->output
#define BPTT_IN_FLIGHT 2   // most runs of a plan in flight: submitted, not collected

typedef struct bptt_slots {
    const void *input[BPTT_INPUTS]; // host memory, packed; NULL: leave the device's copy as it is
    bptt_type type[BPTT_INPUTS];    // element type of input[i]
    double scalar[BPTT_SCALARS];
} bptt_slots;

typedef struct bptt_plan {
    bptt_op *op;
    size_t ops, room;            // room: capacity of op, in elements
    bptt_mat input[BPTT_INPUTS]; // run() writes slots->input[i] here before the first op; buf NULL: none
    bptt_mat output;             // [1][<= BPTT_OUTPUTS] sums: the result of collect(); buf NULL: none
    // The loss scale: [1][2] sums with BPTT_PRECISION_FP16, else absent. Gradients are multiplied by the first element
    // when they are rounded to fp16 for a GEMM, and the GEMM divides by it. The second element counts good windows
    // since the scale last changed. GUARD updates both, and SKIPPED.
    bptt_mat scale;
} bptt_plan;

// The op with its views at step t of its loop and step u of the enclosing loop.
bptt_op bptt_op_at(const bptt_op *op, size_t t, size_t u);
// Number of ops of op[0] with its body: 1, or 1 + loop.body.
size_t bptt_op_length(const bptt_op *op);

// Callbacks of a walk over a plan. one: called for each op that is not a LOOP, with its views moved. whole: called for
// each loop with independent rows, with its LOOP op and body as in the plan and the step u of the enclosing loop (0
// without one); NULL: these loops go to `one` op by op.
typedef struct bptt_walk {
    void (*one)(void *with, const bptt_op *op);
    void (*whole)(void *with, const bptt_op *loop, size_t u);
    void *with;
} bptt_walk;
// Walks over all ops of a plan in the order of execution.
void bptt_walk_plan(const bptt_plan *p, const bptt_walk *w);

// Entries of the profile: an op that runs by itself, or a loop that runs as a whole (BPTT_WINDOW_FORWARD + its kind).
typedef enum bptt_charge {
    BPTT_WINDOW_FORWARD = BPTT_OPCODES,
    BPTT_WINDOW_BACKWARD,
    BPTT_WINDOW_OUTPUT,
    BPTT_TRANSFER_IN,  // inputs and slots, written by run()
    BPTT_TRANSFER_OUT, // the output, read for collect()
    BPTT_CHARGES
} bptt_charge;

extern const char *const bptt_charge_name[BPTT_CHARGES]; // names of opcodes first
// The profile entry of a loop that runs as a whole.
static inline unsigned bptt_charge_of(bptt_loop_kind kind) { return BPTT_WINDOW_FORWARD + (unsigned)kind; }

typedef void bptt_op_function(bptt_device *d, const bptt_op *s, const bptt_slots *slots);

// Queued work returns no status. Its first failure is kept and returned by the next run, sync, read or write.
typedef struct bptt_backend bptt_backend;
struct bptt_backend {
    const char *name;
    bptt_type real;          // of weights, states and gradients
    bptt_type sum;           // of losses and norms
    bool transposed_copies;  // the plan stores a transpose of W for GEMMs with W' (for backends where these are slow)
    bool overlaps;           // computes layers concurrently: a run stores state gradients of each layer separately
    unsigned precisions;     // bits 1u << BPTT_PRECISION_...; FP32 is always supported. 0: FP32 only
    size_t logits_at_a_time; // elements of a decoder block; 0: the host's choice, sized for processor caches
    size_t (*pad)(size_t cols); // leading dimension for rows of that many reals
    // Creates *d and fills all members: backend = *b, threads, memory, bits, profile, own. c->backend is ignored.
    // c->device is NULL (the backend chooses), digits (its number in the list) or a part of a name. c->precision is one
    // of `precisions`.
    bptt_status (*open)(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e);
    void (*close)(bptt_device *d);                 // NULL is fine
    const char *(*describe)(const bptt_device *d); // hardware and libraries in words; the string belongs to d
    // Describes the i-th device without opening it: number, platform, device, kind, memory, usable, why_not of *info.
    // BAD_INPUT past the last; NO_BACKEND, with the reason, if i is 0 and there is no device. list NULL: the machine is
    // the only device.
    bptt_status (*list)(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e);
    bptt_status (*alloc)(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e); // zeroed, aligned
    void (*free)(bptt_device *d, bptt_buf *b);                                         // NULL is fine
    // Copies between a view and a packed host array of rows x cols elements of type `as`, and converts types.
    bptt_status (*write)(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
    bptt_status (*read)(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);
    bptt_status (*sync)(bptt_device *d, bptt_error *e);
    // prepare compiles a plan; p must outlive *handle. run submits the whole plan and may return before it is done; the
    // caller may change the memory that slots point to once run returns. collect waits for the oldest run in flight and
    // copies plan->output as of the end of that run. A plan with an output has at most BPTT_IN_FLIGHT runs in flight.
    // run and collect allocate nothing.
    bptt_status (*prepare)(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e);
    bptt_status (*run)(bptt_device *d, void *handle, const bptt_slots *slots, bptt_error *e);
    bptt_status (*collect)(bptt_device *d, void *handle, double output[BPTT_OUTPUTS], bptt_error *e);
    void (*forget)(bptt_device *d, void *handle); // NULL is fine
    bptt_op_function *op[BPTT_OPCODES];
};

struct bptt_device {
    bptt_backend backend; // its own copy: a test may override an op of one device
    unsigned threads;
    size_t memory;    // bytes of the device's memory; 0: the machine's
    const char *bits; // its arithmetic beside the host's: "same bits", "within 2 ulp (...)"; belongs to d
    bool profile;
    double spent[BPTT_CHARGES]; // seconds, if profile; a reader may reset it to 0
    void *own;                  // private data of the backend
};

bptt_backend bptt_ref_f32(void); // plain loops over float: the reference
bptt_backend bptt_ref_f64(void); // the same text over double
bptt_backend bptt_cpu(void);     // float, SIMD, threads; starts as bptt_ref_f32()

// A module is a shared library with one backend, loaded at run time. It exports one function of type
// bptt_module_function, named BPTT_MODULE_SYMBOL, which fills *table, or returns NO_BACKEND to a host built from
// another backend.h or bptt.h.
typedef struct bptt_abi {
    unsigned version;
    size_t backend, device, op, slots, plan, config, info;
} bptt_abi;
#define BPTT_ABI_VERSION 3u // raise it when a meaning changes and no size does
#define BPTT_ABI_HERE \
    ((bptt_abi){BPTT_ABI_VERSION, sizeof(bptt_backend), sizeof(bptt_device), sizeof(bptt_op), sizeof(bptt_slots), \
                sizeof(bptt_plan), sizeof(bptt_compute), sizeof(bptt_device_info)})
#define BPTT_MODULE_SYMBOL "bptt_module"
typedef bptt_status bptt_module_function(const bptt_abi *host, bptt_backend *table, bptt_error *e);

// Called by a module: NO_BACKEND with a message unless the host was built from the same backend.h and bptt.h. file: the
// name of the module.
bptt_status bptt_abi_check(const bptt_abi *host, const char *file, bptt_error *e);

// dst[to] = src[from] between F32, F64, C128, or between equal types. Complex to real drops the imaginary part, real to
// complex sets it to zero.
void bptt_convert(void *dst, bptt_type dst_type, size_t to, const void *src, bptt_type src_type, size_t from);
// Rates how well a device matches a request (NULL: any; digits: its number; else a part of the name of the device or
// platform, ignoring case): 0 for no match, else higher is better.
int bptt_suits(const bptt_device_info *info, const char *device);

#endif
