// The OpenCL devices, nets and loops of the tests of whole-window kernels. Needs no device: plans are those of real
// runs.
#ifndef LOWER_RIG_H
#define LOWER_RIG_H

#include "cl_tiles.h"
#include "nets.h"
#include "run.h"
#include "suite.h"

static const cl_limits processor = {BPTT_CPU, 1u << 20, false, 4096, 2, 16, false};
static const cl_limits many_cores = {BPTT_CPU, 32u << 10, false, 8192, 96, 8, false};
static const cl_limits large_gpu = {BPTT_GPU, 48u << 10, true, 1024, 132, 1, false};
static const cl_limits small_gpu = {BPTT_GPU, 8u << 10, true, 64, 1, 4, false};
static const cl_limits no_groups = {BPTT_ACCELERATOR, 0, false, 1, 0, 0, false};

static bool windowed(const bptt_op *loop, const cl_limits *l, launch *t)
{
    return cl_loop_launch(loop, tile_class_of(l), l, t);
}

// With two biases a layer if H is odd.
static net net_of(const char *backend, bptt_cell cell, size_t H, size_t L, size_t B, size_t T, bool gradient, bool keep)
{
    bptt_model_config c = net_config(backend, BPTT_F32, 11, H, L);
    c.cell = cell, c.biases = 1 + (int)(H & 1);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = gradient, .keep = keep});
    return n;
}

// Every loop of a layer is a window, as `check` finds of its launch, and no other op is. Returns how many there are.
static size_t check_plan(const bptt_plan *p, const bptt_run *r, const cl_limits *l,
                         void (*check)(const bptt_op *loop, const bptt_run *r, const cl_limits *l, const launch *t))
{
    size_t windows = 0;
    for (size_t i = 0; i < p->ops; i++) {
        const bptt_op *op = &p->op[i];
        const bool layer = op->opcode == BPTT_LOOP && op->loop.kind <= BPTT_LOOP_BACKWARD;
        launch t;
        memset(&t, 0x55, sizeof t);
        ck_assert_int_eq(windowed(op, l, &t), layer);
        if (layer) check(op, r, l, &t);
        windows += layer;
    }
    return windows;
}

// A copy of the loop of that kind in a training plan.
static bptt_op *loop_of(const net *w, bptt_loop_kind kind)
{
    const bptt_op *op = w->r->plan[TRAIN].op;
    while (op->opcode != BPTT_LOOP || op->loop.kind != kind) op++;
    bptt_op *s = must_alloc(1 + op->loop.body, sizeof *s);
    memcpy(s, op, (1 + op->loop.body) * sizeof *s);
    return s;
}

// The loop is a window on a device with that many bytes of local memory, and on none with fewer.
static void check_least_memory(const bptt_op *loop, cl_limits l, size_t bytes)
{
    launch t;
    l.local_memory = bytes;
    ck_assert(windowed(loop, &l, &t) && t.local_bytes == bytes && !t.constants.layer.resident);
    l.local_memory = bytes - 1;
    ck_assert(!windowed(loop, &l, &t));
}

// The loop is a window on a processor by its own choice or not, and with --lowering always in any case.
static void check_processor(const bptt_op *loop, bool chosen)
{
    launch t;
    cl_limits told = processor;
    ck_assert_int_eq(windowed(loop, &told, &t), chosen);
    told.forced = true;
    ck_assert(windowed(loop, &told, &t));
}

#endif
