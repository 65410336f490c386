// Fixture of the stand-in tests: a child process with its own settings and both libraries loaded.
#ifndef STANDIN_RIG_H
#define STANDIN_RIG_H

#include "near.h"
#include "standin.h"

#include "lower/launch.h"

#include "suite.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

// In a child: ends it with words. (check's own assertions speak for the process that check started.)
#define MUST(condition) \
    do { \
        if (!(condition)) fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), _exit(3); \
    } while (0)
#define GOOD(call) \
    do { \
        const int code_ = (call); \
        if (code_) fprintf(stderr, "%s:%d: %s gives %d\n", __FILE__, __LINE__, #call, code_), _exit(3); \
    } while (0)
#define GIVES(code, call) \
    do { \
        const int code_ = (call); \
        if (code_ != (code)) \
            fprintf(stderr, "%s:%d: %s gives %d, not %d\n", __FILE__, __LINE__, #call, code_, code), _exit(3); \
    } while (0)

typedef struct outcome {
    int status; // of waitpid
    char words[8000];
} outcome;

// settings: "STANDIN_MODE=eager STANDIN_ORDER=3", put into the environment of a child that does the work.
static inline outcome in_child(const char *settings, void (*work)(void))
{
    outcome o = {0};
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        char copy[400];
        snprintf(copy, sizeof copy, "%s", settings);
        for (char *s = strtok(copy, " "); s; s = strtok(NULL, " ")) {
            char *is = strchr(s, '=');
            *is = '\0';
            setenv(s, is + 1, 1);
        }
        work();
        exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof o.words - 1 && (got = read(ends[0], o.words + n, sizeof o.words - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &o.status, 0), child);
    return o;
}

static inline void expect_fine(const char *settings, void (*work)(void))
{
    const outcome o = in_child(settings, work);
    CK_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0, "with \"%s\": status %x:\n%s", settings,
            (unsigned)o.status, o.words);
}

static inline void expect_abort(const char *settings, void (*work)(void), const char *words)
{
    const outcome o = in_child(settings, work);
    CK_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGABRT && strstr(o.words, words),
            "with \"%s\": status %x, and not \"%s\":\n%s", settings, (unsigned)o.status, words, o.words);
}

// ---- in the child ---------------------------------------------------------------------------------------------------

typedef struct standin_rig {
    void *cuda, *cublas;
    cu_api cu;
    blas_api blas;
    cu_context context;
    cu_module module;
    cu_stream main, side;
    cu_event fork, join;
} standin_rig;

