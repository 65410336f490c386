// The seam between host/ (what to compute, in which order) and device/ (how to compute one thing).
//
// The host builds a PLAN once for each kind of work: an array of ops, each an opcode with matrix operands (args).
// A recurrence is one op LOOP and the ops of its body. prepare() takes a plan, run() executes it; everything that
// changes from run to run comes in SLOTS. Default: the ops in order, the bodies of loops again and again.
// A backend is a table of functions, returned by value, that starts as another backend's table and is then overridden
// op by op. Host memory: start as `ref`. Device memory: start as a shim over `ref` (ref/shim.h).
#ifndef BPTT_BACKEND_H
#define BPTT_BACKEND_H

#include "error.h"
#include "statistics.h"

#include <stdbool.h>

#include "optimizer_list.h"

#ifdef GATED_CELLS_FILE
#include GATED_CELLS_FILE
#else
#include "gated_cells.h"
#endif

typedef struct bptt_buf bptt_buf; // memory of one device; what is inside is the backend's business
typedef struct bptt_device bptt_device;

// A matrix view: element (i, j) is element at + i*ld + j of the buffer, or at + j*ld + i if t is set.
// rows and cols are as read, that is after the transpose. A vector is one row. Elements are of `type`; index matrices
// are BPTT_I32 with cols = 1.
typedef struct bptt_mat {
    bptt_buf *buf;
    size_t at, rows, cols, ld;
    bptt_type type;
    bool t;
    // In the body of a LOOP: elements from the view to that of the loop's next step ([0]), and of the next step of the
    // loop around that loop ([1]). 0: the view stays. Elsewhere without meaning.
    ptrdiff_t move[2];
} bptt_mat;

bptt_mat bptt_rows(bptt_mat m, size_t first, size_t count); // a block of rows
bptt_mat bptt_cols(bptt_mat m, size_t first, size_t count); // a block of columns
bptt_mat bptt_flip(bptt_mat m);                             // the transpose, as a view
size_t bptt_type_size(bptt_type t);                         // bytes of one element
// Element types beyond those of bptt.h. Indices; operands of products in 16 bits.
#define BPTT_I32 ((bptt_type)2)
#define BPTT_BF16 ((bptt_type)3)
#define BPTT_F16 ((bptt_type)4)
// For proofs (verify/): double complex; integers modulo 2^61 - 1, one uint64_t each; dual numbers over them, two each:
// value, derivative.
#define BPTT_C128 ((bptt_type)5)
#define BPTT_FP ((bptt_type)64)
#define BPTT_DUAL ((bptt_type)65)

// Opcodes. Operands in order, with the role each row plays:
//   r  row i of this operand belongs to row i of the output (it is narrowed when rows are split)
//   w  read whole          =  written       +  read and written     (written operands have rows of their own, like r)
//   O  written or added to whole: the op reduces over rows
// Then what each holds: i indices, x reals, s sums (its type does not tell: a backend may sum in its reals).
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
//   GATES_FORWARD z b b2 s s'      a gated cell: the states s' [N][S*H] from s and z + b + b2, z [N][G*H]; z becomes
//                                  what GATES_BACKWARD needs. s' has rows of its own
//   GATES_BACKWARD z s s' d' d     from it and the gradient d' of s': z becomes dz; d += what reaches s but not
//                                  through z
//   COLSUM        dz db            db = beta db + sum_i dz[i]       db [1][M]
//   ADD_ROW       b x              x[i] += b
//   SOFTMAX_XENT  id k x loss      p = softmax(x[i]);  loss[i] = -k[i] log p[id[i]];
//                                  with `gradient`: x[i] = k[i] (p - onehot(id[i])) / scalar[WEIGHT]   (0 if that is 0)
//   LOG_SOFTMAX   x                x[i] = log softmax(x[i])
//   SUM           x out            out[0][0] = beta out[0][0] + sum of all x
//   SUMSQ         x out            out[0][0] = sum of x^2
//   UPDATE        w g m v stat     the optimizer; see device/optimizers.h. Leaves everything alone unless of stat,
//                                  [1][STATS] (statistics.h), LOSS and SUMSQ are finite and BLOCKED is 0. m is absent
//                                  for RMSProp, v for SGD
//   GUARD         stat             BLOCKED = 1 unless LOSS and SUMSQ are finite, else as it was: after a window
//                                  that is not finite no later one updates anything until the host has seen it and
//                                  writes 0. In a plan with a scale, where it was 0: if the loss is finite and the
//                                  gradient is not and the scale is above 1, the scale is halved, its count becomes 0,
//                                  SKIPPED = 1 and BLOCKED stays 0; where both are finite SKIPPED = 0 and the count
//                                  goes up; at 2000 it becomes 0 and the scale is doubled, up to 2^24
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
    X(COLSUM, colsum, "rO", "xx")                \
    X(ADD_ROW, add_row, "w+", "xx")              \
    X(SOFTMAX_XENT, softmax_xent, "rr+=", "ixxs")\
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
    BPTT_LOOP = BPTT_OPCODES // no function of a backend: see bptt_walk_plan
} bptt_opcode;

