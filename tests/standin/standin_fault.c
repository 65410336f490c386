// The stand-in's settings, the gate that every call passes, and fault injection.
#include "standin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS = 8, NAME = 40 };

typedef struct fault {
    char name[NAME];
    long nth, seen;
    int code;
} fault;

// A library in the place of another one has a state of its own.
static struct {
    pthread_mutex_t lock;
    bool read, initialised;
    standin_settings set;
    fault fault[FAULTS];
    size_t faults;
    const char *call;
    int lost, owed; // CUresult of a lost context; what a call that gives back returns in the end
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER};

void standin_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("standin: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    fflush(stderr);
    abort();
}

int standin_refuse(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "standin: %d: ", code);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return code;
}

void *standin_more(void *old, size_t n, size_t each)
{
    void *p = realloc(old, (n ? n : 1) * each);
    if (!p) standin_die("no host memory for %zu times %zu bytes", n, each);
    return p;
}

// ---- settings -------------------------------------------------------------------------------------------------------

const standin_settings *standin_set(void) { return &gate.set; }
bool standin_lost(void) { return gate.lost != 0; }
const char *standin_call(void) { return gate.call; }
bool standin_fails(void) { return gate.owed != 0; }

static const char *setting(const char *name, const char *otherwise)
{
    const char *s = getenv(name);
    return s && *s ? s : otherwise;
}

// The names that can fail. The list takes the address of every function, so none can be missing.
typedef void any_function(void);
static const struct {
    const char *name;
    any_function *function;
} known[] = {
#define KNOWN(name, symbol, result, parameters) {#name, (any_function *)symbol},
    CU_API_LIST(KNOWN)
#undef KNOWN
#define KNOWN(name, symbol, result, parameters) {#name, NULL},
        BLAS_API_LIST(KNOWN)
#undef KNOWN
};

static void read_faults(const char *text)
{
    gate.faults = 0, gate.lost = 0;
    while (*text) {
        fault f = {.seen = 0};
        int used = 0;
        if (gate.faults == FAULTS || sscanf(text, "%39[A-Za-z0-9]:%ld:%d%n", f.name, &f.nth, &f.code, &used) != 3)
            standin_die("STANDIN_FAIL is \"%s\", not Name:n:code[,...]", text);
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] && strcmp(known[i].name, f.name) != 0) i++;
        if (i == sizeof known / sizeof known[0]) standin_die("STANDIN_FAIL names %s, which is not in cu_api.h", f.name);
        gate.fault[gate.faults++] = f;
        text += used;
        if (*text == ',') text++;
    }
}

void standin_read_settings(void)
{
    standin_settings s = {.driver = atoi(setting("STANDIN_DRIVER", "13000")),
                          .devices = atoi(setting("STANDIN_DEVICES", "1")),
                          .leaks = atoi(setting("STANDIN_LEAKS", "0")),
                          .memory = (size_t)strtoull(setting("STANDIN_MEMORY", "8000000000"), NULL, 10)};
    const char *mode = setting("STANDIN_MODE", "lazy"), *fail = setting("STANDIN_FAIL", "");
    s.eager = strcmp(mode, "eager") == 0;
    s.warm_aligned = strcmp(setting("STANDIN_WARM", "shape"), "aligned") == 0;
    if (!s.eager && strcmp(mode, "lazy") != 0) standin_die("STANDIN_MODE is %s, neither lazy nor eager", mode);
    if (sscanf(setting("STANDIN_CC", "9.0"), "%d.%d", &s.major, &s.minor) != 2)
        standin_die("STANDIN_CC is not like 9.0");
    snprintf(s.order, sizeof s.order, "%s", setting("STANDIN_ORDER", "fifo"));
    snprintf(s.log, sizeof s.log, "%s", setting("STANDIN_LOG", ""));
    snprintf(s.fail, sizeof s.fail, "%s", fail);
    if (s.devices < 0 || s.devices > 2) standin_die("STANDIN_DEVICES is %d, not 0, 1 or 2", s.devices);
    if (!gate.read || strcmp(fail, gate.set.fail) != 0) read_faults(fail);
    gate.set = s;
    gate.read = true;
}

// ---- the gate -------------------------------------------------------------------------------------------------------

static int fault_of(const char *name)
{
    for (size_t i = 0; i < gate.faults; i++) {
        fault *f = &gate.fault[i];
        if (strcmp(f->name, name) != 0) continue;
        f->seen++;
        if (f->nth == 0 || f->seen == f->nth) return f->code;
    }
    return 0;
}

static bool loses(int code) { return code == CU_ILLEGAL_ADDRESS || (code >= 710 && code <= 719); }

int standin_enter(const char *name, unsigned needs)
{
    pthread_mutex_lock(&gate.lock);
    gate.owed = 0, gate.call = name;
    if (!gate.read || (strcmp(name, "Init") == 0 && !standin_used())) standin_read_settings();
    const bool gives = needs & STANDIN_GIVES_BACK;
    int code = fault_of(name);
    if (loses(code)) gate.lost = code;
    if (!code && gate.lost && !(needs & STANDIN_ALWAYS)) code = gate.lost;
    if (gives) gate.owed = code;
    if (code && !gives) return code;
    if ((needs & STANDIN_INIT) && !gate.initialised) return CU_NOT_INITIALIZED;
    if ((needs & STANDIN_CONTEXT) == STANDIN_CONTEXT && !standin_current())
        return standin_refuse(CU_INVALID_CONTEXT, "%s: this thread has no current context", name);
    if ((needs & STANDIN_UNSAFE) && !gate.lost && standin_unsafe_capture())
        return standin_refuse(CU_CAPTURE_UNSUPPORTED, "%s: while this thread captures", name);
    if ((needs & STANDIN_WAITS) == STANDIN_WAITS && !gate.lost && standin_capture_elsewhere())
        standin_die("%s: may wait for a context in which another thread captures", name);
    if (strcmp(name, "Init") == 0) gate.initialised = true;
    return 0;
}

int standin_leave(int code)
{
    if (gate.owed) code = gate.owed;
    gate.owed = 0;
    pthread_mutex_unlock(&gate.lock);
    return code;
}

// ---- errors in words ------------------------------------------------------------------------------------------------

static const struct {
    cu_result code;
    const char *name, *words;
} errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {301, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
     "attempt to terminate a thread-local capture sequence from another "
     "thread"},
};

static size_t error_number(cu_result code)
{
    size_t i = 0;
    while (i < sizeof errors / sizeof errors[0] && errors[i].code != code) i++;
    return i;
}

// Need no lock: nothing here varies.
cu_result cuGetErrorName(cu_result code, const char **name)
{
    const size_t i = error_number(code), n = sizeof errors / sizeof errors[0];
    *name = i < n ? errors[i].name : NULL;
    return i < n ? 0 : CU_INVALID_VALUE;
}

cu_result cuGetErrorString(cu_result code, const char **words)
{
    const size_t i = error_number(code), n = sizeof errors / sizeof errors[0];
    *words = i < n ? errors[i].words : NULL;
    return i < n ? 0 : CU_INVALID_VALUE;
}