static inline standin_rig rig_load(void)
{
    standin_rig r = {.cuda = dlopen(STANDIN_CUDA, RTLD_NOW), .cublas = dlopen(STANDIN_CUBLAS, RTLD_NOW)};
    MUST(r.cuda && r.cublas);
#define RIG_FIND(name, symbol, result, parameters) \
    *(void **)&r.RIG_API.name = dlsym(r.RIG_FROM, #symbol); \
    MUST(r.RIG_API.name);
#define RIG_API cu
#define RIG_FROM cuda
    CU_API_LIST(RIG_FIND)
#undef RIG_API
#undef RIG_FROM
#define RIG_API blas
#define RIG_FROM cublas
    BLAS_API_LIST(RIG_FIND)
#undef RIG_API
#undef RIG_FROM
#undef RIG_FIND
    return r;
}

// A device with a module, two streams and two events.
static inline standin_rig rig_open(void)
{
    standin_rig r = rig_load();
    GOOD(r.cu.Init(0));
    GOOD(r.cu.DevicePrimaryCtxRetain(&r.context, 0));
    GOOD(r.cu.CtxPushCurrent(r.context));
    GOOD(r.cu.ModuleLoadData(&r.module, "any"));
    GOOD(r.cu.StreamCreate(&r.main, CU_STREAM_NON_BLOCKING));
    GOOD(r.cu.StreamCreate(&r.side, CU_STREAM_NON_BLOCKING));
    GOOD(r.cu.EventCreate(&r.fork, CU_EVENT_NO_TIMING));
    GOOD(r.cu.EventCreate(&r.join, CU_EVENT_NO_TIMING));
    return r;
}

static inline void rig_close(standin_rig *r)
{
    GOOD(r->cu.EventDestroy(r->fork));
    GOOD(r->cu.EventDestroy(r->join));
    GOOD(r->cu.StreamDestroy(r->main));
    GOOD(r->cu.StreamDestroy(r->side));
    GOOD(r->cu.ModuleUnload(r->module));
    GOOD(r->cu.CtxPopCurrent(NULL));
    GOOD(r->cu.DevicePrimaryCtxRelease(0));
}

// floats of device memory.
static inline cu_memory rig_memory(standin_rig *r, size_t floats)
{
    cu_memory m;
    GOOD(r->cu.MemAlloc(&m, floats * sizeof(float)));
    return m;
}

static inline void *rig_pinned(standin_rig *r, size_t bytes)
{
    void *p;
    GOOD(r->cu.MemHostAlloc(&p, bytes, 0));
    return p;
}

// Waits: through a pinned block of its own.
static inline void rig_put(standin_rig *r, cu_memory to, const void *from, size_t bytes)
{
    void *p = rig_pinned(r, bytes);
    memcpy(p, from, bytes);
    GOOD(r->cu.MemcpyHtoDAsync(to, p, bytes, r->main));
    GOOD(r->cu.StreamSynchronize(r->main));
    GOOD(r->cu.MemFreeHost(p));
}

static inline void rig_get(standin_rig *r, void *to, cu_memory from, size_t bytes)
{
    void *p = rig_pinned(r, bytes);
    GOOD(r->cu.MemcpyDtoHAsync(p, from, bytes, r->main));
    GOOD(r->cu.StreamSynchronize(r->main));
    memcpy(to, p, bytes);
    GOOD(r->cu.MemFreeHost(p));
}

static inline view rig_view(word at, count rows, count cols, count down)
{
    return (view){.at = at, .rows = rows, .cols = cols, .down = down, .across = 1};
}

// One kernel with its operands.
static inline cu_result rig_launch(standin_rig *r, const char *name, cu_stream s, size_t n, cu_memory *at, view *lies,
                                   op_constants k)
{
    cu_function f;
    cu_memory slots = 0;
    void *arguments[2 * BPTT_OPERANDS + 2];
    GOOD(r->cu.ModuleGetFunction(&f, r->module, name));
    for (size_t i = 0; i < n; i++) arguments[2 * i] = &at[i], arguments[2 * i + 1] = &lies[i];
    arguments[2 * n] = &k, arguments[2 * n + 1] = &slots;
    return r->cu.LaunchKernel(f, 3, 2, 1, 32, 4, 1, 0, s, arguments, NULL);
}

static inline cu_result rig_fill(standin_rig *r, cu_stream s, cu_memory y, view lies, float value)
{
    return rig_launch(r, "bptt_fill", s, 1, &y, &lies, (op_constants){.value = value});
}

static inline cu_result rig_copy(standin_rig *r, cu_stream s, cu_memory x, view x_lies, cu_memory y, view y_lies)
{
    return rig_launch(r, "bptt_copy", s, 2, (cu_memory[]){x, y}, (view[]){x_lies, y_lies}, (op_constants){0});
}

// Fork: the side stream waits for the main stream. Join: the main stream waits for the side stream.
static inline void rig_fork(standin_rig *r)
{
    GOOD(r->cu.EventRecord(r->fork, r->main));
    GOOD(r->cu.StreamWaitEvent(r->side, r->fork, 0));
}

static inline void rig_join(standin_rig *r)
{
    GOOD(r->cu.EventRecord(r->join, r->side));
    GOOD(r->cu.StreamWaitEvent(r->main, r->join, 0));
}

// Begins capture on the main stream; ends it and returns a graph that can be launched.
static inline cu_exec rig_graph(standin_rig *r)
{
    cu_graph g;
    cu_exec x;
    GOOD(r->cu.StreamEndCapture(r->main, &g));
    GOOD(r->cu.GraphInstantiate(&x, g, 0));
    GOOD(r->cu.GraphDestroy(g));
    GOOD(r->cu.GraphUpload(x, r->main));
    return x;
}

static inline void rig_capture(standin_rig *r) { GOOD(r->cu.StreamBeginCapture(r->main, CU_CAPTURE_THREAD_LOCAL)); }

#endif
