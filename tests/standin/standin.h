// Stand-ins for libcuda.so.1 and libcublas.so.13, for tests: the functions of cu_api.h executed on the host, so that
// the CUDA module runs, unmodified, where there is no GPU; LD_LIBRARY_PATH leads to them. What the real ones forgive or
// leave undefined ends the program here, with words that start with "standin:". One lock: everything happens between
// standin_enter and standin_leave.
//
//   STANDIN_MODE     lazy: queued work is executed when something waits for it (default); eager: at the call
//   STANDIN_ORDER    of a graph's nodes: fifo, as captured (default); lifo: of those that are ready the one captured
//                    last; a number: at random from this seed
//   STANDIN_FAIL     Name:n:code[,...]: the n-th call of a member of cu_api.h's lists returns code and does nothing;
//                    n 0: every call. A call that gives something back does so all the same. After 700, 710..719
//                    the context is lost: what comes later returns it too
//   STANDIN_WARM     shape: a product in a capture must have run before with its types, shape, leading dimensions
//                    (default); aligned: and with its operands' alignment, up to 16 bytes
//   STANDIN_DEVICES  0, 1 (default) or 2        STANDIN_CC      compute capability, 9.0
//   STANDIN_DRIVER   version, 13000             STANDIN_MEMORY  bytes of a device, 8 GB
//   STANDIN_LOG      a file that gets a line for each node of each graph that is instantiated
//   STANDIN_LEAKS    1: a program that ends with objects alive though no context is in use exits with 99;
//                    2: also if one is. In use: retained more than once, since a process may hold on to one
//
// They are read at the first call, and again by Init while no context is in use; the counts of STANDIN_FAIL start
// again when its text has changed.
#ifndef STANDIN_H
#define STANDIN_H

#include "cu_api.h"
#include "prelude_c.h"

#include "kernel_args.h"

#include <pthread.h>

#define STANDIN_SHOWN __attribute__((visibility("default")))

// The exported functions.
#define STANDIN_SYMBOL(name, symbol, result, parameters) STANDIN_SHOWN result symbol parameters;
CU_API_LIST(STANDIN_SYMBOL)
BLAS_API_LIST(STANDIN_SYMBOL)
#undef STANDIN_SYMBOL

enum { // more of CUresult
    CU_INVALID_CONTEXT = 201,
    CU_INVALID_HANDLE = 400,
    CU_ILLEGAL_STATE = 401,
    CU_NOT_READY = 600,
    CU_CAPTURE_UNSUPPORTED = 900,
    CU_CAPTURE_INVALIDATED = 901,
    CU_CAPTURE_MERGE = 902,
    CU_CAPTURE_UNMATCHED = 903,
    CU_CAPTURE_UNJOINED = 904,
    CU_CAPTURED_EVENT = 907,
    CU_CAPTURE_WRONG_THREAD = 908
};

enum { STANDIN_STREAMS = 64, STANDIN_AREAS = 8 };

// ---- memory accesses ------------------------------------------------------------------------------------------------

// Elements of `size` bytes at + i*down + j*across, in bytes: of device memory or of pinned host memory.
typedef struct standin_area {
    uint64_t at, rows, cols, down, across, size;
    bool read, written;
    const char *name;
} standin_area;

// True if two areas share a byte (exact test).
STANDIN_SHOWN bool standin_overlap(const standin_area *a, const standin_area *b);
// The two of them that overlap while one is written; false: none.
bool standin_clash(const standin_area *a, size_t as, const standin_area *b, size_t bs, const standin_area **x,
                   const standin_area **y);

// ---- operations -----------------------------------------------------------------------------------------------------

typedef struct standin_copy {
    uint64_t to, from, to_pitch, from_pitch, width, height;
} standin_copy;

typedef struct standin_fill {
    uint64_t to, bytes;
    unsigned char value;
} standin_fill;

typedef struct standin_kernel {
    unsigned kernel;
    uint64_t buffer[BPTT_OPERANDS]; // of the first element; 0: absent
    view at[BPTT_OPERANDS];         // with at = 0
    op_constants k;
    uint64_t slots;
} standin_kernel;

typedef struct standin_gemm {
    bool a_turned, b_turned, tf32, device_scalars;
    size_t m, n, k, a_ld, b_ld, c_ld;
    int type; // of a and b
    uint64_t a, b, c, alpha_at, beta_at;
    float alpha, beta;
} standin_gemm;

typedef struct standin_op {
    char words[96];
    size_t areas;
    standin_area area[STANDIN_AREAS];
    void (*run)(const struct standin_op *op);
    union {
        standin_copy copy;
        standin_fill fill;
        standin_kernel kernel;
        standin_gemm gemm;
    } as;
} standin_op;

// Every area lies in one live allocation, or ends the program.
STANDIN_SHOWN void standin_check_op(const standin_op *op);
// To the end of a stream, or into its capture.
STANDIN_SHOWN cu_result standin_queue(cu_stream stream, const standin_op *op);

// ---- objects --------------------------------------------------------------------------------------------------------

typedef enum standin_kind {
    STANDIN_MODULE,
    STANDIN_STREAM,
    STANDIN_EVENT,
    STANDIN_GRAPH,
    STANDIN_EXEC,
    STANDIN_HANDLE,
    STANDIN_KINDS
} standin_kind;