extern const char *const bptt_opcode_name[BPTT_OPCODES + 1];  // "copy", ...
extern const char *const bptt_opcode_roles[BPTT_OPCODES + 1]; // as above, one letter an operand
extern const char *const bptt_opcode_holds[BPTT_OPCODES + 1]; // i indices, x reals, s sums

// Cells. The elementwise ones have one gate and one state, and keep nothing but h = f(z): cells.h has their
// mathematics, gated_cells.h that of the others, and their rows.
#define BPTT_PLAIN_CELL_LIST(X) X(TANH, tanh) X(RELU, relu)
enum {
#define BPTT_CELL_ENUM(name, word) BPTT_CELL_##word,
    BPTT_PLAIN_CELL_LIST(BPTT_CELL_ENUM)
#undef BPTT_CELL_ENUM
        BPTT_PLAIN_CELLS
};
typedef struct bptt_cell_row {
    const char *word;     // on the command line and in files
    size_t gates, states; // G, S
    const char *order;    // of the gates in a file: see gated_cells.h
} bptt_cell_row;
extern const bptt_cell_row bptt_cell_table[]; // [bptt_cells], by bptt_cell
extern const size_t bptt_cells;
// Of a cell of the table; of BPTT_WHOLE, that of an elementwise one.
const bptt_cell_row *bptt_cell_row_of(bptt_cell c);
bool bptt_cell_is_gated(bptt_cell c);
// One more, of plans that only verification makes (verify/device_exact.h): no model is opened with it, no file or
// command line names it. It keeps whole numbers whole and small, so that nothing is ever rounded.
#define BPTT_WHOLE ((bptt_cell)64)

#define BPTT_OPERANDS 5
#define BPTT_BODY 8 // ops in the body of a loop with independent rows, at most

// What a loop is. The rows of all but BLOCKS are independent: row i of everything that the body writes depends on row i
// of what it reads (and on what the loop does not write), so a backend may take a tile of rows through all T steps, or
// run the whole loop by one kernel of its own. A loop of BLOCKS may hold loops of the other kinds; they hold none.
typedef enum bptt_loop_kind {
    // A layer, T steps of time: [SCALE_ROWS keep h kept]  GEMM h W z  CELL_FORWARD z b b2 h  or  GATES_FORWARD
    BPTT_LOOP_FORWARD,
    // The same in reverse: CELL_BACKWARD h dz dz  or  GATES_BACKWARD;  GEMM dz W' dz  [SCALE_ROWS keep dkept dz]
    BPTT_LOOP_BACKWARD,
    BPTT_LOOP_OUTPUT, // the decoder's rows, T = 1: GEMM  ADD_ROW  SOFTMAX_XENT  [GEMM]
    BPTT_LOOP_BLOCKS, // blocks of rows or of time, in order
    BPTT_LOOP_KINDS
} bptt_loop_kind;

