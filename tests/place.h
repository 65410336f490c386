// Selects the backend of the tests: the one that a test names, or an OpenCL or CUDA device. Environment variables:
//   BPTT_RIGS=opencl     float models run on OpenCL; cuda: on CUDA
//   BPTT_LOWERING        never, always: whether whole windows run as one kernel or one graph; else the backend's choice
//   BPTT_PRECISION       tf32, bf16, fp16: format of GEMM operands on that device
//   BPTT_DEVICE          on which device, by number or name; else the backend's choice
//   BPTT_NEED_OPENCL, BPTT_NEED_CUDA   where there is no device, the program fails; else it is skipped
#ifndef PLACE_H
#define PLACE_H

#include "backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 }; // SKIP_RETURN_CODE in CMakeLists.txt

// The backend that the environment names; NULL: none.
static inline const char *placed_on(void)
{
    const char *rigs = getenv("BPTT_RIGS");
    if (rigs && strcmp(rigs, "opencl") == 0) return "opencl";
    return rigs && strcmp(rigs, "cuda") == 0 ? "cuda" : NULL;
}

static inline bptt_lowering placed_lowering(void)
{
    const char *said = getenv("BPTT_LOWERING");
    if (said && strcmp(said, "never") == 0) return BPTT_LOWER_NEVER;
    return said && strcmp(said, "always") == 0 ? BPTT_LOWER_ALWAYS : BPTT_LOWER_AUTO;
}

static inline bptt_precision placed_precision(void)
{
    static const char *const known[] = {"fp32", "tf32", "bf16", "fp16"};
    const char *said = getenv("BPTT_PRECISION");
    for (int p = BPTT_PRECISION_FP32; said && p <= BPTT_PRECISION_FP16; p++)
        if (strcmp(said, known[p]) == 0) return (bptt_precision)p;
    return BPTT_PRECISION_FP32;
}

static inline void move_to_place(bptt_model_config *c)
{
    if (!placed_on() || c->type != BPTT_F32) return;
    c->compute.backend = placed_on();
    c->compute.device = getenv("BPTT_DEVICE");
    c->compute.lowering = placed_lowering();
    c->compute.precision = placed_precision();
}

// The rows of a table of backends that a test runs. The first is in double, the others in float: a place replaces all
// of those by one and changes nothing of the first, so one row is left to run there.
static inline size_t first_row(void) { return placed_on() ? 1 : 0; }
static inline size_t end_row(size_t rows) { return placed_on() ? 2 : rows; }

// 0 if look() finds a device; else SKIPPED, or EXIT_FAILURE where the environment variable `needed` is set. The reason
// is printed as tests/count.sh reads it. look() runs in a child: a driver that has been used before a fork may hang
// after it, and PoCL 3.1 aborts where /sys is not mounted.
static inline int device_missing(const char *kind, const char *needed, bptt_status (*look)(bptt_error *e))
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        bptt_error e = {0};
        const bptt_status s = look(&e);
        if (s) fprintf(stderr, "skipped: %s: %s\n", kind, e.words);
        _exit(s != BPTT_OK);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return EXIT_FAILURE;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    if (WIFSIGNALED(status))
        fprintf(stderr, "skipped: %s: the driver ended its process with signal %d\n", kind, WTERMSIG(status));
    return getenv(needed) ? EXIT_FAILURE : SKIPPED;
}

static inline bptt_status look_for_place(bptt_error *e)
{
    choice c;
    return pick_device(&(bptt_compute){.backend = placed_on(), .device = getenv("BPTT_DEVICE")}, BPTT_F32, &c, e);
}

// The same for the backend that the environment names.
static inline int place_missing(void)
{
    if (!placed_on()) return 0;
    return strcmp(placed_on(), "cuda") == 0 ? device_missing("CUDA", "BPTT_NEED_CUDA", look_for_place)
                                            : device_missing("OpenCL", "BPTT_NEED_OPENCL", look_for_place);
}

#endif
