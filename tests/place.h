// Where the tests compute: on the backend a test names, or on an OpenCL device. The environment says:
//   BPTT_RIGS=opencl     what computes in float goes to OpenCL
//   BPTT_LOWERING        never, always: whether whole windows run as one kernel; else the backend's choice
//   BPTT_DEVICE          on which device, by number or name; else the backend's choice
//   BPTT_NEED_OPENCL     where there is no device, the program fails; else it is skipped
#ifndef PLACE_H
#define PLACE_H

#include "backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 }; // SKIP_RETURN_CODE in CMakeLists.txt

static inline bool on_opencl(void)
{
    const char *rigs = getenv("BPTT_RIGS");
    return rigs && strcmp(rigs, "opencl") == 0;
}

static inline bptt_lowering placed_lowering(void)
{
    const char *said = getenv("BPTT_LOWERING");
    if (said && strcmp(said, "never") == 0) return BPTT_LOWER_NEVER;
    return said && strcmp(said, "always") == 0 ? BPTT_LOWER_ALWAYS : BPTT_LOWER_AUTO;
}

static inline void move_to_place(bptt_model_config *c)
{
    if (!on_opencl() || c->type != BPTT_F32) return;
    c->backend = "opencl";
    c->device = getenv("BPTT_DEVICE");
    c->lowering = placed_lowering();
}

// 0 if tests can go on, else the exit status, and the reason is said. Asked in a child: a driver that has been used
// before a fork may hang after it.
static inline int place_missing(void)
{
    int status = 0;
    if (!on_opencl()) return 0;
    const pid_t child = fork();
    if (child == 0) {
        choice c;
        bptt_error e = {0};
        const bptt_status s = choose("opencl", getenv("BPTT_DEVICE"), BPTT_F32, &c, &e);
        if (s) fprintf(stderr, "no OpenCL: %s\n", e.words);
        _exit(s != BPTT_OK);
    }
    if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return getenv("BPTT_NEED_OPENCL") ? EXIT_FAILURE : SKIPPED;
}

#endif