typedef struct standin_object {
    struct standin_object *next;
    standin_kind kind;
    unsigned number;
    cu_context context;
} standin_object; // first member of all of them

// Zeroed, alive, of the current context.
STANDIN_SHOWN void *standin_make(standin_kind kind, size_t bytes);
STANDIN_SHOWN void standin_unmake(void *object);
// Ends the program unless it is alive.
STANDIN_SHOWN void standin_alive(const void *object, standin_kind kind);
// The next one after *at of a kind, or NULL.
void *standin_next(standin_kind kind, const void *at);

struct cu_context_of {
    int device;
    unsigned retained, lives; // lives: how often it was made
    size_t used;              // bytes
};

// Vector clock: progress of each stream that is ordered before this point.
typedef struct standin_clock {
    unsigned at[STANDIN_STREAMS];
} standin_clock;
void standin_join(standin_clock *to, const standin_clock *from);

struct cu_stream_of {
    standin_object object;
    unsigned slot; // in clocks
    standin_clock clock;
    struct standin_item *first, *last; // queued, not yet executed
    uint64_t queued, done;             // items so far
    struct standin_capture *capture;   // NULL: it does not
    standin_clock captured;            // in it
    size_t *after, afters;             // nodes that the next one depends on
};

struct cu_event_of {
    standin_object object;
    bool timed, recorded, done;
    unsigned stream; // number of the stream it was last recorded on
    uint64_t item;   // and which of its items that was
    double when;
    standin_clock clock;
    struct standin_capture *capture; // it was last recorded in this one; may be over
    unsigned captures;               // its number
    standin_clock captured;
    size_t *after, afters;
};

typedef struct standin_node {
    standin_op op;
    unsigned stream;
    size_t *after, afters;
} standin_node;

typedef struct standin_nodes {
    standin_node *at;
    size_t n, room;
} standin_nodes;

struct cu_graph_of {
    standin_object object;
    standin_nodes nodes;
};

struct cu_exec_of {
    standin_object object;
    standin_nodes nodes;
    size_t *order;
    standin_area *area; // all of them
    size_t areas;
};

// ---- one for all ----------------------------------------------------------------------------------------------------

typedef struct standin_settings {
    bool eager, warm_aligned;
    char order[32], log[256], fail[256];
    int devices, driver, major, minor, leaks;
    size_t memory;
} standin_settings;

STANDIN_SHOWN const standin_settings *standin_set(void);
const char *standin_call(void); // the one that is going on
bool standin_lost(void);
bool standin_fails(void); // true if this release call must return an error

enum { // requirements of a call
    STANDIN_INIT = 1,
    STANDIN_CONTEXT = 3,
    STANDIN_GIVES_BACK = 4, // does its work even where it returns an error of STANDIN_FAIL
    STANDIN_UNSAFE = 8,     // not while this thread captures
    STANDIN_ALWAYS = 16,    // even when the context is lost
    STANDIN_WAITS = 32 | 8  // may wait for all of a context: while another thread captures it ends the program, too
};

// Takes the lock. A result other than 0 must be returned by the call through standin_leave.
STANDIN_SHOWN int standin_enter(const char *name, unsigned needs);
STANDIN_SHOWN int standin_leave(int code);
#define STANDIN_CALL(name, needs, work) \
    int code_ = standin_enter(#name, needs); \
    if (!code_) code_ = (work); \
    return standin_leave(code_)

#define STANDIN_FORMAT(a, b) __attribute__((format(printf, a, b)))
STANDIN_SHOWN STANDIN_FORMAT(1, 2) __attribute__((noreturn)) void standin_die(const char *format, ...);
// Says why on stderr and returns code.
STANDIN_SHOWN STANDIN_FORMAT(2, 3) int standin_refuse(int code, const char *format, ...);
// Text that names the allocation of an address and the offset in it, for messages. The library owns it.
STANDIN_SHOWN const char *standin_where(uint64_t at);

STANDIN_SHOWN cu_context standin_current(void);
bool standin_used(void); // a context is retained more than once
void standin_read_settings(void);

// Host address of device memory, or of pinned host memory itself; ends the program unless all bytes are in one.
STANDIN_SHOWN void *standin_host(uint64_t at, uint64_t bytes);
STANDIN_SHOWN bool standin_is_device(uint64_t at);
void standin_check_zones(void); // nobody wrote outside of allocations
size_t standin_report_memory(void);

STANDIN_SHOWN void *standin_more(void *old, size_t n, size_t each); // realloc that ends the program

void standin_drain_stream(cu_stream stream, uint64_t item);
void standin_drain(void);
void standin_run_op(const standin_op *op);
void standin_run_exec(cu_exec exec);

STANDIN_SHOWN bool standin_capturing(cu_stream stream);
bool standin_unsafe_capture(void);    // and makes it invalid
bool standin_capture_elsewhere(void); // in another thread
void standin_drop_capture(cu_stream stream);
cu_result standin_add_node(cu_stream stream, const standin_op *op);
cu_result standin_capture_wait(cu_stream stream, cu_event event);
void standin_capture_record(cu_event event, cu_stream stream);
void standin_free_nodes(standin_nodes *nodes);
void standin_check_races(const standin_nodes *nodes);

// A launch of one of launch.h's kernels.
cu_result standin_kernel_op(unsigned kernel, void **arguments, standin_op *op);

#endif