typedef struct bptt_op {
    bptt_opcode opcode;
    int alpha, beta;
    bptt_cell cell;    // CELL_*, GATES_*
    bool gradient;     // SOFTMAX_XENT
    double value;      // FILL
    struct bptt_loop { // LOOP: the `body` ops after this one, T times in order; step t of it has every view of theirs
        bptt_loop_kind kind;
        size_t T, body; // moved by t * move[0]; in a loop at step u of a loop around it, by u * move[1] besides
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

// Slots: what changes from run to run.
typedef enum bptt_scalar {
    BPTT_WEIGHT, // sum of the weights of the window
    BPTT_RATE,   // step length with the optimizer's corrections in: Adam eta / (1 - beta1^n), else eta
    BPTT_ROOT,   // Adam sqrt(1 - beta2^n), else 1
    BPTT_SCALARS
} bptt_scalar;

#define BPTT_INPUTS 5
#define BPTT_OUTPUTS STATS // elements of plan->output at most
#define BPTT_IN_FLIGHT 2   // runs that may be queued and not yet collected

typedef struct bptt_slots {
    const void *input[BPTT_INPUTS]; // host memory, packed; NULL: leave the device's copy as it is
    bptt_type type[BPTT_INPUTS];    // of what input points to
    double scalar[BPTT_SCALARS];
} bptt_slots;

typedef struct bptt_plan {
    bptt_op *op;
    size_t ops, room;            // room: how many fit
    bptt_mat input[BPTT_INPUTS]; // run() writes slots->input[i] here before the first op; buf NULL: none
    bptt_mat output;             // [1][<= BPTT_OUTPUTS] sums: what collect() gives of a run; buf NULL: nothing
    // With BPTT_PRECISION_FP16: [1][2] sums, else absent. The loss scale: gradients are multiplied by the first element
    // where they are rounded to fp16 for a product, which divides by it again. The second counts good windows since the
    // scale last changed. GUARD looks after both, and then also writes SKIPPED; see UPDATE, GUARD.
    bptt_mat scale;
} bptt_plan;

// The op as it stands at step t of its loop, and step u of the loop around that: its views moved.
bptt_op bptt_op_at(const bptt_op *op, size_t t, size_t u);
// How many ops op[0] is with its body: 1, or 1 + loop.body.
size_t bptt_op_length(const bptt_op *op);

// Runs ops. one: called for an op that is no loop, views moved. whole: called for each loop with independent rows,
// with its LOOP op and body as they stand in the plan and the step u of the loop around it (0: there is none);
// NULL: such loops, too, go to `one` op by op.
typedef struct bptt_walk {
    void (*one)(void *with, const bptt_op *op);
    void (*whole)(void *with, const bptt_op *loop, size_t u);
    void *with;
} bptt_walk;
// Every op of a plan in the order of execution.
void bptt_walk_plan(const bptt_plan *p, const bptt_walk *w);

// What time is charged to: an op that runs by itself, or a loop that runs as a whole: BPTT_WINDOW_FORWARD + its kind.
typedef enum bptt_charge {
    BPTT_WINDOW_FORWARD = BPTT_OPCODES,
    BPTT_WINDOW_BACKWARD,
    BPTT_WINDOW_OUTPUT,
    BPTT_TRANSFER_IN,  // what run() writes
    BPTT_TRANSFER_OUT, // what it reads
    BPTT_CHARGES
} bptt_charge;

extern const char *const bptt_charge_name[BPTT_CHARGES]; // opcodes' names first
// What a loop that runs as a whole is charged to.
static inline unsigned bptt_charge_of(bptt_loop_kind kind) { return BPTT_WINDOW_FORWARD + (unsigned)kind; }

typedef void bptt_op_function(bptt_device *d, const bptt_op *s, const bptt_slots *slots);

// Queued work returns nothing; its first failure sticks until run, sync, read or write reports it.
typedef struct bptt_backend bptt_backend;
struct bptt_backend {
    const char *name;
    bptt_type real;          // of weights, states and gradients
    bptt_type sum;           // of losses and norms
    bool transposed_copies;  // the plan keeps a stored transpose for products with W' (where those are slow)
    bool overlaps;           // works on layers side by side: a run has gradients of each layer, so that none waits
    unsigned precisions;     // 1u << BPTT_PRECISION_... for each that it has; FP32 all have, so 0: that alone
    size_t logits_at_a_time; // elements of a decoder block; 0: the host's choice, which suits the caches of processors
    size_t (*pad)(size_t cols); // leading dimension for rows of that many reals
    // Makes *d and fills all of it: backend = *b, threads, memory, bits, profile, own. Of c backend is not used; device
    // is NULL (the backend's choice), digits (its number in the list) or a part of a name; precision is one it has.
    bptt_status (*open)(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e);
    void (*close)(bptt_device *d);                 // NULL is fine
    const char *(*describe)(const bptt_device *d); // what it runs on; belongs to d
    // The i-th device without opening it: fills number, platform, device, kind, memory, usable, why_not of *info.
    // BAD_INPUT past the last; NO_BACKEND, with the reason, if i is 0 and there is none. NULL: one device, the machine.
    bptt_status (*list)(const bptt_backend *b, size_t i, bptt_device_info *info, bptt_error *e);
    bptt_status (*alloc)(bptt_device *d, size_t bytes, bptt_buf **out, bptt_error *e); // zeroed, aligned
    void (*free)(bptt_device *d, bptt_buf *b);                                         // NULL is fine
    // Host side packed, rows x cols as the view reads, of type `as`; converts to or from the view's type.
    bptt_status (*write)(bptt_device *d, bptt_mat dst, const void *src, bptt_type as, bptt_error *e);
    bptt_status (*read)(bptt_device *d, void *dst, bptt_type as, bptt_mat src, bptt_error *e);
    bptt_status (*sync)(bptt_device *d, bptt_error *e);
    // A prepared plan; *handle is the backend's, p must outlive it. run queues the whole plan and need not wait for it;
    // what slots point to may be changed once it returns. collect waits for the oldest run of this plan that was not
    // collected and gives plan->output as it was at that run's end. Of a plan with an output at most BPTT_IN_FLIGHT
    // runs may be uncollected. Nothing is allocated in run and collect.
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
    const char *bits; // whether its arithmetic is the host's: "same bits", "within 2 ulp (...)"; belongs to d
    bool profile;
    double spent[BPTT_CHARGES]; // seconds, if profile; whoever reads it may set it to 0
    void *own;                  // the backend's
};

bptt_backend bptt_ref_f32(void); // plain loops over float: judges the others
bptt_backend bptt_ref_f64(void); // the same text over double
bptt_backend bptt_cpu(void);     // float, OpenBLAS, SIMD, threads; starts as bptt_ref_f32()

// A backend in a module of its own, a shared library found at run time: it exports one function of this type, called
// BPTT_MODULE_SYMBOL, which fills *table, or refuses (NO_BACKEND) a host built from another backend.h or bptt.h.
typedef struct bptt_abi {
    unsigned version;
    size_t backend, device, step, slots, plan, config, info;
} bptt_abi;
#define BPTT_ABI_VERSION 3u // goes up with every change of meaning that the sizes do not show
#define BPTT_ABI_HERE \
    ((bptt_abi){BPTT_ABI_VERSION, sizeof(bptt_backend), sizeof(bptt_device), sizeof(bptt_op), sizeof(bptt_slots), \
                sizeof(bptt_plan), sizeof(bptt_compute), sizeof(bptt_device_info)})
#define BPTT_MODULE_SYMBOL "bptt_module"
typedef bptt_status bptt_module_function(const bptt_abi *host, bptt_backend *table, bptt_error *e);

// For a module: NO_BACKEND, with words, unless the host was built from the same backend.h and bptt.h. file: its name.
bptt_status bptt_abi_check(const bptt_abi *host, const char *file, bptt_error *e);

// dst[to] = src[from] between F32, F64, C128, or of one type. Between complex and real the imaginary part is dropped,
// or zero.
void bptt_convert(void *dst, bptt_type dst_type, size_t to, const void *src, bptt_type src_type, size_t from);
// How well a device suits what was asked for (NULL: nothing; digits: its number; else a part of its name or platform's,
// in upper or lower case): 0 not at all, else the more the better.
int bptt_suits(const bptt_device_info *info, const char *device);

#endif
